//! `flakelab failingserver`: stands in for the servers of models, over HTTP.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::cli::common::{Ending, OutputArguments, flag_and, print};
use crate::cli::models;
use crate::report::write_atomically;
use flakelab_live::{
    BindError, Delays, Listeners, Place, ServerLog, Servers, Stop, null_model, serve,
    when_stdin_ends,
};
use flakelab_sim::experiment::ModelSource;
use flakelab_sim::world::{Model, REPLICATIONS_PER_DRAW};

const EXAMPLES: &str = "\
Examples:
  flakelab failingserver                          thirty servers: 4000-4009, 5000-5009, 6000-6009
  flakelab failingserver --config 1 --seed 7 --log servers.csv
  flakelab failingserver --model models/mine.toml --port-base 9000 --truth drawn

Every start draws new error rates, as the real servers do; the seed that it prints draws the same
ones again.";

/// Where ports of the configs begin.
const FIRST_PORT: u16 = 4000;

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct FailingserverArguments {
    /// Whose servers: 0, 1, 2 or all
    #[arg(long, default_value = "all", conflicts_with_all = ["model", "null"])]
    config: String,
    /// The servers of this model instead; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "null")]
    model: Vec<PathBuf>,
    /// Listen from this port on rather than on the model's ports; 0: on any that are free
    #[arg(long, value_name = "PORT")]
    port_base: Option<u16>,
    /// Draws error rates and luck [default: from the clock, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Write a line for every attempt
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Replace the log if it is there
    #[arg(long, requires = "log")]
    force: bool,
    /// Write what was drawn, as model files, into this folder
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// One server of which everything is known, to measure the path to it
    #[arg(long)]
    null: bool,
    /// End when standard input ends
    #[arg(long, hide = true)]
    supervised: bool,
}

/// A model that is served, and the replication that it is drawn as.
struct Served {
    model: Model,
    replication: u64,
    /// What the file of its truth is called.
    stem: String,
}

pub(crate) fn run(
    arguments: &FailingserverArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    let stop = Stop::default();
    let asked = stop.clone();
    let interrupted = flag_and(move || asked.stop(), || {})?;
    if arguments.supervised {
        let stop = stop.clone();
        when_stdin_ends(move || stop.stop())?;
    }
    let served = served(arguments)?;
    let seed = arguments.seed.unwrap_or_else(flakelab_live::seed);
    let groups: Vec<Servers> =
        served.iter().map(|s| Servers::draw(&s.model, seed, s.replication)).collect();
    let listeners = Listeners::bind(&groups, place(arguments, &served)).map_err(mend)?;
    if let Some(log) = arguments.log.as_deref().filter(|log| log.is_file() && !arguments.force) {
        bail!("{} is there already; name another file or add --force", log.display());
    }
    let log = arguments.log.as_deref().map(ServerLog::create).transpose()?;
    if let Some(folder) = &arguments.truth {
        write_truth(folder, &served, &groups)?;
    }
    if !output.quiet {
        eprintln!("seed {seed} (--seed {seed} draws the same servers again)");
    }
    for (port, address) in listeners.addresses() {
        print(&format!("listening {port} {address}"))?;
    }
    print("ready")?;
    let delays = serve(groups, listeners, log.as_ref(), &stop);
    log.map(ServerLog::finish).transpose()?;
    if output.verbose {
        eprintln!("{}", told(&delays?));
    } else {
        delays?;
    }
    Ok(Ending::done_unless(&interrupted))
}

/// The models. A config is drawn as the same replication whether or not others are served too;
/// replications of different draws of the parameters, so that no two models share theirs.
fn served(arguments: &FailingserverArguments) -> anyhow::Result<Vec<Served>> {
    if arguments.null {
        let model = null_model();
        return Ok(vec![Served { stem: model.name.clone(), model, replication: 0 }]);
    }
    let sources = match &arguments.model[..] {
        [] => models::configs(&arguments.config)?,
        files => files.iter().cloned().map(ModelSource::File).collect(),
    };
    let mut served: Vec<Served> = Vec::new();
    for (position, source) in (0..).zip(&sources) {
        let (model, _) = models::load(source)?;
        let (stem, number) = match source {
            ModelSource::Config(number) => (format!("config-{number}"), u64::from(*number)),
            ModelSource::File(_) => (model.name.clone(), position),
        };
        if served.iter().any(|other| other.stem == stem) {
            bail!("two models are called {stem}; rename one of the files");
        }
        served.push(Served { model, stem, replication: number * REPLICATIONS_PER_DRAW });
    }
    Ok(served)
}

fn place(arguments: &FailingserverArguments, served: &[Served]) -> Place {
    let lowest = served.iter().map(|s| s.model.ports.first).min().unwrap_or(FIRST_PORT);
    match arguments.port_base {
        None => Place::Model,
        Some(0) => Place::System,
        Some(base) if arguments.model.is_empty() => Place::Moved { origin: FIRST_PORT, base },
        Some(base) => Place::Moved { origin: lowest, base },
    }
}

/// Says which flag chooses other ports.
fn mend(error: BindError) -> anyhow::Error {
    match error {
        BindError::Taken(taken) => {
            anyhow!("{taken} with --port-base (0 takes ports that are free)")
        }
        error => error.into(),
    }
}

fn write_truth(folder: &Path, served: &[Served], groups: &[Servers]) -> anyhow::Result<()> {
    let unwritable = || format!("cannot make the folder {} for --truth", folder.display());
    std::fs::create_dir_all(folder).with_context(unwritable)?;
    for (served, servers) in served.iter().zip(groups) {
        let path = folder.join(format!("{}.toml", served.stem));
        write_atomically(&path, servers.truth().to_toml().as_bytes())?;
    }
    Ok(())
}

fn told(delays: &Delays) -> String {
    format!(
        "{} attempts answered, after they were due by {:.0} us (median), {:.0} us (99th percentile)",
        delays.answers(),
        delays.quantile_us(0.5),
        delays.quantile_us(0.99)
    )
}
