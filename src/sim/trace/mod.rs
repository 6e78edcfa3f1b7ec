//! Logs of attempts, one CSV row an attempt: read, check, write.
//!
//! The columns are those of the live driver and of the recordings that exist of the real
//! servers. Reading is strict about values and lenient about the order of columns and about
//! columns it does not know; every complaint names file, line, column and value.
//!
//! Logs of other programs are read elsewhere; a [`Reading`] takes what they say.
//!
//! When not to use it: for results of simulations, which are counted, not logged.

mod cells;
mod collect;
mod columns;
mod group;
mod instant;
mod notes;
mod read;
mod recording;
mod status;
mod write;

pub use self::cells::{Attempt, PROBE, Row, Server, host};
pub use self::collect::{Reading, Sample, Sink};
pub use self::columns::{ColumnMap, ColumnMapError};
pub use self::group::{Config, Group};
pub use self::instant::unix_seconds;
pub use self::notes::Oddity;
pub use self::recording::{Observed, Recording};
pub use self::status::{Counted, SuccessRule, SuccessRuleError};
pub use self::write::{RowWriter, write};

/// A trace that cannot be read. `Display` is the whole message: where it is wrong, and how to mend
/// it.
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
    /// The content is not what it should be.
    #[error("{0}")]
    Content(String),
}

impl TraceError {
    /// What is wrong on a line, counted from 1.
    pub fn at(path: &str, line: u64, problem: &str) -> Self {
        Self::Content(format!("{path}:{line}: {problem}"))
    }
}

/// Characters of a cell that a message quotes.
const QUOTED: usize = 100;

/// Text of a file as messages quote it: control characters, which a terminal would obey, as
/// `\u{1b}`, and no more than a line of it.
pub fn printable(text: &str) -> String {
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

/// How to read traces: whose columns, whose servers. The default takes those of the three configs,
/// with our columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// What the files call our columns.
    pub columns: ColumnMap,
    /// The name of a group of somebody's own servers: all rows belong to it, whatever their ports.
    /// `None` for the three configs.
    pub group: Option<String>,
    /// Which HTTP statuses are successes.
    pub success_when: SuccessRule,
    /// Whether rows are dated when the answer came, not when the request was sent.
    pub dated_at_end: bool,
}

impl ReadOptions {
    /// Whether the files were not written for this program: they may lack columns, hold status
    /// codes instead of `success`, and several upstreams in one row.
    pub fn is_foreign(&self) -> bool {
        self.group.is_some() || !self.columns.is_empty()
    }
}

#[cfg(test)]
mod tests;
