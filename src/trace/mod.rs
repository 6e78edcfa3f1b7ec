//! Layer 2: logs of attempts, one CSV row an attempt: read, check, write.
//!
//! The columns are those of the live driver and of the recordings that exist of the real
//! servers. Reading is strict about values and lenient about the order of columns and about
//! columns it does not know; every complaint names file, line, column and value.
//!
//! When not to use it: for results of simulations, which are counted, not logged.

mod attempt;
mod cells;
mod clock;
mod collect;
mod column;
mod config;
mod error;
mod group;
mod header;
mod instant;
mod notes;
mod options;
mod read;
mod recording;
mod requests;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use column::{ColumnMap, ColumnMapError};
pub use config::Config;
pub use error::TraceError;
pub use group::Group;
pub use options::ReadOptions;
pub use recording::{Observed, Recording};
pub use row::{PROBE, Row, Trace};
pub use write::{RowWriter, write};
