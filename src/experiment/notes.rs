//! What strategies that watch load and health tell of their runs, over replications.

use super::row::{RowNotes, SELECTIONS_SHOWN};
use super::summary::{Mean, NotesSummary, SwitchOfRun};
use crate::balancer::Ledger;
use crate::stats::Moments;
use crate::strategy::Notes;

/// Switches are shown of so many first replications.
const REPLICATIONS_SHOWN: u64 = 3;

/// So many first switches of each.
const SWITCHES_SHOWN: usize = 12;

/// The numbers of one contender, growing replication by replication.
#[derive(Debug, Default)]
pub(super) struct NotesSums {
    runs: u64,
    filtered_by_health: Moments,
    switches: Moments,
    load_variance: Moments,
    busiest_share: Moments,
    selections: Vec<u64>,
    first_switches: Vec<SwitchOfRun>,
}

impl NotesSums {
    /// Takes in one run, and gives it back as a row.
    pub(super) fn push(&mut self, replication: u64, notes: &Notes, ledger: &Ledger) -> RowNotes {
        let selections = ledger.servers.iter().map(|server| server.attempts);
        let busiest = selections.clone().max().unwrap_or(0);
        let listed = ledger.servers.len() <= SELECTIONS_SHOWN;
        let row = RowNotes {
            filtered_by_health: notes.filtered_by_health,
            switches: notes.switched,
            load_variance: notes.load_variance,
            busiest_share: busiest as f64 / (ledger.attempts as f64).max(1.0),
            selections: if listed { selections.collect() } else { Vec::new() },
        };
        self.runs += 1;
        self.filtered_by_health.push(row.filtered_by_health as f64);
        self.switches.push(row.switches as f64);
        self.load_variance.push(row.load_variance);
        self.busiest_share.push(row.busiest_share);
        self.selections.resize(row.selections.len(), 0);
        for (sum, own) in self.selections.iter_mut().zip(&row.selections) {
            *sum += own;
        }
        if replication < REPLICATIONS_SHOWN {
            let shown = notes.switches.iter().take(SWITCHES_SHOWN).map(|switch| SwitchOfRun {
                replication,
                at_s: switch.at.as_secs_f64(),
                from: switch.from,
                to: switch.to,
                reason: switch.reason.clone(),
            });
            self.first_switches.extend(shown);
        }
        row
    }

    /// The final numbers; none if no run had any.
    pub(super) fn summarise(&self) -> Option<NotesSummary> {
        (self.runs > 0).then(|| NotesSummary {
            filtered_by_health: Mean::of(&self.filtered_by_health),
            switches: Mean::of(&self.switches),
            load_variance: Mean::of(&self.load_variance),
            busiest_share: Mean::of(&self.busiest_share),
            selections: self.selections.iter().map(|n| *n as f64 / self.runs as f64).collect(),
            first_switches: self.first_switches.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::strategy::Switch;

    #[test]
    fn sums_runs_and_keeps_the_switches_of_the_first() {
        let mut sums = NotesSums::default();
        assert_eq!(sums.summarise(), None, "nothing told is nothing shown");
        let mut ledger = Ledger::new(2);
        ledger.attempts = 10;
        ledger.servers[0].attempts = 3;
        ledger.servers[1].attempts = 7;
        let switch = Switch {
            at: Timestamp::from_secs_f64(1.5),
            from: "a",
            to: "b",
            reason: "c".to_owned(),
        };
        let notes = |filtered_by_health| Notes {
            filtered_by_health,
            load_variance: 0.25,
            switched: 1,
            switches: vec![switch.clone()],
        };
        let row = sums.push(0, &notes(4), &ledger);
        assert_eq!((row.busiest_share, row.selections), (0.7, vec![3, 7]));
        sums.push(REPLICATIONS_SHOWN, &notes(6), &ledger);
        let summary = sums.summarise().unwrap();
        assert_eq!((summary.filtered_by_health.mean, summary.load_variance.mean), (5.0, 0.25));
        assert_eq!(summary.selections, [3.0, 7.0]);
        assert_eq!(summary.first_switches.len(), 1);
        assert_eq!(summary.first_switches[0].at_s, 1.5);
    }
}
