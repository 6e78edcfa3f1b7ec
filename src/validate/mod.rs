//! Layer 5: does a model predict real runs that it has not seen?
//!
//! ```text
//! all recordings but one -> training -> beliefs about the one left out -> one step ahead: each
//!                                                   |                     outcome, given the choices
//!                                                   \-> whole runs under the recorder's own rules
//! ```
//!
//! A run that is left out met either the same start of the servers as its neighbours in time or a
//! fresh one. Which of them is not looked up in its outcomes: it is a mixture whose weights come
//! from the other runs ([`membership`]), and only one-step predictions sharpen it as they go.
//!
//! When not to use it: to fit anything; and not as proof that a model is right. A model that is
//! not rejected has predicted these runs, with the power that their number gives.

mod beliefs;
mod calibration;
pub mod forecast;
mod learned;
#[cfg(test)]
mod made;
mod membership;
mod one_step;
mod pit;
mod recorder;
#[cfg(test)]
mod tests;
mod training;
mod validation;
mod whole_run;

pub use calibration::{AgainstRival, Difference, OneStep, Rival, Scores};
pub use learned::learned_training;
pub use membership::Membership;
pub use pit::MetricTest;
pub use recorder::{RuleCheck, RunRules};
pub use training::{Gap, Rates, Training};
pub use validation::{
    LEVEL, RunValidation, Settings, ValidateError, Validation, against_model, leave_one_out,
};
pub use whole_run::{Metric, Prediction};
