//! Flags for the rules of the game, shared by the commands that serve real requests.

use anyhow::anyhow;
use clap::Args;

use crate::domain::Rules;

/// The rules that a proxy serves by.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules")]
pub(crate) struct RulesArguments {
    /// Requests served at the same time [default: 1]
    #[arg(long, value_name = "N")]
    max_in_service: Option<usize>,
    /// Waiting requests that make one be given up once its free attempts are used up [default: 1]
    #[arg(long, value_name = "N")]
    give_up_backlog: Option<usize>,
    /// The same after so long in service, in milliseconds [default: 1000 / rps]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    give_up_after_ms: Option<f64>,
    /// Most attempts of a request [default: no limit]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Milliseconds after which an attempt has timed out [default: 1000]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    attempt_timeout_ms: Option<f64>,
}

impl RulesArguments {
    /// The rules that the flags describe.
    ///
    /// # Errors
    /// Names the flag that is out of range.
    pub(crate) fn rules(&self) -> anyhow::Result<Rules> {
        let default = Rules::default();
        let rules = Rules {
            max_requests_in_service: self.max_in_service.unwrap_or(default.max_requests_in_service),
            give_up_backlog: self.give_up_backlog.unwrap_or(default.give_up_backlog),
            give_up_after_ms: self.give_up_after_ms,
            max_attempts: self.max_attempts,
            attempt_timeout_ms: self.attempt_timeout_ms.unwrap_or(default.attempt_timeout_ms),
            ..default
        };
        rules.validate().map_err(|error| {
            let flag = match error.key {
                "max_requests_in_service" => "max-in-service".to_owned(),
                key => key.replace('_', "-"),
            };
            anyhow!("--{flag}: {error}")
        })?;
        Ok(rules)
    }

    /// The same flags, for a process that is to serve by them.
    pub(crate) fn flags(&self) -> Vec<String> {
        let flag = |name: &str, value: Option<String>| value.map(|v| format!("--{name}={v}"));
        [
            flag("max-in-service", self.max_in_service.map(|n| n.to_string())),
            flag("give-up-backlog", self.give_up_backlog.map(|n| n.to_string())),
            flag("give-up-after-ms", self.give_up_after_ms.map(|ms| ms.to_string())),
            flag("max-attempts", self.max_attempts.map(|n| n.to_string())),
            flag("attempt-timeout-ms", self.attempt_timeout_ms.map(|ms| ms.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
