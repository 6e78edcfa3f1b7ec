//! A group of servers that a recording tells apart: one of the three configs, or somebody's own.

use super::Config;

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
}
