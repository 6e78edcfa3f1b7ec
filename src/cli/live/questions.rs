//! What a run at a terminal asks when no strategy was named: strategy, requests, configs.

use inquire::{CustomType, InquireError, Select};

use super::super::models;
use super::Wanted;
use crate::experiment::specs_from_name;
use crate::strategy::{FIVE, StrategySpec};
use crate::world::check_requests;

/// The answers; none if the user left with Esc or Ctrl-C.
pub(super) fn ask(defaults: &Wanted) -> anyhow::Result<Option<Wanted>> {
    match answers(defaults) {
        Ok(wanted) => Ok(Some(wanted)),
        Err(error) => match error.downcast_ref::<InquireError>() {
            Some(InquireError::OperationCanceled | InquireError::OperationInterrupted) => Ok(None),
            _ => Err(error),
        },
    }
}

fn answers(defaults: &Wanted) -> anyhow::Result<Wanted> {
    let mut options = vec!["ALL".to_owned()];
    options
        .extend(FIVE.iter().filter_map(|name| Some(StrategySpec::from_name(name).ok()?.label())));
    let chosen = Select::new("Which strategy?", options).raw_prompt()?;
    let name = chosen.index.checked_sub(1).and_then(|i| FIVE.get(i)).copied().unwrap_or("all");
    let requests = CustomType::<u64>::new("How many requests per config?")
        .with_default(defaults.requests)
        .with_error_message("a whole number from 1 to 10,000,000")
        .with_validator(|requests: &u64| {
            Ok(match check_requests(*requests) {
                Ok(()) => inquire::validator::Validation::Valid,
                Err(e) => inquire::validator::Validation::Invalid(e.expected.as_str().into()),
            })
        })
        .prompt()?;
    let configs = vec![
        "0    constant error rates",
        "1    the same, and a fixed rate limit",
        "2    the same, and a rate limit that changes over time",
        "all  one after the other",
    ];
    let config = Select::new("Which config?", configs).prompt()?;
    let config = config.split_whitespace().next().unwrap_or("0");
    Ok(Wanted { strategies: specs_from_name(name)?, models: models::configs(config)?, requests })
}
