//! The numbers of one live run, as tables and files show them.
//!
//! When not to use it: for what a strategy is worth on average; that is
//! [`ContenderSummary`](crate::experiment::ContenderSummary), over many replications.

use serde::Serialize;

use crate::stats::quantile::quantile;
use crate::validate::forecast::{LiveRun, RequestEnd, RunMetric};

/// One run. What nothing says is NaN, an empty cell in files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRow {
    /// The strategy's label.
    pub strategy: String,
    /// Requests that the load generator sent.
    pub requests: u64,
    /// Requests answered 200 minus penalties.
    pub score: f64,
    /// Requests answered 200, as a share of all.
    pub success_rate: f64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Points lost to attempts beyond the free ones.
    pub penalty: f64,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Attempts without an answer in time.
    pub timed_out: u64,
    /// Requests not answered 200.
    pub regret: u64,
    /// Median of the requests' latencies, milliseconds.
    pub latency_p50_ms: f64,
    /// 90th percentile.
    pub latency_p90_ms: f64,
    /// 99th percentile.
    pub latency_p99_ms: f64,
    /// Attempts at the server that got most, as a share of all attempts.
    pub busiest_share: f64,
    /// 99th percentile of how much later than due requests were sent, milliseconds.
    pub drift_p99_ms: f64,
    /// The largest such delay.
    pub drift_max_ms: f64,
    /// Requests answered with a status that is neither 200 nor 500.
    pub refused: u64,
    /// Requests without any answer.
    pub lost: u64,
}

impl LiveRow {
    /// The numbers of a run.
    pub fn of(run: &LiveRun) -> Self {
        let count = |wanted: &dyn Fn(RequestEnd) -> bool| {
            run.requests.iter().filter(|r| wanted(r.end)).count() as u64
        };
        let requests = run.requests.len() as u64;
        let latencies = latencies(run);
        let drift = sorted(run.requests.iter().map(|r| r.drift_ms).collect());
        Self {
            strategy: run.strategy.label(),
            requests,
            score: run.value(RunMetric::Score),
            success_rate: run.value(RunMetric::SuccessRate),
            attempts: run.ledger.attempts,
            retries: run.ledger.retries,
            penalty: run.value(RunMetric::Penalty),
            rate_limited: run.ledger.rate_limited(),
            timed_out: run.ledger.timed_out(),
            regret: requests - count(&|end| end == RequestEnd::Ok),
            latency_p50_ms: run.value(RunMetric::LatencyP50),
            latency_p90_ms: quantile(&latencies, 0.9),
            latency_p99_ms: run.value(RunMetric::LatencyP99),
            busiest_share: run.value(RunMetric::BusiestShare),
            drift_p99_ms: quantile(&drift, 0.99),
            drift_max_ms: drift.last().copied().unwrap_or(f64::NAN),
            refused: count(&|end| matches!(end, RequestEnd::Refused(_))),
            lost: count(&|end| end == RequestEnd::Lost),
        }
    }
}

/// Latencies of the requests that were answered, ascending.
pub(super) fn latencies(run: &LiveRun) -> Vec<f64> {
    sorted(run.requests.iter().filter_map(|r| r.latency_ms).collect())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    values
}
