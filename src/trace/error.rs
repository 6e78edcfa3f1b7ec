//! What can be wrong with a trace file, as messages that say where and how to mend it.

/// A trace that cannot be read. `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds nothing, or a header and nothing below it.
    #[error("{path}: {problem}; expected a header and one row for each attempt")]
    Empty {
        /// The file.
        path: String,
        /// What is missing.
        problem: &'static str,
    },
    /// The header lacks a column that is needed, or has it twice.
    #[error("{path}:1: {problem}; the columns are: {columns}{help}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
        /// The columns that are there.
        columns: String,
        /// How to mend it, starting with a line break, or nothing.
        help: String,
    },
    /// A row that is not a row: too many or too few cells, or not text.
    #[error("{path}:{line}: {problem}")]
    Row {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// A cell that does not hold what its column needs.
    #[error("{path}:{line}: column {column}: expected {expected}, got \"{value}\"{help}")]
    Value {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What the file calls the column.
        column: Box<str>,
        /// What the cell holds.
        value: String,
        /// What it may hold.
        expected: String,
        /// How to mend it, starting with a line break, or nothing.
        help: String,
    },
}

/// Characters of a cell that a message quotes.
const QUOTED: usize = 100;

/// Text of a file as messages quote it: control characters, which a terminal would obey, as
/// `\u{1b}`, and no more than a line of it.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (i, letter) in text.chars().enumerate() {
        if i == QUOTED {
            shown.push_str("...");
            break;
        }
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_control_characters_and_no_whole_files() {
        assert_eq!(printable("a\x1b[2Jb\0\u{9b}\u{fc}"), "a\\u{1b}[2Jb\\u{0}\\u{9b}\u{fc}");
        assert_eq!(printable(&"a".repeat(1000)).len(), QUOTED + 3);
    }
}
