//! Rate limits: who was refused, and by what law?

mod buckets;
mod delay;
mod family;
mod infer;
mod lane;
mod prior;
mod windows;

pub use self::family::{LimitFamily, LimitParameter};
pub(crate) use self::infer::taken_for_refusals;
pub use self::infer::{Conclusion, LimitInference, infer_limit};
pub use self::lane::Pressure;
pub use self::prior::LimitPrior;
pub(crate) use self::prior::assumed;
