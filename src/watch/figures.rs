//! Numbers that must fit: a table's columns are narrow and its counts may be huge.
//!
//! When not to use it: in files and reports, which have room (`report` prints its own).

/// A count in at most five characters: `99999`, `123k`, `1.23M`, `18.4E`.
pub(super) fn count(n: u64) -> String {
    if n < 100_000 { n.to_string() } else { shortened(n as f64) }
}

/// A number of points, tenths where it is not whole: `41`, `-3.5`, `123k`; `-` if it is none.
pub(super) fn points(x: f64) -> String {
    match x {
        _ if !x.is_finite() => "-".to_owned(),
        _ if x.abs() >= 99_999.5 => shortened(x),
        _ if (x - x.round()).abs() < 0.05 => without_sign_of_zero(format!("{x:.0}")),
        _ => format!("{x:.1}"),
    }
}

/// A share in per cent without the sign: `97.6`, `100`, `0`; `-` if it is none.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "-".to_owned(),
        p if p > 999.0 => ">999".to_owned(),
        p if p < -99.0 => "<-99".to_owned(),
        p if p == 0.0 || (p - 100.0).abs() < 1e-9 => format!("{:.0}", p.abs()),
        p if p > 99.9 && p < 100.0 => "99.9".to_owned(),
        p => format!("{p:.1}"),
    }
}

/// Milliseconds: `0.12`, `1.2`, `123`, `123k`; `-` if it is no number.
pub(super) fn ms(x: f64) -> String {
    match x.abs() {
        size if !size.is_finite() => "-".to_owned(),
        size if size < 0.995 => format!("{x:.2}"),
        size if size < 9.95 => format!("{x:.1}"),
        size if size < 99_999.5 => format!("{x:.0}"),
        _ => shortened(x),
    }
}

/// A duration: `0:42`, `1:02:03`, `12 d 3 h`.
pub(super) fn duration(seconds: f64) -> String {
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

/// `1 request`, `12 requests`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A foreign text on one line, without anything that would steer a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Cut to so many characters, with an ellipsis.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    if room == 0 { kept } else { kept + "…" }
}

/// Cut to so many characters, keeping the end: the name of a file rather than its folders.
pub(super) fn cut_front(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length - room.saturating_sub(1).min(length)).collect();
    if room == 0 { kept } else { format!("…{kept}") }
}

/// Three digits and a suffix.
fn shortened(x: f64) -> String {
    const SUFFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (mut scaled, mut suffix) = (x, 0);
    while scaled.abs() >= 999.5 && suffix + 1 < SUFFIXES.len() {
        scaled /= 1000.0;
        suffix += 1;
    }
    let decimals = match scaled.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    if scaled.abs() >= 999.5 {
        return format!("{x:.0e}");
    }
    format!("{scaled:.decimals$}{}", SUFFIXES.get(suffix).unwrap_or(&""))
}

fn without_sign_of_zero(text: String) -> String {
    if text == "-0" { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_never_need_more_than_five_characters() {
        assert_eq!([0, 99_999, 123_456, 999_999].map(count), ["0", "99999", "123k", "1.00M"]);
        assert_eq!(count(u64::MAX), "18.4E");
        for shift in 0..64 {
            assert!(count(u64::MAX >> shift).len() <= 5);
        }
    }

    #[test]
    fn shares_that_are_almost_all_are_not_all() {
        let shares = [0.0, 0.976, 0.9999, 1.0, 0.0001, 12.0, f64::NAN];
        assert_eq!(shares.map(percent), ["0", "97.6", "99.9", "100", "0.0", ">999", "-"]);
    }

    #[test]
    fn points_and_milliseconds_have_the_digits_that_matter() {
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
        let durations = [0.0, 42.9, 3723.0, 1e6, -1.0, 1e300].map(duration);
        assert_eq!(durations, ["0:00", "0:42", "1:02:03", "11 d 13 h", "-", "-"]);
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("V4\x1b[2J thompson\n"), "V4[2J thompson");
        assert_eq!((cut("abcdef", 4).as_str(), cut("abc", 0).as_str()), ("abc…", ""));
        assert_eq!((cut_front("abcdef", 4), cut_front("abc", 0)), ("…def".into(), "".into()));
    }
}
