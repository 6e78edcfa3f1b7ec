//! What was seen of one strategy's live run.

use super::RunMetric;
use crate::balancer::Ledger;
use crate::domain::Rules;
use crate::strategy::StrategySpec;

/// One run, from the two sides that saw it: the proxy's counts, the load generator's requests.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRun {
    /// The strategy.
    pub strategy: StrategySpec,
    /// The proxy's counts.
    pub ledger: Ledger,
    /// The rules that it was played under.
    pub rules: Rules,
    /// In order of when they were due.
    pub requests: Vec<LiveRequest>,
}

/// One request, as the load generator saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveRequest {
    /// When it was due, in milliseconds after the first.
    pub due_ms: f64,
    /// How much later than due it was sent, in milliseconds.
    pub drift_ms: f64,
    /// From when it was due until its answer was read, in milliseconds; none if there was none.
    pub latency_ms: Option<f64>,
    /// How it ended.
    pub end: RequestEnd,
    /// Attempts that the proxy says it took; 0 if it says nothing.
    pub attempts: u32,
}

/// How a request ended for the load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEnd {
    /// Answered 200.
    Ok,
    /// Answered 500.
    Error,
    /// Answered with another status.
    Refused(u16),
    /// No answer.
    Lost,
}

impl LiveRun {
    /// The value of a metric; NaN where nothing says it (a latency without any answer).
    #[must_use]
    pub fn value(&self, metric: RunMetric) -> f64 {
        let _ = metric;
        unimplemented!()
    }
}
