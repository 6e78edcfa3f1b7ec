//! A model: what we believe the servers do.

use super::{Latency, RateLimit, Violation};
use crate::domain::MAX_SERVERS;

/// What we believe of a group of servers. Read and written as TOML (see `model_file`).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What to call it in tables: `0` for config 0, else the file's stem.
    pub name: String,
    /// The servers' ports.
    pub ports: Ports,
    /// How often attempts fail.
    pub error_rate: ErrorRate,
    /// Who is refused.
    pub rate_limit: RateLimit,
    /// How long attempts take.
    pub latency: Latency,
    /// Where it comes from: counts, fit quality, `assumed = true` where it is an assumption.
    pub provenance: toml::Table,
}

/// Consecutive TCP ports, one a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The port of server 0.
    pub first: u16,
    /// Number of servers, 1 to [`MAX_SERVERS`].
    pub count: u16,
}

/// The servers' error rates: the probability that an accepted attempt fails.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorRate {
    /// How often rates are drawn.
    pub draw: Draw,
    /// The population that they are drawn from.
    pub family: ErrorFamily,
}

/// How often error rates are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Anew for each replication, as the real binary does at each start.
    PerReplication,
    /// Once for the master seed; all replications meet the same servers.
    Fixed,
}

/// A population of error rates.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorFamily {
    /// Uniform on [low, high].
    Uniform {
        /// Lowest rate.
        low: f64,
        /// Highest rate.
        high: f64,
    },
    /// Beta(alpha, beta).
    Beta {
        /// First shape.
        alpha: f64,
        /// Second shape.
        beta: f64,
    },
    /// These rates, one a server.
    Fixed {
        /// Rates in order of ports.
        values: Vec<f64>,
    },
}

impl Model {
    /// Number of servers.
    pub fn servers(&self) -> usize {
        usize::from(self.ports.count)
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
        self.error_rate.family.validate(self.servers()).map_err(|v| v.within("error_rate"))?;
        self.rate_limit.validate().map_err(|v| v.within("rate_limit"))?;
        self.latency.validate().map_err(|v| v.within("latency"))
    }
}

impl Ports {
    fn validate(&self) -> Result<(), Violation> {
        let count = usize::from(self.count);
        if count == 0 || count > MAX_SERVERS {
            let problem = format!("{count} servers are not possible");
            return Err(Violation::new("count", problem, "a whole number from 1 to 128"));
        }
        if self.first == 0 || usize::from(self.first) + count - 1 > usize::from(u16::MAX) {
            let problem = format!("{count} ports from {} on do not exist", self.first);
            return Err(Violation::new("first", problem, "ports within 1..=65535"));
        }
        Ok(())
    }
}

impl ErrorFamily {
    fn validate(&self, servers: usize) -> Result<(), Violation> {
        match self {
            Self::Uniform { low, high } => {
                probability("low", *low)?;
                probability("high", *high)?;
                if low > high {
                    let problem = format!("low = {low} is above high = {high}");
                    return Err(Violation::new("low", problem, "at most `high`"));
                }
                Ok(())
            }
            Self::Beta { alpha, beta } => {
                for (key, value) in [("alpha", *alpha), ("beta", *beta)] {
                    if !(1e-3..=1e6).contains(&value) {
                        let problem = format!("{value} is out of range");
                        return Err(Violation::new(key, problem, "a number in 0.001..=1,000,000"));
                    }
                }
                Ok(())
            }
            Self::Fixed { values } => {
                if values.len() != servers {
                    let problem = format!("{} rates for {servers} servers", values.len());
                    let expected = "as many rates as ports.count";
                    return Err(Violation::new("values", problem, expected));
                }
                (0..)
                    .zip(values)
                    .try_for_each(|(i, p): (usize, _)| probability(&format!("values.{i}"), *p))
            }
        }
    }
}

fn probability(key: &str, p: f64) -> Result<(), Violation> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    let violation = Violation::new(key, format!("{p} is no probability"), "a number in 0..=1");
    Err(if p > 1.0 && p <= 100.0 {
        let share = format!("{:.6}", p / 100.0);
        violation.with_help(format!("{p} % is written {}", share.trim_end_matches('0')))
    } else {
        violation
    })
}
