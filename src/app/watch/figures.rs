//! What must fit on a screen: numbers in a few characters, foreign texts on one line.
//!
//! When not to use it: in files and reports, which have room.

use crate::report::{decimals_of_digits, fixed, unit};
use flakelab_core::stats::Interval;
use flakelab_fit::RunMetric;

/// A count in at most five characters: `99999`, `123k`, `1.23M`, `18.4E`.
pub(crate) fn count(n: u64) -> String {
    if n < 100_000 { n.to_string() } else { shortened(n as f64) }
}

/// A number of points, tenths where it is not whole: `41`, `-3.5`, `123k`; `-` if it is none.
pub(crate) fn points(x: f64) -> String {
    match x {
        _ if !x.is_finite() => "-".to_owned(),
        _ if x.abs() >= 99_999.5 => shortened(x),
        _ => fixed(x, usize::from((x - x.round()).abs() >= 0.05)),
    }
}

/// A share in per cent without the sign: `97.6`, `100`, `0`; `-` if it is none.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "-".to_owned(),
        p if p > 999.0 => ">999".to_owned(),
        p if p < -99.0 => "<-99".to_owned(),
        p if p == 0.0 || (p - 100.0).abs() < 1e-9 => fixed(p, 0),
        p if p > 99.9 && p < 100.0 => "99.9".to_owned(),
        p => format!("{p:.1}"),
    }
}

/// Milliseconds: `0.12`, `1.2`, `123`, `123k`; `-` if it is no number.
pub(crate) fn ms(x: f64) -> String {
    match x.abs() {
        size if !size.is_finite() => "-".to_owned(),
        size if size < 99_999.5 => format!("{x:.*}", decimals_of_digits(x, 2, 2)),
        _ => shortened(x),
    }
}

/// A duration: `0:42`, `1:02:03`, `12 d 3 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    let whole = seconds as u64;
    let (minutes, s) = (whole / 60, whole % 60);
    let (hours, m) = (minutes / 60, minutes % 60);
    match hours {
        0 => format!("{m}:{s:02}"),
        1..48 => format!("{hours}:{m:02}:{s:02}"),
        _ if hours / 24 > 9_999 => "-".to_owned(),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// Three digits and a suffix.
fn shortened(x: f64) -> String {
    const SUFFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (mut scaled, mut suffix) = (x, 0);
    while scaled.abs() >= 999.5 && suffix + 1 < SUFFIXES.len() {
        scaled /= 1000.0;
        suffix += 1;
    }
    if scaled.abs() >= 999.5 {
        return format!("{x:.0e}");
    }
    let decimals = decimals_of_digits(scaled, 3, 2);
    format!("{scaled:.decimals$}{}", SUFFIXES.get(suffix).unwrap_or(&""))
}

/// A foreign text on one line, without anything that would steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Cut to so many characters, with an ellipsis.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    if room == 0 { kept } else { kept + "…" }
}

/// Cut to so many characters, keeping the end: the name of a file rather than its folders.
pub(crate) fn cut_front(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length - room.saturating_sub(1).min(length)).collect();
    if room == 0 { kept } else { format!("…{kept}") }
}

// ---- How the metrics of a run are written: shares in per cent, latencies in milliseconds.

/// A value with its unit; `-` if there is none.
pub(crate) fn value(metric: RunMetric, x: Option<f64>) -> String {
    x.map_or("-".to_owned(), |x| number(metric, x) + unit(metric))
}

/// An interval without the unit, one number where both ends are the same.
pub(crate) fn interval(metric: RunMetric, interval: Interval) -> String {
    let (low, high) = (number(metric, interval.low), number(metric, interval.high));
    if low == high { low } else { format!("{low} to {high}") }
}

fn number(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => percent(x),
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => ms(x),
        _ => points(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("V4\x1b[2J thompson\n"), "V4[2J thompson");
        assert_eq!((cut("abcdef", 4).as_str(), cut("abc", 0).as_str()), ("abc…", ""));
        assert_eq!((cut_front("abcdef", 4), cut_front("abc", 0)), ("…def".into(), "".into()));
    }

    #[test]
    fn every_metric_has_its_unit() {
        assert_eq!(value(RunMetric::SuccessRate, Some(0.976)), "97.6 %");
        assert_eq!(value(RunMetric::LatencyP99, Some(23.7)), "24 ms");
        assert_eq!(value(RunMetric::Score, None), "-");
        let both = Interval { low: 0.41, high: 0.88 };
        assert_eq!(interval(RunMetric::BusiestShare, both), "41.0 to 88.0");
        assert_eq!(interval(RunMetric::RateLimited, Interval { low: 0.0, high: 0.0 }), "0");
    }
}
