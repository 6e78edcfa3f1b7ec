//! The `[servers]` table of a model: what a balancer is told of the servers.
//!
//! Weights, capacities, thresholds and metadata are declarations of an operator. They change
//! nothing of what servers do; strategies that ask for them get them as a [`Fleet`].
//!
//! When not to use it: for how much work servers can really do at a time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Ports, Violation};
use crate::domain::{Endpoint, Fleet};

/// Declarations, each list empty or one entry a server in order of ports.
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
    pub(super) fn validate(&self, ports: Ports) -> Result<(), Violation> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ServerId;
    use crate::world::{Document, Model};

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

    fn parse(text: String) -> Result<Model, String> {
        Model::parse("m", &Document::from_text("m.toml", text)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_table_of_servers_becomes_a_fleet_and_reads_back_the_same() {
        let model = parse(format!("{MODEL}{SERVERS}")).unwrap();
        assert_eq!(parse(model.to_toml()).unwrap(), model);
        let fleet = model.fleet();
        assert_eq!((fleet.weight(ServerId(0)), fleet.capacity(ServerId(1))), (2.0, Some(4)));
        assert_eq!(fleet.health_threshold(ServerId(1)), Some(0.25));
        let second = &fleet.declared()[1];
        assert_eq!(
            (second.address.as_str(), second.metadata["zone"].as_str()),
            ("127.0.0.1:4001", "b")
        );
    }

    #[test]
    fn without_the_table_nothing_is_declared_or_written() {
        let model = parse(MODEL.to_owned()).unwrap();
        assert_eq!(model.fleet(), Fleet::uniform(2));
        assert!(!model.to_toml().contains("servers"));
    }

    #[test]
    fn a_part_of_the_table_is_enough() {
        let model = parse(format!("{MODEL}[servers]\nweights = [3, 1]\n")).unwrap();
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
            let error = parse(format!("{MODEL}[servers]\n{table}\n")).unwrap_err();
            assert!(error.contains("m.toml:14:"), "{table}:\n{error}");
            assert!(error.contains(place) && error.contains(mend), "{table}:\n{error}");
        }
    }
}
