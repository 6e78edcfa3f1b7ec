//! The command to run next. Always with fresh seeds: repeating the seeds that raised a question
//! until it is answered would answer "different" far too often.

use std::path::PathBuf;

use super::SweepArguments;
use crate::cli::quote::CommandLine;
use crate::experiment::{Contender, Plan, Summary};
use crate::report;

/// More replications for those that could not be told apart, else all configs, else a check.
pub(super) fn next_command(arguments: &SweepArguments, plan: &Plan, summary: &Summary) -> String {
    let scenarios = summary.scenarios.iter().enumerate();
    let mut questions = scenarios.filter_map(|(i, s)| Some((i, report::open_question(s)?)));
    // What may differ from the command that was given.
    let mut strategies = (!arguments.strategy.is_empty()).then(|| arguments.strategy.join(","));
    let mut config = arguments.config.clone();
    let mut models: Vec<&PathBuf> = arguments.model.iter().collect();
    let mut seeds = if plan.replications < 2 { 1000 } else { plan.replications };
    if let Some((scenario, (tied, replications))) = questions.next() {
        seeds = replications;
        if arguments.experiment.is_some() && plan.scenarios.len() > 1 {
            // One file, one number of replications: enough for every open question in it.
            seeds = questions.map(|(_, (_, replications))| replications).fold(seeds, u64::max);
        } else {
            let names: Option<Vec<String>> =
                tied.iter().map(|label| command_name(plan, label)).collect();
            strategies = names.map(|names| names.join(",")).or(strategies);
            if let Some(model) = arguments.model.get(scenario) {
                models = vec![model];
            } else if arguments.config.is_some() {
                config = Some(summary.scenarios[scenario].config.clone());
            }
        }
    } else if arguments.experiment.is_none()
        && models.is_empty()
        && config.as_deref().is_none_or(|config| config == "0")
    {
        config = Some("all".to_owned());
    }
    let lower = |word: String| word.to_lowercase();
    let mut command = CommandLine::new("sweep")
        .flag("experiment", arguments.experiment.as_ref().map(|path| path.display()))
        .flag("strategy", strategies)
        .flag("config", config);
    for path in models {
        command = command.flag("model", Some(path.display()));
    }
    let uncertainty = arguments.parameter_uncertainty.map(|s| lower(format!("{s:?}")));
    command
        .flag("requests", arguments.requests)
        .flag("rps", arguments.rps)
        .flag("traffic", arguments.traffic.map(|kind| lower(format!("{kind:?}"))))
        .flag("parameter-uncertainty", uncertainty)
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
