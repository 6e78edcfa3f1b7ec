//! Rate limits: who was refused, and by what law?

mod buckets;
mod family;
mod infer;
mod lane;
mod prior;
mod windows;

pub use self::family::{LimitFamily, LimitParameter};
pub use self::infer::{CLAIMED, Conclusion, LIMIT_DRAWS, LimitInference, NAMED, infer_limit_of};
pub(crate) use self::infer::{infer_limit, taken_for_refusals};
pub use self::lane::{Pressure, SPANS_S};
pub use self::prior::LimitPrior;
pub(crate) use self::prior::assumed;
