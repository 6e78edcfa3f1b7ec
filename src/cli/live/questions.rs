//! What a run at a terminal asks when no strategy was named: strategy, requests, configs; not what
//! a flag has said already.

use inquire::validator::Validation;
use inquire::{CustomType, InquireError, Select};

use super::super::models;
use super::{LiveArguments, Wanted};
use crate::experiment::ModelSource;
use crate::strategy::StrategySpec;
use crate::strategy::declared::Group;
use crate::world::check_requests;

/// The answers; none if the user left with Esc or Ctrl-C.
pub(super) fn ask(defaults: Wanted, arguments: &LiveArguments) -> anyhow::Result<Option<Wanted>> {
    match answers(defaults, arguments) {
        Ok(wanted) => Ok(Some(wanted)),
        Err(error) => match error.downcast_ref::<InquireError>() {
            Some(InquireError::OperationCanceled | InquireError::OperationInterrupted) => Ok(None),
            _ => Err(error),
        },
    }
}

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
