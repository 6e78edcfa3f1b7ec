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
#[allow(dead_code, unused_imports)]
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
pub use checks::{
    AssumptionTest, CalibrationBin, Check, Effect, Goodness, HeldOut, Homogeneity, LongestRun,
    RECORDED_INPUTS_ONLY, assumptions, goodness, held_out, unrecorded_inputs,
};
pub use error_rates::{
    CREDIBILITY, ErrorRateFit, Family, FamilyFit, Hyperparameter, Population, RatePrior,
    ServerRate, Tally, fit_error_rates, fit_error_rates_among, fit_families,
};
pub use limits::{
    CLAIMED, Conclusion, LIMIT_DRAWS, LimitEvidence, LimitFamily, LimitInference, LimitKind,
    LimitParameter, LimitPrior, NAMED, Pressure, SPANS_S, assumed, infer_limit_of,
};
pub use latency::{
    BOOTSTRAP_DRAWS, LatencyAnalysis, LatencyDependence, LatencyFactor, LatencyFamilyFit,
    LatencyFit, LatencyFits, LatencyQuantile, LatencyTail, MOST_ATTEMPTS, OutcomeLatency,
    PERMUTATIONS, QqPoint,
};
pub use report::{ConfigFit, FitError, FitReport, LimitFit, PopulationFit, RunSummary};
pub use runs::Start;
pub use starts::{Boundary, Segmentation, segment};
