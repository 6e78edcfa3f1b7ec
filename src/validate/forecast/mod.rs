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

mod live_run;
mod prediction;
mod run_metric;
mod verdict;

pub use live_run::{LiveRequest, LiveRun, RequestEnd};
pub use prediction::{
    Basis, MetricForecast, OverheadSummary, PredictedConfig, PredictionFile, RunForecast,
};
pub use run_metric::RunMetric;
pub use verdict::{Judgement, Resolution, TestedMetric, Verdict};
