//! Strategies decide where the next attempt goes, from observations only.
//!
//! A strategy never sees the hidden truth (its crate does not know it), never learns the time
//! except as an argument, and gets its randomness once, at construction. The simulator and the live
//! proxy run the very same objects.
//!
//! To add one: a new file here, with what it says of itself (`declared!`) and its
//! [`Rule`](tallied::Rule), or its state and `impl Strategy` where it remembers more than tallies;
//! then one line in `catalogue.rs`. Names, help, checks of parameters and the search for better
//! ones follow.

mod bayes_ucb;
mod blocking;
mod catalogue;
mod declared;
mod discounted_thompson;
mod epsilon_greedy;
mod explore_first;
mod greedy;
mod irs_fh;
mod kl_ucb;
mod larkin;
mod mesh;
mod p2c_peak_ewma;
mod random;
mod retry_budget;
mod round_robin;
mod sliding_window_ucb;
pub mod tallied;
pub mod testing;
mod thompson;
mod thompson_masked;
mod thompson_scaled;
mod thompson_window;
mod tournament;
mod ucb1;
mod ucb_free;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};

pub use self::catalogue::{FIVE, SpecError, StrategySpec};
pub(crate) use self::declared::declared;
pub use self::declared::{Declared, Entry, Group, Parameter, Range};
pub use self::explore_first::ExploreFirstSpec;
pub use self::random::RandomSpec;
pub use self::tallied::candidates;
pub use self::testing::{decide, observe};
pub use self::thompson::ThompsonSpec;

/// The complete decision rule.
///
/// For every attempt the order of calls is `decide`, `on_sent`, `on_outcome`, each once. Where the
/// server that was decided on is left alone, because it has just refused a connection, nothing is
/// sent and `decide` is called again later.
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

/// So many first switches are kept, so that memory does not grow with a run.
pub const SWITCHES_KEPT: usize = 1000;

/// Beside the counts of a run: what kept it from servers, how uneven it was, what it changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notes {
    /// Servers that were left out of a decision because of their health, summed over decisions;
    /// none in a decision that considered all because no server passed.
    pub filtered_by_health: u64,
    /// Variance over servers of the attempts in flight, averaged over the time from the first
    /// attempt sent to the last event.
    pub load_variance: f64,
    /// How often it went from one way of choosing to another.
    pub switched: u64,
    /// The first [`SWITCHES_KEPT`] of these, in order of time.
    pub switches: Vec<Switch>,
}

/// From one way of choosing to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// When.
    pub at: Timestamp,
    /// The name of the way given up.
    pub from: &'static str,
    /// The name of the way taken up.
    pub to: &'static str,
    /// Why, in words.
    pub reason: String,
}
