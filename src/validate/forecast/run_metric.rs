//! The numbers of a run that are predicted.

use serde::{Deserialize, Serialize};

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
    #[must_use]
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
    #[must_use]
    pub const fn is_latency(self) -> bool {
        matches!(self, Self::LatencyP50 | Self::LatencyP99)
    }
}
