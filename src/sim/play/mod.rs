//! The driver in virtual time. One replication = one scenario, one strategy, one seed.
//!
//! [`Replication`] sets the world of one replication up once; every strategy is then played in
//! it, one after the other, and meets the same servers, arrivals and luck.

mod event_queue;
mod replication;

pub use self::event_queue::EventQueue;
pub use self::replication::{NoRecord, Record, Replication};
