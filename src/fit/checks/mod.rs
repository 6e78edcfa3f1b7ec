//! Checks: whether the fitted model, and the simulator's assumptions, may be believed.

mod assumptions;
mod goodness;
mod held_out;
mod history;
mod residuals;

pub use self::assumptions::{
    AssumptionTest, Effect, RECORDED_INPUTS_ONLY, assumptions, unrecorded_inputs,
};
pub(crate) use self::goodness::homogeneity;
pub use self::goodness::{Goodness, Homogeneity, goodness};
pub use self::held_out::{Check, HeldOut, held_out};
