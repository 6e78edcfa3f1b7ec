//! Rate limits: their kinds, as models name them, with their parameters; and limiters at work, who
//! refuse with 429.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::fmt;

use crate::world::document::Violation;
use crate::world::family::{Key, Range, families};
use flakelab_core::domain::{Span, Timestamp};

/// The kind of rate limit that every server of a model has, each with a state of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateLimit {
    /// Every attempt is accepted.
    None,
    /// At most `limit` accepted attempts in each window [phase + i w, phase + (i+1) w).
    FixedWindow {
        /// Attempts per window, at least 1.
        limit: u32,
        /// Length of a window in seconds.
        window_s: f64,
        /// Start of a window in seconds; drawn for each server and replication when absent.
        phase_s: Option<f64>,
    },
    /// At most `limit` accepted attempts in any half-open span of `window_s`.
    SlidingWindow {
        /// Attempts per window, at least 1.
        limit: u32,
        /// Length of the window in seconds.
        window_s: f64,
    },
    /// A bucket of `burst` tokens, refilled at `per_second`.
    TokenBucket {
        /// Tokens per second.
        per_second: f64,
        /// Capacity in tokens, at least 1.
        burst: f64,
    },
    /// A bucket whose refill rises and falls over time.
    Sinusoidal {
        /// Mean tokens per second.
        mean_per_second: f64,
        /// Swing around the mean, at most the mean.
        amplitude_per_second: f64,
        /// Length of a cycle in seconds.
        period_s: f64,
        /// Capacity in tokens, at least 1.
        burst: f64,
        /// Phase in radians; drawn for each server and replication when absent.
        phase: Option<f64>,
    },
}

const SECONDS: Range = Range::of(1e-3, 1e6, "seconds in 0.001..=1,000,000");
const RATE: Range = Range::of(1e-6, 1e9, "tokens per second in 0.000001..=10^9");
const SWING: Range = Range::of(0.0, f64::MAX, "tokens per second, from 0 to mean_per_second");

const LIMIT: Key =
    Key::whole("limit", Range::of(1.0, 4_294_967_295.0, "a whole number of at least 1"));

const WINDOW_S: Key = Key::number("window_s", SECONDS);
const PHASE_S: Key = Key::number("phase_s", Range::of(f64::MIN, f64::MAX, "seconds")).optional();
const PER_SECOND: Key = Key::number("per_second", RATE);
const BURST: Key = Key::number("burst", Range::of(1.0, f64::MAX, "tokens, at least 1"));
const MEAN_PER_SECOND: Key = Key::number("mean_per_second", RATE);
const AMPLITUDE_PER_SECOND: Key = Key::number("amplitude_per_second", SWING);
const PERIOD_S: Key = Key::number("period_s", SECONDS);
const PHASE: Key = Key::number("phase", Range::of(f64::MIN, f64::MAX, "radians")).optional();

families! {
    RateLimit by "kind", ["posterior"];
    /// Kinds of rate limits.
    LimitKind:
    "none": None {};
    "fixed_window": FixedWindow { limit, window_s, phase_s },
        limit: [LIMIT], window_s: [WINDOW_S], phase_s: [PHASE_S];
    "sliding_window": SlidingWindow { limit, window_s }, limit: [LIMIT], window_s: [WINDOW_S];
    "token_bucket": TokenBucket { per_second, burst }, per_second: [PER_SECOND], burst: [BURST];
    "sinusoidal":
        Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, phase },
        mean_per_second: [MEAN_PER_SECOND], amplitude_per_second: [AMPLITUDE_PER_SECOND],
        period_s: [PERIOD_S], burst: [BURST], phase: [PHASE];
}

/// For people: `token bucket`.
impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = if *self == Self::Sinusoidal { " bucket" } else { "" };
        write!(f, "{}{bucket}", self.name().replace('_', " "))
    }
}

/// For people: `token bucket, 20 per second, burst 1`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::None => write!(f, "{kind}"),
            Self::FixedWindow { limit, window_s, .. } | Self::SlidingWindow { limit, window_s } => {
                write!(f, "{kind}, {limit} in {window_s} s")
            }
            Self::TokenBucket { per_second, burst } => {
                write!(f, "{kind}, {} per second, burst {burst}", short(*per_second))
            }
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, .. } => {
                write!(
                    f,
                    "{kind}, {} ± {} per second over {period_s} s, burst {burst}",
                    short(*mean_per_second),
                    short(*amplitude_per_second)
                )
            }
        }
    }
}

/// A number to four significant digits: rates that were fitted have more than anybody reads.
fn short(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

impl RateLimit {
    /// Seconds without attempts after which a limiter is as it was at the start: a full bucket, an
    /// empty window.
    pub fn recovery_s(&self) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::FixedWindow { window_s, .. } | Self::SlidingWindow { window_s, .. } => window_s,
            Self::TokenBucket { per_second, burst } => burst / per_second,
            // At the slowest refill, or in whole periods, which refill at the mean rate.
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, .. } => {
                let periods = (burst / (mean_per_second * period_s)).ceil();
                (burst / (mean_per_second - amplitude_per_second)).min(periods * period_s)
            }
        }
    }

    /// Whether nothing is ever refused.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// A limiter at the start of a run; `phase_draw` in [0, 1) is its phase when none is given.
    pub fn limiter(&self, phase_draw: f64) -> Limiter {
        let bucket = |mean, amplitude, omega, phase, burst| {
            let (tokens, at) = (burst, Timestamp::ZERO);
            Limiter::Bucket { mean, amplitude, omega, phase, burst, tokens, at }
        };
        match *self {
            Self::None => Limiter::None,
            Self::FixedWindow { limit, window_s, phase_s } => {
                let window = Span::from_millis_f64(window_s * 1e3);
                let phase = phase_s.unwrap_or(phase_draw * window_s).rem_euclid(window_s);
                let phase = Span::from_millis_f64(phase * 1e3).as_nanos() % window.as_nanos();
                let lead = Span::from_nanos((window.as_nanos() - phase) % window.as_nanos());
                Limiter::FixedWindow { limit, window, lead, current: 0, used: 0 }
            }
            Self::SlidingWindow { limit, window_s } => Limiter::SlidingWindow {
                limit,
                window: Span::from_millis_f64(window_s * 1e3),
                accepted: VecDeque::new(),
            },
            Self::TokenBucket { per_second, burst } => bucket(per_second, 0.0, 0.0, 0.0, burst),
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, phase } => {
                let phase = phase.unwrap_or(phase_draw * TAU);
                bucket(mean_per_second, amplitude_per_second, TAU / period_s, phase, burst)
            }
        }
    }

    /// The limit of a window, the burst of a bucket; infinite where nothing is refused.
    pub fn capacity(&self) -> f64 {
        match *self {
            Self::None => f64::INFINITY,
            Self::FixedWindow { limit, .. } | Self::SlidingWindow { limit, .. } => f64::from(limit),
            Self::TokenBucket { burst, .. } | Self::Sinusoidal { burst, .. } => burst,
        }
    }

    /// The length of a window in seconds; infinite where there is none.
    pub fn window_s(&self) -> f64 {
        match *self {
            Self::FixedWindow { window_s, .. } | Self::SlidingWindow { window_s, .. } => window_s,
            _ => f64::INFINITY,
        }
    }

    /// Attempts accepted per second in the long run; infinite where nothing is refused.
    pub fn per_second(&self) -> f64 {
        match *self {
            Self::None => f64::INFINITY,
            Self::FixedWindow { limit, window_s, .. } | Self::SlidingWindow { limit, window_s } => {
                f64::from(limit) / window_s
            }
            Self::TokenBucket { per_second, .. } => per_second,
            Self::Sinusoidal { mean_per_second, .. } => mean_per_second,
        }
    }

    /// The refill never falls below 0.
    fn relations(&self) -> Result<(), Violation> {
        match *self {
            Self::Sinusoidal { mean_per_second, amplitude_per_second, .. } => {
                SWING.up_to(mean_per_second).check("amplitude_per_second", amplitude_per_second)
            }
            _ => Ok(()),
        }
    }
}

// ---- A limiter is asked at the moment of sending. An accepted attempt uses it up even if it then
// fails; a refused one uses nothing. Buckets start full; windows start at a phase.
// Token bucket: tokens(t) = min(burst, tokens + refill over the time since); the sinusoidal
// limiter's refill rate is mean + amplitude sin(2 pi t / period + phase), integrated exactly.

/// Rounding errors of a refill must not refuse a token that is there: compare with slack.
const TOKEN_SLACK: f64 = 1e-9;

/// One server's limiter in one run.
#[derive(Debug, Clone, PartialEq)]
pub enum Limiter {
    /// Accepts everything.
    None,
    /// See [`RateLimit::FixedWindow`].
    FixedWindow {
        /// Attempts per window.
        limit: u32,
        /// Length of a window.
        window: Span,
        /// Time from the last window start before 0 to 0, below `window`.
        lead: Span,
        /// The window that `used` counts in.
        current: u64,
        /// Accepted in the current window.
        used: u32,
    },
    /// See [`RateLimit::SlidingWindow`].
    SlidingWindow {
        /// Attempts per window.
        limit: u32,
        /// Length of the window.
        window: Span,
        /// When attempts were accepted, at most `limit` of them, oldest first.
        accepted: VecDeque<Timestamp>,
    },
    /// See [`RateLimit::TokenBucket`] and, with an amplitude, [`RateLimit::Sinusoidal`].
    Bucket {
        /// Mean tokens per second.
        mean: f64,
        /// Swing in tokens per second, 0 for a plain bucket.
        amplitude: f64,
        /// Angular frequency in radians per second.
        omega: f64,
        /// Phase in radians.
        phase: f64,
        /// Capacity.
        burst: f64,
        /// Tokens at `at`.
        tokens: f64,
        /// When `tokens` was right.
        at: Timestamp,
    },
}

impl Limiter {
    /// Asks for an attempt at `now`; an accepted one is used up. Times must not decrease.
    #[inline]
    pub fn accept(&mut self, now: Timestamp) -> bool {
        match self {
            Self::None => true,
            Self::FixedWindow { limit, window, lead, current, used } => {
                let index = window_index(now, *window, *lead);
                if index != *current {
                    (*current, *used) = (index, 0);
                }
                let accepted = *used < *limit;
                *used += u32::from(accepted);
                accepted
            }
            Self::SlidingWindow { limit, window, accepted } => {
                while accepted.front().is_some_and(|oldest| now.since(*oldest) >= *window) {
                    accepted.pop_front();
                }
                let free = accepted.len() < *limit as usize;
                if free {
                    accepted.push_back(now);
                }
                free
            }
            Self::Bucket { mean, amplitude, omega, phase, burst, tokens, at } => {
                let refill = refill(*mean, *amplitude, *omega, *phase, *at, now);
                *tokens = (*tokens + refill).min(*burst);
                *at = now;
                let accepted = *tokens >= 1.0 - TOKEN_SLACK;
                if accepted {
                    *tokens = (*tokens - 1.0).max(0.0);
                }
                accepted
            }
        }
    }

    /// The first time from `now` on at which an attempt would be accepted; `now` if it would be
    /// accepted at once.
    pub fn next_accept(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::None => now,
            Self::FixedWindow { limit, window, lead, current, used } => {
                let index = window_index(now, *window, *lead);
                if index != *current || *used < *limit {
                    return now;
                }
                let next_start = (index + 1).saturating_mul(window.as_nanos());
                Timestamp::from_nanos(next_start) - *lead
            }
            Self::SlidingWindow { limit, window, accepted } => {
                let in_window = accepted.iter().filter(|t| now.since(**t) < *window).count();
                if in_window < *limit as usize {
                    return now;
                }
                accepted[accepted.len() - *limit as usize] + *window
            }
            Self::Bucket { mean, amplitude, omega, phase, burst, tokens, at } => {
                let tokens_at =
                    |t| (*tokens + refill(*mean, *amplitude, *omega, *phase, *at, t)).min(*burst);
                if tokens_at(now) >= 1.0 - TOKEN_SLACK {
                    return now;
                }
                // The refill of a whole cycle is mean x period, so the missing part of a token
                // is there within one cycle more than a plain bucket would take. Bisect.
                let cycle_s = if *amplitude > 0.0 { TAU / omega } else { 0.0 };
                let mut early = now;
                let mut late = now + Span::from_millis_f64((1.0 / mean + cycle_s) * 1e3 + 1e-3);
                while late.since(early) > Span::from_nanos(1) {
                    let middle = early + Span::from_nanos(late.since(early).as_nanos() / 2);
                    if tokens_at(middle) >= 1.0 - TOKEN_SLACK {
                        late = middle;
                    } else {
                        early = middle;
                    }
                }
                late
            }
        }
    }
}

/// The number of the fixed window that holds `now`.
#[inline]
fn window_index(now: Timestamp, window: Span, lead: Span) -> u64 {
    (now + lead).as_nanos() / window.as_nanos()
}

/// Integral of mean + amplitude sin(omega t + phase) from `from` to `to`, in tokens.
#[inline]
fn refill(
    mean: f64,
    amplitude: f64,
    omega: f64,
    phase: f64,
    from: Timestamp,
    to: Timestamp,
) -> f64 {
    let steady = mean * to.since(from).as_secs_f64();
    if amplitude == 0.0 {
        return steady;
    }
    let angle = |t: Timestamp| libm::cos(omega * t.as_secs_f64() + phase);
    steady + amplitude / omega * (angle(from) - angle(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Timestamp {
        Timestamp::from_secs_f64(s)
    }

    /// Over 100 s, an attempt every so many milliseconds.
    #[test]
    fn windows_and_buckets_let_through_what_they_say() {
        let bucket = RateLimit::TokenBucket { per_second: 5.0, burst: 10.0 };
        let window =
            |phase| RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: Some(phase) };
        let sliding = RateLimit::SlidingWindow { limit: 3, window_s: 1.0 };
        let cases = [
            (bucket, 10, 10 + 499, "its burst and its rate, the last token not before its time"),
            (bucket, 200, 500, "at its own rate nothing is refused"),
            (window(0.0), 10, 300, "its limit in each window"),
            (window(0.25), 10, 303, "a cut window at either end"),
            (sliding, 10, 300, "its limit in each window"),
        ];
        for (limit, gap_ms, expected, why) in cases {
            let mut limiter = limit.limiter(0.0);
            let times = (0..100_000 / gap_ms).map(|i| seconds(f64::from(i * gap_ms) / 1e3));
            assert_eq!(times.filter(|at| limiter.accept(*at)).count(), expected, "{limit}: {why}");
        }
    }

    #[test]
    fn a_sliding_window_never_holds_more_than_its_limit() {
        let mut limiter = RateLimit::SlidingWindow { limit: 3, window_s: 1.0 }.limiter(0.0);
        let times: Vec<f64> =
            (0..500).map(|i| f64::from(i) * 0.07).filter(|t| limiter.accept(seconds(*t))).collect();
        assert!(times.windows(4).all(|t| t[3] - t[0] >= 1.0 - 1e-9), "{times:?}");
    }

    #[test]
    fn refused_attempts_use_nothing() {
        let limit = RateLimit::TokenBucket { per_second: 1.0, burst: 1.0 };
        let mut limiter = limit.limiter(0.0);
        assert!(limiter.accept(seconds(0.0)));
        assert!((1..10).all(|i| !limiter.accept(seconds(f64::from(i) * 0.1))));
        assert!(limiter.accept(seconds(1.0)));
    }

    #[test]
    fn next_accept_is_the_first_moment_that_is_accepted() {
        let limits = [
            RateLimit::FixedWindow { limit: 2, window_s: 1.0, phase_s: Some(0.3) },
            RateLimit::SlidingWindow { limit: 2, window_s: 1.0 },
            RateLimit::TokenBucket { per_second: 0.7, burst: 1.5 },
            RateLimit::Sinusoidal {
                mean_per_second: 1.0,
                amplitude_per_second: 1.0,
                period_s: 4.0,
                burst: 1.0,
                phase: Some(3.0),
            },
        ];
        for limit in limits {
            let mut limiter = limit.limiter(0.0);
            let mut now = seconds(0.0);
            for _ in 0..50 {
                let next = limiter.next_accept(now);
                if next > now {
                    let just_before = next - Span::from_nanos(1);
                    assert!(!limiter.clone().accept(just_before), "{limit:?} at {just_before:?}");
                }
                assert!(limiter.accept(next), "{limit:?} at {next:?}");
                now = next + Span::from_millis_f64(13.0);
            }
        }
    }
}
