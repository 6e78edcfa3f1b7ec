//! A prediction of live runs made before them, and the verdict after.
//!
//! ```text
//! model, measured overhead -> pools of simulated runs -> prediction.json
//!                                        |                (before the first request)
//! what was seen of the runs  ------------+-> PIT values -> Holm -> verdict
//! ```
//!
//! A [`Basis`] says what a prediction knew: the model alone, with everything it leaves open; the
//! outcomes of the other strategies' runs against the same start of the servers; or the true error
//! rates, which only our own stand-in servers tell.
//!
//! When not to use it: on recordings of other days, where restarts must be inferred; that is
//! [`against_model`](super::against_model).

mod judge;
mod live_run;
mod pools;
mod prediction;
mod resolution;
mod run_metric;
mod simulate;
mod start;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

pub use judge::{judge, replications};
pub use live_run::{LiveRequest, LiveRun, MOST_DRIFT_MS, RequestEnd};
pub use pools::Forecast;
pub use prediction::{
    Basis, MetricForecast, OverheadSummary, PredictedConfig, PredictionFile, RunForecast,
};
pub use resolution::{ERROR_RATE_SHIFT, resolution};
pub use run_metric::RunMetric;
pub use simulate::Setting;
pub use verdict::{Judgement, Resolution, TestedMetric, Verdict};
