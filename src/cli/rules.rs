//! Flags for the rules of the game, shared by the commands that serve real requests.

use anyhow::bail;
use clap::Args;

use crate::domain::Rules;

/// The rules that a proxy serves by.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules of the game")]
pub(crate) struct RulesArguments {
    /// Requests served at the same time
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_in_service: u32,
    /// Requests that must wait before one is given up, its free attempts used up
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    give_up_backlog: u32,
    /// Milliseconds in service before a request is given up [default: 1000 / rps]
    #[arg(long, value_name = "MS")]
    give_up_after_ms: Option<f64>,
    /// Most attempts of a request [default: no limit]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Milliseconds after which an attempt has failed
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    attempt_timeout_ms: f64,
}

impl RulesArguments {
    /// The rules that the flags describe.
    pub(crate) fn rules(&self) -> anyhow::Result<Rules> {
        let rules = Rules {
            give_up_backlog: self.give_up_backlog as usize,
            give_up_after_ms: self.give_up_after_ms,
            max_attempts: self.max_attempts,
            attempt_timeout_ms: self.attempt_timeout_ms,
            max_requests_in_service: self.max_in_service as usize,
            ..Rules::default()
        };
        if let Err(error) = rules.validate() {
            bail!("--{}: {error}", error.key.replace('_', "-"));
        }
        Ok(rules)
    }

    /// The same flags, for a process that is to serve by them.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![
            format!("--max-in-service={}", self.max_in_service),
            format!("--give-up-backlog={}", self.give_up_backlog),
            format!("--attempt-timeout-ms={}", self.attempt_timeout_ms),
        ];
        flags.extend(self.give_up_after_ms.map(|ms| format!("--give-up-after-ms={ms}")));
        flags.extend(self.max_attempts.map(|n| format!("--max-attempts={n}")));
        flags
    }
}
