//! The command to run next. Always with fresh seeds: repeating the seeds that raised a question
//! until it is answered would answer "different" far too often.

use super::SweepArguments;
use crate::cli::quote::quoted;
use crate::experiment::{Contender, Plan, Summary};
use crate::report;

/// More replications for those that could not be told apart, else all configs, else a check.
pub(super) fn next_command(arguments: &SweepArguments, plan: &Plan, summary: &Summary) -> String {
    let scenarios = summary.scenarios.iter().enumerate();
    let mut questions = scenarios.filter_map(|(i, s)| Some((i, report::open_question(s)?)));
    let mut next = Next::like(arguments);
    next.replications = if plan.replications < 2 { 1000 } else { plan.replications };
    if let Some((scenario, (tied, replications))) = questions.next() {
        next.replications = replications;
        if arguments.experiment.is_some() && plan.scenarios.len() > 1 {
            // One file, one number of replications: enough for every open question in it.
            let others = questions.map(|(_, (_, replications))| replications);
            next.replications = others.fold(replications, u64::max);
        } else {
            let names: Option<Vec<String>> =
                tied.iter().map(|label| command_name(plan, label)).collect();
            next.strategies = names.map(|names| names.join(",")).or(next.strategies);
            if let Some(model) = arguments.model.get(scenario) {
                next.models = vec![model.display().to_string()];
            } else if arguments.config.is_some() {
                next.config = Some(summary.scenarios[scenario].config.clone());
            }
        }
    } else if arguments.experiment.is_none()
        && arguments.model.is_empty()
        && arguments.config.as_deref().is_none_or(|config| config == "0")
    {
        next.config = Some("all".to_owned());
    }
    next.command(arguments, plan.master_seed.wrapping_add(1))
}

/// What may differ from the command that was given.
struct Next {
    strategies: Option<String>,
    config: Option<String>,
    models: Vec<String>,
    replications: u64,
}

impl Next {
    fn like(arguments: &SweepArguments) -> Self {
        let strategies = (!arguments.strategy.is_empty()).then(|| arguments.strategy.join(","));
        Self {
            strategies,
            config: arguments.config.clone(),
            models: arguments.model.iter().map(|path| path.display().to_string()).collect(),
            replications: 0,
        }
    }

    fn command(self, arguments: &SweepArguments, master_seed: u64) -> String {
        let mut words = vec!["cargo run -- sweep".to_owned()];
        let mut flag = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name} {}", quoted(&value))));
        };
        flag("experiment", arguments.experiment.as_ref().map(|path| path.display().to_string()));
        flag("strategy", self.strategies);
        flag("config", self.config);
        self.models.into_iter().for_each(|path| flag("model", Some(path)));
        flag("requests", arguments.requests.map(|n| n.to_string()));
        flag("rps", arguments.rps.map(|rps| rps.to_string()));
        flag("traffic", arguments.traffic.map(|kind| format!("{kind:?}").to_lowercase()));
        let parameters = arguments.parameter_uncertainty;
        flag("parameter-uncertainty", parameters.map(|s| format!("{s:?}").to_lowercase()));
        flag("seeds", Some(self.replications.to_string()));
        flag("master-seed", Some(master_seed.to_string()));
        words.join(" ")
    }
}

/// The text that `--strategy` knows a contender by, if it has no label or stream of its own.
fn command_name(plan: &Plan, label: &str) -> Option<String> {
    let contender = plan.contenders.iter().find(|c| c.label == label)?;
    let spec = contender.spec()?;
    (*contender == Contender::new(spec)).then(|| spec.text())
}
