//! `flakelab sweep`: play strategies against simulated servers and say which one wins.

mod next;
mod plan;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use self::next::next_command;
use self::plan::plan;
use super::pool::pool;
use super::progress::Bar;
use super::results::{ResultsArguments, ResultsPlace};
use super::style::{Format, terminal_width};
use super::{Ending, OutputArguments, interrupt, models, print};
use crate::experiment::{Plan, Progress, Robustness, Summary, sweep};
use crate::report::{self, ParquetSink};
use crate::world::Traffic;

const EXAMPLES: &str = "\
Examples:
  flakelab sweep                                          the five strategies on config 0
  flakelab sweep --strategy all --seeds 1000 --config all
  flakelab sweep --strategy v4,thompson-scaled --seeds 20000 --requests 100
  flakelab sweep --model my-servers.toml --rps 25 --format md
  flakelab sweep --experiment experiments/exclusion.toml --out results/mine
  flakelab sweep --scenario experiments/scenarios/one_server_is_slow.toml --strategy all,mesh";

/// Flags of `sweep`. Those that are given override the experiment file.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct SweepArguments {
    /// Strategies, separated by commas: names, v1 to v5, groups (all: the five, mesh, rate-limit,
    /// literature, everything), with parameters as in v1:discover_limit=30 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    strategy: Vec<String>,
    /// Config: 0, 1, 2 or all [default: 0]
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    config: Option<String>,
    /// Model file, instead of a config; may be repeated
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Scenario file (servers, traffic, rules), instead of a config; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "model"])]
    scenario: Vec<PathBuf>,
    /// Replications, each with a seed of its own [default: 1000]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Requests in a run [default: 1000]
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Requests per second [default: 10]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rps: Option<f64>,
    /// Arrivals: exact (evenly spaced) or poisson [default: exact]
    #[arg(long, value_enum, value_name = "KIND", hide_possible_values = true)]
    traffic: Option<TrafficKind>,
    /// Master seed: the only source of randomness [default: 42]
    #[arg(long, value_name = "S")]
    master_seed: Option<u64>,
    /// Draw what the traces leave open (off: the models' point values) [default: on]
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    parameter_uncertainty: Option<Switch>,
    /// Experiment file
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    results: ResultsArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TrafficKind {
    Exact,
    Poisson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl From<TrafficKind> for Traffic {
    fn from(kind: TrafficKind) -> Self {
        match kind {
            TrafficKind::Exact => Self::Exact,
            TrafficKind::Poisson => Self::Poisson,
        }
    }
}

/// Runs the subcommand.
#[allow(clippy::disallowed_methods, reason = "how long it took, for people who wait")]
pub(super) fn run(arguments: &SweepArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let say = |text: &str| {
        if output.verbose {
            eprintln!("{text}");
        }
    };
    let plan = plan(arguments, &say)?;
    let hash = plan.hash();
    say(&format!("spec {hash}"));
    let (pool, interrupt) = (pool(arguments.results.threads)?, interrupt::flag()?);
    let mut place = ResultsPlace::open(&arguments.results, &plan.folder(), &hash)?;
    let started = Instant::now();
    let mut sink = ParquetSink::create(&place.path().join(report::ROWS_FILE), &plan)?;
    let total = plan.replications * plan.scenarios.len() as u64;
    let bar = Bar::new(total, "replications", output.quiet);
    let swept = pool.install(|| {
        sweep(&plan, &mut sink, &interrupt, |progress| {
            let Progress { done, leader, leader_score, leader_half_width, .. } = progress;
            bar.at(*done, format!("best {leader} {leader_score:.2} ±{leader_half_width:.2}"));
        })
    });
    let swept = swept.map_err(|e| anyhow!(e))?;
    drop(bar);
    say(&format!("swept in {:.2} s", started.elapsed().as_secs_f64()));
    let done = swept.finished();
    if place.takes(swept.interrupted, done) {
        let files = report::sweep_files(&plan, &swept, arguments.results.png)?;
        place.replace(&files, || Ok(sink.finish()?))?;
    }
    if done > 0 {
        print(&shown(arguments, &plan, &swept.summary, &place, output)?)?;
    }
    if !swept.interrupted {
        return Ok(Ending::Done);
    }
    let rests_on = match done {
        0 => " before the first replications were finished".to_owned(),
        _ => format!(": this rests on the {done} replications finished so far"),
    };
    Ok(place.interrupted(&rests_on, done > 0, output))
}

/// What goes to stdout.
fn shown(
    arguments: &SweepArguments,
    plan: &Plan,
    summary: &Summary,
    place: &ResultsPlace,
    output: &OutputArguments,
) -> anyhow::Result<String> {
    Ok(match arguments.results.format {
        Format::Json => serde_json::to_string_pretty(summary)?,
        Format::Csv => report::summary_csv(summary)?.trim_end().to_owned(),
        Format::Md => report::brief(summary),
        Format::Table => {
            let written = place.wrote("report.md, charts/*.svg, summary.csv, replications.parquet");
            let (width, style) = (terminal_width(), output.color.on_stdout());
            let mut tables: Vec<String> = Vec::new();
            for scenario in &summary.scenarios {
                let table = report::scenario_table(scenario, width);
                let verdict = report::folded(&report::verdict(scenario), "", width);
                tables.push(format!("{table}\n{}", style.strong(&verdict)));
            }
            tables.extend(Robustness::of(summary).map(|map| report::terminal_map(&map, width)));
            let tables = tables.join("\n\n");
            format!("{tables}\n\n{written}next: {}", next_command(arguments, plan, summary))
        }
    })
}
