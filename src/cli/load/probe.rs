//! `flakelab load --probe`: bounded bursts that tell rate limits apart, recorded as a trace.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::super::progress::Bar;
use super::super::style::terminal_width;
use super::super::{Ending, OutputArguments, interrupt, print};
use super::{CommonArguments, in_range, must_be_new};
use crate::domain::{Outcome, Purpose, Streams};
use crate::live::{Client, Ladder, Probe, Target, probe_server};
use crate::report::{Table, write_atomically};
use crate::trace::{Config, Row};

/// Flags of the probe.
#[derive(Debug, Args)]
#[command(next_help_heading = "Probe")]
pub(super) struct ProbeArguments {
    /// Send the load that shows a rate limit, and record it as a trace
    #[arg(long)]
    probe: bool,
    /// The config whose ports on 127.0.0.1 are probed: 0, 1 or 2
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    #[arg(conflicts_with_all = ["targets", "url"])]
    config: Option<u8>,
    /// Servers to probe instead: host:port or host:first-last, separated by commas
    #[arg(long, value_name = "LIST", conflicts_with = "url")]
    targets: Option<String>,
    /// Attempts in a burst
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "url")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    burst: u32,
    /// Seconds at each steady rate
    #[arg(long, value_name = "S", default_value_t = 2.0, conflicts_with = "url")]
    rung_seconds: f64,
    /// Highest steady rate, attempts per second
    #[arg(long, value_name = "R", default_value_t = 100.0, conflicts_with = "url")]
    most_per_second: f64,
    /// Attempts at a server altogether
    #[arg(long, value_name = "N", default_value_t = 600, conflicts_with = "url")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most_attempts: u32,
}

/// Runs `load --probe`.
pub(super) fn run(
    arguments: &ProbeArguments,
    common: &CommonArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    let ladder = ladder(arguments)?;
    let out = common.out.clone().unwrap_or_else(|| PathBuf::from("probe.csv"));
    must_be_new(&out, common.force)?;
    let targets = targets(arguments, common.allow_remote)?;
    let timeout = Duration::from_millis(common.timeout_ms.unwrap_or(1000));
    must_all_answer(&targets, timeout)?;
    let interrupted = interrupt::flag()?;
    let client = Client::new(timeout)?;
    let most = u64::from(ladder.most_attempts);
    let template = "{bar:30} {human_pos}/{human_len} attempts at most  {msg}";
    let bar = Bar::like(template, targets.len() as u64 * most, output.quiet);
    let mut rows: Vec<Row> = Vec::new();
    let mut summary = Vec::new();
    for (position, target) in (0..).zip(&targets) {
        let requests_before = rows.last().map_or(0, |row| row.request_number);
        let config = Config::from_port(target.address.port()).unwrap_or(Config::ALL[0]);
        let probe = Probe { target: target.clone(), config, requests_before };
        // Identifiers must only differ from each other; a seed of its own for every server.
        let mut rng = Streams::new(0x9207e).stream(Purpose::Traffic, position, 0);
        bar.at(most * u64::from(position), target.to_string());
        let of_server = probe_server(&probe, &ladder, &client, &mut rng, |_| {
            bar.one_more(target.to_string());
            !interrupted.load(Ordering::Relaxed)
        });
        summary.push((target.to_string(), counts(&of_server)));
        rows.extend(of_server);
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
    }
    drop(bar);
    let mut bytes = Vec::new();
    crate::trace::write(&mut bytes, &rows).context("cannot write the trace")?;
    write_atomically(&out, &bytes)?;
    print(&table(&summary))?;
    let done = !interrupted.load(Ordering::Relaxed);
    let partial = if done { "" } else { " (interrupted: the probe is not complete)" };
    print(&format!("wrote {}: {} attempts{partial}", out.display(), rows.len()))?;
    let name = if arguments.targets.is_some() { " --name probed" } else { "" };
    print(&format!("next: cargo run -- fit{name} {}", out.display()))?;
    Ok(if done { Ending::Done } else { Ending::Interrupted })
}

fn ladder(arguments: &ProbeArguments) -> anyhow::Result<Ladder> {
    Ok(Ladder {
        burst: arguments.burst,
        rung_s: in_range("rung-seconds", arguments.rung_seconds, 0.05, 600.0)?,
        most_per_second: in_range("most-per-second", arguments.most_per_second, 2.0, 1000.0)?,
        most_attempts: arguments.most_attempts,
    })
}

fn targets(arguments: &ProbeArguments, allow_remote: bool) -> anyhow::Result<Vec<Target>> {
    let list = match (&arguments.targets, arguments.config.and_then(Config::from_number)) {
        (Some(list), _) => list.clone(),
        (None, Some(config)) => {
            let first = config.first_port();
            format!("127.0.0.1:{first}-{}", first + config.servers() - 1)
        }
        (None, None) => bail!("say which servers to probe: --config 1 or --targets host:port"),
    };
    let targets = Target::list(&list, allow_remote)?;
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

/// Attempts, successes, refusals, and other failures.
fn counts(rows: &[Row]) -> [usize; 4] {
    let of = |outcome: Outcome| rows.iter().filter(|row| row.outcome() == outcome).count();
    let (ok, refused) = (of(Outcome::Success), of(Outcome::RateLimited));
    [rows.len(), ok, refused, rows.len() - ok - refused]
}

fn table(summary: &[(String, [usize; 4])]) -> String {
    let table = Table::of(summary).text("server", |(name, _)| name.clone());
    let headings = ["attempts", "success", "429", "other failures"].into_iter().enumerate();
    headings
        .fold(table, |table, (i, heading)| {
            table.number(heading, |(_, counts)| counts[i].to_string())
        })
        .on_terminal(terminal_width())
}
