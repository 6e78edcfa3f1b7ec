//! Layer 5: tables, files and charts. Formats numbers that `experiment` computed, and writes
//! every file whole or not at all.
//!
//! polars, plotters and comfy-table live here and nowhere else.

pub mod charts;
mod files;
mod fit;
mod folder;
mod live;
mod manifest;
mod markdown;
mod notes;
pub mod numbers;
mod parquet;
mod ranking;
mod records;
mod results;
mod robustness;
mod summary_csv;
mod table;
mod text;
mod tune;
mod validation_table;
mod verdict;

pub use files::{WriteError, write_atomically};
pub use fit::{fit_page, fit_report};
pub use folder::{FolderError, ResultsFolder};
pub use live::{
    LiveMade, LivePage, LiveRow, ReconciledCount, Reconciliation, live_compared, live_counts,
    live_files, live_summary_csv, live_summary_json, live_table, live_verdict, metric,
};
pub use manifest::Manifest;
pub use markdown::brief;
pub use parquet::ParquetSink;
pub use ranking::scenario_table;
pub use results::{Files, ROWS_FILE, ResultsError, sweep_files};
pub use robustness::terminal_map;
pub use summary_csv::summary_csv;
pub use table::Table;
pub use text::{config_name, folded};
pub use tune::{
    setting_text, tune_csv, tune_files, tune_json, tune_markdown, tune_table, tune_verdict,
};
pub use validation_table::validation_report;
pub use verdict::{open_question, verdict};
