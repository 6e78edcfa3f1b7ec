//! What to run: scenarios, contenders, replications, master seed.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::Contender;
use crate::world::{Scenario, Violation};

/// Moves when the same plan would give other numbers or other files than before.
const RESULT_VERSION: u32 = 3;

/// A complete experiment. Build it with [`Plan::new`], which checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the experiment; the results folder is called after it.
    pub name: String,
    /// Scenarios, each with a name of its own.
    pub scenarios: Vec<Scenario>,
    /// The oracle, `random`, then the ranked contenders in the order they were named.
    pub contenders: Vec<Contender>,
    /// Replications of every scenario.
    pub replications: u64,
    /// The only source of randomness.
    pub master_seed: u64,
    /// Whether parameters are drawn from the models' posteriors, where they have one.
    pub parameter_uncertainty: bool,
}

/// A plan that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nobody to rank.
    #[error(
        "no strategy to rank: name at least one besides the references `oracle` and `random`, \
         or `all`"
    )]
    NoContender,
    /// Nothing to run in.
    #[error("no scenario to run: name at least one config or model")]
    NoScenario,
    /// Too few or too many replications.
    #[error("{0} replications are not possible: `--seeds` expects a whole number from 1 to 10^9")]
    Replications(u64),
    /// A name that tables cannot show.
    #[error("{0:?} cannot be a label: expected some text without control characters")]
    Label(String),
    /// Two contenders of one name.
    #[error(
        "two strategies are called `{0}`: give one of them another `label` in an experiment file"
    )]
    SameLabel(String),
    /// Two scenarios of one name.
    #[error(
        "two scenarios are called `{0}`: give one of them another `label` in an experiment file"
    )]
    SameScenario(String),
    /// A scenario with a value out of range.
    #[error("scenario `{scenario}`: {}: {}; expected {}{}", .violation.key, .violation.problem,
        .violation.expected, help(.violation))]
    Scenario {
        /// The scenario's name.
        scenario: String,
        /// What is wrong.
        violation: Violation,
    },
}

fn help(violation: &Violation) -> String {
    violation.help.as_ref().map_or_else(String::new, |h| format!(" ({h})"))
}

impl Plan {
    /// How many replications are possible.
    pub const REPLICATIONS: RangeInclusive<u64> = 1..=1_000_000_000;

    /// A plan with the reference rows added; every range checked. Parameters are drawn from
    /// posteriors unless [`with_parameter_uncertainty`](Self::with_parameter_uncertainty) says no.
    pub fn new(
        name: impl Into<String>,
        scenarios: Vec<Scenario>,
        ranked: Vec<Contender>,
        replications: u64,
        master_seed: u64,
    ) -> Result<Self, PlanError> {
        if ranked.is_empty() {
            return Err(PlanError::NoContender);
        }
        if scenarios.is_empty() {
            return Err(PlanError::NoScenario);
        }
        if !Self::REPLICATIONS.contains(&replications) {
            return Err(PlanError::Replications(replications));
        }
        let contenders: Vec<Contender> =
            Contender::references().into_iter().chain(ranked).collect();
        let names = contenders.iter().map(|c| &c.label).chain(scenarios.iter().map(|s| &s.name));
        for name in names {
            if !Self::is_label(name) {
                return Err(PlanError::Label(name.clone()));
            }
        }
        if let Some(label) = first_repeated(contenders.iter().map(|c| c.label.as_str())) {
            return Err(PlanError::SameLabel(label));
        }
        if let Some(name) = first_repeated(scenarios.iter().map(|s| s.name.as_str())) {
            return Err(PlanError::SameScenario(name));
        }
        for scenario in &scenarios {
            scenario.validate().map_err(|violation| PlanError::Scenario {
                scenario: scenario.name.clone(),
                violation,
            })?;
        }
        Ok(Self {
            name: name.into(),
            scenarios,
            contenders,
            replications,
            master_seed,
            parameter_uncertainty: true,
        })
    }

    /// The same with parameters drawn from posteriors, or with the models' point parameters.
    #[must_use]
    pub fn with_parameter_uncertainty(self, parameter_uncertainty: bool) -> Self {
        Self { parameter_uncertainty, ..self }
    }

    /// A scenario as it is played: without its posterior where that is not to be used.
    pub(super) fn played(&self, scenario: usize) -> Cow<'_, Scenario> {
        let scenario = &self.scenarios[scenario];
        if self.parameter_uncertainty {
            return Cow::Borrowed(scenario);
        }
        let model = scenario.model.clone().without_posterior();
        Cow::Owned(Scenario { model, ..scenario.clone() })
    }

    /// Whether tables can show this name.
    pub fn is_label(name: &str) -> bool {
        !name.trim().is_empty() && !name.chars().any(char::is_control)
    }

    /// SHA-256 of everything that the results depend on, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut text = format!(
            "flakelab results {RESULT_VERSION}\nname {:?}\nreplications {}\nmaster_seed {}\n\
             parameter_uncertainty {}\n",
            self.name, self.replications, self.master_seed, self.parameter_uncertainty
        );
        // Writing to a string cannot fail.
        for s in &self.scenarios {
            let _ = writeln!(
                text,
                "scenario {:?} {:?} {} {}\n{}",
                s.name,
                s.traffic,
                s.requests_per_second,
                s.requests,
                s.model.to_toml()
            );
            let _ = writeln!(text, "{}", serde_json::to_string(&s.rules).unwrap_or_default());
        }
        for contender in &self.contenders {
            let json = serde_json::to_string(contender).unwrap_or_default();
            let _ = writeln!(text, "contender {json}");
        }
        sha256_hex(&text)
    }

    /// The name of the results folder: the experiment's name and the start of the hash.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, &self.hash()[..8])
    }
}

/// SHA-256 of a text, in hexadecimal.
pub(super) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first_repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    names.find(|name| !seen.insert(*name)).map(str::to_owned)
}
