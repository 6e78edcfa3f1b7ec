//! A recording as a fit needs it: the attempts at one group of servers in one file, 32 bytes each.
//!
//! When not to use it: to write traces, or where identifiers matter; those are [`super::Row`]s.

use std::path::PathBuf;

use super::{Config, Group, Trace};
use crate::domain::Outcome;

/// One attempt, as far as a fit cares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When it was sent: Unix time in seconds.
    pub at_s: f64,
    /// Time to the answer in milliseconds.
    pub latency_ms: f32,
    /// The position of its request within the recording, from 0 in order of first attempts.
    pub request: u32,
    /// Its number within the request, from 1.
    pub attempt: u16,
    /// The server's position within the group.
    pub server: u8,
    /// What the client observed. A 429 of a recorder that does not tell is a `Failure`.
    pub outcome: Outcome,
    /// The position in [`Recording::strategies`] of the strategy that chose the server.
    pub strategy: u8,
    /// The first byte of the identifier, to test whether identifiers matter.
    pub identifier_byte: u8,
}

impl Observed {
    /// Whether it counts as an error of the server: not a success, and not known to be refused.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failure | Outcome::TimedOut)
    }

    /// Whether it is known to have been refused by a rate limiter.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.outcome == Outcome::RateLimited
    }
}

/// The attempts at one group of servers in one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file, for messages.
    pub path: PathBuf,
    /// The servers.
    pub group: Group,
    /// Which strategies chose the servers, sorted.
    pub strategies: Vec<String>,
    /// Whether the recorder told 429 from other failures, in every row.
    pub tells_refusals: bool,
    /// In order of time; at least one.
    pub attempts: Vec<Observed>,
    /// Where the file says that the servers were started anew: positions in `attempts`, with the
    /// file's name for the start. Empty when the file is silent; else the first one is at 0.
    pub declared_starts: Vec<(usize, String)>,
    /// Positions in `attempts` before which the clock jumped: what a rate limiter did between is
    /// unknown.
    pub clock_jumps: Vec<usize>,
    /// What is odd about the file, as sentences.
    pub warnings: Vec<String>,
    /// Identifier of the first attempt, to find recordings handed in twice.
    pub first_identifier: String,
}

impl Recording {
    /// The recordings in a trace, one for each config.
    #[must_use]
    pub fn of_trace(trace: &Trace) -> Vec<Self> {
        let of_config = |config: Config| {
            let group = Group::of_config(config);
            let rows: Vec<_> = trace.rows.iter().filter(|row| row.config == config).collect();
            let mut strategies: Vec<String> = rows.iter().map(|row| row.strategy.clone()).collect();
            strategies.sort();
            strategies.dedup();
            let mut requests: Vec<(u64, &str)> = Vec::new();
            let mut attempts = Vec::with_capacity(rows.len());
            for row in &rows {
                let key = (row.request_number, row.request_id.as_str());
                let request = match requests.iter().rposition(|known| *known == key) {
                    Some(known) => known,
                    None => {
                        requests.push(key);
                        requests.len() - 1
                    }
                };
                attempts.push(Observed {
                    at_s: row.timestamp,
                    latency_ms: row.latency_ms as f32,
                    request: request as u32,
                    attempt: u16::try_from(row.attempt_number).unwrap_or(u16::MAX),
                    server: row.server_index()? as u8,
                    outcome: row.outcome(),
                    strategy: strategies.iter().position(|s| *s == row.strategy)? as u8,
                    identifier_byte: *row.request_id.as_bytes().first()?,
                });
            }
            attempts.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
            let first_identifier = rows.first()?.request_id.clone();
            Some(Self {
                path: trace.path.clone(),
                group,
                strategies,
                tells_refusals: rows.iter().all(|row| row.rate_limited.is_some()),
                attempts,
                declared_starts: Vec::new(),
                clock_jumps: Vec::new(),
                warnings: Vec::new(),
                first_identifier,
            })
        };
        Config::ALL.into_iter().filter_map(of_config).collect()
    }

    /// The file's name without its folder, so that results do not depend on where traces lie.
    #[must_use]
    pub fn file(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// When the first attempt was sent, Unix time in seconds.
    #[must_use]
    pub fn started_at_s(&self) -> f64 {
        self.attempts.first().map_or(0.0, |attempt| attempt.at_s)
    }
}
