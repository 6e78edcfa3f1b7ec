//! `flakelab sweep`: play strategies against simulated servers and say which one wins.

mod next;
mod plan;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use self::next::next_command;
use self::plan::plan;
use super::pool::pool;
use super::progress::Bar;
use super::{ColorWhen, Ending, OutputArguments, interrupt, models, print};
use crate::experiment::{Plan, Robustness, ScenarioSummary, Summary, sweep};
use crate::report::{self, ParquetSink, Results, ResultsFolder};
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
    /// Threads; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Results folder [default: results/<experiment>-<spec hash>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Experiment file
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    /// Write into the results folder whatever it holds
    #[arg(long)]
    force: bool,
    /// Charts as PNG too
    #[arg(long)]
    png: bool,
    /// What to print on stdout: table, json (summary.json), csv (summary.csv) or md (Markdown)
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    format: Format,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Csv,
    Md,
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
    let path =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("results").join(plan.folder()));
    let pool = pool(arguments.threads)?;
    let interrupt = interrupt::flag()?;
    let folder = ResultsFolder::open(&path, &hash, arguments.force)?;
    let started = Instant::now();
    let swept_and_written = (|| {
        let mut sink = ParquetSink::create(&path.join(report::ROWS_FILE), &plan)?;
        let bar = Bar::new(plan.replications * plan.scenarios.len() as u64, output.quiet);
        let swept = pool
            .install(|| sweep(&plan, &mut sink, &interrupt, |progress| bar.show(progress)))
            .map_err(|e| anyhow!(e))?;
        drop(bar);
        say(&format!("swept in {:.2} s", started.elapsed().as_secs_f64()));
        // An interrupted sweep does not replace one that came further.
        let done = swept.finished();
        let keep = swept.interrupted && (done == 0 || folder.holds_as_much(&hash, done));
        if !keep {
            let results = Results::render(&plan, &swept, arguments.png)?;
            folder.begin()?;
            sink.finish()?;
            results.write(&folder)?;
        }
        anyhow::Ok((swept, keep))
    })();
    if !matches!(swept_and_written, Ok((_, false))) {
        folder.remove_if_unused();
    }
    let (swept, kept) = swept_and_written?;
    let done = swept.finished();
    if done > 0 {
        let written = (!kept).then_some(folder.path());
        print(&shown(arguments, &plan, &swept.summary, written, output)?)?;
    }
    if !swept.interrupted {
        return Ok(Ending::Done);
    }
    if !output.quiet {
        match done {
            0 => eprintln!("interrupted before the first replications were finished"),
            _ => eprintln!("interrupted: this rests on the {done} replications finished so far"),
        }
        if kept && done > 0 {
            let path = folder.path().display();
            eprintln!("the results of an earlier run in {path} rest on more and are as they were");
        }
    }
    Ok(Ending::Interrupted)
}

/// What goes to stdout.
fn shown(
    arguments: &SweepArguments,
    plan: &Plan,
    summary: &Summary,
    written: Option<&Path>,
    output: &OutputArguments,
) -> anyhow::Result<String> {
    let style = match arguments.format {
        Format::Table => output.color.on_stdout(),
        _ => ColorWhen::Never.on_stdout(),
    };
    let width =
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    let per_scenario = |table: &dyn Fn(&ScenarioSummary) -> String| {
        let parts = summary
            .scenarios
            .iter()
            .map(|s| format!("{}\n{}", table(s), style.strong(&report::verdict(s))));
        parts.collect::<Vec<String>>().join("\n\n")
    };
    Ok(match arguments.format {
        Format::Json => serde_json::to_string_pretty(summary)?,
        Format::Csv => report::summary_csv(summary)?.trim_end().to_owned(),
        Format::Md => report::brief(summary),
        Format::Table => {
            let written = written.map_or_else(String::new, |path| {
                format!(
                    "wrote {} (report.md, charts/*.svg, summary.csv, replications.parquet)\n",
                    path.display()
                )
            });
            let mut tables = per_scenario(&|scenario| report::scenario_table(scenario, width));
            if let Some(map) = Robustness::of(summary) {
                tables += &format!("\n\n{}", report::terminal_map(&map, width));
            }
            format!("{tables}\n\n{written}next: {}", next_command(arguments, plan, summary))
        }
    })
}
