//! One attempt as a file tells it, borrowed from the row that is being read.
//!
//! When not to use it: to keep attempts; [`super::Row`] owns its text, [`super::Observed`] is small.

use super::{Config, Row};
use crate::domain::Outcome;

/// What logs write for nothing.
pub(super) const NONE: &str = "-";

/// Where an attempt was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server<'r> {
    /// A port of a config.
    Port(u16),
    /// A server of somebody's own: a port or an address.
    Own(&'r str),
}

/// One attempt; what the file does not say is `None` or an empty text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Attempt<'r> {
    pub(super) line: u64,
    pub(super) session_id: &'r str,
    pub(super) config: Option<Config>,
    pub(super) server: Server<'r>,
    pub(super) request_number: Option<u64>,
    pub(super) request_id: Option<&'r str>,
    pub(super) attempt_number: Option<u16>,
    pub(super) strategy: &'r str,
    pub(super) at_s: f64,
    pub(super) success: bool,
    pub(super) rate_limited: Option<bool>,
    pub(super) latency_ms: Option<f64>,
    pub(super) request_complete: Option<bool>,
    pub(super) request_success: Option<bool>,
    pub(super) start: &'r str,
}

impl<'r> Attempt<'r> {
    /// The attempt in a row of a trace.
    pub(super) fn of_row(row: &'r Row, line: u64) -> Self {
        Self {
            line,
            session_id: row.session_id.as_deref().unwrap_or_default(),
            config: Some(row.config),
            server: Server::Port(row.server_port),
            request_number: Some(row.request_number),
            request_id: Some(&row.request_id),
            attempt_number: Some(u16::try_from(row.attempt_number).unwrap_or(u16::MAX)),
            strategy: &row.strategy,
            at_s: row.timestamp,
            success: row.success,
            rate_limited: row.rate_limited,
            latency_ms: Some(row.latency_ms),
            request_complete: Some(row.request_complete),
            request_success: Some(row.request_success),
            start: row.start.as_deref().unwrap_or_default(),
        }
    }

    /// The row of a trace of our own, in which every column is there; `None` in other logs.
    pub(super) fn to_row(self) -> Option<Row> {
        let Server::Port(server_port) = self.server else { return None };
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(Row {
            session_id: text(self.session_id),
            config: self.config?,
            request_number: self.request_number?,
            attempt_number: u32::from(self.attempt_number?),
            request_id: self.request_id?.to_owned(),
            strategy: self.strategy.to_owned(),
            timestamp: self.at_s,
            server_port,
            success: self.success,
            latency_ms: self.latency_ms?,
            request_complete: self.request_complete?,
            request_success: self.request_success?,
            rate_limited: self.rate_limited,
            start: text(self.start),
        })
    }

    /// What the client observed. A 429 of a recorder that does not tell is a `Failure`, and so is
    /// an attempt without an answer.
    pub(super) fn outcome(&self) -> Outcome {
        outcome(self.success, self.rate_limited)
    }
}

/// What the client observed.
pub(super) fn outcome(success: bool, rate_limited: Option<bool>) -> Outcome {
    match (success, rate_limited) {
        (true, _) => Outcome::Success,
        (false, Some(true)) => Outcome::RateLimited,
        (false, _) => Outcome::Failure,
    }
}
