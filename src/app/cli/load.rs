//! `flakelab load`: requests to a proxy on schedule (`--url`), or the bounded bursts that tell
//! rate limits apart (`--probe`).

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::common::{Bar, Ending, OutputArguments, flag, in_range, print, terminal_width};
use crate::report::{Table, write_atomically};
use flakelab_core::domain::{Outcome, Purpose, Streams};
use flakelab_live::{
    Client, Counts, Ladder, LoadLog, Probe, Schedule, Target, TargetError, load, probe_server,
    write_requests,
};
use flakelab_sim::trace::{Config, Row};

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

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
#[group(id = "kind", args = ["url", "probe"], required = true, multiple = false)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    schedule: ScheduleArguments,
    #[command(flatten)]
    probe: ProbeArguments,
    #[command(flatten)]
    common: CommonArguments,
}

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

pub(crate) fn run_load(
    arguments: &LoadArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    match &arguments.schedule.url {
        Some(url) => run_schedule(url, &arguments.schedule, &arguments.common, output),
        None => run_probe(&arguments.probe, &arguments.common, output),
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Probe")]
pub(crate) struct ProbeArguments {
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

fn run_probe(
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
    let interrupted = flag()?;
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
    flakelab_sim::trace::write(&mut bytes, &rows).context("cannot write the trace")?;
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Open loop")]
pub(crate) struct ScheduleArguments {
    /// Send requests to http://host:port, as a proxy takes them
    #[arg(long, value_name = "URL")]
    url: Option<String>,
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

fn run_schedule(
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
    let interrupted = flag()?;
    let log = send(&schedule, &interrupted, output.quiet)?;
    if let Some(out) = &common.out {
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &log).context("cannot write the requests")?;
        write_atomically(out, &bytes)?;
    }
    print(&schedule_table(&log))?;
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

fn schedule_table(log: &LoadLog) -> String {
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
