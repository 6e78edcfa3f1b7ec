//! Numbers as models show them: few significant digits, still within the model's ranges.
//!
//! When not to use it: for results; only models and their provenance are rounded.

use crate::world::{Families, Latency};

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

/// A population or a rate limit for a model, within what models allow: few servers leave the shapes
/// of betas open to all sides. Rounding keeps order, so what must be below another number stays so.
pub(super) fn for_model<F: Families>(fitted: &F) -> F {
    fitted.mapped(round)
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
