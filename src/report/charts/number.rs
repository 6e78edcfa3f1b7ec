//! Numbers and lists as people write them: separators, a real minus, decimals that fit.

use crate::report::numbers::{separated, thousands};

/// `x` with so many decimals, thousands separated by commas; `n/a` if it is not finite.
pub(super) fn fixed(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return "n/a".to_owned();
    }
    let digits = format!("{:.*}", decimals, x.abs());
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::new();
    if x < 0.0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        text.push('−');
    }
    text += &separated(whole);
    text + fraction
}

/// Three significant digits.
pub(crate) fn significant(x: f64) -> String {
    let size = x.abs();
    let decimals = match size {
        _ if !x.is_finite() || size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.09995 => 3,
        _ => 4,
    };
    fixed(x, decimals)
}

/// Decimals worth showing of a number known to within an interval of this width: the first two
/// digits of the width, at most two.
pub(super) fn decimals_for(width: f64) -> usize {
    match width {
        _ if width >= 20.0 => 0,
        _ if width >= 2.0 => 1,
        _ => 2,
    }
}

/// Decimals for these values, known to within intervals of these widths: enough for the
/// narrowest. Without any width, none for whole values.
pub(super) fn decimals_of(values: impl Iterator<Item = (f64, f64)>) -> usize {
    let (mut narrowest, mut whole) = (f64::INFINITY, true);
    for (value, width) in values {
        whole &= value.fract() == 0.0;
        if width > 0.0 {
            narrowest = narrowest.min(width);
        }
    }
    match narrowest.is_finite() {
        true => decimals_for(narrowest),
        false => {
            if whole {
                0
            } else {
                2
            }
        }
    }
}

/// A share as a percentage; two digits below 10 %.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = usize::from(percent.abs() < 9.95 && percent != 0.0);
    format!("{} %", fixed(percent, decimals))
}

/// `1 point`, `1.3 points`.
pub(super) fn points(x: f64, decimals: usize) -> String {
    let number = fixed(x, decimals);
    let noun = if number == "1" { "point" } else { "points" };
    format!("{number} {noun}")
}

/// `1 run`, `1,000 runs`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`; the last ones counted when there are more than six.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] if items.len() <= 6 => format!("{} and {last}", head.join(", ")),
        _ => format!("{} and {} more", items[..5].join(", "), items.len() - 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-1234567.891, 2), "−1,234,567.89");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(fixed(f64::NAN, 1), "n/a");
        assert_eq!(fixed(999.6, 0), "1,000");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(100), "100");
        assert_eq!((significant(1.126), significant(23.44)), ("1.13".into(), "23.4".into()));
        assert_eq!((significant(1234.0), significant(0.0)), ("1,234".into(), "0".into()));
        assert_eq!((percent(0.4321), percent(0.0432)), ("43 %".into(), "4.3 %".into()));
        assert_eq!((points(1.0, 0), points(1.0, 1)), ("1 point".into(), "1.0 points".into()));
        assert_eq!(
            (counted(1, "run"), counted(2000, "run")),
            ("1 run".into(), "2,000 runs".into())
        );
    }

    #[test]
    fn lists_end_with_and() {
        let items: Vec<String> = ('a'..='h').map(String::from).collect();
        assert_eq!(list(&items[..0]), "");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(list(&items[..3]), "a, b and c");
        assert_eq!(list(&items), "a, b, c, d, e and 3 more");
    }
}
