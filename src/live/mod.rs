//! Layer 3: real time and real sockets.
//!
//! So far the probe: bounded bursts at one server at a time, recorded as a trace that a fit can
//! read a rate limit from.

mod client;
mod probe;
mod target;

pub use client::{Client, ClientError};
pub use probe::{Ladder, PlannedAttempt, Probe, probe_server};
pub use target::{Target, TargetError};
