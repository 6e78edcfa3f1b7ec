//! What flags name: models, strategies, rules. Configs 0, 1 and 2 come from `models/` where the
//! program runs, as `fit --out models` writes it, else from the fitted ones that the binary carries.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;

use flakelab_core::domain::Rules;
use flakelab_core::strategy::{SpecError, StrategySpec};
use flakelab_sim::experiment::ModelSource;
use flakelab_sim::world::{Document, Model};

/// The fitted models, as committed when this binary was built.
const FITTED: [&str; 3] = [
    include_str!("../../../models/config-0.toml"),
    include_str!("../../../models/config-1.toml"),
    include_str!("../../../models/config-2.toml"),
];

/// The configs that `--config` names.
pub(crate) fn configs(value: &str) -> anyhow::Result<Vec<ModelSource>> {
    match value {
        "0" | "1" | "2" => Ok(vec![ModelSource::Config(value.as_bytes()[0] - b'0')]),
        "all" => Ok((0..3).map(ModelSource::Config).collect()),
        other => {
            let number = other.trim_start_matches("config").trim_start_matches(['-', ' ', 'T']);
            let hint = match number {
                "0" | "1" | "2" => format!(" (did you mean `--config {number}`?)"),
                _ if Path::new(other).exists() => {
                    format!(" (a model file is given with `--model {other}`)")
                }
                _ if other.eq_ignore_ascii_case("all") => " (did you mean `all`?)".to_owned(),
                _ => String::new(),
            };
            bail!("unknown config `{other}`: expected 0, 1, 2 or all{hint}")
        }
    }
}

/// The flags that name one model.
#[derive(Debug, Args)]
pub(crate) struct ModelArguments {
    /// Config: 0, 1 or 2 [default: 0]
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    config: Option<String>,
    /// Model file, instead of a config
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

impl ModelArguments {
    /// The model, and where it was.
    pub(crate) fn load(&self) -> anyhow::Result<(Model, PathBuf)> {
        if let Some(path) = &self.model {
            return load(&ModelSource::File(path.clone()));
        }
        match configs(self.config.as_deref().unwrap_or("0"))?.as_slice() {
            [source] => load(source),
            _ => bail!("several configs are named; one at a time: choose `--config` 0, 1 or 2"),
        }
    }
}

/// Reads a model and calls it what tables call it. Also says where it was.
pub(crate) fn load(source: &ModelSource) -> anyhow::Result<(Model, PathBuf)> {
    match source {
        ModelSource::File(path) => Ok((Model::read(path)?, path.clone())),
        ModelSource::Config(config) => {
            let path = PathBuf::from(format!("models/config-{config}.toml"));
            let document = if path.exists() {
                Document::read(&path)?
            } else {
                Document::from_text(path.clone(), FITTED[usize::from(*config)])
            };
            Ok((Model::parse(&config.to_string(), &document)?, path))
        }
    }
}

/// What is wrong with a strategy on the command line, and what would mend it.
pub(crate) fn spec_error(error: &SpecError) -> anyhow::Error {
    anyhow!("{error}: {}", error.help())
}

/// The strategies that the parts of a list name, each once, in order.
pub(crate) fn strategies(names: &[String]) -> anyhow::Result<Vec<StrategySpec>> {
    let mut specs: Vec<StrategySpec> = Vec::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        for spec in StrategySpec::named_by(name).map_err(|error| spec_error(&error))? {
            if !specs.contains(&spec) {
                specs.push(spec);
            }
        }
    }
    Ok(specs)
}

/// The rules of the game, for the commands that serve real requests.
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
    /// Milliseconds in which a server that refused a connection gets nothing, doubling while it goes
    /// on; 0: none [default: 25]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pause_after_refused_ms: Option<f64>,
}

impl RulesArguments {
    /// The rules that the flags describe.
    pub(crate) fn rules(&self) -> anyhow::Result<Rules> {
        let default = Rules::default();
        let rules = Rules {
            max_requests_in_service: self.max_in_service.unwrap_or(default.max_requests_in_service),
            give_up_backlog: self.give_up_backlog.unwrap_or(default.give_up_backlog),
            give_up_after_ms: self.give_up_after_ms,
            max_attempts: self.max_attempts,
            attempt_timeout_ms: self.attempt_timeout_ms.unwrap_or(default.attempt_timeout_ms),
            pause_after_refused_ms: self
                .pause_after_refused_ms
                .unwrap_or(default.pause_after_refused_ms),
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
            flag("pause-after-refused-ms", self.pause_after_refused_ms.map(|ms| ms.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
