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
}

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
