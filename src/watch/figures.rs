//! What must fit on a screen: numbers in a few characters, foreign texts on one line.
//!
//! When not to use it: in files and reports, which have room.

pub(super) use crate::report::numbers::counted;
pub(super) use crate::report::numbers::narrow::{count, duration, ms, percent, points};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("V4\x1b[2J thompson\n"), "V4[2J thompson");
        assert_eq!((cut("abcdef", 4).as_str(), cut("abc", 0).as_str()), ("abc…", ""));
        assert_eq!((cut_front("abcdef", 4), cut_front("abc", 0)), ("…def".into(), "".into()));
    }
}
