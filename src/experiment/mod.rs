//! Layer 4: scenarios x strategies x replications, in parallel, with the same result whatever
//! the number of threads.
//!
//! A [`Plan`] says what to run. [`sweep`] plays it, hands every finished replication on in
//! order (rows to a [`RowSink`], numbers to the tally) and ends with a [`Summary`]. Nothing here
//! prints, draws or writes files. [`tune`] searches for better parameters of one strategy.

mod contender;
mod experiment_file;
mod notes;
mod parameters;
mod plan;
mod play;
mod robustness;
mod row;
mod scenario_file;
mod summary;
mod sweep;
mod tally;
pub mod tune;

pub use contender::{Contender, Factory, Player};
pub use experiment_file::{ExperimentFile, ModelSource, ScenarioEntry, ScenarioModel, Settings};
pub use parameters::{ParameterSd, Parameters};
pub use plan::{Plan, PlanError};
pub use robustness::{PER_REQUESTS, Place, Robustness, RobustnessRow};
pub use row::{Row, RowNotes, RowSink, SELECTIONS_SHOWN};
pub use scenario_file::ScenarioFile;
pub use summary::{
    ContenderSummary, CurvePoint, Mean, NotesSummary, Ranking, ScenarioSummary, ScoreCount,
    Summary, SwitchOfRun,
};
pub use sweep::{Progress, Swept, sweep};
