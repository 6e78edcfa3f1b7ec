//! Recordings -> model. Which runs met the same start of the servers, from which
//! population error rates are drawn, how long attempts take, and how far all that can be believed.
//!
//! ```text
//! recordings -> learn: starts <-> error rates <-> rate limit, until none changes
//!                  |
//!                  |-> latency, checks of the assumptions
//!                  \-> model: point parameters, posterior draws, provenance
//! ```
//!
//! Everything is computed from likelihoods, because the recorded strategies chose servers by
//! their outcomes and thereby biased every raw rate. Deterministic: no clock, fixed seeds, sums in
//! a fixed order. Nothing is printed or written here.
//!
//! When not to use it: for servers whose error rates drift while they run; the tests of
//! assumptions say so, but no model here drifts.

mod checks;
pub mod forecast;
mod latency;
mod learn;
mod limits;
pub mod logs;
mod rates;
mod report;
mod reproduce;
mod runs;
mod starts;
#[cfg(test)]
mod synthetic;
mod these;
pub mod validate;
mod words;

pub use self::checks::{AssumptionTest, Effect, Goodness, Homogeneity, assumptions, goodness};
pub use self::forecast::{
    Basis, Deed, Forecast, Impossible, Judgement, LiveRequest, LiveRun, MetricForecast,
    MetricRange, Milestone, OverheadSummary, PredictedConfig, PredictionFile, RequestEnd,
    Resolution, RunForecast, RunMetric, ServerMetric, Setting, TestedMetric, TestedServer, Verdict,
    judge, replications, resolution, under_way,
};
pub use self::latency::{
    LatencyAnalysis, LatencyDependence, LatencyFactor, LatencyFamilyFit, LatencyQuantile,
    LatencyTail, MOST_ATTEMPTS, OutcomeLatency, PERMUTATIONS, QqPoint, ServerLatency,
};
pub use self::learn::{fit, fit_as};
pub use self::limits::{
    Conclusion, LimitFamily, LimitInference, LimitParameter, LimitPrior, Pressure, infer_limit,
};
pub use self::rates::{
    CREDIBILITY, ErrorRateFit, FamilyFit, Hyperparameter, Population, RatePrior, ServerRate, Tally,
    fit_error_rates, fit_error_rates_among,
};
pub use self::report::{ConfigFit, FitReport, LimitFit, RunSummary, ServerSummary};
pub use self::reproduce::{Policy, Reproduction, reproduce};
pub use self::runs::{FitError, Start, group_name};
pub use self::starts::{
    FileSearch, OutageSpan, Place, StartBoundary, StartSpan, Starts, Stretch, find_starts,
};
pub use self::these::{Arrivals, ObservedTraffic, Subject};
pub use self::validate::{
    Difference, LEVEL, Membership, Metric, MetricTest, OneStep, Prediction, Rival, RunRules,
    RunValidation, Settings, Slope, Source, Validation, against_model, learned_training,
    leave_one_out,
};

#[cfg(test)]
mod tests;
