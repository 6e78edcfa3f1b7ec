//! Numbers as models show them: few significant digits, still within the model's ranges.
//!
//! When not to use it: for results; only models and their provenance are rounded.

use crate::world::{ErrorFamily, Latency, RateLimit};

/// Significant digits of the numbers in a model.
const MODEL_DIGITS: usize = 5;

/// A number to so many significant digits, as a decimal would be written.
pub(super) fn rounded(x: f64, digits: usize) -> f64 {
    // Through the decimal text, which is exact; a float that is not finite stays as it is.
    format!("{x:.*e}", digits.saturating_sub(1)).parse().unwrap_or(x)
}

fn round(x: f64) -> f64 {
    rounded(x, MODEL_DIGITS)
}

/// A population for a model.
pub(super) fn rounded_family(family: ErrorFamily) -> ErrorFamily {
    match family {
        ErrorFamily::Uniform { low, high } => {
            ErrorFamily::Uniform { low: round(low), high: round(high) }
        }
        ErrorFamily::Beta { alpha, beta } => {
            let [alpha, beta] = [alpha, beta].map(in_range);
            ErrorFamily::Beta { alpha, beta }
        }
        ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => {
            let [alpha, beta, second_alpha, second_beta] =
                [alpha, beta, second_alpha, second_beta].map(in_range);
            let weight = round(weight);
            ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta }
        }
        fixed @ ErrorFamily::Fixed { .. } => fixed,
    }
}

/// A shape, rounded, within what models allow: few servers leave shapes open to all sides.
fn in_range(shape: f64) -> f64 {
    round(shape.clamp(1e-3, 1e6))
}

/// A rate limit for a model.
pub(super) fn rounded_limit(limit: RateLimit) -> RateLimit {
    match limit {
        RateLimit::TokenBucket { per_second, burst } => {
            RateLimit::TokenBucket { per_second: round(per_second), burst }
        }
        RateLimit::Sinusoidal { mean_per_second, amplitude_per_second, period_s, burst, phase } => {
            let mean = round(mean_per_second);
            RateLimit::Sinusoidal {
                mean_per_second: mean,
                amplitude_per_second: round(amplitude_per_second).min(mean),
                period_s: round(period_s),
                burst,
                phase,
            }
        }
        windows_or_none => windows_or_none,
    }
}

/// Latencies for a model.
pub(super) fn rounded_latency(latency: &Latency) -> Latency {
    Latency {
        success: latency.success.rounded(round),
        failure: latency.failure.map(|family| family.rounded(round)),
        rate_limited_ms: latency.rate_limited_ms.map(round),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_as_decimals() {
        assert_eq!(rounded(0.123_456_789, 4), 0.1235);
        assert_eq!(rounded(-12_345.678, 3), -12_300.0);
        assert_eq!((rounded(0.0, 4), rounded(20.0, 4)), (0.0, 20.0));
        assert!(rounded(f64::NAN, 4).is_nan() && rounded(f64::INFINITY, 4).is_infinite());
    }
}
