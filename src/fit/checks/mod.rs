//! Checks: whether the fitted model, and the simulator's assumptions, may be believed.

mod assumptions;
mod dispersion;
mod goodness;
mod held_out;
mod history;
mod homogeneity;
mod inputs;
mod latency_check;
mod predictor;
mod residuals;

pub use assumptions::{AssumptionTest, Effect, assumptions};
pub use goodness::{Goodness, goodness};
pub use held_out::{Check, HeldOut, held_out};
pub use homogeneity::Homogeneity;
pub(super) use homogeneity::homogeneity;
pub use inputs::{RECORDED_INPUTS_ONLY, unrecorded_inputs};
