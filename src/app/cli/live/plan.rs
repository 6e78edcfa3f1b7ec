//! What a live run is to play: flags, answers at a terminal, and everything that follows from them.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use inquire::validator::Validation;
use inquire::{CustomType, InquireError, Select};

use crate::cli::common::{OutputArguments, flag};
use crate::cli::live::folder::Folder;
use crate::cli::models;
use crate::cli::models::RulesArguments;
use flakelab_core::domain::Rules;
use flakelab_core::strategy::{Group, StrategySpec};
use flakelab_sim::experiment::ModelSource;
use flakelab_sim::world::{Model, Violation, check_rate, check_requests};

const EXAMPLES: &str = "\
Examples:
  flakelab live --config 0                               the five strategies, our own stand-in servers
  flakelab live --config all --strategy v4 --requests 100
  flakelab live --binary ./failingserver                 the real servers, started for this run
  flakelab live --targets 127.0.0.1:4000-4009            servers that run already
  flakelab watch results/<name>/metrics.json             watch it from another terminal

Exit code 1: what was predicted of a config did not come true (1 % after Holm's adjustment), or load
generator, proxy and servers do not agree on what they counted.";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct LiveArguments {
    /// Strategies, separated by commas: names, v1 to v5, groups (all: the five, mesh, rate-limit,
    /// literature, everything), with parameters as in v1:discover_limit=30 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    strategy: Vec<String>,
    /// Config: 0, 1, 2 or all [default: 0]
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    config: Option<String>,
    /// Model file, instead of a config
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Requests for each strategy and config [default: 100]
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Requests per second
    #[arg(long, value_name = "R", default_value_t = 10.0, allow_negative_numbers = true)]
    pub(crate) rps: f64,
    #[command(flatten)]
    pub(crate) rules: RulesArguments,
    /// A server program that opens the ports of all configs; arguments for it follow --
    #[arg(long, value_name = "PATH", conflicts_with = "targets")]
    pub(crate) binary: Option<PathBuf>,
    /// Servers that run already: host:port or host:first-last, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) targets: Option<String>,
    /// Allow targets on other machines
    #[arg(long, requires = "targets")]
    pub(crate) allow_remote: bool,
    /// Listen from this port on rather than on the model's ports; 0: on any that are free
    #[arg(long, value_name = "PORT", conflicts_with_all = ["binary", "targets"])]
    pub(crate) port_base: Option<u16>,
    /// Port of the proxy; 0: any free port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) proxy_port: u16,
    /// Start the servers anew for each strategy
    #[arg(long, conflicts_with = "targets")]
    pub(crate) restart_servers: bool,
    /// Seconds that servers may take to open their ports
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    start_timeout: f64,
    /// Seconds that the path is measured for before the run (40 to 400 requests)
    #[arg(long, value_name = "S", default_value_t = 4.0)]
    pub(crate) path_seconds: f64,
    /// Do not measure what the path adds to latencies; they are then shown, not judged
    #[arg(long)]
    pub(crate) no_overhead: bool,
    /// Simulated runs behind each prediction [default: enough for the number of tests]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pub(crate) replications: Option<u64>,
    /// Seed of identifiers, coins, stand-in servers and predictions [default: from the clock]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Results folder [default: results/live-<date>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write into the results folder whatever it holds
    #[arg(long)]
    force: bool,
    /// Show the viewer in this terminal while the run lasts
    #[arg(long)]
    pub(crate) watch: bool,
    /// Charts as PNG too
    #[arg(long)]
    pub(crate) png: bool,
    /// Ask nothing
    #[arg(long)]
    no_input: bool,
    /// Arguments of the server program
    #[arg(last = true, requires = "binary", value_name = "ARGS")]
    pub(crate) binary_arguments: Vec<OsString>,
}

#[derive(Debug, Clone)]
struct Wanted {
    strategies: Vec<StrategySpec>,
    models: Vec<ModelSource>,
    requests: u64,
}

pub(crate) struct LivePlan<'a> {
    pub(crate) arguments: &'a LiveArguments,
    pub(crate) output: &'a OutputArguments,
    pub(crate) strategies: Vec<StrategySpec>,
    pub(crate) sources: Vec<ModelSource>,
    pub(crate) models: Vec<Model>,
    pub(crate) requests: u64,
    pub(crate) rules: Rules,
    pub(crate) seed: u64,
    pub(crate) start_timeout: Duration,
    pub(crate) interrupt: Arc<AtomicBool>,
    /// Simulated runs of the predictions that are being made.
    pub(crate) simulated: AtomicU64,
    pub(crate) folder: Folder,
}

impl<'a> LivePlan<'a> {
    /// What the flags, or the answers at a terminal, describe; none if the user left.
    pub(crate) fn of(
        arguments: &'a LiveArguments,
        output: &'a OutputArguments,
    ) -> anyhow::Result<Option<Self>> {
        let Some(wanted) = wanted(arguments)? else { return Ok(None) };
        let told = |v: Violation| anyhow!("--{}: {}; expected {}", v.key, v.problem, v.expected);
        check_rate(arguments.rps).map_err(told)?;
        check_requests(wanted.requests).map_err(told)?;
        if !(0.0..=600.0).contains(&arguments.path_seconds) {
            bail!("--path-seconds {}: expected 0 to 600 seconds", arguments.path_seconds);
        }
        if !(0.1..=3600.0).contains(&arguments.start_timeout) {
            bail!("--start-timeout {}: expected 0.1 to 3600 seconds", arguments.start_timeout);
        }
        let models = wanted.models.iter().map(|source| Ok(models::load(source)?.0));
        let models = models.collect::<anyhow::Result<Vec<Model>>>()?;
        let seed = arguments.seed.unwrap_or_else(flakelab_live::seed);
        Ok(Some(Self {
            arguments,
            output,
            strategies: wanted.strategies,
            sources: wanted.models,
            models,
            requests: wanted.requests,
            rules: arguments.rules.rules()?,
            seed,
            start_timeout: Duration::from_secs_f64(arguments.start_timeout),
            interrupt: flag()?,
            simulated: AtomicU64::new(0),
            folder: Folder::open(arguments.out.as_ref(), arguments.force, seed)?,
        }))
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Says something on stderr, unless that was not wanted.
    pub(crate) fn say(&self, text: &str) {
        if !self.output.quiet {
            eprintln!("{text}");
        }
    }

    /// The flag that names the model at `position` to a proxy.
    pub(crate) fn model_flag(&self, position: usize) -> String {
        match &self.sources[position] {
            ModelSource::Config(number) => format!("--config={number}"),
            ModelSource::File(path) => format!("--model={}", path.display()),
        }
    }

    /// The flags that name all models to the stand-in servers.
    pub(crate) fn servers_flags(&self) -> Vec<String> {
        match self.sources.as_slice() {
            [_] => vec![self.model_flag(0)],
            _ => vec!["--config=all".to_owned()],
        }
    }

    /// What files about the model at `position` are called.
    pub(crate) fn stem(&self, position: usize) -> String {
        match &self.sources[position] {
            ModelSource::Config(number) => format!("config-{number}"),
            ModelSource::File(_) => self.models[position].name.clone(),
        }
    }

    /// A seed of its own for every purpose; the purposes are numbered.
    pub(crate) fn seed_for(&self, purpose: u64) -> u64 {
        derived_seed(self.seed, purpose)
    }
}

/// The `purpose`-th number of SplitMix64 from `seed` on (Steele, Lea and Flood, OOPSLA 2014), as
/// a number that fits in 63 bits.
fn derived_seed(seed: u64, purpose: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(purpose.wrapping_add(1)));
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) >> 1
}

/// What flags say, or else the answers at a terminal, or else the defaults. None if the user left
/// the questions with Esc or Ctrl-C.
fn wanted(arguments: &LiveArguments) -> anyhow::Result<Option<Wanted>> {
    let names: &[String] = &arguments.strategy;
    let mut strategies = models::strategies(names)?;
    let asked_for_none = strategies.is_empty();
    if asked_for_none && !names.is_empty() {
        bail!("no strategy to play: name at least one besides the references, or `all`");
    }
    if asked_for_none {
        strategies = StrategySpec::of_group(Group::Five).collect();
    }
    let models = match (&arguments.model, &arguments.config) {
        (Some(path), _) => vec![ModelSource::File(path.clone())],
        (None, Some(config)) => models::configs(config)?,
        (None, None) => vec![ModelSource::Config(0)],
    };
    let wanted = Wanted { strategies, models, requests: arguments.requests.unwrap_or(100) };
    let at_a_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !(asked_for_none && at_a_terminal && !arguments.no_input) {
        return Ok(Some(wanted));
    }
    match answers(wanted, arguments) {
        Ok(wanted) => Ok(Some(wanted)),
        Err(error) => match error.downcast_ref::<InquireError>() {
            Some(InquireError::OperationCanceled | InquireError::OperationInterrupted) => Ok(None),
            _ => Err(error),
        },
    }
}

/// What a run at a terminal asks when no strategy was named: strategy, requests, configs; not what
/// a flag has said already.
fn answers(defaults: Wanted, arguments: &LiveArguments) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted { strategies: strategies()?, ..defaults };
    if arguments.requests.is_none() {
        wanted.requests = requests(wanted.requests)?;
    }
    if arguments.config.is_none() && arguments.model.is_none() {
        wanted.models = configs()?;
    }
    Ok(wanted)
}

fn strategies() -> anyhow::Result<Vec<StrategySpec>> {
    let five: Vec<StrategySpec> = StrategySpec::of_group(Group::Five).collect();
    let options: Vec<String> =
        ["ALL".to_owned()].into_iter().chain(five.iter().map(StrategySpec::label)).collect();
    let chosen = Select::new("Which strategy?", options).raw_prompt()?;
    let one = chosen.index.checked_sub(1).and_then(|i| five.get(i)).copied();
    Ok(one.map_or(five, |one| vec![one]))
}

fn requests(default: u64) -> anyhow::Result<u64> {
    let possible = |requests: &u64| {
        Ok(match check_requests(*requests) {
            Ok(()) => Validation::Valid,
            Err(e) => Validation::Invalid(e.expected.as_str().into()),
        })
    };
    let question = CustomType::<u64>::new("How many requests per config?")
        .with_default(default)
        .with_error_message("a whole number from 1 to 10,000,000")
        .with_validator(possible);
    Ok(question.prompt()?)
}

fn configs() -> anyhow::Result<Vec<ModelSource>> {
    let options = vec![
        "0    constant error rates",
        "1    the same, and a fixed rate limit",
        "2    the same, and a rate limit that changes over time",
        "all  one after the other",
    ];
    let chosen = Select::new("Which config?", options).prompt()?;
    models::configs(chosen.split_whitespace().next().unwrap_or("0"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_purpose_of_neighbouring_seeds_has_a_seed_of_its_own() {
        let derived = (40..60).flat_map(|seed| (0..5_000).map(move |p| derived_seed(seed, p)));
        assert_eq!(derived.collect::<BTreeSet<u64>>().len(), 20 * 5_000);
    }
}
