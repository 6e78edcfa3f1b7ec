//! Checks: whether the fitted model, and the simulator's assumptions, may be believed.

mod goodness;
mod homogeneity;

pub use goodness::{CalibrationBin, Goodness};
pub(super) use goodness::{Outcomes, judge};
pub use homogeneity::Homogeneity;
pub(super) use homogeneity::{day, homogeneity};
