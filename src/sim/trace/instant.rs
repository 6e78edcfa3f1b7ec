//! Points in time as logs write them: Unix time in seconds or finer, RFC 3339, nginx.
//!
//! When not to use it: for time without an offset from UTC, which could mean any zone.

/// Unix time by its size, with units in a second. As the unit before it, a number above the limit
/// would be the year 5138 or later.
const UNITS: [(f64, f64); 3] = [(1e17, 1e9), (1e14, 1e6), (1e11, 1e3)];

/// The year 5138.
const LATEST_S: f64 = 1e11;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What is expected, for messages.
pub(crate) const EXPECTED: &str =
    "Unix seconds, Unix milliseconds or a time such as 2026-01-20T06:48:48.123Z";

/// Unix time in seconds, at least 0; `None` if the text is no point in time.
///
/// Numbers above 10^11 are milliseconds, above 10^14 microseconds, above 10^17 nanoseconds.
pub fn unix_seconds(text: &str) -> Option<f64> {
    let seconds = match text.parse::<f64>() {
        Ok(number) => {
            let unit = UNITS.into_iter().find(|(above, _)| number > *above);
            number / unit.map_or(1.0, |(_, per_second)| per_second)
        }
        Err(_) => rfc3339(text).or_else(|| of_nginx(text))?,
    };
    (0.0..=LATEST_S).contains(&seconds).then_some(seconds)
}

/// How to mend a time that lacks only its offset.
pub(crate) fn help(text: &str) -> Option<String> {
    rfc3339(&format!("{text}Z"))?;
    let day = text.get(..10)?;
    let time = text.get(11..)?;
    Some(format!("a time without an offset from UTC is ambiguous; write {day}T{time}Z"))
}

/// `02/Feb/2026:02:40:00 +0000`, in brackets or not: `$time_local` of nginx, `%t` of Apache.
fn of_nginx(text: &str) -> Option<f64> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let (date, time) = bare.split_once(':')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    rfc3339(&format!("{year}-{month:02}-{day}T{time}"))
}

/// `2026-01-20T06:48:48.123Z`, or with an offset such as `+01:00` (RFC 3339, section 5.6); also
/// with a space before the offset, and with an offset such as `+0100` (ISO 8601).
fn rfc3339(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked(19)?;
    let fixed = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(i, byte)| head[*i] != *byte) || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month) = (digits(&head[..4])?, digits(&head[5..7])?);
    let (day, hour) = (digits(&head[8..10])?, digits(&head[11..13])?);
    // A second of 60 is a leap second.
    let (minute, second) = (digits(&head[14..16])?, digits(&head[17..19])?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let (fraction, offset) = fraction(rest)?;
    let whole = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - offset_s(offset)?;
    in_range.then_some(whole as f64 + fraction)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// The fraction of a second at the start of a text, and what follows it.
fn fraction(rest: &[u8]) -> Option<(f64, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else { return Some((0.0, rest)) };
    let length = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&rest[..=length]).ok().filter(|_| length > 0)?;
    Some((text.parse().ok()?, &after[length..]))
}

/// Seconds that the local clock is ahead of UTC.
fn offset_s(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b" ").unwrap_or(text) {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let ahead = hours * 3600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `days_from_civil`, for years from 0.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_instant_reads_the_same_in_every_notation() {
        // `date -u -d 2026-01-20T06:48:48Z +%s` says 1768891728.
        let texts = [
            "1768891728.125",
            "1768891728125",
            "1768891728125000",
            "1768891728125000000",
            "2026-01-20T06:48:48.125Z",
            "2026-01-20 06:48:48.125z",
            "2026-01-20 06:48:48.125 +0000",
            "20/Jan/2026:07:48:48.125 +0100",
            "[20/Jan/2026:06:48:48.125 +0000]",
            "2026-01-20T07:48:48.125+01:00",
            "2026-01-19T23:18:48.125-07:30",
        ];
        for text in texts {
            assert_eq!(unix_seconds(text), Some(1_768_891_728.125), "{text}");
        }
        assert_eq!(unix_seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(unix_seconds("2000-02-29T00:00:00+00:00"), Some(951_782_400.0));
        assert_eq!(unix_seconds("2016-12-31T23:59:60Z"), Some(1_483_228_800.0));
    }

    #[test]
    fn what_is_no_point_in_time_is_none() {
        let numbers = ["", "-", "-1", "NaN", "inf", "1e300", "-1e18", "1e21"];
        let texts = [
            "2026-01-20T06:48:48",
            "2026-02-29T06:48:48Z",
            "2026-13-20T06:48:48Z",
            "2026-01-20T24:48:48Z",
            "2026-01-20T06:48:48.Z",
            "2026-01-20T06:48:48+1:00",
            "2026-01-20T06:48:48+01:00:",
            "1969-12-31T23:59:59Z",
            "20/Jan/2026:06:48:48",
            "20/Foo/2026:06:48:48 +0000",
            "20/Jan/26:06:48:48 +0000",
            "2026-01-20T06:48:4\u{fc}Z",
        ];
        for text in numbers.into_iter().chain(texts) {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_told_how_to_get_one() {
        let expected = "a time without an offset from UTC is ambiguous; write 2026-02-02T02:40:00Z";
        for text in ["2026-02-02 02:40:00", "2026-02-02T02:40:00"] {
            assert_eq!(help(text).as_deref(), Some(expected));
        }
        for text in ["", "noon", "2026-02-30 02:40:00", "5", "02/Feb/2026:02:40:00"] {
            assert_eq!(help(text), None, "{text}");
        }
    }
}
