//! The stand-in servers: draws of models, over HTTP.
//!
//! ```text
//! model, seed -> its drawn truth -> limiters, slots, luck, outages -> answers, each after its latency
//!                      |                    \-> log
//!                      \-> a model file: what those who predict may know
//! ```
//!
//! What an attempt meets here is what it would meet in the simulator: the limiter is asked when
//! the request has been read, the k-th accepted attempt at a server has the k-th luck of the
//! replication's tape, and slots, queues and outages are those of `world::Stations`.
//!
//! When not to use it: to learn something about real servers.

mod alarm;
mod bind;
mod log;
mod null;
mod serve;
mod servers;

pub use bind::{BindError, Listeners, Place};
pub use log::{LogError, ServerLog};
pub use null::null_model;
pub use serve::{Delays, EmulatorError, Stop, serve};
pub use servers::Servers;
