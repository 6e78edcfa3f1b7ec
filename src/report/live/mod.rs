//! The report of a live run: what happened, and whether it had been predicted.
//!
//! ```text
//! LivePage (one a config) --+-> live_table, live_compared, live_verdict, live_counts    for the terminal
//!                           +-> live_files                                              for the results folder
//! ```
//!
//! When not to use it: to rank strategies. One run of each is mostly luck; `flakelab sweep`
//! ranks.

mod compare;
pub(in crate::report) mod layout;
mod markdown;
mod metric;
mod reconcile;
mod results;
mod row;
#[cfg(test)]
mod sample;
mod sentence;
mod summary;
mod table;
#[cfg(test)]
mod tests;

pub use compare::live_compared;
pub use layout::folded;
pub use reconcile::{ReconciledCount, Reconciliation, live_counts};
pub use results::{LiveMade, live_files};
pub use row::LiveRow;
pub use sentence::live_verdict;
pub use summary::{live_summary_csv, live_summary_json};
pub use table::live_table;

use crate::validate::forecast::{LiveRun, PredictedConfig, Verdict};

/// What there is to report of one config.
#[derive(Debug, Clone, Copy)]
pub struct LivePage<'a> {
    /// The config's number, or the model's name.
    pub config: &'a str,
    /// Names of the servers, in the model's order: their ports in the model.
    pub servers: &'a [String],
    /// The runs that were played, the last one perhaps in part.
    pub runs: &'a [LiveRun],
    /// What was predicted.
    pub prediction: &'a PredictedConfig,
    /// The verdict; none if it cannot be given, as after an interruption.
    pub verdict: Option<&'a Verdict>,
    /// Whether the runs were interrupted.
    pub interrupted: bool,
    /// Counts of the three sides, one entry a run where they are known.
    pub reconciliation: &'a [Reconciliation],
    /// What else to keep in mind, whole sentences.
    pub notes: &'a [String],
}

impl LivePage<'_> {
    /// `config 0`, or the model's name.
    fn title(&self) -> String {
        let is_number = self.config.bytes().all(|b| b.is_ascii_digit());
        if is_number { format!("config {}", self.config) } else { self.config.to_owned() }
    }
}
