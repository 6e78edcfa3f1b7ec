//! `flakelab sweep`: play strategies against simulated servers and say which one wins.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use super::progress::Bar;
use super::{Ending, OutputArguments, interrupt, models, print};
use crate::experiment::{
    Contender, ExperimentFile, ModelSource, Plan, Player, ScenarioEntry, Settings, Summary, Swept,
    specs_from_name, sweep,
};
use crate::report::{self, Manifest, ParquetSink, ResultsFolder, charts};
use crate::strategy::{StrategySpec, UnknownStrategy};
use crate::world::{Document, Scenario, Traffic};

/// Pixels of a PNG for each of the SVG.
const PNG_SCALE: u32 = 2;

const EXAMPLES: &str = "\
Examples:
  flakelab sweep                                          the five strategies on config 0
  flakelab sweep --strategy all --seeds 1000 --config all
  flakelab sweep --strategy v4,thompson-scaled --seeds 20000 --requests 100
  flakelab sweep --model my-servers.toml --rps 25 --format md
  flakelab sweep --experiment experiments/exclusion.toml --out results/mine";

/// Flags of `sweep`. Those that are given override the experiment file.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct SweepArguments {
    /// Strategies: names or v1 to v5, separated by commas, or all (the five)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    strategy: Vec<String>,
    /// Config: 0, 1, 2 or all [default: 0]
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    config: Option<String>,
    /// Model file, instead of a config; may be repeated
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Csv,
    Md,
}

/// Runs the subcommand.
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
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads(arguments)?)
        .build()
        .context("cannot start threads")?;
    let interrupt = interrupt::flag()?;
    let folder = ResultsFolder::open(&path, &hash, arguments.force)?;
    let started = Instant::now();
    let swept = (|| {
        let mut sink = ParquetSink::create(&path.join("replications.parquet"), &plan)?;
        let bar = Bar::new(plan.replications * plan.scenarios.len() as u64, output.quiet);
        let swept = pool
            .install(|| sweep(&plan, &mut sink, &interrupt, |progress| bar.show(progress)))
            .map_err(|e| anyhow!(e))?;
        if !swept.summary.scenarios.is_empty() {
            sink.finish()?;
        }
        anyhow::Ok(swept)
    })();
    let swept = match swept {
        Ok(swept) if !swept.summary.scenarios.is_empty() => swept,
        Ok(_) => {
            folder.remove_if_unused();
            eprintln!("interrupted before the first replications were finished; nothing is kept");
            return Ok(Ending::Interrupted);
        }
        Err(error) => {
            folder.remove_if_unused();
            return Err(error);
        }
    };
    say(&format!("swept in {:.2} s", started.elapsed().as_secs_f64()));
    write_results(&plan, &swept, &folder, arguments.png)?;
    print(&shown(&plan, &swept.summary, arguments.format, &folder, output)?)?;
    if swept.interrupted {
        if !output.quiet {
            let done: u64 = swept.summary.scenarios.iter().map(|s| s.replications).sum();
            eprintln!("interrupted: these results rest on the {done} replications finished so far");
        }
        return Ok(Ending::Interrupted);
    }
    Ok(Ending::Done)
}

/// The plan that file and flags describe.
fn plan(arguments: &SweepArguments, say: &dyn Fn(&str)) -> anyhow::Result<Plan> {
    let file = match &arguments.experiment {
        Some(path) => Some(ExperimentFile::parse(&Document::read(path)?)?),
        None => None,
    };
    let settings = file.as_ref().map_or_else(Settings::default, |f| f.settings);
    let entry = |model| ScenarioEntry { label: None, model, settings };
    let entries: Vec<ScenarioEntry> = if !arguments.model.is_empty() {
        arguments.model.iter().cloned().map(ModelSource::File).map(entry).collect()
    } else if let Some(config) = &arguments.config {
        models::configs(config)?.into_iter().map(entry).collect()
    } else {
        match &file {
            Some(file) if !file.scenarios.is_empty() => file.scenarios.clone(),
            _ => vec![entry(ModelSource::Config(0))],
        }
    };
    let mut scenarios = Vec::new();
    for ScenarioEntry { label, model, settings } in entries {
        let (model, path) = models::load(&model)?;
        say(&format!("model {} from {}", model.name, path.display()));
        let mut scenario = Scenario::new(model);
        scenario.traffic = match arguments.traffic {
            Some(TrafficKind::Exact) => Traffic::Exact,
            Some(TrafficKind::Poisson) => Traffic::Poisson,
            None => settings.traffic,
        };
        scenario.rules = settings.rules;
        let rps = arguments.rps.or(settings.requests_per_second);
        scenario.requests_per_second = rps.unwrap_or(scenario.requests_per_second);
        let requests = arguments.requests.or(settings.requests);
        scenario.requests = requests.unwrap_or(scenario.requests);
        scenario.name = label.unwrap_or(scenario.name);
        scenarios.push(scenario);
    }
    let contenders = match &file {
        Some(file) if arguments.strategy.is_empty() && !file.contenders.is_empty() => {
            file.contenders.clone()
        }
        _ => contenders(&arguments.strategy)?,
    };
    let from_file = |get: fn(&ExperimentFile) -> Option<u64>| file.as_ref().and_then(get);
    let replications = arguments.seeds.or(from_file(|f| f.replications)).unwrap_or(1000);
    let master_seed = arguments.master_seed.or(from_file(|f| f.master_seed)).unwrap_or(42);
    let name = file.as_ref().map_or("sweep", |f| f.name.as_str());
    let plan = Plan::new(name, scenarios, contenders, replications, master_seed);
    plan.with_context(|| match &arguments.experiment {
        Some(path) => path.display().to_string(),
        None => "this sweep cannot be run".to_owned(),
    })
}

/// The contenders that `--strategy` names, each once.
fn contenders(names: &[String]) -> anyhow::Result<Vec<Contender>> {
    if names.is_empty() {
        return contenders(&["all".to_owned()]);
    }
    let mut contenders: Vec<Contender> = Vec::new();
    for name in names {
        for spec in specs_from_name(name.trim()).map_err(unknown_strategy)? {
            let contender = Contender::new(spec);
            if !contenders.contains(&contender) {
                contenders.push(contender);
            }
        }
    }
    Ok(contenders)
}

fn unknown_strategy(error: UnknownStrategy) -> anyhow::Error {
    let known = StrategySpec::known_names().join(", ");
    match &error.suggestion {
        Some(name) => anyhow!("{error}: did you mean `{name}`? (known: {known})"),
        None => anyhow!("{error}: expected one of {known}"),
    }
}

fn threads(arguments: &SweepArguments) -> anyhow::Result<usize> {
    match arguments.threads {
        Some(0) => bail!("0 threads cannot do anything: `--threads` expects at least 1"),
        Some(n) => Ok(n),
        // Zero lets rayon choose: RAYON_NUM_THREADS, else all cores.
        None => Ok(0),
    }
}

/// Writes every file but the rows; the manifest last.
fn write_results(
    plan: &Plan,
    swept: &Swept,
    folder: &ResultsFolder,
    png: bool,
) -> anyhow::Result<()> {
    let summary = &swept.summary;
    folder.write("summary.csv", report::summary_csv(summary)?.as_bytes())?;
    let json = serde_json::to_string(summary)? + "\n";
    folder.write("summary.json", json.as_bytes())?;
    folder.clear_charts()?;
    let mut drawn = Vec::new();
    for scenario in &summary.scenarios {
        let slug = slug(&scenario.config);
        let mut of_scenario = Vec::new();
        for chart in charts::draw(scenario)? {
            let path = format!("charts/{slug}-{}.svg", chart.name);
            folder.write(&path, chart.svg.as_bytes())?;
            if png {
                let path = format!("charts/{slug}-{}.png", chart.name);
                folder.write(&path, &chart.png(PNG_SCALE)?)?;
            }
            of_scenario.push((path, chart));
        }
        drawn.push(of_scenario);
    }
    folder.write("report.md", report::markdown_report(plan, summary, &drawn).as_bytes())?;
    let manifest = Manifest {
        // Where the program lies is nobody's business; what it was told is.
        argv: std::iter::once("flakelab".to_owned()).chain(std::env::args().skip(1)).collect(),
        spec_hash: plan.hash(),
        master_seed: plan.master_seed,
        replications: plan.replications,
        interrupted: swept.interrupted,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
    };
    folder.write(Manifest::FILE, manifest.to_json().as_bytes())?;
    Ok(())
}

/// A scenario's name as part of a file's name.
fn slug(config: &str) -> String {
    let plain: String = config
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("config-{}", plain.trim_matches('-'))
}

/// What goes to stdout.
fn shown(
    plan: &Plan,
    summary: &Summary,
    format: Format,
    folder: &ResultsFolder,
    output: &OutputArguments,
) -> anyhow::Result<String> {
    let style = output.color.on_stdout();
    let per_scenario = |table: fn(&crate::experiment::ScenarioSummary) -> String| {
        let parts = summary
            .scenarios
            .iter()
            .map(|s| format!("{}\n{}", table(s), style.strong(&report::verdict(s))));
        parts.collect::<Vec<String>>().join("\n\n")
    };
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(summary)?,
        Format::Csv => report::summary_csv(summary)?.trim_end().to_owned(),
        Format::Md => per_scenario(report::markdown_table),
        Format::Table => format!(
            "{}\n\nwrote {} (report.md, charts/*.svg, summary.csv, replications.parquet)\nnext: {}",
            per_scenario(report::scenario_table),
            folder.path().display(),
            report::next_command(&summary.scenarios, |label| command_name(plan, label)),
        ),
    })
}

/// The name that `--strategy` knows a contender by, if it has default parameters.
fn command_name(plan: &Plan, label: &str) -> Option<String> {
    let contender = plan.contenders.iter().find(|c| c.label == label)?;
    let Player::Strategy(spec) = contender.player else { return None };
    (*contender == Contender::new(spec)
        && StrategySpec::from_name(spec.name()).is_ok_and(|default| default == spec))
    .then(|| spec.name().to_owned())
}
