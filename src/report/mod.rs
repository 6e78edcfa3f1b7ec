//! Layer 5: tables, files and charts. Formats numbers that `experiment` computed, and writes
//! every file whole or not at all.
//!
//! polars and plotters live here and nowhere else.

pub mod charts;
mod files;
mod fit;
mod folder;
mod live;
mod manifest;
mod markdown;
mod notes;
pub(crate) mod numbers;
mod parquet;
mod results;
mod robustness;
mod summary_csv;
mod table;
mod tune;
mod validation_table;
mod verdict;

pub use files::{WriteError, write_atomically};
pub use fit::{fit_page, fit_report};
pub use folder::{FolderError, ResultsFolder};
pub use live::{
    LiveMade, LivePage, LiveRow, ReconciledCount, Reconciliation, folded, live_compared,
    live_counts, live_files, live_summary_csv, live_summary_json, live_table, live_verdict,
};
pub use manifest::Manifest;
pub use markdown::brief;
pub use parquet::ParquetSink;
pub use results::{ROWS_FILE, Results, ResultsError};
pub use robustness::terminal_map;
pub use summary_csv::summary_csv;
pub use table::{configure_tables, frame, scenario_table};
pub use tune::{
    TuneFiles, setting_text, tune_csv, tune_json, tune_markdown, tune_table, tune_verdict,
};
pub use validation_table::validation_report;
pub use verdict::{open_question, verdict};
