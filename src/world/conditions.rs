//! What servers are under beside their coins and their limit: capacity, differences from each
//! other, outages. A model without any of it has [`Conditions::default`].

use super::capacity::Capacity;
use super::outage::{Outage, indices};
use super::{Families, RateLimit, Violation};

/// What the tables `[capacity]`, `[[server]]` and `[[outage]]` of a model say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Slots and queue of every server; without it, servers work on all attempts at once.
    pub capacity: Option<Capacity>,
    /// In what some servers differ from the others.
    pub overrides: Vec<ServerOverride>,
    /// When servers are dark.
    pub outages: Vec<Outage>,
}

/// In what some servers differ from what the rest of the model says; what is absent does not differ.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerOverride {
    /// Their indices, from 0. No server is named by two overrides.
    pub servers: Vec<u16>,
    /// Accepted attempts take so many times as long, outages apart.
    pub latency_factor: Option<f64>,
    /// Their limit in place of the model's (and of the rows of its posterior).
    pub rate_limit: Option<RateLimit>,
    /// Their slots and queue in place of the model's.
    pub capacity: Option<Capacity>,
}

impl Conditions {
    /// Whether there is nothing of the kind.
    pub fn is_none(&self) -> bool {
        self.capacity.is_none() && self.overrides.is_empty() && self.outages.is_empty()
    }

    /// Whether some server works on a limited number of attempts at a time.
    pub fn has_capacity(&self) -> bool {
        self.capacity.is_some() || self.overrides.iter().any(|of| of.capacity.is_some())
    }

    /// The override of each of so many servers; empty if there are none at all.
    pub(super) fn by_server(&self, servers: usize) -> Vec<Option<&ServerOverride>> {
        if self.overrides.is_empty() {
            return Vec::new();
        }
        let mut by_server = vec![None; servers];
        for of in &self.overrides {
            for server in &of.servers {
                if let Some(place) = by_server.get_mut(usize::from(*server)) {
                    *place = Some(of);
                }
            }
        }
        by_server
    }

    /// The limit of each of so many servers of which `others` have no limit of their own.
    pub fn limits<'a>(
        &'a self,
        others: &'a RateLimit,
        servers: usize,
    ) -> impl Iterator<Item = &'a RateLimit> {
        let overrides = self.by_server(servers);
        (0..servers).map(move |server| {
            let of = overrides.get(server).copied().flatten();
            of.and_then(|of| of.rate_limit.as_ref()).unwrap_or(others)
        })
    }

    /// The capacity of each of so many servers.
    pub(super) fn capacities(&self, servers: usize) -> impl Iterator<Item = Option<&Capacity>> {
        let overrides = self.by_server(servers);
        (0..servers).map(move |server| {
            let of = overrides.get(server).copied().flatten();
            of.and_then(|of| of.capacity.as_ref()).or(self.capacity.as_ref())
        })
    }

    /// Checks every range; keys are those of the model file.
    pub(super) fn validate(&self, servers: usize) -> Result<(), Violation> {
        if let Some(capacity) = &self.capacity {
            capacity.validate().map_err(|v| v.within("capacity"))?;
        }
        let mut named = vec![false; servers];
        for (i, of) in self.overrides.iter().enumerate() {
            of.validate(servers, &mut named).map_err(|v| v.within(&format!("server.{i}")))?;
        }
        for (i, outage) in self.outages.iter().enumerate() {
            outage.validate(servers).map_err(|v| v.within(&format!("outage.{i}")))?;
        }
        Ok(())
    }
}

impl ServerOverride {
    /// `named` are the servers that other overrides name.
    fn validate(&self, servers: usize, named: &mut [bool]) -> Result<(), Violation> {
        indices(&self.servers, servers)?;
        for (i, server) in self.servers.iter().enumerate() {
            if std::mem::replace(&mut named[usize::from(*server)], true) {
                let problem = format!("another [[server]] table names server {server}, too");
                let violation =
                    Violation::new(format!("servers.{i}"), problem, "each server in one table");
                return Err(violation.with_help("put all its keys into one table"));
            }
        }
        if let Some(factor) = self.latency_factor
            && !(1e-3..=1e6).contains(&factor)
        {
            let problem = format!("{factor} is out of range");
            return Err(Violation::new("latency_factor", problem, "a number in 0.001..=1,000,000"));
        }
        if let Some(limit) = &self.rate_limit {
            limit.validate().map_err(|v| v.within("rate_limit"))?;
        }
        match &self.capacity {
            Some(capacity) => capacity.validate().map_err(|v| v.within("capacity")),
            None => Ok(()),
        }
    }
}
