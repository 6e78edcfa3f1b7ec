//! What a line of a log says: one request, its attempts, and how each was answered.
//!
//! When not to use it: for our own CSV, whose rows are attempts.

use flakelab_sim::trace::unix_seconds;

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// A request, perhaps without a server.
    Request(Request),
    /// Something that belongs to the format and is no request to a server.
    Beside,
    /// Something else.
    Other,
}

/// A request as a line tells it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Request {
    /// What its attempts share, where they stand on several lines.
    pub(super) id: Option<String>,
    pub(super) at: Stamp,
    /// The number of its first attempt here.
    pub(super) number: Option<u16>,
    /// Whether there were earlier attempts, which the line does not show.
    pub(super) hides_attempts: bool,
    pub(super) attempts: Vec<Try>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Try {
    pub(super) server: String,
    pub(super) answer: Answer,
    pub(super) latency_ms: Option<f64>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// With this status.
    Status(u16),
    /// Without an answer; what the proxy answered instead, 0 for nothing.
    Silence(u16),
    /// The client left first.
    ClientLeft,
}

/// A point in time, as a line tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Stamp {
    /// Unix time in seconds.
    pub(super) at_s: f64,
    /// Whether fractions of a second are cut off.
    pub(super) is_whole: bool,
}

impl Stamp {
    /// Reads a point in time.
    pub(super) fn of(text: &str) -> Option<Self> {
        let at_s = unix_seconds(text)?;
        // 13 digits are milliseconds.
        let is_whole = !text.contains('.') && text.parse().is_ok_and(|n: f64| n == at_s)
            || text.contains(':') && !text.contains('.');
        Some(Self { at_s, is_whole })
    }

    /// So many milliseconds later.
    pub(super) fn later(self, ms: f64) -> Self {
        Self { at_s: self.at_s + ms / 1000.0, ..self }
    }
}

/// Milliseconds from a text in a unit of so many; `None` if it is no duration.
pub(super) fn duration_ms(text: &str, unit_ms: f64) -> Option<f64> {
    /// A day.
    const LONGEST_MS: f64 = 86_400_000.0;
    let ms = text.parse::<f64>().ok()? * unit_ms;
    (0.0..=LONGEST_MS).contains(&ms).then_some(ms)
}

/// A status of three digits.
pub(super) fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()))
}

/// A text that follows in double quotes, and the rest behind it; a backslash protects the next letter.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&text[..i], &text[i + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_tells_whether_its_fractions_were_cut_off() {
        let whole = ["1764342000", "28/Nov/2025:15:00:00 +0000", "2025-11-28T15:00:00Z"];
        let exact = ["1764342000.000", "1764342000000", "2025-11-28T15:00:00.000Z"];
        for (texts, is_whole) in [(whole, true), (exact, false)] {
            for text in texts {
                let expected = Stamp { at_s: 1_764_342_000.0, is_whole };
                assert_eq!(Stamp::of(text), Some(expected), "{text}");
            }
        }
        assert_eq!(Stamp::of("noon"), None);
    }

    #[test]
    fn quotes_are_closed_by_a_quote_without_a_backslash() {
        assert_eq!(quoted(r#""a \" b" rest"#), Some((r#"a \" b"#, " rest")));
        assert_eq!(quoted(r#""open \""#), None);
    }
}
