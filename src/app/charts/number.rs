//! Numbers as type sets them, for charts and their captions: separators, a real minus, `n/a`.

use crate::report::numbers;

/// `x` with so many decimals, thousands separated by commas; `n/a` if it is not finite.
pub fn fixed(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return "n/a".to_owned();
    }
    let plain = numbers::fixed(x, decimals);
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |d| ("−", d));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    format!("{sign}{}{fraction}", numbers::separated(whole))
}

/// Three significant digits.
pub fn significant(x: f64) -> String {
    fixed(x, if x == 0.0 { 0 } else { numbers::decimals_of_digits(x, 3, 4) })
}

/// Decimals worth showing of a number known to within an interval of this width: the first
/// two digits of the half-width, at most two.
pub fn decimals_for(width: f64) -> usize {
    numbers::two_digits_of(width / 2.0, 0, 2)
}

/// Decimals for these values, known to within intervals of these widths: enough for the
/// narrowest. Without any width, none for whole values.
pub fn decimals_of(values: impl Iterator<Item = (f64, f64)>) -> usize {
    let (mut narrowest, mut whole) = (f64::INFINITY, true);
    for (value, width) in values {
        whole &= value.fract() == 0.0;
        if width > 0.0 {
            narrowest = narrowest.min(width);
        }
    }
    if whole && narrowest.is_infinite() { 0 } else { decimals_for(narrowest) }
}

/// A share as a percentage; two digits below 10 %.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = usize::from(percent.abs() < 9.95 && percent != 0.0);
    format!("{} %", fixed(percent, decimals))
}

/// `1 point`, `1.3 points`.
pub fn points(x: f64, decimals: usize) -> String {
    let number = fixed(x, decimals);
    let noun = if number == "1" { "point" } else { "points" };
    format!("{number} {noun}")
}
