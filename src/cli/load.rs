//! `flakelab load --probe`: bounded bursts that tell rate limits apart, recorded as a trace.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Ending, OutputArguments, interrupt, print};
use crate::domain::{Outcome, Purpose, Streams};
use crate::live::{Client, Ladder, Probe, Target, probe_server};
use crate::report::{frame, write_atomically};
use crate::trace::{Config, Row};

const EXAMPLES: &str = "\
Examples:
  flakelab load --probe --config 1 --out probe.csv           the ten servers of config 1, ~3 minutes
  flakelab load --probe --targets 127.0.0.1:8080-8082 --out probe.csv
  flakelab fit probe.csv                                     what the probe says of the rate limit

The servers must be running. Each gets a few bursts after pauses and a ladder of rising rates,
never two attempts at once; the ladder ends where most attempts are refused.";

/// Flags of `load`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct LoadArguments {
    /// Send the load that shows a rate limit (the only kind of load there is so far)
    #[arg(long, required = true)]
    probe: bool,
    /// The config whose ports on 127.0.0.1 are probed: 0, 1 or 2
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2), required_unless_present = "targets")]
    #[arg(conflicts_with = "targets")]
    config: Option<u8>,
    /// Servers to probe instead: host:port or host:first-last, separated by commas
    #[arg(long, value_name = "LIST")]
    targets: Option<String>,
    /// Allow targets on other machines
    #[arg(long)]
    allow_remote: bool,
    /// The trace to write
    #[arg(long, value_name = "FILE", default_value = "probe.csv")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Attempts in a burst
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    burst: u32,
    /// Seconds at each steady rate
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    rung_seconds: f64,
    /// Highest steady rate, attempts per second
    #[arg(long, value_name = "R", default_value_t = 100.0)]
    most_per_second: f64,
    /// Attempts at a server altogether
    #[arg(long, value_name = "N", default_value_t = 600)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most_attempts: u32,
    /// Milliseconds after which an attempt has failed
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout_ms: u64,
}

/// Runs the subcommand.
pub(super) fn run(arguments: &LoadArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let ladder = ladder(arguments)?;
    if arguments.out.exists() && !arguments.force {
        bail!("{} is there already; name another file or add --force", arguments.out.display());
    }
    let targets = targets(arguments)?;
    let timeout = Duration::from_millis(arguments.timeout_ms);
    must_all_answer(&targets, timeout)?;
    let interrupted = interrupt::flag()?;
    let client = Client::new(timeout)?;
    let bar = bar(&targets, &ladder, output.quiet);
    let mut rows: Vec<Row> = Vec::new();
    let mut summary = Vec::new();
    for (position, target) in (0..).zip(&targets) {
        let requests_before = rows.last().map_or(0, |row| row.request_number);
        let config = Config::from_port(target.address.port()).unwrap_or(Config::ALL[0]);
        let probe = Probe { target: target.clone(), config, requests_before };
        // Identifiers must only differ from each other; a seed of its own for every server.
        let mut rng = Streams::new(0x9207e).stream(Purpose::Traffic, position, 0);
        bar.set_message(target.to_string());
        let of_server = probe_server(&probe, &ladder, &client, &mut rng, |_| {
            bar.inc(1);
            !interrupted.load(Ordering::Relaxed)
        });
        bar.set_position(u64::from(ladder.most_attempts) * (u64::from(position) + 1));
        summary.push((target.to_string(), counts(&of_server)));
        rows.extend(of_server);
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
    }
    bar.finish_and_clear();
    let mut bytes = Vec::new();
    crate::trace::write(&mut bytes, &rows).context("cannot write the trace")?;
    write_atomically(&arguments.out, &bytes)?;
    print(&table(&summary))?;
    let done = !interrupted.load(Ordering::Relaxed);
    let partial = if done { "" } else { " (interrupted: the probe is not complete)" };
    print(&format!("wrote {}: {} attempts{partial}", arguments.out.display(), rows.len()))?;
    let name = if arguments.targets.is_some() { " --name probed" } else { "" };
    print(&format!("next: cargo run -- fit{name} {}", arguments.out.display()))?;
    Ok(if done { Ending::Done } else { Ending::Interrupted })
}

fn ladder(arguments: &LoadArguments) -> anyhow::Result<Ladder> {
    let in_range = |flag: &str, value: f64, low: f64, high: f64| {
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        bail!("--{flag} {value} is out of range: expected a number from {low} to {high}")
    };
    Ok(Ladder {
        burst: arguments.burst,
        rung_s: in_range("rung-seconds", arguments.rung_seconds, 0.05, 600.0)?,
        most_per_second: in_range("most-per-second", arguments.most_per_second, 2.0, 1000.0)?,
        most_attempts: arguments.most_attempts,
    })
}

fn targets(arguments: &LoadArguments) -> anyhow::Result<Vec<Target>> {
    let list = match (&arguments.targets, arguments.config.and_then(Config::from_number)) {
        (Some(list), _) => list.clone(),
        (None, Some(config)) => {
            let first = config.first_port();
            format!("127.0.0.1:{first}-{}", first + config.servers() - 1)
        }
        (None, None) => bail!("say which servers to probe: --config 1 or --targets host:port"),
    };
    let targets = Target::list(&list, arguments.allow_remote)?;
    for (i, target) in targets.iter().enumerate() {
        if let Some(same) = targets[..i].iter().find(|t| t.address.port() == target.address.port())
        {
            bail!("a trace tells servers by their ports, and {same} and {target} share one");
        }
    }
    Ok(targets)
}

/// Nothing is sent unless every server accepts connections.
fn must_all_answer(targets: &[Target], timeout: Duration) -> anyhow::Result<()> {
    let silent: Vec<String> = targets
        .iter()
        .filter(|target| TcpStream::connect_timeout(&target.address, timeout).is_err())
        .map(ToString::to_string)
        .collect();
    if !silent.is_empty() {
        bail!(
            "nothing accepts connections at {}; start the servers first. Nothing was sent",
            silent.join(", ")
        );
    }
    Ok(())
}

fn bar(targets: &[Target], ladder: &Ladder, quiet: bool) -> ProgressBar {
    let total = targets.len() as u64 * u64::from(ladder.most_attempts);
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let template = "{bar:30} {human_pos}/{human_len} attempts at most  {msg}";
    if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Attempts, successes, refusals, and other failures.
fn counts(rows: &[Row]) -> [usize; 4] {
    let of = |outcome: Outcome| rows.iter().filter(|row| row.outcome() == outcome).count();
    let (ok, refused) = (of(Outcome::Success), of(Outcome::RateLimited));
    [rows.len(), ok, refused, rows.len() - ok - refused]
}

fn table(summary: &[(String, [usize; 4])]) -> String {
    let count = |i: usize| summary.iter().map(|(_, counts)| counts[i].to_string()).collect();
    let columns = [
        ("server", summary.iter().map(|(name, _)| name.clone()).collect()),
        ("attempts", count(0)),
        ("success", count(1)),
        ("429", count(2)),
        ("other failures", count(3)),
    ];
    frame(&columns, 1).to_string()
}
