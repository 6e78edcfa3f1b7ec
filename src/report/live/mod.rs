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
mod markdown;
pub mod metric;
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
pub use reconcile::{ReconciledCount, Reconciliation, live_counts};
pub use results::live_files;
pub use row::LiveRow;
pub use sentence::live_verdict;
pub use summary::{live_summary_csv, live_summary_json};
pub use table::live_table;

use crate::report::text::config_name;
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

/// How a live run was made.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveMade {
    /// The results folder's name, which is the report's heading.
    pub name: String,
    /// The command line, the program's place left out: `flakelab live --config 0`.
    pub argv: Vec<String>,
    /// Tells this run from all others, for [`ResultsFolder`](crate::report::ResultsFolder).
    pub spec_hash: String,
    /// Seed of servers, strategies and predictions.
    pub seed: u64,
    /// Runs that were to be played, over all configs.
    pub planned: u64,
    /// Runs played to the end.
    pub finished: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What the servers were, in a sentence.
    pub servers: String,
    /// What else lies in the folder: name and meaning.
    pub other_files: Vec<(String, String)>,
}

impl LivePage<'_> {
    fn title(&self) -> String {
        config_name(self.config)
    }
}
