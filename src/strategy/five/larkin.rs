//! V1, explore then exploit: first learn about the server known least, later use the best.
//!
//! Discovery lasts for the first `discover_limit` requests. There, each free attempt goes to
//! the server whose belief Beta(s+1, f+1) has the largest variance
//! ab / ((a+b)^2 (a+b+1)); statistics are updated between attempts. Afterwards, and in every
//! attempt that costs, the server with the highest s/n.
//!
//! Limits: the length of discovery is a guess about the horizon, and a server that was unlucky
//! in discovery is never looked at again.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::EXCLUDE_TRIED;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, Timestamp};
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::parts::{Tallies, candidates, first_max_by};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of V1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LarkinSpec {
    /// Requests spent in discovery (default 50).
    pub discover_limit: u64,
    /// Leave out servers that the request has tried, in free attempts (default false).
    pub exclude_tried: bool,
}

impl Default for LarkinSpec {
    fn default() -> Self {
        Self { discover_limit: 50, exclude_tried: false }
    }
}

impl Declared for LarkinSpec {
    const ENTRY: Entry = Entry {
        name: "larkin",
        alias: Some("v1"),
        group: Group::Five,
        idea: "learn about the server known least for a while, then use the best",
        parameters: &[
            Parameter {
                key: "discover_limit",
                meaning: "requests spent in discovery",
                range: Range::whole(0, 1_000_000_000, (0, 400)),
            },
            EXCLUDE_TRIED,
        ],
    };

    fn build(self, fleet: &Fleet, _rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(Larkin::new(self, fleet.servers()))
    }
}

/// Explore then exploit.
#[derive(Debug)]
pub struct Larkin {
    spec: LarkinSpec,
    tallies: Tallies,
}

impl Larkin {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: LarkinSpec, servers: usize) -> Self {
        Self { spec, tallies: Tallies::new(servers) }
    }
}

impl Strategy for Larkin {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        let tallies = &self.tallies;
        if !request.is_free() {
            return Decision::Send(tallies.best());
        }
        let excluded = candidates(tallies.servers(), self.spec.exclude_tried, request);
        let server = if request.id.0 < self.spec.discover_limit {
            first_max_by(tallies.servers(), excluded, |server| {
                beta_variance(tallies.successes_of(server) + 1.0, tallies.failures_of(server) + 1.0)
            })
        } else {
            first_max_by(tallies.servers(), excluded, |server| {
                tallies.success_rates()[server.index()]
            })
        };
        Decision::Send(server)
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

/// Variance of Beta(a, b).
fn beta_variance(a: f64, b: f64) -> f64 {
    let total = a + b;
    a * b / (total * total * (total + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::parts::testing::{decide, observe};

    #[test]
    fn discovery_goes_round_while_all_are_equally_unknown() {
        let mut larkin = Larkin::new(LarkinSpec::default(), 3);
        for expected in [0, 1, 2] {
            assert_eq!(decide(&mut larkin, 0, &[]), expected);
            observe(&mut larkin, expected, Outcome::Success);
        }
    }

    #[test]
    fn after_discovery_it_stays_with_the_best() {
        let mut larkin = Larkin::new(LarkinSpec { discover_limit: 2, exclude_tried: false }, 3);
        observe(&mut larkin, 1, Outcome::Success);
        observe(&mut larkin, 0, Outcome::Failure);
        assert_eq!(decide(&mut larkin, 1, &[]), 2, "still discovering: 2 is unknown");
        assert_eq!(decide(&mut larkin, 2, &[]), 1);
        assert_eq!(decide(&mut larkin, 2, &[1, 1]), 1, "no exclusion by default");
    }

    #[test]
    fn an_attempt_that_costs_goes_to_the_best_even_in_discovery() {
        let mut larkin = Larkin::new(LarkinSpec::default(), 3);
        observe(&mut larkin, 2, Outcome::Success);
        assert_eq!(decide(&mut larkin, 0, &[0, 1, 0]), 2);
    }
}
