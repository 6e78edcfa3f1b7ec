//! Layer 3: recordings -> model. Which runs met the same start of the servers, from which
//! population error rates are drawn, how long attempts take, and how far all that can be believed.
//!
//! ```text
//! traces -> runs -> starts <-> population (alternating) -> goodness
//!                          \-> latency, rate limit      -> model with provenance
//! ```
//!
//! Everything is computed from likelihoods, because the recorded strategies chose servers by
//! their outcomes and thereby biased every raw rate. Deterministic: no clock, fixed seeds, sums in
//! a fixed order. Nothing is printed or written here.
//!
//! When not to use it: for servers whose error rates drift while they run; starts are looked for
//! between runs only. Rate limits are assumed (`limits`), not inferred.

mod assemble;
mod checks;
mod error_rates;
mod latency;
mod limits;
mod old_runs;
mod provenance;
mod report;
#[allow(dead_code)]
mod runs;
mod starts;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;

pub use assemble::fit;
pub use checks::{CalibrationBin, Goodness, Homogeneity};
pub use error_rates::{
    CREDIBILITY, FamilyFit, Hyperparameter, Population, RatePrior, Tally, fit_families,
};
pub use latency::{BOOTSTRAP_DRAWS, LatencyFit, LatencyFits};
pub use limits::{LimitEvidence, assumed};
pub use report::{ConfigFit, FitError, FitReport, LimitFit, PopulationFit, RunSummary};
pub use starts::{
    Boundary, FileSearch, Place, RESTART_THRESHOLD, Segmentation, StartBoundary, StartSpan, Starts,
    Stretch, find_starts, segment,
};
