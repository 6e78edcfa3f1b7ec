//! Rate limits: who was refused, and by what law?

mod bucket;
mod conclusion;
mod family;
#[allow(dead_code)]
mod infer;
mod lane;
mod pressure;
mod prior;
mod rates;
#[allow(dead_code)]
mod refusals;
mod replay;
mod sinusoidal;
#[cfg(test)]
mod tests;
mod windows;

pub use conclusion::{CLAIMED, Conclusion, NAMED};
pub use family::{LimitFamily, LimitKind, LimitParameter};
#[allow(unused_imports)]
pub(in crate::fit) use infer::infer_limit;
pub use infer::{LIMIT_DRAWS, LimitInference, infer_limit_of};
pub use pressure::{Pressure, SPANS_S};
pub use prior::LimitPrior;
#[allow(unused_imports)]
pub(in crate::fit) use refusals::taken_for_refusals;
pub(in crate::fit) use replay::{CONFIG_1, evidence, refusals};
pub use replay::{LimitEvidence, assumed};
