//! What a balancer that watches load and health has to tell at the end of a run.

use crate::domain::Timestamp;

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
