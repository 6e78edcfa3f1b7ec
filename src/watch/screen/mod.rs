//! The terminal screen: what is on it, at every size, and what keys do.
//!
//! | Size | Screen |
//! |---|---|
//! | at least 120x30 | servers and events left, prediction and latencies right |
//! | at least 78x20 | one above the other |
//! | smaller | the headline numbers that fit, and what size the rest needs |

mod app;
mod draw;
mod events;
mod forecast;
mod headline;
mod help;
mod latency;
mod servers;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;

pub use app::Leave;
pub use terminal::{restore_terminal, screen};
