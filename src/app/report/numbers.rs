//! How numbers are written, the same everywhere: plainly in tables and sentences, as type sets
//! them (`charts/number.rs`) in charts, in five characters at most (`watch/figures.rs`) on the
//! viewer's screen.

use flakelab_core::stats::{Interval, Separation};

/// A number with `decimals` digits after the point; `-` for what is not a number.
pub fn fixed(x: f64, decimals: usize) -> String {
    if x.is_nan() {
        return "-".to_owned();
    }
    let text = format!("{x:.decimals$}");
    // What rounds to zero has no sign.
    let is_zero = text.bytes().all(|b| b"-0.".contains(&b));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// A number with its sign, as in `+0.7`.
pub fn signed(x: f64, decimals: usize) -> String {
    format!("{x:+.decimals$}")
}

/// `[low, high]`.
pub fn interval(interval: Interval, decimals: usize) -> String {
    format!("[{}, {}]", fixed(interval.low, decimals), fixed(interval.high, decimals))
}

/// `low to high`.
pub fn span(interval: Interval, decimals: usize) -> String {
    format!("{} to {}", fixed(interval.low, decimals), fixed(interval.high, decimals))
}

/// A mean with the half-width of its symmetric interval, if it has one.
pub fn plus_minus(mean: f64, interval: Option<Interval>, decimals: usize) -> String {
    let off = interval.map(|i| format!(" ±{}", fixed(i.half_width(), decimals)));
    fixed(mean, decimals) + &off.unwrap_or_default()
}

/// A latency in milliseconds with the digits that its interval knows; two without one.
pub fn latency(ms: f64, interval: Option<Interval>) -> String {
    let decimals = match interval {
        Some(interval) => two_digits_of(10.0 * interval.half_width(), 0, 2),
        None => decimals_of_digits(ms, 2, 2),
    };
    fixed(ms, decimals)
}

/// Numbers of replications that may be needed; nothing if they are more than a million.
pub fn needed(separation: &Separation) -> Option<String> {
    let at_least = thousands(round_up(separation.at_least?));
    Some(match separation.at_most {
        Some(most) => format!("{at_least} to {}", thousands(round_up(most))),
        None => format!("{at_least} or far more"),
    })
}

/// Digits after the point that an interval of that half-width deserves: two significant ones
/// of the half-width, between 1 and 4.
pub fn decimals_for(half_width: f64) -> usize {
    two_digits_of(half_width, 1, 4)
}

/// Decimals that show the first two digits of a half-width, within bounds.
pub fn two_digits_of(half_width: f64, fewest: usize, most: usize) -> usize {
    if !half_width.is_finite() || half_width <= 0.0 {
        return 2;
    }
    let magnitude = libm::floor(libm::log10(half_width));
    (1.0 - magnitude).clamp(fewest as f64, most as f64) as usize
}

/// Digits after the point that show so many significant ones, `most` at most. Rounding may carry:
/// 99.96 has three of them without any after the point.
pub fn decimals_of_digits(x: f64, digits: i32, most: usize) -> usize {
    let carries = 1.0 - 0.5 * libm::pow(10.0, f64::from(-digits));
    let shown = |decimals: &usize| {
        let least = libm::pow(10.0, f64::from(digits - 1 - *decimals as i32));
        x.abs() >= least * carries
    };
    (0..most).find(shown).unwrap_or(most)
}

/// Three significant digits, no more than three after the point.
pub fn significant(x: f64) -> String {
    fixed(x, decimals_of_digits(x, 3, 3))
}

/// A share in percent, without the sign, that is not rounded up to certainty.
pub fn percent(share: f64, decimals: usize) -> String {
    let text = fixed(share * 100.0, decimals);
    if share < 1.0 && text.starts_with("100") {
        return format!(">{}", fixed(100.0 - libm::pow(0.1, decimals as f64), decimals));
    }
    text
}

/// A probability with two digits, without pretending to certainty.
pub fn probability(p: f64) -> String {
    match p {
        _ if p.is_nan() => "-".to_owned(),
        _ if p < 0.005 => "<.01".to_owned(),
        _ if p > 0.995 => ">.99".to_owned(),
        _ => format!("{p:.2}").trim_start_matches('0').to_owned(),
    }
}

/// A p-value: two significant digits, none that a number of simulated runs cannot give.
pub fn p_value(p: f64) -> String {
    match p {
        _ if p.is_nan() => "-".to_owned(),
        _ if p < 0.0001 => "<0.0001".to_owned(),
        _ if p < 0.001 => fixed(p, 4),
        _ if p < 0.1 => fixed(p, 3),
        _ => fixed(p, 2),
    }
}

/// A whole number with a comma every three digits, as in `12,500`.
pub fn thousands(n: u64) -> String {
    separated(&n.to_string())
}

/// `1 run`, `1,000 runs`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// A predicted count rounded up to two significant digits: more would pretend to know.
pub fn round_up(n: u64) -> u64 {
    let mut unit = 1;
    while n / unit >= 100 {
        unit *= 10;
    }
    n.div_ceil(unit) * unit
}

/// Decimal digits with a comma every three of them from the right.
pub fn separated(digits: &str) -> String {
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
    fn zero_has_no_sign() {
        assert_eq!(fixed(-0.0001, 1), "0.0");
        assert_eq!(fixed(-0.06, 1), "-0.1");
        assert_eq!(fixed(f64::NAN, 1), "-");
    }

    #[test]
    fn precision_follows_the_uncertainty() {
        assert_eq!(decimals_for(0.18), 2);
        assert_eq!(decimals_for(4.4), 1);
        assert_eq!(decimals_for(0.012), 3);
        assert_eq!(decimals_for(0.0), 2);
        let of_charts =
            [19.9, 20.0, 1.9, 2.0, 0.01, f64::INFINITY].map(crate::charts::decimals_for);
        assert_eq!(of_charts, [1, 0, 2, 1, 2, 2]);
    }

    #[test]
    fn near_certainty_is_not_certainty() {
        assert_eq!(probability(0.9999), ">.99");
        assert_eq!(probability(0.346), ".35");
        assert_eq!(probability(1.0), ">.99", "all of 2,000 resamples are not all there are");
        assert_eq!(probability(0.0), "<.01");
        let shares = [0.99996, 1.0, 0.5].map(|share| percent(share, 2));
        assert_eq!(shares, [">99.99", "100.00", "50.00"]);
        assert_eq!((percent(0.9996, 1).as_str(), percent(0.999, 0).as_str()), (">99.9", ">99"));
        assert_eq!(
            [0.000_01, 0.000_44, 0.0123, 0.5].map(p_value),
            ["<0.0001", "0.0004", "0.012", "0.50"]
        );
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
        assert_eq!(
            (counted(1, "run"), counted(2000, "run")),
            ("1 run".into(), "2,000 runs".into())
        );
    }

    #[test]
    fn numbers_of_charts_read_well() {
        use crate::charts::{fixed, percent, points, significant};
        assert_eq!(fixed(-1234567.891, 2), "−1,234,567.89");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(fixed(f64::NAN, 1), "n/a");
        assert_eq!(fixed(999.6, 0), "1,000");
        assert_eq!((significant(1.126), significant(23.44)), ("1.13".into(), "23.4".into()));
        assert_eq!((significant(1234.0), significant(0.0)), ("1,234".into(), "0".into()));
        assert_eq!((percent(0.4321), percent(0.0432)), ("43 %".into(), "4.3 %".into()));
        assert_eq!((points(1.0, 0), points(1.0, 1)), ("1 point".into(), "1.0 points".into()));
    }

    #[test]
    fn significant_digits_are_those_after_rounding() {
        let written = [99.949, 99.951, 9.994, 9.996, 0.99949, 0.99951, 0.1, 0.01].map(significant);
        assert_eq!(written, ["99.9", "100", "9.99", "10.0", "0.999", "1.00", "0.100", "0.010"]);
        let of_charts = [0.0999, 0.09996, 0.01].map(crate::charts::significant);
        assert_eq!(of_charts, ["0.0999", "0.100", "0.0100"]);
    }

    #[test]
    fn counts_never_need_more_than_five_characters() {
        use crate::watch::count;
        assert_eq!([0, 99_999, 123_456, 999_999].map(count), ["0", "99999", "123k", "1.00M"]);
        assert_eq!(count(u64::MAX), "18.4E");
        for shift in 0..64 {
            assert!(count(u64::MAX >> shift).len() <= 5);
        }
    }

    #[test]
    fn shares_that_are_almost_all_are_not_all() {
        let shares = [0.0, 0.976, 0.9999, 1.0, 0.0001, 12.0, f64::NAN];
        assert_eq!(
            shares.map(crate::watch::percent),
            ["0", "97.6", "99.9", "100", "0.0", ">999", "-"]
        );
    }

    #[test]
    fn points_and_milliseconds_have_the_digits_that_matter() {
        use crate::watch::{ms, points};
        assert_eq!(
            [41.0, -0.01, -3.5, 1e6, f64::NAN].map(points),
            ["41", "0", "-3.5", "1.00M", "-"]
        );
        assert_eq!([0.123, 1.24, 12.6, 123.4, 2e6].map(ms), ["0.12", "1.2", "13", "123", "2.00M"]);
        assert_eq!(points(1e300), "1e300");
        assert_eq!(points(f64::NEG_INFINITY), "-");
    }

    #[test]
    fn durations_read_like_a_clock() {
        let durations = [0.0, 42.9, 3723.0, 1e6, -1.0, 1e300].map(crate::watch::duration);
        assert_eq!(durations, ["0:00", "0:42", "1:02:03", "11 d 13 h", "-", "-"]);
    }
}
