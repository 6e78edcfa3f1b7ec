//! `flakelab load`: requests to a proxy on schedule (`--url`), or the bounded bursts that tell
//! rate limits apart (`--probe`).

mod probe;
mod schedule;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::{Ending, OutputArguments};

const EXAMPLES: &str = "\
Examples:
  flakelab load --url http://127.0.0.1:8000                   100 requests, 10 a second
  flakelab load --url http://127.0.0.1:8000 --requests 6000 --rps 100 --out requests.csv
  flakelab load --probe --config 1 --out probe.csv            the ten servers of config 1, ~3 minutes
  flakelab load --probe --targets 127.0.0.1:8080-8082 --out probe.csv
  flakelab fit probe.csv                                      what the probe says of the rate limit

With --url the loop is open: request n leaves at start + n / rps whatever the answers do, and its
latency counts from there. Exit 1 if a request got no answer.

With --probe each server gets a few bursts after pauses and a ladder of rising rates, never two
attempts at once; the ladder ends where most attempts are refused. Servers must be running.";

/// Flags of `load`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
#[group(id = "kind", args = ["url", "probe"], required = true, multiple = false)]
pub(super) struct LoadArguments {
    #[command(flatten)]
    schedule: schedule::ScheduleArguments,
    #[command(flatten)]
    probe: probe::ProbeArguments,
    #[command(flatten)]
    common: CommonArguments,
}

/// What both kinds of load take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Both")]
struct CommonArguments {
    /// Allow targets on other machines
    #[arg(long)]
    allow_remote: bool,
    /// The file to write: requests with --url [default: none], a trace with --probe [default:
    /// probe.csv]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Milliseconds after which a request is lost [default: 10000], an attempt has failed with
    /// --probe [default: 1000]
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout_ms: Option<u64>,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &LoadArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    match &arguments.schedule.url {
        Some(url) => schedule::run(url, &arguments.schedule, &arguments.common, output),
        None => probe::run(&arguments.probe, &arguments.common, output),
    }
}

/// A file that cannot be written should be known before minutes of load, and one that is there
/// already is replaced only with `--force`.
fn must_be_new(out: &Path, force: bool) -> anyhow::Result<()> {
    if out.exists() && !force {
        bail!("{} is there already; name another file or add --force", out.display());
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            bail!("{} cannot be written: there is no folder {}", out.display(), folder.display())
        }
        _ if out.is_dir() => bail!("{} is a folder; name a file", out.display()),
        _ => Ok(()),
    }
}

fn in_range(flag: &str, value: f64, low: f64, high: f64) -> anyhow::Result<f64> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    bail!("--{flag} {value} is out of range: expected a number from {low} to {high}")
}
