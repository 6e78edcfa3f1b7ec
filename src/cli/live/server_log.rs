//! The stand-in servers' own log, against which the other two counts are held.

use std::collections::BTreeMap;
use std::fs;

use super::folder::Folder;
use super::{LivePlan, servers};
use crate::balancer::ServerCounts;
use crate::domain::Identifier;
use crate::world::Model;

/// What all servers met, over all starts of a run, by identifier.
pub(super) struct ServerLogs {
    met: BTreeMap<String, Vec<(u16, String)>>,
}

impl ServerLogs {
    /// Reads the logs; none if the servers are not ours and keep none that we know. A process that
    /// was killed leaves half a line, which is left out.
    pub(super) fn read(plan: &LivePlan, folder: &Folder) -> Option<Self> {
        if !servers::are_ours(plan) {
            return None;
        }
        let mut met: BTreeMap<String, Vec<(u16, String)>> = BTreeMap::new();
        let logs = (0..).map(|start| folder.servers_log(start)).take_while(|path| path.exists());
        for path in logs {
            let mut text = fs::read(&path).unwrap_or_default();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            text.truncate(whole);
            for record in csv::Reader::from_reader(text.as_slice()).records().flatten() {
                let port = record.get(1).and_then(|port| port.parse().ok());
                if let (Some(port), Some(id), Some(outcome)) = (port, record.get(2), record.get(3))
                {
                    met.entry(id.to_owned()).or_default().push((port, outcome.to_owned()));
                }
            }
        }
        Some(Self { met })
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
