//! How numbers are printed, the same everywhere.

use crate::stats::Interval;

/// A number with `decimals` digits after the point; `-` for what is not a number.
pub(super) fn fixed(x: f64, decimals: usize) -> String {
    if x.is_nan() {
        return "-".to_owned();
    }
    let text = format!("{x:.decimals$}");
    // What rounds to zero has no sign.
    let is_zero = text.bytes().all(|b| b"-0.".contains(&b));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// `[low, high]`.
pub(super) fn interval(interval: Interval, decimals: usize) -> String {
    format!("[{}, {}]", fixed(interval.low, decimals), fixed(interval.high, decimals))
}

/// A mean over replications with the half-width of its symmetric interval, `±?` when a single
/// replication says nothing of the spread.
pub(super) fn plus_minus(
    mean: f64,
    interval: Interval,
    decimals: usize,
    replications: u64,
) -> String {
    let mean = fixed(mean, decimals);
    if replications < 2 {
        return format!("{mean} ±?");
    }
    format!("{mean} ±{}", fixed(interval.half_width(), decimals))
}

/// Digits after the point that an interval of that half-width deserves: two significant ones
/// of the half-width, between 1 and 4.
pub(super) fn decimals_for(half_width: f64) -> usize {
    if !half_width.is_finite() || half_width <= 0.0 {
        return 2;
    }
    let magnitude = libm::floor(libm::log10(half_width));
    (1.0 - magnitude).clamp(1.0, 4.0) as usize
}

/// A probability with two digits, without pretending to certainty.
pub(super) fn probability(p: f64) -> String {
    match p {
        _ if p.is_nan() => "-".to_owned(),
        _ if p < 0.005 => "<.01".to_owned(),
        _ if p > 0.995 => ">.99".to_owned(),
        _ => format!("{p:.2}").trim_start_matches('0').to_owned(),
    }
}

/// A whole number with a comma every three digits, as in `12,500`.
pub(crate) fn thousands(n: u64) -> String {
    separated(&n.to_string())
}

/// A predicted count rounded up to two significant digits: more would pretend to know.
pub(super) fn round_up(n: u64) -> u64 {
    let mut unit = 1;
    while n / unit >= 100 {
        unit *= 10;
    }
    n.div_ceil(unit) * unit
}

/// Decimal digits with a comma every three of them from the right.
pub(super) fn separated(digits: &str) -> String {
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_follows_the_uncertainty() {
        assert_eq!(decimals_for(0.18), 2);
        assert_eq!(decimals_for(4.4), 1);
        assert_eq!(decimals_for(0.012), 3);
        assert_eq!(decimals_for(0.0), 2);
    }

    #[test]
    fn near_certainty_is_not_certainty() {
        assert_eq!(probability(0.9999), ">.99");
        assert_eq!(probability(0.346), ".35");
        assert_eq!(probability(1.0), ">.99", "all of 2,000 resamples are not all there are");
        assert_eq!(probability(0.0), "<.01");
    }

    #[test]
    fn predictions_are_rounded_up_to_two_digits() {
        assert_eq!(
            [0, 7, 99, 101, 12_345, 990_001].map(round_up),
            [0, 7, 99, 110, 13_000, 1_000_000]
        );
    }

    #[test]
    fn groups_digits() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
    }
}
