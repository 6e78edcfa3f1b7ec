//! Kinds of rate limits, as models name them, with their parameters.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::fmt;

use super::family::{Key, Range, families};
use super::{Limiter, Violation};
use crate::domain::{Span, Timestamp};

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
const SECONDS: Range = Range::of(1e-3, 1e6, "seconds in 0.001..=1,000,000");
const RATE: Range = Range::of(1e-6, 1e9, "tokens per second in 0.000001..=10^9");
const SWING: Range = Range::of(0.0, f64::MAX, "tokens per second, from 0 to mean_per_second");

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
            Self::TokenBucket { per_second, burst } => Limiter::Bucket {
                mean: per_second,
                amplitude: 0.0,
                omega: 0.0,
                phase: 0.0,
                burst,
                tokens: burst,
                at: Timestamp::ZERO,
            },
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, phase } => {
                Limiter::Bucket {
                    mean: mean_per_second,
                    amplitude: amplitude_per_second,
                    omega: TAU / period_s,
                    phase: phase.unwrap_or(phase_draw * TAU),
                    burst,
                    tokens: burst,
                    at: Timestamp::ZERO,
                }
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
