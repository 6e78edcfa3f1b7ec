//! The command to run next. Always with fresh seeds: repeating the seeds that raised a question
//! until it is answered would answer "different" far too often.

use super::SweepArguments;
use crate::experiment::{Contender, Plan, Player, Summary};
use crate::report;
use crate::strategy::StrategySpec;

/// More replications for those that could not be told apart, else all configs, else a check.
pub(super) fn next_command(arguments: &SweepArguments, plan: &Plan, summary: &Summary) -> String {
    let fresh = plan.master_seed.wrapping_add(1);
    let question = summary.scenarios.iter().find_map(report::open_question);
    if let Some((tied, replications)) = question {
        let names: Option<Vec<String>> =
            tied.iter().map(|label| command_name(plan, label)).collect();
        let strategies = names.map(|names| names.join(",")).or(given_strategies(arguments));
        return command(arguments, strategies, None, replications, fresh);
    }
    let on_config_0 = arguments.experiment.is_none()
        && arguments.model.is_empty()
        && arguments.config.as_deref().is_none_or(|config| config == "0");
    let config = on_config_0.then_some("all");
    command(arguments, given_strategies(arguments), config, plan.replications, fresh)
}

/// A command like the one that was given, with some flags replaced.
fn command(
    arguments: &SweepArguments,
    strategies: Option<String>,
    config: Option<&str>,
    replications: u64,
    master_seed: u64,
) -> String {
    let mut words = vec!["cargo run -- sweep".to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{name} {}", quoted(&value))));
    };
    flag("experiment", arguments.experiment.as_ref().map(|path| path.display().to_string()));
    flag("strategy", strategies);
    match config {
        Some(config) => flag("config", Some(config.to_owned())),
        None => flag("config", arguments.config.clone()),
    }
    for path in &arguments.model {
        flag("model", Some(path.display().to_string()));
    }
    flag("requests", arguments.requests.map(|n| n.to_string()));
    flag("rps", arguments.rps.map(|rps| rps.to_string()));
    flag("traffic", arguments.traffic.map(|kind| format!("{kind:?}").to_lowercase()));
    flag("seeds", Some(replications.to_string()));
    flag("master-seed", Some(master_seed.to_string()));
    words.join(" ")
}

fn given_strategies(arguments: &SweepArguments) -> Option<String> {
    (!arguments.strategy.is_empty()).then(|| arguments.strategy.join(","))
}

/// The name that `--strategy` knows a contender by, if it has default parameters.
fn command_name(plan: &Plan, label: &str) -> Option<String> {
    let contender = plan.contenders.iter().find(|c| c.label == label)?;
    let Player::Strategy(spec) = contender.player else { return None };
    let default = StrategySpec::from_name(spec.name()).ok()?;
    (*contender == Contender::new(default)).then(|| spec.name().to_owned())
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_quotes_survive_the_shell() {
        assert_eq!(quoted("models/a.toml"), "models/a.toml");
        assert_eq!(quoted("my model's.toml"), r"'my model'\''s.toml'");
    }
}
