//! The command to run next: the setting found against the default and the others, on seeds that
//! neither the search nor its comparison has seen.

use super::TuneArguments;
use crate::cli::quote::CommandLine;
use crate::experiment::tune::{TuneVerdict, Tuned};

/// If something was found, whether it holds up elsewhere: on all configs, or in the same model
/// beside the five. If not, how the default does beside the others.
pub(super) fn next_command(arguments: &TuneArguments, tuned: &Tuned) -> String {
    let mut strategies = vec!["all".to_owned(), tuned.strategy.clone()];
    if tuned.verdict == TuneVerdict::Better {
        strategies.push(tuned.found_setting().setting.clone());
    }
    let config = arguments.model.is_none().then_some("all");
    CommandLine::new("sweep")
        .flag("strategy", Some(strategies.join(",")))
        .flag("model", arguments.model.as_ref().map(|path| path.display()))
        .flag("config", config)
        .flag("requests", arguments.requests)
        .flag("rps", arguments.rps)
        .flag("master-seed", Some(tuned.fresh.master_seed.wrapping_add(1)))
        .text()
}
