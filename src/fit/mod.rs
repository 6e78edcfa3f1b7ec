//! Layer 3: recordings -> model. Which runs met the same start of the servers, from which
//! population error rates are drawn, how long attempts take, and how far all that can be believed.
//!
//! ```text
//! recordings -> learn: starts <-> error rates <-> rate limit, until none changes
//!                  |
//!                  |-> latency, checks of the assumptions, checks on held-out halves
//!                  \-> model: point parameters, posterior draws, provenance
//! ```
//!
//! Everything is computed from likelihoods, because the recorded strategies chose servers by
//! their outcomes and thereby biased every raw rate. Deterministic: no clock, fixed seeds, sums in
//! a fixed order. Nothing is printed or written here.
//!
//! When not to use it: for servers whose error rates drift while they run; the tests of
//! assumptions say so, but no model here drifts.

mod assemble;
mod checks;
mod error_rates;
mod judge;
mod latency;
mod learn;
mod limits;
mod provenance;
mod report;
mod rounding;
mod runs;
mod starts;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod warnings;

pub use assemble::{MODEL_DRAWS, borrows_rates, fit};
pub use checks::{
    AssumptionTest, Check, Effect, Goodness, HeldOut, Homogeneity, RECORDED_INPUTS_ONLY,
    assumptions, goodness, held_out, unrecorded_inputs,
};
pub use error_rates::{
    CREDIBILITY, ErrorRateFit, FamilyFit, Hyperparameter, Population, RatePrior, ServerRate, Tally,
    fit_error_rates, fit_error_rates_among,
};
pub use latency::{
    LatencyAnalysis, LatencyDependence, LatencyFactor, LatencyFamilyFit, LatencyQuantile,
    LatencyTail, MOST_ATTEMPTS, OutcomeLatency, PERMUTATIONS, QqPoint,
};
pub use learn::{Learned, learn};
pub use limits::{
    CLAIMED, Conclusion, LIMIT_DRAWS, LimitFamily, LimitInference, LimitParameter, LimitPrior,
    NAMED, Pressure, SPANS_S, infer_limit_of,
};
pub use report::{ConfigFit, FitError, FitReport, LimitFit, RunSummary, ServerSummary, group_name};
pub use runs::Start;
pub use starts::{FileSearch, Place, StartBoundary, StartSpan, Starts, Stretch, find_starts};
