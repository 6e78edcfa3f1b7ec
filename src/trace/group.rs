//! A group of servers that a recording tells apart: one of the three configs, or somebody's own.

use super::Config;

/// Stands for ports that nobody knows.
const PLACEHOLDER_PORT: u16 = 4000;

/// Servers of one kind, each with a position from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What to call it: `0`, `1`, `2` for the configs, else the name that the user gave.
    pub name: String,
    /// The config, if it is one.
    pub config: Option<Config>,
    /// The port of its first server; of somebody's own servers with other addresses, a
    /// placeholder.
    pub first_port: u16,
    /// What the recording calls each server, in order of position: a port or an address.
    pub servers: Vec<String>,
}

impl Group {
    /// The servers of a config.
    #[must_use]
    pub fn of_config(config: Config) -> Self {
        let ports = config.first_port()..config.first_port() + config.servers();
        Self {
            name: config.to_string(),
            config: Some(config),
            first_port: config.first_port(),
            servers: ports.map(|port| port.to_string()).collect(),
        }
    }

    /// A group of somebody's own, with what the recordings call its servers, in order.
    pub(super) fn own(name: &str, servers: Vec<String>) -> Self {
        let ports: Option<Vec<u16>> = servers.iter().map(|label| label.parse().ok()).collect();
        let in_a_row =
            |ports: &Vec<u16>| ports.windows(2).all(|p| p[0].checked_add(1) == Some(p[1]));
        let first = ports.filter(in_a_row).and_then(|ports| ports.first().copied());
        let first_port = first.unwrap_or(PLACEHOLDER_PORT);
        Self { name: name.to_owned(), config: None, first_port, servers }
    }
}
