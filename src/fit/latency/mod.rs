//! How long attempts take.

mod analysis;
mod attempts;
mod dependence;
mod families;
mod servers;

pub(crate) use self::analysis::fit_latency;
pub use self::analysis::{LatencyAnalysis, LatencyQuantile, LatencyTail, OutcomeLatency, QqPoint};
pub use self::attempts::MOST_ATTEMPTS;
pub use self::dependence::{LatencyDependence, LatencyFactor, PERMUTATIONS};
pub use self::families::LatencyFamilyFit;
pub use self::servers::ServerLatency;
