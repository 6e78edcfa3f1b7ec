//! Rate limits: who was refused, and by what law?

mod assumed;
mod bucket;
mod conclusion;
mod family;
mod infer;
mod lane;
mod pressure;
mod prior;
mod rates;
mod refusals;
mod sinusoidal;
#[cfg(test)]
mod tests;
mod windows;

pub(in crate::fit) use assumed::assumed;
pub use conclusion::{CLAIMED, Conclusion, NAMED};
pub use family::{LimitFamily, LimitParameter};
pub(in crate::fit) use infer::infer_limit;
pub use infer::{LIMIT_DRAWS, LimitInference, infer_limit_of};
pub use pressure::{Pressure, SPANS_S};
pub use prior::LimitPrior;
pub(in crate::fit) use refusals::taken_for_refusals;
