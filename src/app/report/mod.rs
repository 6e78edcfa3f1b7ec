//! Tables, verdicts in words, and files. Formats numbers that the crates below computed, and writes
//! every file whole or not at all.
//!
//! polars and comfy-table live here and nowhere else.

mod fit;
mod fit_summary;
mod folder;
mod live;
mod live_page;
mod live_table;
mod live_verdict;
pub(crate) mod numbers;
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

pub use self::folder::write_atomically;
pub use self::verdict::verdict;

pub(crate) use self::fit::{fit_page, fit_report};
pub(crate) use self::folder::{Manifest, ResultsFolder};
pub(crate) use self::live::{LiveMade, live_files};
pub(crate) use self::live_page::{LivePage, Reconciliation, live_counts, sorted, unit};
pub(crate) use self::live_table::{live_compared, live_table};
pub(crate) use self::live_verdict::live_verdict;
pub(crate) use self::numbers::{counted, decimals_of_digits, fixed, needed, thousands};
pub(crate) use self::parquet::ParquetSink;
pub(crate) use self::ranking::{scenario_table, terminal_map};
pub(crate) use self::records::summary_csv;
pub(crate) use self::sweep::{ROWS_FILE, brief, sweep_files};
pub(crate) use self::table::Table;
pub(crate) use self::text::{config_name, folded, list};
pub(crate) use self::tune::{
    tune_csv, tune_files, tune_json, tune_markdown, tune_table, tune_verdict,
};
pub(crate) use self::validate::validation_report;
pub(crate) use self::verdict::{open_question, short_verdict};
