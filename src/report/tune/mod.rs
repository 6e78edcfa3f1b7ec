//! The report of a search for better parameters.
//!
//! ```text
//! Tuned --+-> tune_verdict, tune_table, tune_markdown, tune_csv, tune_json    for stdout
//!         +-> tune_files                                                      for the results folder
//! ```

mod files;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

pub use files::{tune_csv, tune_files, tune_json};
pub use table::{tune_markdown, tune_table};
pub use verdict::{setting_text, tune_verdict};
