//! Error rates: which population they come from, and what is known of each server's.

mod beta;
mod families;
mod grid;
mod mixture;
mod population;
mod posterior;
mod prior;
mod prior_cell;
mod rate_cells;
mod server;
mod truncated;
mod uniform;

pub use families::{CREDIBILITY, FamilyFit, Hyperparameter};
pub use population::{Population, Tally};
pub use posterior::{ErrorRateFit, fit_error_rates, fit_error_rates_among};
pub use prior::RatePrior;
pub use server::ServerRate;
