//! A scenario as a TOML file of its own, in `experiments/scenarios/`: servers, traffic, rules,
//! horizon. Its name, a sentence in snake case, is the file's stem.
//!
//! ```toml
//! schema = 1
//! description = "What is to be seen here, and why anybody should care."
//! requests = 1000
//! rps = 10.0
//! config = 0          # the fitted model of a config, or a model of its own:
//! # [model]           # everything that a model file may hold
//! ```
//!
//! When not to use it: to vary one thing over known models; an experiment file says that shorter.

use std::path::Path;

use serde::Deserialize;

use super::experiment_file::{ScenarioEntry, ScenarioModel, Settings, check, config_source};
use crate::domain::Rules;
use crate::world::{Document, DocumentError, ModelTables, Traffic, Violation};

/// A scenario as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    /// What is to be seen in it.
    pub description: Option<String>,
    /// The scenario, labelled with the file's stem.
    pub entry: ScenarioEntry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schema: u32,
    description: Option<String>,
    requests: Option<u64>,
    rps: Option<f64>,
    traffic: Option<Traffic>,
    rules: Option<Rules>,
    config: Option<u8>,
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
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(document: &Document) -> Result<Self, DocumentError> {
        let raw: Raw = document.parse()?;
        let stem = document.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        raw.into_scenario(stem).map_err(|v| document.violation(&v))
    }
}

impl Raw {
    fn into_scenario(self, label: String) -> Result<ScenarioFile, Violation> {
        if self.schema != 1 {
            let problem = format!("schema {} is not known", self.schema);
            return Err(Violation::new("schema", problem, "1"));
        }
        check(self.requests, self.rps, self.traffic.as_ref(), self.rules.as_ref())?;
        let model = match (self.config, self.model) {
            (Some(config), None) => ScenarioModel::Named(config_source(config)?),
            (None, Some(tables)) => {
                let model = tables.into_model(&label).map_err(|v| v.within("model"))?;
                ScenarioModel::Own(Box::new(model))
            }
            (Some(_), Some(_)) => {
                let problem = "a scenario has one model, here are two";
                return Err(Violation::new("model", problem, "either `config` or `[model]`"));
            }
            (None, None) => {
                let problem = "this scenario has no model";
                return Err(Violation::new("config", problem, "`config = 0` or a table `[model]`"));
            }
        };
        let settings = Settings {
            requests: self.requests,
            requests_per_second: self.rps,
            traffic: self.traffic.unwrap_or_default(),
            rules: self.rules.unwrap_or_default(),
        };
        let entry = ScenarioEntry { label: Some(label), model, settings };
        Ok(ScenarioFile { description: self.description, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
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

    fn parse(text: &str) -> Result<ScenarioFile, DocumentError> {
        ScenarioFile::parse(&Document::from_text("experiments/scenarios/two_of_them.toml", text))
    }

    #[test]
    fn a_file_is_a_scenario_of_its_own() {
        let file = parse(TEXT).unwrap();
        assert_eq!(file.description.as_deref(), Some("Two of them."));
        assert_eq!(file.entry.label.as_deref(), Some("two_of_them"));
        assert_eq!(file.entry.settings.requests, Some(50));
        assert_eq!(file.entry.settings.rules.max_attempts, Some(6));
        let ScenarioModel::Own(model) = file.entry.model else { panic!("a model of its own") };
        assert_eq!((model.name.as_str(), model.servers()), ("two_of_them", 2));
    }

    #[test]
    fn mistakes_name_line_key_and_what_was_expected() {
        let cases = [
            ("values = [0.1, 0.2]", "values = [0.1, 1.2]", ":14:16", "a number in 0..=1"),
            ("values = [0.1, 0.2]", "values = [0.1]", ":14:10", "as many rates as ports.count"),
            ("rps = 20.0", "rps = 0.0", ":5:7", "0.001..=1,000,000"),
            ("rps = 20.0", "rsp = 20.0", ":5:1", "did you mean `rps`?"),
            ("requests = 50", "config = 0", ":8:1", "either `config` or `[model]`"),
            ("max_attempts = 6", "max_attempts = 0", ":6:26", "at least 1"),
        ];
        for (from, to, place, mend) in cases {
            let message = parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(message.contains(place) && message.contains(mend), "{to}:\n{message}");
        }
        let message = parse("schema = 1\nconfig = 3\n").unwrap_err().to_string();
        assert!(message.contains(":2:10") && message.contains("0, 1 or 2"), "{message}");
        let message = parse("schema = 1\n").unwrap_err().to_string();
        assert!(message.contains("`config = 0` or a table `[model]`"), "{message}");
    }
}
