//! Layer 3: real time and real sockets.
//!
//! ```text
//! load generator -> http front -> proxy (the balancer, one decision thread) -> client -> servers
//!                                   |                                          (real, or emulator)
//!                                   \-> trace, events, metrics file
//! ```
//!
//! [`http`] takes requests in, [`proxy`] is the driver in real time, [`emulator`] stands in for
//! servers, [`load`] sends requests when they are due, [`processes`] keeps other processes alive
//! and ends them. The probe sends bounded bursts that tell rate limits apart.

#![allow(clippy::disallowed_methods, reason = "time is real here")]

pub mod calendar;
mod client;
pub mod emulator;
pub mod http;
pub mod load;
mod overhead;
mod probe;
pub mod processes;
pub mod proxy;
mod target;

pub use client::{Client, ClientError};
pub use overhead::{AnsweredAt, measured_overhead};
pub use probe::{Ladder, PlannedAttempt, Probe, probe_server};
pub use target::{Target, TargetError};
