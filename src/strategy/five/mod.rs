//! V1 to V5, the strategies of the game. Their rules are fixed.

mod larkin;
mod thompson;
mod thompson_scaled;
mod ucb1;
mod ucb_free;

pub use larkin::LarkinSpec;
pub use thompson::ThompsonSpec;
pub use thompson_scaled::ThompsonScaledSpec;
pub use ucb_free::UcbFreeSpec;
pub use ucb1::Ucb1Spec;
