//! `flakelab sweep`: play strategies against simulated servers and say which one wins.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::common::{
    Bar, CommandLine, Ending, Format, OutputArguments, Stopwatch, flag, pool, print, terminal_width,
};
use crate::cli::models;
use crate::cli::results::{ResultsArguments, ResultsPlace};
use crate::report;
use crate::report::ParquetSink;
use flakelab_sim::experiment::{
    Contender, ExperimentFile, FEWEST_REPLICATIONS, ModelSource, Plan, Progress, Robustness,
    ScenarioEntry, ScenarioFile, ScenarioModel, Settings, Step, Summary, sweep,
};
use flakelab_sim::world::{Document, Scenario, Traffic};

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
pub(crate) struct SweepArguments {
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
    #[arg(long, value_parser = traffic_parser(), value_name = "KIND", hide_possible_values = true)]
    traffic: Option<Traffic>,
    /// Master seed: the only source of randomness [default: 42]
    #[arg(long, value_name = "S")]
    master_seed: Option<u64>,
    /// Draw what the traces leave open (off: the models' point values) [default: on]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["on", "off"]))]
    parameter_uncertainty: Option<String>,
    /// Experiment file
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    results: ResultsArguments,
}

/// What `--traffic` takes.
fn traffic_parser() -> impl TypedValueParser<Value = Traffic> {
    let kinds = PossibleValuesParser::new(["exact", "poisson"]);
    kinds.map(|kind| if kind == "exact" { Traffic::Exact } else { Traffic::Poisson })
}

pub(crate) fn run(arguments: &SweepArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let say = |text: &str| {
        if output.verbose {
            eprintln!("{text}");
        }
    };
    let mut watch = Stopwatch::start();
    let plan = plan(arguments, &say)?;
    let hash = plan.hash();
    say(&format!("spec {hash}"));
    let (pool, interrupt) = (pool(arguments.results.threads)?, flag()?);
    let mut place = ResultsPlace::open(&arguments.results, &plan.folder(), &hash)?;
    let mut sink = ParquetSink::create(&place.path().join(report::ROWS_FILE), &plan)?;
    let total = plan.replications * plan.scenarios.len() as u64;
    let bar = Bar::new(total, "replications", output.quiet);
    watch.lap("plan");
    let swept = pool.install(|| {
        sweep(&plan, &mut sink, &interrupt, |step| match step {
            Step::Played => watch.lap("play"),
            Step::Folded(progress) => {
                watch.lap("fold");
                let Progress { done, leader, leader_score, .. } = progress;
                bar.at(*done, format!("best so far: {leader} {leader_score:.2}"));
            }
            Step::Summarised => watch.lap("bootstrap"),
        })
    });
    let swept = swept.map_err(|e| anyhow!(e))?;
    drop(bar);
    let done = swept.finished();
    if place.takes(swept.interrupted, done) {
        let png = arguments.results.png;
        let lap = &mut |phase| watch.lap(phase);
        pool.install(|| {
            let (files, rows) =
                rayon::join(|| report::sweep_files(&plan, &swept, png, lap), || sink.finish());
            let (files, put_rows) = (files?, rows?);
            place.replace(&files, || Ok(put_rows()?))
        })?;
        watch.lap("files");
    }
    say(&format!("time: {}", watch.text()));
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

/// The command to run next, always with fresh seeds: repeating the seeds that raised a question
/// until it is answered would answer "different" far too often. More replications for those that could not be told apart, else all configs, else a check.
fn next_command(arguments: &SweepArguments, plan: &Plan, summary: &Summary) -> String {
    let scenarios = summary.scenarios.iter().enumerate();
    let mut questions = scenarios.filter_map(|(i, s)| Some((i, report::open_question(s)?)));
    // What may differ from the command that was given.
    let mut strategies = (!arguments.strategy.is_empty()).then(|| arguments.strategy.join(","));
    let mut config = arguments.config.clone();
    // Of model files and scenario files only one kind is given.
    let source = if arguments.scenario.is_empty() { "model" } else { "scenario" };
    let mut files: Vec<&PathBuf> = arguments.model.iter().chain(&arguments.scenario).collect();
    let mut seeds = if plan.replications < FEWEST_REPLICATIONS { 1000 } else { plan.replications };
    if let Some((scenario, (tied, replications))) = questions.next() {
        seeds = replications;
        if arguments.experiment.is_some() && plan.scenarios.len() > 1 {
            // One file, one number of replications: enough for every open question in it.
            seeds = questions.map(|(_, (_, replications))| replications).fold(seeds, u64::max);
        } else {
            let names: Option<Vec<String>> =
                tied.iter().map(|label| command_name(plan, label)).collect();
            strategies = names.map(|names| names.join(",")).or(strategies);
            if let Some(file) = files.get(scenario) {
                files = vec![file];
            } else if arguments.config.is_some() {
                config = Some(summary.scenarios[scenario].config.clone());
            }
        }
    } else if arguments.experiment.is_none()
        && files.is_empty()
        && config.as_deref().is_none_or(|config| config == "0")
    {
        config = Some("all".to_owned());
    }
    let mut command = CommandLine::new("sweep")
        .flag("experiment", arguments.experiment.as_ref().map(|path| path.display()))
        .flag("strategy", strategies)
        .flag("config", config);
    for path in files {
        command = command.flag(source, Some(path.display()));
    }
    command
        .flag("requests", arguments.requests)
        .flag("rps", arguments.rps)
        .flag("traffic", arguments.traffic.map(|kind| format!("{kind:?}").to_lowercase()))
        .flag("parameter-uncertainty", arguments.parameter_uncertainty.as_ref())
        .flag("seeds", Some(seeds))
        .flag("master-seed", Some(plan.master_seed.wrapping_add(1)))
        .text()
}

/// The text that `--strategy` knows a contender by, if it has no label or stream of its own.
fn command_name(plan: &Plan, label: &str) -> Option<String> {
    let contender = plan.contenders.iter().find(|c| c.label == label)?;
    let spec = contender.spec()?;
    (*contender == Contender::new(spec)).then(|| spec.text())
}

/// The plan that an experiment file and flags describe; flags win.
fn plan(arguments: &SweepArguments, say: &dyn Fn(&str)) -> anyhow::Result<Plan> {
    let file = match &arguments.experiment {
        Some(path) => Some(ExperimentFile::parse(&Document::read(path)?)?),
        None => None,
    };
    let settings = file.as_ref().map_or_else(Settings::default, |f| f.settings);
    let entry =
        |source| ScenarioEntry { label: None, model: ScenarioModel::Named(source), settings };
    let read = |path: &PathBuf| Ok(ScenarioFile::read(path)?.entry);
    let entries: Vec<ScenarioEntry> = if !arguments.scenario.is_empty() {
        arguments.scenario.iter().map(read).collect::<anyhow::Result<_>>()?
    } else if !arguments.model.is_empty() {
        arguments.model.iter().cloned().map(ModelSource::File).map(entry).collect()
    } else if let Some(config) = &arguments.config {
        models::configs(config)?.into_iter().map(entry).collect()
    } else {
        match &file {
            Some(file) if !file.scenario_files.is_empty() || !file.scenarios.is_empty() => {
                let read: anyhow::Result<Vec<ScenarioEntry>> =
                    file.scenario_files.iter().map(read).collect();
                read?.into_iter().chain(file.scenarios.iter().cloned()).collect()
            }
            _ => vec![entry(ModelSource::Config(0))],
        }
    };
    let mut scenarios = Vec::new();
    for ScenarioEntry { label, model, settings } in entries {
        let model = match model {
            ScenarioModel::Own(model) => *model,
            ScenarioModel::Named(source) => {
                let (model, path) = models::load(&source)?;
                say(&format!("model {} from {}", model.name, path.display()));
                model
            }
        };
        let mut scenario = Scenario::new(model);
        scenario.traffic = arguments.traffic.unwrap_or(settings.traffic);
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
    let uncertain = arguments.parameter_uncertainty.as_ref().map(|switch| switch == "on");
    let uncertain = uncertain.or(file.as_ref().and_then(|f| f.parameter_uncertainty));
    let name = file.as_ref().map_or("sweep", |f| f.name.as_str());
    let plan = Plan::new(name, scenarios, contenders, replications, master_seed);
    let plan = plan.map(|plan| plan.with_parameter_uncertainty(uncertain.unwrap_or(true)));
    plan.with_context(|| match &arguments.experiment {
        Some(path) => path.display().to_string(),
        None => "this sweep cannot be run".to_owned(),
    })
}

/// The contenders that `--strategy` names, the five if it names none.
fn contenders(names: &[String]) -> anyhow::Result<Vec<Contender>> {
    let five = ["all".to_owned()];
    let names = if names.is_empty() { &five } else { names };
    Ok(models::strategies(names)?.into_iter().map(Contender::new).collect())
}
