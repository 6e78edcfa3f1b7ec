//! Experiments, and scenarios of their own, as TOML files in `experiments/`. Flags override them;
//! keys: experiments/README.md.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::experiment::plan::{Contender, Plan};
use crate::world::{
    Document, DocumentError, Model, ModelTables, Traffic, Violation, check_rate, check_requests,
    check_rules, check_schema, check_traffic,
};
use flakelab_core::domain::Rules;
use flakelab_core::strategy::{SpecError, StrategySpec};

/// An experiment as its file says it; what is not said is left to defaults and flags.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentFile {
    /// Name of the experiment: the key `name`, else the file's stem.
    pub name: String,
    /// What the experiment is to find out.
    pub description: Option<String>,
    /// What the file says for all scenarios, and for those that flags put in their place.
    pub settings: Settings,
    /// Files of scenarios, which come before the others.
    pub scenario_files: Vec<PathBuf>,
    /// Scenarios in order.
    pub scenarios: Vec<ScenarioEntry>,
    /// Ranked contenders in order.
    pub contenders: Vec<Contender>,
    /// Replications of every scenario.
    pub replications: Option<u64>,
    /// Master seed.
    pub master_seed: Option<u64>,
    /// Whether parameters are drawn from the models' posteriors.
    pub parameter_uncertainty: Option<bool>,
}

/// A scenario's model.
#[derive(Debug, Clone, PartialEq)]
pub enum ScenarioModel {
    /// Still to be read.
    Named(ModelSource),
    /// Its own, which the scenario's file holds.
    Own(Box<Model>),
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The fitted model of config 0, 1 or 2.
    Config(u8),
    /// A model file.
    File(PathBuf),
}

/// A scenario as an experiment file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioEntry {
    /// Its name in tables; the model's name when absent.
    pub label: Option<String>,
    /// Its model.
    pub model: ScenarioModel,
    /// Everything else.
    pub settings: Settings,
}

/// A scenario without its model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Settings {
    /// Requests in a run.
    pub requests: Option<u64>,
    /// Mean arrival rate.
    pub requests_per_second: Option<f64>,
    /// Kind of traffic.
    pub traffic: Traffic,
    /// Rules of the game.
    pub rules: Rules,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExperimentFile {
    schema: u32,
    name: Option<String>,
    description: Option<String>,
    replications: Option<u64>,
    master_seed: Option<u64>,
    parameter_uncertainty: Option<bool>,
    requests: Option<u64>,
    rps: Option<f64>,
    traffic: Option<Traffic>,
    rules: Option<Rules>,
    #[serde(default)]
    scenarios: Vec<PathBuf>,
    #[serde(default)]
    scenario: Vec<RawScenario>,
    #[serde(default)]
    strategies: Vec<String>,
    #[serde(default)]
    strategy: Vec<toml::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    label: Option<String>,
    config: Option<u8>,
    model: Option<PathBuf>,
    requests: Option<u64>,
    rps: Option<f64>,
    traffic: Option<Traffic>,
    rules: Option<Rules>,
}

impl ExperimentFile {
    /// Parses a document. Models are named, not read; relative paths are relative to where the
    /// program runs.
    pub fn parse(document: &Document) -> Result<Self, DocumentError> {
        let raw: RawExperimentFile = document.parse()?;
        raw.into_experiment(document.stem()).map_err(|v| document.violation(&v))
    }
}

impl RawExperimentFile {
    fn into_experiment(self, stem: String) -> Result<ExperimentFile, Violation> {
        check_schema(self.schema)?;
        let name = self.name.clone().unwrap_or(stem);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let problem = format!("\"{name}\" cannot name a folder");
            return Err(Violation::new("name", problem, "letters, digits, - and _"));
        }
        let settings = settings(self.requests, self.rps, self.traffic, self.rules)?;
        if let Some(n) = self.replications
            && !Plan::REPLICATIONS.contains(&n)
        {
            let problem = format!("{n} replications are not possible");
            return Err(Violation::new("replications", problem, "a whole number from 1 to 10^9"));
        }
        let mut scenarios = Vec::new();
        for (i, entry) in self.scenario.iter().enumerate() {
            scenarios.push(self.scenario(entry).map_err(|v| v.within(&format!("scenario.{i}")))?);
        }
        let mut contenders = Vec::new();
        for (i, name) in self.strategies.iter().enumerate() {
            let specs = StrategySpec::named_by(name);
            // Parameters have no places of their own in this list.
            let specs = specs.map_err(|error| Violation {
                key: format!("strategies.{i}"),
                ..strategy_violation("strategies", &error)
            })?;
            contenders.extend(specs.into_iter().map(Contender::new));
        }
        for (i, table) in self.strategy.into_iter().enumerate() {
            contenders.push(contender(table).map_err(|v| v.within(&format!("strategy.{i}")))?);
        }
        Ok(ExperimentFile {
            name,
            description: self.description,
            settings,
            scenario_files: self.scenarios,
            scenarios,
            contenders,
            replications: self.replications,
            master_seed: self.master_seed,
            parameter_uncertainty: self.parameter_uncertainty,
        })
    }

    fn scenario(&self, entry: &RawScenario) -> Result<ScenarioEntry, Violation> {
        let model = match (entry.config, &entry.model) {
            (Some(config), None) => config_source(config)?,
            (None, Some(path)) => ModelSource::File(path.clone()),
            (Some(_), Some(_)) => {
                let problem = "a scenario has one model, here are two";
                return Err(Violation::new("model", problem, "either `config` or `model`"));
            }
            (None, None) => {
                let problem = "this scenario has no model";
                return Err(Violation::new("config", problem, "`config = 0` or `model = \"...\"`"));
            }
        };
        // What the file says for all was checked before.
        let settings = settings(
            entry.requests.or(self.requests),
            entry.rps.or(self.rps),
            entry.traffic.or(self.traffic),
            entry.rules.or(self.rules),
        )?;
        if let Some(label) = entry.label.as_ref().filter(|label| !Plan::is_label(label)) {
            return Err(no_label(&format!("{label:?}")));
        }
        let model = ScenarioModel::Named(model);
        Ok(ScenarioEntry { label: entry.label.clone(), model, settings })
    }
}

/// The fitted model of a config.
fn config_source(config: u8) -> Result<ModelSource, Violation> {
    match config {
        0..=2 => Ok(ModelSource::Config(config)),
        _ => {
            let problem = format!("config {config} does not exist");
            Err(Violation::new("config", problem, "0, 1 or 2"))
        }
    }
}

/// What a table says, checked; keys are relative to it.
fn settings(
    requests: Option<u64>,
    requests_per_second: Option<f64>,
    traffic: Option<Traffic>,
    rules: Option<Rules>,
) -> Result<Settings, Violation> {
    requests.map_or(Ok(()), check_requests)?;
    requests_per_second.map_or(Ok(()), check_rate)?;
    let (traffic, rules) = (traffic.unwrap_or_default(), rules.unwrap_or_default());
    check_traffic(&traffic)?;
    check_rules(&rules)?;
    Ok(Settings { requests, requests_per_second, traffic, rules })
}

fn no_label(got: &str) -> Violation {
    Violation::new("label", format!("{got} is no label"), "some text without control characters")
}

/// What is wrong with a strategy; `key` is the place of its name, relative to which its parameters
/// stand.
fn strategy_violation(key: &str, error: &SpecError) -> Violation {
    match error {
        SpecError::Unknown { name, suggestion } => {
            let known = StrategySpec::known_names().join(", ");
            let violation = Violation::new(key, format!("unknown strategy \"{name}\""), &known);
            match suggestion {
                Some(name) => violation.with_help(format!("did you mean \"{name}\"?")),
                None => violation,
            }
        }
        SpecError::NotOne { .. } => {
            let violation = Violation::new(key, error.to_string(), "one of the strategies");
            violation.with_help(
                "groups stand in the list at the top of the file: `strategies = [\"all\"]`; the \
                 oracle is always shown",
            )
        }
        SpecError::NoParameter { strategy, key, known } => {
            let known = if known.is_empty() { "no parameter" } else { known };
            Violation::new(key.as_str(), format!("{strategy} has no such parameter"), known)
        }
        SpecError::Value { key, got, expected, .. } => {
            Violation::new(key.as_str(), format!("{got} is not possible"), expected)
        }
        SpecError::NoValue { .. } => Violation::new(key, error.to_string(), "key=value"),
    }
}

/// A `[[strategy]]` table: `name`, optional `label` and `strategy_stream`, parameters.
fn contender(mut table: toml::Table) -> Result<Contender, Violation> {
    let label = match table.remove("label") {
        None => None,
        Some(toml::Value::String(label)) if Plan::is_label(&label) => Some(label),
        Some(other) => return Err(no_label(&other.to_string())),
    };
    let strategy_stream = match table.remove("strategy_stream") {
        None => 0,
        Some(value) => {
            let stream = value.as_integer().and_then(|n| u16::try_from(n).ok());
            stream.ok_or_else(|| {
                let problem = format!("{value} is no stream");
                Violation::new("strategy_stream", problem, "a whole number from 0 to 65535")
            })?
        }
    };
    let Some(name) = table.get("name").and_then(toml::Value::as_str) else {
        let problem = "this strategy has no name";
        return Err(Violation::new("name", problem, "`name = \"thompson\"`, say"));
    };
    let name = name.to_owned();
    table.remove("name");
    let spec = StrategySpec::from_table(&name, &table);
    let spec = spec.map_err(|error| strategy_violation("name", &error))?;
    let contender = Contender { strategy_stream, ..Contender::new(spec) };
    Ok(match label {
        Some(label) => Contender { label, ..contender },
        None => contender,
    })
}

/// A scenario as a TOML file of its own says it, in `experiments/scenarios/`: servers, traffic,
/// rules, horizon. Its name, a sentence in snake case, is the file's stem.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    /// What is to be seen in it.
    pub description: Option<String>,
    /// The scenario, labelled with the file's stem.
    pub entry: ScenarioEntry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenarioFile {
    schema: u32,
    description: Option<String>,
    requests: Option<u64>,
    rps: Option<f64>,
    traffic: Option<Traffic>,
    rules: Option<Rules>,
    config: Option<u8>,
    model_file: Option<PathBuf>,
    model: Option<ModelTables>,
}

impl ScenarioFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Names file, line and key, and how to mend it.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        Self::parse(&Document::read(path)?)
    }

    /// Parses a document.
    pub fn parse(document: &Document) -> Result<Self, DocumentError> {
        let raw: RawScenarioFile = document.parse()?;
        raw.into_scenario(document.stem()).map_err(|v| document.violation(&v))
    }
}

impl RawScenarioFile {
    fn into_scenario(self, label: String) -> Result<ScenarioFile, Violation> {
        check_schema(self.schema)?;
        let settings = settings(self.requests, self.rps, self.traffic, self.rules)?;
        let model = match (self.config, self.model_file, self.model) {
            (Some(config), None, None) => ScenarioModel::Named(config_source(config)?),
            (None, Some(path), None) => ScenarioModel::Named(ModelSource::File(path)),
            (None, None, Some(tables)) => {
                let model = tables.into_model(&label).map_err(|v| v.within("model"))?;
                ScenarioModel::Own(Box::new(model))
            }
            (None, None, None) => {
                let problem = "this scenario has no model";
                let expected = "`config = 0`, `model_file = \"...\"` or a table `[model]`";
                return Err(Violation::new("config", problem, expected));
            }
            _ => {
                let problem = "a scenario has one model, here are two";
                let expected = "either `config`, `model_file` or `[model]`";
                return Err(Violation::new("model", problem, expected));
            }
        };
        let entry = ScenarioEntry { label: Some(label), model, settings };
        Ok(ScenarioFile { description: self.description, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Spike, assert_refused};

    const TEXT: &str = r#"
schema = 1
replications = 500
requests = 200
strategies = ["v1", "v4"]

[[scenario]]
config = 0
[[scenario]]
label = "tight"
model = "models/tight.toml"
requests = 50
rules = { give_up_backlog = 2 }
traffic = { kind = "spike", factor = 8.0, from_s = 1, until_s = 2 }

[[strategy]]
name = "v3"
label = "UCB, c = 1"
c = 1.0
strategy_stream = 3
"#;

    fn parse(text: &str) -> Result<ExperimentFile, DocumentError> {
        ExperimentFile::parse(&Document::from_text("experiments/x.toml", text))
    }

    #[test]
    fn a_scenario_overrides_what_the_file_says_for_all() {
        let experiment = parse(TEXT).unwrap();
        assert_eq!(experiment.name, "x");
        assert_eq!(experiment.scenarios[0].settings.requests, Some(200));
        assert_eq!(experiment.scenarios[1].settings.requests, Some(50));
        assert_eq!(experiment.scenarios[1].settings.rules.give_up_backlog, 2);
        let spike = Spike { factor: 8.0, from_s: 1.0, until_s: 2.0, poisson: false };
        let traffic = [0, 1].map(|i| experiment.scenarios[i].settings.traffic);
        assert_eq!(traffic, [Traffic::Exact, Traffic::Spike(spike)]);
        let labels: Vec<&str> = experiment.contenders.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["V1 larkin", "V4 thompson", "UCB, c = 1"]);
        assert_eq!(experiment.contenders[2].strategy_stream, 3);
    }

    #[test]
    fn mistakes_name_line_key_and_what_was_expected() {
        let cases = [
            ("\"v4\"]", "\"tompson\"]", "x.toml:5:21", "did you mean \"thompson\"?"),
            ("config = 0", "config = 7", "x.toml:8:10", "0, 1 or 2"),
            ("c = 1.0", "d = 1.0", "x.toml:19:5", "c, exclude_tried"),
            ("c = 1.0", "c = -1.0", "x.toml:19:5", "a number from 0 to 1000"),
            ("c = 1.0", "c = \"x\"", "x.toml:19:5", "a number from 0 to 1000"),
            ("requests = 200", "requests = 0", "x.toml:4:12", "from 1 to"),
            ("schema = 1", "schema = 1\nparameter_uncertainty = \"off\"", "x.toml:3:25", "boolean"),
            ("replications = 500", "replications = 0", "x.toml:3:16", "from 1 to"),
            ("give_up_backlog = 2", "give_up_backlog = 0", "x.toml:13:29", "at least 1"),
            ("factor = 8.0", "factor = 0.0", "x.toml:14:38", "0.001..=1000"),
            ("until_s = 2", "until_s = 1", "x.toml:14:65", "above `from_s`"),
            ("from_s = 1", "form_s = 1", "x.toml:14:43", "did you mean `from_s`?"),
            ("\"spike\"", "\"spikes\"", "x.toml:14:", "`spike`"),
            ("name = \"v3\"", "name = \"oracle\"", "x.toml:17:8", "always shown"),
            ("config = 0", "", "scenario.0.config", "`config = 0`"),
            ("replications", "replication", "x.toml:3:1", "did you mean `replications`?"),
        ];
        assert_refused(TEXT, parse, &cases);
    }

    const OF_ITS_OWN: &str = r#"
schema = 1
description = "Two of them."
requests = 50
rps = 20.0
rules = { max_attempts = 6 }

[model]
schema = 1
ports = { first = 4000, count = 2 }
[model.error_rate]
draw = "fixed"
family = "fixed"
values = [0.1, 0.2]
[model.rate_limit]
kind = "none"
[model.latency]
family = "constant"
ms = 1.0
"#;

    fn parse_scenario(text: &str) -> Result<ScenarioFile, DocumentError> {
        ScenarioFile::parse(&Document::from_text("experiments/scenarios/two_of_them.toml", text))
    }

    #[test]
    fn a_file_is_a_scenario_of_its_own() {
        let file = parse_scenario(OF_ITS_OWN).unwrap();
        assert_eq!(file.description.as_deref(), Some("Two of them."));
        assert_eq!(file.entry.label.as_deref(), Some("two_of_them"));
        assert_eq!(file.entry.settings.requests, Some(50));
        assert_eq!(file.entry.settings.rules.max_attempts, Some(6));
        let ScenarioModel::Own(model) = file.entry.model else { panic!("a model of its own") };
        assert_eq!((model.name.as_str(), model.servers()), ("two_of_them", 2));
    }

    #[test]
    fn mistakes_in_a_scenario_of_its_own_do_so_too() {
        let cases = [
            ("values = [0.1, 0.2]", "values = [0.1, 1.2]", ":14:16", "a number in 0..=1"),
            ("values = [0.1, 0.2]", "values = [0.1]", ":14:10", "as many rates as ports.count"),
            ("rps = 20.0", "rps = 0.0", ":5:7", "0.001..=1,000,000"),
            ("rps = 20.0", "rsp = 20.0", ":5:1", "did you mean `rps`?"),
            ("requests = 50", "config = 0", ":8:1", "either `config`, `model_file` or `[model]`"),
            ("max_attempts = 6", "max_attempts = 0", ":6:26", "at least 1"),
        ];
        assert_refused(OF_ITS_OWN, parse_scenario, &cases);
        let message = parse_scenario("schema = 1\nconfig = 3\n").unwrap_err().to_string();
        assert!(message.contains(":2:10") && message.contains("0, 1 or 2"), "{message}");
        let message = parse_scenario("schema = 1\n").unwrap_err().to_string();
        assert!(message.contains("`model_file = \"...\"` or a table `[model]`"), "{message}");
    }
}
