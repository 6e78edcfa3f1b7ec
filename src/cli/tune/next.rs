//! The command to run next: the setting found against the default and the others, on seeds that
//! neither the search nor its comparison has seen.

use super::TuneArguments;
use crate::cli::quote::quoted;
use crate::experiment::tune::{TuneVerdict, Tuned};

/// If something was found, whether it holds up elsewhere: on all configs, or in the same model
/// beside the five. If not, how the default does beside the others.
pub(super) fn next_command(arguments: &TuneArguments, tuned: &Tuned) -> String {
    let mut strategies = vec!["all".to_owned(), tuned.strategy.clone()];
    if tuned.verdict == TuneVerdict::Better {
        strategies.push(tuned.found_setting().setting.clone());
    }
    let mut words = vec!["cargo run -- sweep".to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{name} {}", quoted(&value))));
    };
    flag("strategy", Some(strategies.join(",")));
    match &arguments.model {
        Some(path) => flag("model", Some(path.display().to_string())),
        None => flag("config", Some("all".to_owned())),
    }
    flag("requests", arguments.requests.map(|n| n.to_string()));
    flag("rps", arguments.rps.map(|rps| rps.to_string()));
    flag("master-seed", Some(tuned.fresh.master_seed.wrapping_add(1).to_string()));
    words.join(" ")
}
