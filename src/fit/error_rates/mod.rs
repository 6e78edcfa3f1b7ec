//! Error rates: which population they come from, and what is known of each server's.

mod families;
mod grid;
mod population;
mod prior;

pub use families::{CREDIBILITY, FamilyFit, Hyperparameter, fit_families};
pub use population::{Population, Tally};
pub use prior::RatePrior;
