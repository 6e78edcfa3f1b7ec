//! `flakelab proxy`: the load balancer in front of real servers, a process of its own.

use std::io;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::cli::common::{Ending, OutputArguments, flag_and, in_range, print};
use crate::cli::models::{ModelArguments, RulesArguments, spec_error};
use flakelab_core::strategy::{SpecError, StrategySpec};
use flakelab_live::{Files, Proxy, Settings, Target, when_stdin_ends};
use flakelab_sim::world::Model;

const EXAMPLES: &str = "\
Examples:
  flakelab proxy --strategy v4 --config 0 --port 8000
  flakelab proxy --strategy ucb1 --config 1 --trace run.csv --metrics metrics.json
  LB_STRATEGY=v5 flakelab proxy --targets 127.0.0.1:7000-7009
  curl -d abcdefghijklmnopqrstuvwx http://127.0.0.1:8000/

POST / takes 24 letters and digits, or {\"id\": \"...\"} as JSON. GET /health, GET /metrics.json.";

/// Names the strategy where the flag is absent.
const STRATEGY_VARIABLE: &str = "LB_STRATEGY";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct ProxyArguments {
    /// Strategy: v1 to v5, or a name [default: the environment variable LB_STRATEGY]
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    #[command(flatten)]
    source: ModelArguments,
    /// Servers: host:port or host:first-last, separated by commas, in the model's order [default:
    /// 127.0.0.1 at the model's ports]
    #[arg(long, value_name = "LIST")]
    targets: Option<String>,
    /// Allow targets on other machines
    #[arg(long)]
    allow_remote: bool,
    /// Port on 127.0.0.1 to listen on; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// Requests per second that are expected
    #[arg(long, value_name = "R", default_value_t = 10.0, allow_negative_numbers = true)]
    rps: f64,
    #[command(flatten)]
    rules: RulesArguments,
    /// Seed of the strategy's coins and of the order in which it sees the servers [default: a new
    /// one each start]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Metrics file, replaced while requests are served
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Trace to write: one row an attempt, as `fit` reads it
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Log to write of every event and decision
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The session_id of the trace
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Replace trace and events log if they are there
    #[arg(long)]
    force: bool,
    /// End when standard input ends
    #[arg(long, hide = true)]
    supervised: bool,
}

pub(crate) fn run(arguments: &ProxyArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let settings = settings(arguments)?;
    let (label, seed) = (settings.strategy.label(), settings.seed);
    let files = Files {
        metrics: arguments.metrics.clone(),
        trace: arguments.trace.clone(),
        events: arguments.events.clone(),
        force: arguments.force,
    };
    let proxy = Proxy::bind(settings, arguments.port, &files)?;
    let stopper = proxy.stopper();
    let interrupted = flag_and(move || stopper.stop(), || {})?;
    if arguments.supervised {
        let stopper = proxy.stopper();
        when_stdin_ends(move || stopper.stop()).context("cannot start a thread")?;
    }
    print(&format!("listening {}", proxy.address()))?;
    print("ready")?;
    let say = |text: String| {
        if !output.quiet {
            // A supervisor that is gone reads nothing, and that must not end the proxy early.
            let _ = writeln!(io::stderr(), "{text}");
        }
    };
    say(format!("{label} serves http://{}/ until Ctrl-C (seed {seed})", proxy.address()));
    let ledger = proxy.run()?;
    say(format!(
        "{} requests: {} answered 200, {} answered 500; {} attempts",
        ledger.arrived, ledger.answered_ok, ledger.answered_error, ledger.attempts
    ));
    Ok(Ending::done_unless(&interrupted))
}

fn settings(arguments: &ProxyArguments) -> anyhow::Result<Settings> {
    let strategy = strategy(arguments.strategy.as_deref())?;
    let requests_per_second = in_range("rps", arguments.rps, 0.001, 1e6)?;
    let model = arguments.source.load()?.0;
    let ports = (model.ports.first..=u16::MAX).take(model.servers()).collect();
    Ok(Settings {
        strategy,
        seed: arguments.seed.unwrap_or_else(flakelab_live::seed),
        rules: arguments.rules.rules()?,
        requests_per_second,
        targets: targets(arguments, &model)?,
        fleet: model.fleet(),
        config: model.name,
        ports,
        session: arguments.session.clone(),
    })
}

fn strategy(flag: Option<&str>) -> anyhow::Result<StrategySpec> {
    let variable = std::env::var_os(STRATEGY_VARIABLE).filter(|value| !value.is_empty());
    let (name, from) = match (flag, variable) {
        (Some(name), _) => (name.to_owned(), "--strategy"),
        (None, Some(name)) => (name.to_string_lossy().into_owned(), STRATEGY_VARIABLE),
        (None, None) => bail!(
            "no strategy: say `--strategy v4`, or set the environment variable {STRATEGY_VARIABLE}"
        ),
    };
    StrategySpec::from_text(&name).map_err(|error| match error {
        SpecError::NotOne { name } if name == "oracle" => anyhow!(
            "{from}: the oracle is shown what real servers hide, so it plays in simulations only"
        ),
        SpecError::NotOne { name } => {
            anyhow!("{from}: a proxy runs one strategy, not `{name}`; choose one")
        }
        error => anyhow!("{from}: {}", spec_error(&error)),
    })
}

fn targets(arguments: &ProxyArguments, model: &Model) -> anyhow::Result<Vec<Target>> {
    let (first, count) = (model.ports.first, model.ports.count);
    let list = match &arguments.targets {
        Some(list) => list.clone(),
        None => format!("127.0.0.1:{first}-{}", first.saturating_add(count.saturating_sub(1))),
    };
    let targets = Target::list(&list, arguments.allow_remote)?;
    if targets.len() != usize::from(count) {
        bail!(
            "--targets names {} servers, and the model {} has {count}; expected one target for \
             each, in the order of the ports {first}-{}",
            targets.len(),
            model.name,
            first.saturating_add(count.saturating_sub(1))
        );
    }
    Ok(targets)
}
