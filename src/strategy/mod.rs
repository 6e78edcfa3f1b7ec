//! Layer 1: strategies decide where the next attempt goes, from observations only.
//!
//! A strategy never sees the hidden truth (that is `world`), never learns the time except as
//! an argument, and gets its randomness once, at construction. The simulator and the live
//! proxy run the very same objects.
//!
//! To add one: a new file in the folder of its group, with what it [declares](declared) of itself
//! and its [`Rule`](parts::Rule), or its state and `impl Strategy` where it remembers more than
//! tallies; then one line in `catalogue.rs`. Names, help, checks of parameters and the search for
//! better ones follow.

mod catalogue;
pub mod declared;
pub mod explore_first;
pub mod five;
pub mod literature;
pub mod mesh;
mod notes;
pub mod parts;
pub mod random;
pub mod rate_limit;
mod text;

pub use catalogue::{FIVE, StrategySpec};
pub use notes::{Notes, SWITCHES_KEPT, Switch};
pub use text::SpecError;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};

/// The complete decision rule.
///
/// For every attempt the order of calls is `decide`, `on_sent`, `on_outcome`, each once.
/// Between the `on_sent` of an attempt and its `on_outcome` other attempts may be decided,
/// sent and finished, in any order, when several requests are in service.
pub trait Strategy: Send {
    /// Chooses the server for the next attempt of `request`, or a time to ask again.
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision;

    /// The attempt that was decided on has left.
    fn on_sent(&mut self, _now: Timestamp, _attempt: &Attempt) {}

    /// The attempt ended with `outcome`.
    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome);

    /// What the strategy believes of each server, for reports only.
    fn estimates(&self) -> Vec<ServerEstimate> {
        Vec::new()
    }

    /// What a balancer that watches load and health has to tell beyond counts, for reports only;
    /// none if it watches neither.
    fn notes(&self) -> Option<Notes> {
        None
    }
}

/// What a strategy wants to happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send the attempt now.
    Send(ServerId),
    /// Ask again at this time; a time that is not in the future means in one millisecond.
    WaitUntil(Timestamp),
}

/// What a strategy believes of one server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerEstimate {
    /// The server.
    pub server: ServerId,
    /// Attempts whose outcome is known.
    pub attempts: u64,
    /// Successes among them.
    pub successes: u64,
    /// Success rate that the strategy would bet on, 0 to 1.
    pub success_rate: f64,
}
