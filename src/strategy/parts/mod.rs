//! Pieces that several strategies share: choosing among servers, tallies of outcomes, and the
//! strategy that a rule over tallies becomes.

mod choice;
mod tallies;
#[cfg(test)]
pub mod testing;

pub use choice::{NOBODY, candidates, first_max, first_max_by, first_max_where};
pub use tallies::{Rule, Tallied, Tallies};
