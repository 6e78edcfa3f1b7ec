//! A model: what we believe the servers do.

use super::{
    Conditions, Declared, Draw, ErrorRate, Families, Latency, Posterior, RateLimit, Violation,
};
use crate::domain::{Fleet, MAX_SERVERS};
use serde::{Deserialize, Serialize};

/// What we believe of a group of servers. Read and written as TOML (see `model_file`).
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
