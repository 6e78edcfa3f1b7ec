//! V1 to V5, the strategies of the game (DESIGN section 3). Their rules are fixed.

mod larkin;
mod thompson;
mod thompson_scaled;
mod ucb1;
mod ucb_free;

pub use larkin::{Larkin, LarkinSpec};
pub use thompson::{Thompson, ThompsonSpec};
pub use thompson_scaled::{ThompsonScaled, ThompsonScaledSpec};
pub use ucb_free::{UcbFree, UcbFreeSpec};
pub use ucb1::{Ucb1, Ucb1Spec};

use super::declared::{Parameter, Range};

/// The parameter that all five have, and others with their rule for free attempts.
pub(super) const EXCLUDE_TRIED: Parameter = Parameter {
    key: "exclude_tried",
    meaning: "leave out servers that the request has tried, in free attempts",
    range: Range::Switch,
};
