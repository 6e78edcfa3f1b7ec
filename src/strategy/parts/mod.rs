//! Pieces that several strategies share: tallies of outcomes, and choosing among servers.

mod choice;
mod tallies;
#[cfg(test)]
pub mod testing;

pub use choice::{candidates, first_max, first_max_by, first_max_where};
pub use tallies::Tallies;
