//! Scenarios x strategies x replications, in parallel, with the same result whatever
//! the number of threads.
//!
//! A [`Plan`] says what to run. [`sweep`] plays it, hands every finished replication on in
//! order (rows to a [`RowSink`], numbers to the tally) and ends with a [`Summary`]. Nothing here
//! prints, draws or writes files. [`tune()`] searches for better parameters of one strategy.

mod files;
mod latencies;
mod plan;
mod play;
mod summary;
mod sweep;
mod tally;
pub mod tune;

pub use self::files::{
    ExperimentFile, ModelSource, ScenarioEntry, ScenarioFile, ScenarioModel, Settings,
};
pub use self::plan::{
    Contender, Factory, LeadLeftOpen, ParameterSd, Parameters, Plan, PlanError, Player,
};
pub use self::play::{Row, RowNotes, RowSink, SELECTIONS_SHOWN};
pub use self::summary::{
    ContenderSummary, CurvePoint, FEWEST_REPLICATIONS, Mean, NotesSummary, PER_REQUESTS, Place,
    Ranking, Robustness, RobustnessRow, ScenarioSummary, ScoreCount, Summary, SwitchOfRun,
};
pub use self::sweep::{Progress, Step, Swept, sweep};
pub use self::tune::{Dimension, Scale, SettingSummary, Size, TuneVerdict, Tuned, Tuning, tune};
