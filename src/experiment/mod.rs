//! Layer 4: scenarios x strategies x replications, in parallel, with the same result whatever
//! the number of threads.
//!
//! A [`Plan`] says what to run. [`sweep`] plays it, hands every finished replication on in
//! order (rows to a [`RowSink`], numbers to the tally) and ends with a [`Summary`]. Nothing here
//! prints, draws or writes files.

mod contender;
mod experiment_file;
mod notes;
mod parameters;
mod plan;
mod play;
mod row;
mod summary;
mod sweep;
mod tally;

pub use contender::{Contender, Player};
pub use experiment_file::{ExperimentFile, ModelSource, ScenarioEntry, Settings};
pub use notes::{NotesSummary, SwitchOfRun};
pub use parameters::{ParameterSd, Parameters};
pub use plan::{Plan, PlanError};
pub use row::{Row, RowNotes, RowSink, SELECTIONS_SHOWN};
pub use summary::{
    ContenderSummary, CurvePoint, Mean, Ranking, ScenarioSummary, ScoreCount, Summary,
};
pub use sweep::{Progress, Swept, sweep};
