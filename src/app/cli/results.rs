//! The results folder of a command that computes: opened and locked before the work, replaced
//! after it, and left alone by an interrupted run that knows less than an earlier one.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::common::{Ending, Format, OutputArguments};
use crate::report::ResultsFolder;

/// Flags of the commands that compute.
#[derive(Debug, Args)]
pub(crate) struct ResultsArguments {
    /// Threads; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Results folder [default: results/<name>-<spec hash>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write into the results folder whatever it holds
    #[arg(long)]
    force: bool,
    /// Charts as PNG too
    #[arg(long)]
    pub(crate) png: bool,
    /// What to print on stdout: table, json or csv (what the files of the folder hold) or md
    /// (Markdown)
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    pub(crate) format: Format,
}

/// A folder that is held as long as the work lasts; one that got nothing goes again.
pub(crate) struct ResultsPlace {
    folder: ResultsFolder,
    spec_hash: String,
    written: bool,
}

impl ResultsPlace {
    /// Opens the folder that was asked for, else the usual one below `results/`.
    pub(crate) fn open(
        arguments: &ResultsArguments,
        usual: &str,
        spec_hash: &str,
    ) -> anyhow::Result<Self> {
        let path = arguments.out.clone().unwrap_or_else(|| Path::new("results").join(usual));
        let folder = ResultsFolder::open(&path, spec_hash, arguments.force)?;
        Ok(Self { folder, spec_hash: spec_hash.to_owned(), written: false })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether results that rest on so many replications come here: those of an interrupted run
    /// do not replace others that rest on more.
    pub(crate) fn takes(&self, interrupted: bool, finished: u64) -> bool {
        !interrupted || (finished > 0 && !self.folder.holds_as_much(&self.spec_hash, finished))
    }

    /// Puts results in the place of earlier ones; `rows` finishes what was written meanwhile.
    pub(crate) fn replace(
        &mut self,
        files: &[(String, Vec<u8>)],
        rows: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.folder.begin()?;
        rows()?;
        self.folder.write_all(files)?;
        self.written = true;
        Ok(())
    }

    /// `wrote results/x (report.md, ...)` as a line, nothing if nothing was written.
    pub(crate) fn wrote(&self, files: &str) -> String {
        let line = || format!("wrote {} ({files})\n", self.path().display());
        if self.written { line() } else { String::new() }
    }

    /// The end of an interrupted run, whose results, if there are any, rest on what is said.
    pub(crate) fn interrupted(
        &self,
        rests_on: &str,
        any: bool,
        output: &OutputArguments,
    ) -> Ending {
        if !output.quiet {
            eprintln!("interrupted{rests_on}");
            if any && !self.written {
                let path = self.path().display();
                eprintln!(
                    "the results of an earlier run in {path} rest on more and are as they were"
                );
            }
        }
        Ending::Interrupted
    }
}

impl Drop for ResultsPlace {
    fn drop(&mut self) {
        if !self.written {
            self.folder.remove_if_unused();
        }
    }
}
