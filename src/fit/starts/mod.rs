//! Starts: when were the servers started anew?

mod segment;

pub use segment::{Boundary, Segmentation, segment};
