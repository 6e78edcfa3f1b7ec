//! One row a replication: what one strategy did in one seeded run of one scenario.

use std::error::Error;

/// A finished replication.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Position of the scenario in the plan.
    pub scenario: usize,
    /// Position of the contender in the plan.
    pub contender: usize,
    /// Number of the replication, from 0.
    pub replication: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Requests answered 200.
    pub answered_ok: u64,
    /// Requests answered 500.
    pub answered_error: u64,
    /// Attempts sent.
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Attempts beyond the free ones of their request.
    pub extra_attempts: u64,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Attempts without an answer in time.
    pub timed_out: u64,
    /// Points lost to extra attempts.
    pub penalty: f64,
    /// Requests answered 200 minus penalty.
    pub score: f64,
    /// The oracle's score in the same replication minus this one.
    pub oracle_regret: f64,
    /// Median over requests of the time from arrival to answer, in milliseconds.
    pub latency_p50_ms: f64,
    /// The same, 99th percentile.
    pub latency_p99_ms: f64,
    /// Attempts sent to the server with the lowest error rate.
    pub best_server_attempts: u64,
    /// What a strategy that watches load and health has to tell.
    pub notes: Option<Box<RowNotes>>,
}

/// What a strategy that watches load and health tells of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RowNotes {
    /// Servers left out of decisions because of their health, summed over decisions.
    pub filtered_by_health: u64,
    /// How often it went from one way of choosing to another.
    pub switches: u64,
    /// Variance over servers of the attempts in flight, averaged over time.
    pub load_variance: f64,
    /// Share of the attempts that went to the server with most of them.
    pub busiest_share: f64,
    /// Attempts of each server; empty with more than [`SELECTIONS_SHOWN`] servers.
    pub selections: Vec<u64>,
}

/// Selections are listed server by server up to so many servers.
pub const SELECTIONS_SHOWN: usize = 64;

/// Takes rows in order of scenario, replication, contender.
pub trait RowSink {
    /// Takes some finished replications; called many times, with whole replications each time.
    fn push(&mut self, rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Keeps nothing, for those who only want the summary.
impl RowSink for () {
    fn push(&mut self, _rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Keeps everything, for tests and small studies.
impl RowSink for Vec<Row> {
    fn push(&mut self, rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.extend_from_slice(rows);
        Ok(())
    }
}
