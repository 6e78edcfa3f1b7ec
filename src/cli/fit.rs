//! `flakelab fit`: recordings in, models out, with a report of how far to believe them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{Ending, OutputArguments, print};
use crate::fit::fit;
use crate::report::{fit_report, write_atomically};
use crate::trace::{Finding, Severity, Trace, check};

const EXAMPLES: &str = "\
Examples:
  flakelab fit traces/*.csv                 report only, nothing is written
  flakelab fit traces/*.csv --out models    and write models/config-0.toml, ...

A trace is a CSV file with one row an attempt; README.md lists its columns.";

/// Flags of `fit`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct FitArguments {
    /// Trace files, one a run
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Folder for the fitted models; without it nothing is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Warnings shown of one file; a broken clock would otherwise fill the screen.
const WARNINGS_SHOWN: usize = 5;

/// Tells what looks odd about a trace. What makes its counts wrong ends the fit, with the same
/// words.
fn warn(path: &Path, trace: &Trace) {
    let warnings: Vec<Finding> =
        check(trace).into_iter().filter(|f| f.severity == Severity::Warning).collect();
    for finding in warnings.iter().take(WARNINGS_SHOWN) {
        eprintln!("warning: {}:{}: {}", path.display(), finding.line, finding.problem);
    }
    if let Some(more) = warnings.len().checked_sub(WARNINGS_SHOWN).filter(|more| *more > 0) {
        eprintln!("warning: {}: {more} more of these", path.display());
    }
}

/// Runs the subcommand.
pub(super) fn run(arguments: &FitArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let mut traces = Vec::new();
    for path in &arguments.traces {
        let trace = Trace::read(path)?;
        if !output.quiet {
            warn(path, &trace);
        }
        traces.push(trace);
    }
    let report = fit(&traces)?;
    print(&fit_report(&report))?;
    let Some(folder) = &arguments.out else { return Ok(Ending::Done) };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut written = Vec::new();
    for config in &report.configs {
        let path = folder.join(format!("{}.toml", config.model.name));
        write_atomically(&path, config.model.to_toml().as_bytes())?;
        written.push(path.display().to_string());
    }
    print(&format!("\nwrote {}", written.join(", ")))?;
    if let [first, ..] = &written[..] {
        print(&format!("next: cargo run -- sweep --model {first} --strategy all --seeds 1000"))?;
    }
    Ok(Ending::Done)
}
