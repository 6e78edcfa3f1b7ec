//! Rate limits: who was refused, and by what law?

mod replay;

pub(in crate::fit) use replay::{CONFIG_1, evidence, refusals};
pub use replay::{LimitEvidence, assumed};
