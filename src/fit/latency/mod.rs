//! How long attempts take.

mod analysis;
mod attempts;
mod consequences;
mod dependence;
mod families;
mod goodness;
mod normals;
mod permute;
mod tail;
#[cfg(test)]
mod tests;

pub(super) use analysis::fit_latency;
pub use analysis::{LatencyAnalysis, OutcomeLatency};
pub use attempts::MOST_ATTEMPTS;
pub use dependence::{LatencyDependence, LatencyFactor};
pub use families::LatencyFamilyFit;
pub use goodness::QqPoint;
pub use permute::PERMUTATIONS;
pub use tail::{LatencyQuantile, LatencyTail};
