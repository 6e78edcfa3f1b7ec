//! The program: command line, tables, charts, and the viewer of a running proxy.
//!
//! It shows what the crates below work out. `flakelab-core` decides, `flakelab-sim` plays,
//! `flakelab-fit` learns, `flakelab-live` serves.

mod charts;
pub mod cli;
pub mod report;
mod watch;
