//! The stand-in servers' own log, against which the other two counts are held.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, anyhow};

use super::folder::Folder;
use super::{Plan, servers};
use crate::balancer::ServerCounts;
use crate::domain::Identifier;
use crate::world::Model;

/// What all servers met, over all starts of a run, by identifier.
pub(super) struct ServerLogs {
    met: BTreeMap<String, Vec<(u16, String)>>,
}

impl ServerLogs {
    /// Reads the logs; none if the servers are not ours and keep none that we know.
    pub(super) fn read(plan: &Plan, folder: &Folder) -> anyhow::Result<Option<Self>> {
        if !servers::are_ours(plan) {
            return Ok(None);
        }
        let mut met: BTreeMap<String, Vec<(u16, String)>> = BTreeMap::new();
        for start in 0.. {
            let path = folder.servers_log(start);
            if !path.exists() {
                break;
            }
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            for record in csv::Reader::from_reader(text.as_slice()).records() {
                let record = record.with_context(|| path.display().to_string())?;
                let cell =
                    |i| record.get(i).ok_or_else(|| anyhow!("{}: a short line", path.display()));
                let port = cell(1)?.parse().with_context(|| path.display().to_string())?;
                met.entry(cell(2)?.to_owned()).or_default().push((port, cell(3)?.to_owned()));
            }
        }
        Ok(Some(Self { met }))
    }

    /// What the servers of a model met of these identifiers.
    pub(super) fn counts(
        &self,
        identifiers: impl Iterator<Item = Identifier>,
        model: &Model,
    ) -> Vec<ServerCounts> {
        let mut counts = vec![ServerCounts::default(); model.servers()];
        for (port, outcome) in identifiers.filter_map(|id| self.met.get(id.as_str())).flatten() {
            let index = port.checked_sub(model.ports.first).map(usize::from);
            let Some(server) = index.and_then(|i| counts.get_mut(i)) else { continue };
            server.attempts += 1;
            match outcome.as_str() {
                "success" => server.successes += 1,
                "rate_limited" => server.rate_limited += 1,
                _ => server.failures += 1,
            }
        }
        counts
    }
}
