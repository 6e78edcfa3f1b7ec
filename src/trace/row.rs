//! One attempt as it stands in a trace, and the trace of a run.

use std::path::PathBuf;

use super::Config;
use super::attempt::outcome;
use crate::domain::Outcome;

/// The strategy of rows that a probe sent. It sends several attempts with one identifier on
/// purpose, also after a success, whatever the answers were.
pub const PROBE: &str = "probe";

/// One attempt: a row of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The recording that it belongs to, where the file says.
    pub session_id: Option<String>,
    /// The group of servers, from `config_target` or else from the port.
    pub config: Config,
    /// The request's number within the run.
    pub request_number: u64,
    /// The attempt's number within its request, from 1.
    pub attempt_number: u32,
    /// The identifier that was sent.
    pub request_id: String,
    /// The strategy that chose the server.
    pub strategy: String,
    /// When it was sent: Unix time in seconds.
    pub timestamp: f64,
    /// The port it was sent to.
    pub server_port: u16,
    /// Whether the answer was 2xx.
    pub success: bool,
    /// Time from sending to the answer in milliseconds, at least 0.
    pub latency_ms: f64,
    /// Whether the request was answered after this attempt, with success or not.
    pub request_complete: bool,
    /// Whether it was answered 200 after this attempt.
    pub request_success: bool,
    /// Whether the answer was 429; `None` where the recorder did not tell 429 from failure.
    pub rate_limited: Option<bool>,
    /// The start of the servers that it met, where the file says; any text, a change of which
    /// means that the servers were started anew.
    pub start: Option<String>,
}

impl Row {
    /// What the client observed. A 429 of a recorder without `rate_limited` is a `Failure`, and so
    /// is a timeout, which traces do not mark.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        outcome(self.success, self.rate_limited)
    }

    /// The server's position within its config, from 0; `None` if the port is not one of it.
    #[must_use]
    pub fn server_index(&self) -> Option<usize> {
        self.config.server_index(self.server_port)
    }
}

/// The attempts of one file, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The file, for messages.
    pub path: PathBuf,
    /// Its attempts.
    pub rows: Vec<Row>,
    /// The line of each row; shorter than `rows` when they did not come from a file.
    pub(super) lines: Vec<u64>,
}

impl Trace {
    /// A trace that was not read from a file; `path` is what messages call it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, rows: Vec<Row>) -> Self {
        Self { path: path.into(), rows, lines: Vec::new() }
    }

    /// The line that a row stands on, from 1, the header being line 1.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or(row as u64 + 2)
    }
}
