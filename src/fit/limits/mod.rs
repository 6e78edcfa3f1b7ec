//! Rate limits: who was refused, and by what law?

mod family;
mod infer;
mod lane;
mod laws;

pub(crate) use self::family::assumed;
pub use self::family::{LimitFamily, LimitParameter};
pub use self::infer::{CLAIMED, Conclusion, LIMIT_DRAWS, LimitInference, NAMED, infer_limit_of};
pub(crate) use self::infer::{infer_limit, taken_for_refusals};
pub use self::lane::{Pressure, SPANS_S};
pub use self::laws::LimitPrior;
