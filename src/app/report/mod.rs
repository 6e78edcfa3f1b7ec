//! Tables, files and charts. Formats numbers that `experiment` computed, and writes
//! every file whole or not at all.
//!
//! polars, plotters and comfy-table live here and nowhere else.

mod fit;
mod folder;
mod live;
pub mod live_page;
mod live_table;
pub mod numbers;
mod parquet;
mod ranking;
mod records;
#[cfg(test)]
mod sample;
mod sweep;
mod table;
mod text;
mod tune;
mod validate;
mod verdict;

pub use self::fit::{fit_page, fit_report};
pub use self::folder::{FolderError, Manifest, ResultsFolder, WriteError, write_atomically};
pub use self::live::{
    ReconciledCount, Reconciliation, live_counts, live_files, live_summary_csv, live_summary_json,
};
pub use self::live_page::{LiveMade, LivePage, LiveRow, unit};
pub use self::live_table::{live_compared, live_table, live_verdict};
pub use self::numbers::{counted, decimals_of_digits, fixed, round_up, thousands};
pub use self::parquet::ParquetSink;
pub use self::ranking::{scenario_table, terminal_map};
pub use self::records::summary_csv;
pub use self::sweep::{Files, ROWS_FILE, ResultsError, brief, sweep_files};
pub use self::table::Table;
pub use self::text::{config_name, folded, list};
pub use self::tune::{
    setting_text, tune_csv, tune_files, tune_json, tune_markdown, tune_table, tune_verdict,
};
pub use self::validate::validation_report;
pub use self::verdict::{open_question, short_verdict, spread_is_known, verdict};
