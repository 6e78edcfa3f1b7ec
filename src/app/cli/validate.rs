//! `flakelab validate`: do recordings, or a model, predict real runs?

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::cli::common::{Ending, OutputArguments, print, terminal_width};
use crate::cli::fit::ReadArguments;
use crate::report::validation_report;
use flakelab_fit::{RunRules, Settings, against_model, learned_training, leave_one_out};
use flakelab_sim::trace::Recording;
use flakelab_sim::world::Model;

const EXAMPLES: &str = "\
Examples:
  flakelab validate traces/*.csv                                  each run from all others
  flakelab validate traces/monday.csv                             its second half from the first
  flakelab validate --model models/config-0.toml traces/*.csv     each run from a model
  flakelab validate --rules game runs/*.csv                       recorded under the game's rules

Exit code 1: the predictions did not hold (1 % after Holm's adjustment).";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct ValidateArguments {
    #[command(flatten)]
    input: ReadArguments,
    /// Predict every run from this model instead of the other runs
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The rules that the runs were recorded under
    #[arg(long, value_enum, value_name = "RULES", default_value_t)]
    rules: RulesArgument,
    /// Replications of each run
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(19..=1_000_000))]
    replications: u64,
    /// Seed of all randomness
    #[arg(long, value_name = "S", default_value_t = 1)]
    master_seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum RulesArgument {
    /// Six attempts at most, tried servers left out in free attempts
    #[default]
    Recorder,
    /// The game's defaults
    Game,
}

pub(crate) fn run(
    arguments: &ValidateArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    let recordings = arguments.input.read(output.quiet)?;
    let settings = Settings {
        rules: match arguments.rules {
            RulesArgument::Recorder => RunRules::Recorder,
            RulesArgument::Game => RunRules::Game,
        },
        replications: arguments.replications,
        seed: arguments.master_seed,
    };
    let found = match &arguments.model {
        None => {
            let all: Vec<&Recording> = recordings.iter().collect();
            leave_one_out(&all, learned_training, settings)?
        }
        Some(path) => {
            let model = Model::read(path)?;
            let (of_model, others): (Vec<&Recording>, Vec<&Recording>) =
                recordings.iter().partition(|run| run.group.first_port == model.ports.first);
            if of_model.is_empty() {
                bail!(
                    "no recording is of the servers of {} (port {} and on)",
                    path.display(),
                    model.ports.first
                );
            }
            if !others.is_empty() && !output.quiet {
                eprintln!("note: {} recordings of other servers are left out", others.len());
            }
            against_model(&model, &of_model, settings)?
        }
    };
    print(&validation_report(&found, terminal_width()))?;
    Ok(if found.held() { Ending::Done } else { Ending::DidNotHold })
}
