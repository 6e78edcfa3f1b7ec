//! Did what was predicted come true?

use serde::Serialize;

use super::{Basis, RunMetric};
use crate::stats::Interval;

/// The verdict on the runs of one config.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The config, or the model's name.
    pub config: String,
    /// Every strategy, basis and metric, strategies in the order they were played.
    pub tests: Vec<TestedMetric>,
    /// The smallest p-value after Holm's adjustment; none if nothing was tested.
    pub p_value: Option<f64>,
    /// Whether no test rejects at [`LEVEL`](crate::validate::LEVEL).
    pub held: bool,
    /// What runs of this length can tell; none if it was not asked.
    pub resolution: Option<Resolution>,
}

/// One observed number against its prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestedMetric {
    /// The strategy's label.
    pub strategy: String,
    /// What the prediction knew.
    pub basis: Basis,
    /// The metric.
    pub metric: RunMetric,
    /// What was observed.
    pub observed: f64,
    /// Mean of the prediction.
    pub mean: f64,
    /// Its quantiles 0.025 and 0.975.
    pub interval: Interval,
    /// Randomised probability integral transform: where the observation falls, 0 to 1.
    pub pit: f64,
    /// Two-sided p-value, 2 min(pit, 1 - pit).
    pub p_value: f64,
    /// Whether it counts.
    pub judgement: Judgement,
    /// p-value adjusted by Holm over all that are judged; none if it is not judged.
    pub adjusted_p_value: Option<f64>,
}

/// Whether a test counts for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It counts.
    Judged,
    /// All simulated runs gave the same number, and so did the observed one: nothing to test.
    NoSpread,
    /// A latency whose overhead is not known: shown, not judged.
    PathUnknown,
    /// A latency that this machine may have made: the load generator could not keep its schedule
    /// ([`LiveRun::is_disturbed`](super::LiveRun::is_disturbed)), or the path stalled for as long
    /// as the slowest requests take. Shown, not judged.
    Disturbed,
}

/// What runs of this length can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resolution {
    /// How wrong the rival is: every error rate is higher by so much (0.05: five points).
    pub error_rate_shift: f64,
    /// About how probable it is that this verdict would reject it, 0 to 1.
    pub power: f64,
    /// About how many requests a run would need for a power of 80 %; none if no length that a
    /// run may have is enough.
    pub requests_for_80_percent: Option<u64>,
}
