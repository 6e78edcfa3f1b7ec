//! How long attempts take.

mod fits;
mod mixture;

pub(super) use fits::fit_latencies;
pub use fits::{BOOTSTRAP_DRAWS, LatencyFit, LatencyFits};
