//! V3, UCB that knows attempts are free at first: explore widely there, exploit afterwards.
//!
//! Free attempts leave out servers already tried for the request, take untried servers first
//! and then the highest s/n + c sqrt(ln t / n), UCB1's index (see `ucb1`) with an exploration
//! weight c (sqrt 2 would be UCB1's). Attempts that cost go to the highest s/n.
//!
//! Limits: with c = 3 it explores far longer than short runs repay; excluding tried servers
//! gives away good second attempts when failures are independent.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ucb1::highest_index;

use super::EXCLUDE_TRIED;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, Timestamp};
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::parts::{Tallies, candidates};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of V3.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UcbFreeSpec {
    /// Exploration weight (default 3, at least 0).
    pub c: f64,
    /// Leave out servers that the request has tried, in free attempts (default true).
    pub exclude_tried: bool,
}

impl Default for UcbFreeSpec {
    fn default() -> Self {
        Self { c: 3.0, exclude_tried: true }
    }
}

impl Declared for UcbFreeSpec {
    const ENTRY: Entry = Entry {
        name: "ucb-free",
        alias: Some("v3"),
        group: Group::Five,
        idea: "UCB with a wide margin in free attempts, the best in those that cost",
        parameters: &[
            Parameter {
                key: "c",
                meaning: "weight of exploration",
                range: Range::number(0.0, 1000.0, (0.0, 4.0)),
            },
            EXCLUDE_TRIED,
        ],
    };

    fn build(self, fleet: &Fleet, _rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(UcbFree::new(self, fleet.servers()))
    }
}

/// UCB with free attempts.
#[derive(Debug)]
pub struct UcbFree {
    spec: UcbFreeSpec,
    tallies: Tallies,
}

impl UcbFree {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: UcbFreeSpec, servers: usize) -> Self {
        Self { spec, tallies: Tallies::new(servers) }
    }
}

impl Strategy for UcbFree {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        if !request.is_free() {
            return Decision::Send(self.tallies.best());
        }
        let excluded = candidates(self.tallies.servers(), self.spec.exclude_tried, request);
        Decision::Send(highest_index(&self.tallies, excluded, 1.0, self.spec.c))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::parts::testing::{decide, observe};

    #[test]
    fn free_attempts_leave_out_tried_servers_and_paid_ones_take_the_best() {
        let mut ucb = UcbFree::new(UcbFreeSpec::default(), 3);
        for server in [0, 1, 2] {
            observe(
                &mut ucb,
                server,
                if server == 1 { Outcome::Success } else { Outcome::Failure },
            );
        }
        assert_eq!(decide(&mut ucb, 0, &[]), 1);
        assert_eq!(decide(&mut ucb, 0, &[1]), 0);
        assert_eq!(decide(&mut ucb, 0, &[1, 0]), 2);
        assert_eq!(decide(&mut ucb, 0, &[1, 0, 2]), 1);
    }
}
