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
