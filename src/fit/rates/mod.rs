//! Error rates: which population they come from, and what is known of each server's.

mod families;
mod grid;
mod population;
mod posterior;
mod prior;

pub use self::families::{CREDIBILITY, FamilyFit, Hyperparameter};
pub use self::population::{Population, Tally};
pub use self::posterior::{ErrorRateFit, ServerRate, fit_error_rates, fit_error_rates_among};
pub use self::prior::RatePrior;
