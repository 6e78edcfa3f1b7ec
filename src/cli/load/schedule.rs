//! `flakelab load --url`: an open loop of requests, a table of how they ended, and a file of them.

use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::super::progress::Bar;
use super::super::style::terminal_width;
use super::super::{Ending, OutputArguments, interrupt, print};
use super::{CommonArguments, in_range, must_be_new};
use crate::live::load::{self, Counts, LoadLog, Schedule, write_requests};
use crate::live::{Target, TargetError};
use crate::report::{Table, write_atomically};

/// Flags of the open loop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Open loop")]
pub(super) struct ScheduleArguments {
    /// Send requests to http://host:port, as a proxy takes them
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// How many requests
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "probe")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    requests: u64,
    /// Requests per second
    #[arg(long, value_name = "R", default_value_t = 10.0, conflicts_with = "probe")]
    rps: f64,
    /// Send identifiers as JSON, {"id": "..."}, rather than as plain text
    #[arg(long, conflicts_with = "probe")]
    json: bool,
    /// The seed of the identifiers
    #[arg(long, value_name = "S", default_value_t = 42, conflicts_with = "probe")]
    seed: u64,
}

/// Runs `load --url`.
pub(super) fn run(
    url: &str,
    arguments: &ScheduleArguments,
    common: &CommonArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    let requests_per_second = in_range("rps", arguments.rps, 0.01, 100_000.0)?;
    let target = target(url, common.allow_remote)?;
    if let Some(out) = &common.out {
        must_be_new(out, common.force)?;
    }
    let schedule = Schedule {
        requests: arguments.requests,
        requests_per_second,
        timeout: Duration::from_millis(common.timeout_ms.unwrap_or(10_000)),
        seed: arguments.seed,
        json: arguments.json,
        ..Schedule::new(target.address)
    };
    if let Err(error) = TcpStream::connect_timeout(&target.address, schedule.timeout) {
        bail!(
            "nothing accepts connections at {target} ({error}); start the server first. Nothing was sent"
        );
    }
    let interrupted = interrupt::flag()?;
    let log = send(&schedule, &interrupted, output.quiet)?;
    if let Some(out) = &common.out {
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &log).context("cannot write the requests")?;
        write_atomically(out, &bytes)?;
    }
    print(&table(&log))?;
    for (reason, count) in log.losses() {
        print(&format!("lost: {count} x {reason}"))?;
    }
    let partial = if log.stopped { " (interrupted: the load is not complete)" } else { "" };
    if let Some(out) = &common.out {
        print(&format!("wrote {}: {} requests{partial}", out.display(), log.sent.len()))?;
    } else if log.stopped {
        let (sent, all) = (log.sent.len(), schedule.requests);
        print(&format!("interrupted: {sent} of {all} requests were due"))?;
    }
    Ok(match log.counts() {
        _ if log.stopped => Ending::Interrupted,
        Counts { lost: 0, .. } => Ending::Done,
        _ => Ending::DidNotHold,
    })
}

/// The server that a URL names: scheme, host and port, and nothing else.
fn target(url: &str, allow_remote: bool) -> anyhow::Result<Target> {
    let address = url
        .strip_prefix("http://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
        .filter(|rest| !rest.contains(['/', '?', '#', '@', ',']));
    let targets = match address.map(|address| Target::list(address, allow_remote)) {
        Some(Err(TargetError::Form(_))) | None => Vec::new(),
        Some(targets) => targets.with_context(|| format!("--url {url} cannot be used"))?,
    };
    match <[Target; 1]>::try_from(targets) {
        Ok([target]) => Ok(target),
        Err(_) => bail!(
            "--url {url} cannot be used; expected http://host:port and nothing after it, as in \
             http://127.0.0.1:8000"
        ),
    }
}

fn send(schedule: &Schedule, stop: &AtomicBool, quiet: bool) -> anyhow::Result<LoadLog> {
    let template = "{bar:30} {human_pos}/{human_len} requests  ETA {eta}  {msg}";
    let bar = Bar::like(template, schedule.requests, quiet);
    let mut counts = Counts::default();
    let log = load::run(schedule, stop, |sent| {
        counts.add(&sent.end);
        let Counts { ok, error, refused, lost, .. } = counts;
        bar.one_more(format!("200: {ok}  500: {error}  refused: {refused}  lost: {lost}"));
    });
    Ok(log?)
}

fn table(log: &LoadLog) -> String {
    let Counts { requests, ok, error, refused, lost } = log.counts();
    let counts = [("sent", requests), ("200", ok), ("500", error), ("refused", refused)];
    let counts = counts.into_iter().chain([("lost", lost)]);
    let counts = counts.fold(Table::of([()]), |table, (heading, count)| {
        table.number(heading, |()| count.to_string())
    });
    let measured = [("latency", log.latency()), ("drift", log.drift())];
    let measured = measured.into_iter().filter_map(|(name, quantiles)| Some((name, quantiles?)));
    let ms = |ms: f64| format!("{ms:.3}");
    let quantiles = Table::of(measured)
        .text("ms", |(name, _)| (*name).to_owned())
        .number("p50", |(_, q)| ms(q.p50_ms))
        .number("p90", |(_, q)| ms(q.p90_ms))
        .number("p99", |(_, q)| ms(q.p99_ms))
        .number("max", |(_, q)| ms(q.max_ms));
    let width = terminal_width();
    format!("{}\n{}", counts.on_terminal(width), quantiles.on_terminal(width))
}
