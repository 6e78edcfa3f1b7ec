//! Starts: when were the servers started anew?

mod find;
#[cfg(test)]
mod made;
mod marginals;
mod partition;
mod pieces;
mod refine;
mod report;
mod segment;
#[cfg(test)]
mod tests;
mod units;

pub use find::{RESTART_THRESHOLD, find_starts};
pub use report::{FileSearch, Place, StartBoundary, StartSpan, Starts, Stretch};
pub use segment::{Boundary, Segmentation, segment};
