//! Kinds of rate limits, as models name them, with their parameters.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::fmt;

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

/// For people: `token bucket, 20 per second, burst 1`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::FixedWindow { limit, window_s, .. } => {
                write!(f, "fixed window, {limit} in {window_s} s")
            }
            Self::SlidingWindow { limit, window_s } => {
                write!(f, "sliding window, {limit} in {window_s} s")
            }
            Self::TokenBucket { per_second, burst } => {
                write!(f, "token bucket, {} per second, burst {burst}", short(*per_second))
            }
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, .. } => {
                write!(
                    f,
                    "sinusoidal bucket, {} ± {} per second over {period_s} s, burst {burst}",
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

    /// Checks every range; keys are relative to the `[rate_limit]` table.
    pub fn validate(&self) -> Result<(), Violation> {
        let check = |valid: bool, key: &str, value: f64, expected: &str| {
            if valid && value.is_finite() {
                return Ok(());
            }
            Err(Violation::new(key, format!("{value} is out of range"), expected))
        };
        let seconds = "seconds in 0.001..=1,000,000";
        let in_seconds = |s: f64| (1e-3..=1e6).contains(&s);
        let rate = "tokens per second in 0.000001..=10^9";
        let in_rate = |r: f64| (1e-6..=1e9).contains(&r);
        match *self {
            Self::None => Ok(()),
            Self::FixedWindow { limit, window_s, phase_s } => {
                check(limit >= 1, "limit", f64::from(limit), "a whole number of at least 1")?;
                check(in_seconds(window_s), "window_s", window_s, seconds)?;
                check(true, "phase_s", phase_s.unwrap_or(0.0), "seconds")
            }
            Self::SlidingWindow { limit, window_s } => {
                check(limit >= 1, "limit", f64::from(limit), "a whole number of at least 1")?;
                check(in_seconds(window_s), "window_s", window_s, seconds)
            }
            Self::TokenBucket { per_second, burst } => {
                check(in_rate(per_second), "per_second", per_second, rate)?;
                check(burst >= 1.0, "burst", burst, "tokens, at least 1")
            }
            Self::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, phase } => {
                let (mean, amplitude) = (mean_per_second, amplitude_per_second);
                check(in_rate(mean), "mean_per_second", mean, rate)?;
                check(
                    (0.0..=mean).contains(&amplitude),
                    "amplitude_per_second",
                    amplitude,
                    "tokens per second, from 0 to mean_per_second",
                )?;
                check(in_seconds(period_s), "period_s", period_s, seconds)?;
                check(burst >= 1.0, "burst", burst, "tokens, at least 1")?;
                check(true, "phase", phase.unwrap_or(0.0), "radians")
            }
        }
    }
}
