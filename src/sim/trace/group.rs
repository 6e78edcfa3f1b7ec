//! A group of servers that a recording tells apart: one of the three configs, or somebody's own.

use std::fmt;

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
    pub(crate) fn own(name: &str, servers: Vec<String>) -> Self {
        let ports: Option<Vec<u16>> = servers.iter().map(|label| label.parse().ok()).collect();
        let in_a_row =
            |ports: &Vec<u16>| ports.windows(2).all(|p| p[0].checked_add(1) == Some(p[1]));
        let first = ports.filter(in_a_row).and_then(|ports| ports.first().copied());
        let first_port = first.unwrap_or(PLACEHOLDER_PORT);
        Self { name: name.to_owned(), config: None, first_port, servers }
    }
}

/// Servers of one config, each on a port of its own.
const SERVERS: u16 = 10;

/// One of the three groups of servers that the real binary opens: config 0 (constant error rate), 1
/// (the same and a fixed rate limit) or 2 (the same and a rate limit that changes over time).
/// Traces call them T1, T2, T3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Config(u8);

impl Config {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self(0), Self(1), Self(2)];

    /// The config with this number, 0 to 2.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The config that a trace file calls `T1`, `T2` or `T3`.
    pub fn from_target(target: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|config| config.target() == target)
    }

    /// The config whose servers listen on this port: 4000-4009, 5000-5009 or 6000-6009.
    pub fn from_port(port: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|config| config.server_index(port).is_some())
    }

    /// Its number, 0 to 2.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// What trace files call it.
    pub const fn target(self) -> &'static str {
        match self.0 {
            0 => "T1",
            1 => "T2",
            _ => "T3",
        }
    }

    /// The port of its first server: 4000, 5000 or 6000.
    pub const fn first_port(self) -> u16 {
        4000 + 1000 * self.0 as u16
    }

    /// How many servers it has.
    pub const fn servers(self) -> u16 {
        SERVERS
    }

    /// The position of a port among its servers, from 0; `None` for a port of another config.
    pub fn server_index(self, port: u16) -> Option<usize> {
        let index = port.checked_sub(self.first_port())?;
        (index < SERVERS).then_some(usize::from(index))
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_targets_name_the_same_configs() {
        for (target, port, number) in [("T1", 4000, 0), ("T2", 5009, 1), ("T3", 6004, 2)] {
            let config = Config::from_target(target).unwrap();
            assert_eq!(Config::from_port(port), Some(config));
            assert_eq!(Config::from_number(number), Some(config));
            assert_eq!((config.number(), config.target()), (number, target));
        }
        assert_eq!(Config::ALL[1].server_index(5009), Some(9));
        for port in [0, 3999, 4010, 5010, 6010, u16::MAX] {
            assert_eq!(Config::from_port(port), None, "{port}");
        }
        assert_eq!(Config::from_target("T4"), None);
        assert_eq!(Config::from_number(3), None);
    }
}
