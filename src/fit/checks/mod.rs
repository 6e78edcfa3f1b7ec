//! Checks: whether the fitted model, and the simulator's assumptions, may be believed.

mod assumptions;
mod goodness;
mod history;
mod residuals;

pub(crate) use self::assumptions::unrecorded_inputs;
pub use self::assumptions::{AssumptionTest, Effect, assumptions};
pub(crate) use self::goodness::homogeneity;
pub use self::goodness::{Goodness, Homogeneity, goodness};
