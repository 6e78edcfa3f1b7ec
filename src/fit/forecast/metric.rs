//! The numbers of a run that are predicted.

use serde::{Deserialize, Serialize};

use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{Rules, Score};

/// A number of one run of one strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMetric {
    /// Requests answered 200 minus penalties.
    Score,
    /// Requests answered 200, as a share of all, 0 to 1.
    SuccessRate,
    /// Attempts.
    Attempts,
    /// Points lost to attempts beyond the free ones.
    Penalty,
    /// Attempts refused with 429.
    RateLimited,
    /// Median over requests of the time from when a request was due to its answer, milliseconds.
    LatencyP50,
    /// The same, 99th percentile.
    LatencyP99,
    /// Attempts at the server that got most, as a share of all attempts, 0 to 1.
    BusiestShare,
}

impl RunMetric {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Score,
        Self::SuccessRate,
        Self::Attempts,
        Self::Penalty,
        Self::RateLimited,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::BusiestShare,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::SuccessRate => "success rate",
            Self::Attempts => "attempts",
            Self::Penalty => "penalty",
            Self::RateLimited => "rate limited",
            Self::LatencyP50 => "p50 ms",
            Self::LatencyP99 => "p99 ms",
            Self::BusiestShare => "busiest share",
        }
    }

    /// Whether it is a latency, which needs measured overhead to be judged.
    pub const fn is_latency(self) -> bool {
        matches!(self, Self::LatencyP50 | Self::LatencyP99)
    }
}

/// The counts of a run, simulated or live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'r> {
    pub(crate) requests: u64,
    pub(crate) answered_ok: u64,
    pub(crate) ledger: &'r Ledger,
    pub(crate) rules: &'r Rules,
}

impl Counted<'_> {
    /// The value of a metric that is counted; none of a latency. Simulated and observed values
    /// come from here, so that equal counts are equal to the last bit.
    pub(crate) fn value(&self, metric: RunMetric) -> Option<f64> {
        let Self { requests, answered_ok, ledger, rules } = *self;
        let penalty = rules.penalty(ledger.extra_attempts);
        Some(match metric {
            RunMetric::Score => Score { requests, answered_ok, penalty }.score(),
            RunMetric::SuccessRate => share(answered_ok, requests),
            RunMetric::Attempts => ledger.attempts as f64,
            RunMetric::Penalty => penalty,
            RunMetric::RateLimited => ledger.rate_limited() as f64,
            RunMetric::BusiestShare => {
                let most = ledger.servers.iter().map(|server| server.attempts).max();
                share(most.unwrap_or(0), ledger.attempts)
            }
            RunMetric::LatencyP50 | RunMetric::LatencyP99 => return None,
        })
    }
}

/// `part / whole`; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
