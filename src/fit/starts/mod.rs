//! Starts: when were the servers started anew?

mod expected;
mod find;
#[cfg(test)]
mod made;
mod marginals;
mod partition;
mod pieces;
mod refine;
mod report;
#[cfg(test)]
mod tests;
mod units;

pub use find::find_starts;
pub use report::{FileSearch, Place, StartBoundary, StartSpan, Starts, Stretch};
