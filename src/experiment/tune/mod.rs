//! Better parameters for one strategy in one scenario, by successive halving.
//!
//! ```text
//! Space        which parameters are searched, over which ranges
//!   -> design    settings spread evenly over them, the default first
//!   -> Schedule  how many replications each round plays
//!   -> halve     after every round the better half stays
//!   -> fresh     the setting that is left against the default, on seeds the search never saw
//! ```
//!
//! All settings of a round play the same replications with the same coins (common random numbers),
//! so that a round compares settings, not luck. The one that is left was selected for a high mean on
//! the seeds of the search: that mean flatters it, the more settings there were the more. Only the
//! fresh seeds, those of the next master seed, say what it is worth.
//!
//! When not to use it: to rank strategies (that is a sweep), or for parameters whose best value
//! depends on what the model leaves out. What it finds is good for this scenario and this horizon.
//!
//! Sources: Z. Karnin, T. Koren and O. Somekh, "Almost optimal exploration in multi-armed bandits",
//! ICML 2013 (sequential halving); K. Jamieson and A. Talwalkar, "Non-stochastic best arm
//! identification and hyperparameter optimization", AISTATS 2016 (successive halving).

mod arena;
mod design;
mod found;
mod halving;
mod space;
#[cfg(test)]
mod tests;
mod tuning;

pub use arena::Interrupted;
pub use found::{Fresh, RoundSummary, SettingSummary, TuneVerdict, Tuned};
pub use halving::{Halved, RoundPlan, Schedule, halve};
pub use space::{Dimension, Scale, Space};
pub use tuning::{Size, TuneError, TuneProgress, Tuning, tune};
