//! A model: what we believe the servers do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::world::conditions::Conditions;
use crate::world::document::Violation;
use crate::world::error_rate::{Draw, ErrorFamily, ErrorRate};
use crate::world::family::Families;
use crate::world::latency::{Latency, LatencyFamily};
use crate::world::limiter::RateLimit;
use crate::world::posterior::Posterior;
use flakelab_core::domain::{Endpoint, Fleet, MAX_SERVERS};

/// What we believe of a group of servers. Read and written as TOML (`file.rs`).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What to call it in tables: `0` for config 0, else the file's stem.
    pub name: String,
    /// The servers' ports.
    pub ports: Ports,
    /// What a balancer is told of the servers; nothing that they really do.
    pub declared: Declared,
    /// How often attempts fail.
    pub error_rate: ErrorRate,
    /// Who is refused.
    pub rate_limit: RateLimit,
    /// Equally likely limits in place of `rate_limit`, where the traces leave it open.
    pub rate_limit_posterior: Posterior<RateLimit>,
    /// How long attempts take.
    pub latency: Latency,
    /// Capacity, differences between servers, outages.
    pub conditions: Conditions,
    /// Where it comes from: counts, fit quality, `assumed = true` where it is an assumption.
    pub provenance: toml::Table,
}

/// Consecutive TCP ports, one a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The port of server 0.
    pub first: u16,
    /// Number of servers, 1 to [`MAX_SERVERS`].
    pub count: u16,
}

impl Model {
    /// Servers with these error rates, on ports from 4000 on, that answer after 1 ms and refuse
    /// nobody: for examples, tests and embedders. Whatever else a model may say is left at nothing;
    /// change it by struct update:
    ///
    /// ```
    /// use flakelab_sim::world::{Model, RateLimit};
    ///
    /// let limit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
    /// let model = Model { rate_limit: limit, ..Model::of_rates(&[0.1, 0.3, 0.5]) };
    /// ```
    pub fn of_rates(error_rates: &[f64]) -> Self {
        let values = error_rates.to_vec();
        Self {
            name: "example".to_owned(),
            ports: Ports { first: 4000, count: values.len() as u16 },
            declared: Declared::default(),
            error_rate: ErrorRate {
                draw: Draw::Fixed,
                family: ErrorFamily::Fixed { values },
                posterior: Posterior::default(),
            },
            rate_limit: RateLimit::None,
            rate_limit_posterior: Posterior::default(),
            latency: LatencyFamily::Constant { ms: 1.0 }.into(),
            conditions: Conditions::default(),
            provenance: toml::Table::new(),
        }
    }

    /// The same for so many servers whose error rates are drawn anew for each replication.
    pub fn of_population(servers: u16, family: ErrorFamily) -> Self {
        let error_rate =
            ErrorRate { draw: Draw::PerReplication, family, posterior: Posterior::default() };
        let ports = Ports { first: 4000, count: servers };
        Self { ports, error_rate, ..Self::of_rates(&[]) }
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        usize::from(self.ports.count)
    }

    /// What a balancer is told of the servers.
    pub fn fleet(&self) -> Fleet {
        self.declared.fleet(self.ports)
    }

    /// Whether replications meet parameters drawn from what the traces leave open, so that they
    /// differ between draws. Rates that are drawn once for the master seed do not.
    pub fn draws_parameters(&self) -> bool {
        let rates = self.error_rate.draw == Draw::PerReplication;
        rates && !self.error_rate.posterior.is_empty() || !self.rate_limit_posterior.is_empty()
    }

    /// Whether the model says what the traces leave open.
    pub fn has_posterior(&self) -> bool {
        !(self.error_rate.posterior.is_empty() && self.rate_limit_posterior.is_empty())
    }

    /// The same with its point parameters alone.
    #[must_use]
    pub fn without_posterior(mut self) -> Self {
        self.error_rate.posterior = Posterior::default();
        self.rate_limit_posterior = Posterior::default();
        self
    }

    /// Whether servers refuse, in some replication at least.
    pub fn has_rate_limit(&self) -> bool {
        let common = match self.rate_limit_posterior.rows() {
            [] => std::slice::from_ref(&self.rate_limit),
            rows => rows,
        };
        let own = self.conditions.overrides.iter().filter_map(|of| of.rate_limit.as_ref());
        common.iter().chain(own).any(|limit| !limit.is_none())
    }

    /// What the model merely assumes: `reason` of its provenance when that says `assumed = true`.
    pub fn assumed(&self) -> Option<String> {
        let assumed = self.provenance.get("assumed").and_then(toml::Value::as_bool)?;
        let reason = self.provenance.get("reason").and_then(toml::Value::as_str);
        assumed.then(|| reason.unwrap_or("the model is an assumption").to_owned())
    }

    /// Checks every range; keys are those of the TOML file.
    pub fn validate(&self) -> Result<(), Violation> {
        self.ports.validate().map_err(|v| v.within("ports"))?;
        self.declared.validate(self.ports).map_err(|v| v.within("servers"))?;
        self.error_rate.validate(self.servers()).map_err(|v| v.within("error_rate"))?;
        self.rate_limit.validate().map_err(|v| v.within("rate_limit"))?;
        let limits = self.rate_limit_posterior.validate();
        limits.map_err(|v| v.within("rate_limit.posterior"))?;
        self.latency.validate().map_err(|v| v.within("latency"))?;
        self.conditions.validate(self.servers())
    }
}

impl Ports {
    fn validate(&self) -> Result<(), Violation> {
        let count = usize::from(self.count);
        if count == 0 || count > MAX_SERVERS {
            let problem = format!("{count} servers are not possible");
            return Err(Violation::new("count", problem, "a whole number from 1 to 16,384"));
        }
        if self.first == 0 || usize::from(self.first) + count - 1 > usize::from(u16::MAX) {
            let problem = format!("{count} ports from {} on do not exist", self.first);
            return Err(Violation::new("first", problem, "ports within 1..=65535"));
        }
        Ok(())
    }
}

/// The `[servers]` table: what a balancer is told of the servers, each list empty or one entry a
/// server in order of ports.
///
/// These are declarations of an operator. They change nothing of what servers do; strategies that
/// ask for them get them as a [`Fleet`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// Shares of the load, relative to each other; above 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Requests that servers can work on at a time; at least 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capacities: Vec<u32>,
    /// Health below which servers are avoided, 0 to 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health_thresholds: Vec<f64>,
    /// Anything else, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<BTreeMap<String, String>>,
}

impl Declared {
    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a balancer is told of servers at these ports.
    pub fn fleet(&self, ports: Ports) -> Fleet {
        let uniform = Fleet::uniform(usize::from(ports.count));
        if self.is_empty() {
            return uniform;
        }
        // A model that was validated has no impossible declaration.
        Fleet::new(self.endpoints(ports)).unwrap_or(uniform)
    }

    fn endpoints(&self, ports: Ports) -> Vec<Endpoint> {
        let endpoint = |i: usize| Endpoint {
            address: format!("127.0.0.1:{}", usize::from(ports.first) + i),
            weight: self.weights.get(i).copied().unwrap_or(1.0),
            capacity: self.capacities.get(i).copied(),
            health_threshold: self.health_thresholds.get(i).copied(),
            metadata: self.metadata.get(i).cloned().unwrap_or_default(),
        };
        (0..usize::from(ports.count)).map(endpoint).collect()
    }

    /// Checks lengths and ranges; keys are relative to the `[servers]` table.
    pub(crate) fn validate(&self, ports: Ports) -> Result<(), Violation> {
        let servers = usize::from(ports.count);
        for (key, length) in [
            ("weights", self.weights.len()),
            ("capacities", self.capacities.len()),
            ("health_thresholds", self.health_thresholds.len()),
            ("metadata", self.metadata.len()),
        ] {
            if length != 0 && length != servers {
                let problem = format!("{length} entries for {servers} servers");
                return Err(Violation::new(key, problem, "as many entries as ports.count"));
            }
        }
        Fleet::new(self.endpoints(ports)).map(|_| ()).map_err(|error| {
            let list = match error.key {
                "weight" => "weights",
                "capacity" => "capacities",
                _ => "health_thresholds",
            };
            let place = format!("{list}.{}", error.server);
            Violation::new(place, format!("{} is out of range", error.got), error.expected)
        })
    }
}

/// The model in a text that is called m.toml.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Result<Model, String> {
    use crate::world::document::Document;
    Model::parse("m", &Document::from_text("m.toml", text)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::parsed as parse;
    use super::*;
    use flakelab_core::domain::ServerId;

    const MODEL: &str = r#"
schema = 1
ports = { first = 4000, count = 2 }
[error_rate]
draw = "fixed"
family = "fixed"
values = [0.1, 0.2]
[rate_limit]
kind = "none"
[latency]
family = "constant"
ms = 1.0
"#;

    const SERVERS: &str = r#"
[servers]
weights = [2.0, 1.0]
capacities = [8, 4]
health_thresholds = [0.5, 0.25]
metadata = [{ zone = "a" }, { zone = "b", rack = "7" }]
"#;

    #[test]
    fn a_table_of_servers_becomes_a_fleet_and_reads_back_the_same() {
        let model = parse(&format!("{MODEL}{SERVERS}")).unwrap();
        assert_eq!(parse(&model.to_toml()).unwrap(), model);
        let fleet = model.fleet();
        assert_eq!((fleet.weight(ServerId(0)), fleet.capacity(ServerId(1))), (2.0, Some(4)));
        assert_eq!(fleet.health_threshold(ServerId(1)), Some(0.25));
        let second = &fleet.declared()[1];
        assert_eq!((&*second.address, &*second.metadata["zone"]), ("127.0.0.1:4001", "b"));
    }

    #[test]
    fn without_the_table_nothing_is_declared_or_written() {
        let model = parse(MODEL).unwrap();
        assert_eq!(model.fleet(), Fleet::uniform(2));
        assert!(!model.to_toml().contains("servers"));
        // A part of the table is enough.
        let model = parse(&format!("{MODEL}[servers]\nweights = [3, 1]\n")).unwrap();
        assert_eq!(model.fleet().weight(ServerId(0)), 3.0);
        assert_eq!(model.fleet().capacity(ServerId(0)), None);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (table, place, mend) in [
            ("weights = [1.0]", "weights", "as many entries as ports.count"),
            ("weights = [1.0, 0.0]", "weights.1", "above 0"),
            ("capacities = [0, 1]", "capacities.0", "at least 1"),
            ("health_thresholds = [0.5, 1.5]", "health_thresholds.1", "0 to 1"),
            ("wieghts = [1.0, 1.0]", "wieghts", "weights"),
        ] {
            let error = parse(&format!("{MODEL}[servers]\n{table}\n")).unwrap_err();
            assert!(error.contains("m.toml:14:"), "{table}:\n{error}");
            assert!(error.contains(place) && error.contains(mend), "{table}:\n{error}");
        }
    }
}
