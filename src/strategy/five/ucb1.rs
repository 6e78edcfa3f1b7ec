//! V2, UCB1: try the server whose success rate could plausibly be highest.
//!
//! index = s/n + sqrt(2 ln t / n). Auer, Cesa-Bianchi and Fischer (2002), "Finite-time
//! Analysis of the Multiarmed Bandit Problem", Machine Learning 47, figure 1.
//! Untried servers come first. It knows nothing of free attempts: every attempt is a pull.
//!
//! Limits: assumes fixed rates, and explores more than a few hundred requests repay.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::EXCLUDE_TRIED;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::declared::{Declared, Entry, Group};
use crate::strategy::parts::{Tallies, candidates, first_max_by};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of V2.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ucb1Spec {
    /// When true, free attempts leave out servers that the request has tried, and attempts
    /// that cost go to the server with the highest s/n (default false).
    pub exclude_tried: bool,
}

impl Declared for Ucb1Spec {
    const ENTRY: Entry = Entry {
        name: "ucb1",
        alias: Some("v2"),
        group: Group::Five,
        idea: "the server whose success rate could plausibly be highest",
        parameters: &[EXCLUDE_TRIED],
    };

    fn build(self, fleet: &Fleet, _rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(Ucb1::new(self, fleet.servers()))
    }
}

/// UCB1.
#[derive(Debug)]
pub struct Ucb1 {
    spec: Ucb1Spec,
    tallies: Tallies,
}

impl Ucb1 {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: Ucb1Spec, servers: usize) -> Self {
        Self { spec, tallies: Tallies::new(servers) }
    }
}

impl Strategy for Ucb1 {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        if self.spec.exclude_tried && !request.is_free() {
            return Decision::Send(self.tallies.best());
        }
        let excluded = candidates(self.tallies.servers(), self.spec.exclude_tried, request);
        Decision::Send(highest_index(&self.tallies, excluded, 2.0, 1.0))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

/// The candidate with the highest s/n + c sqrt(width ln t / n), untried candidates first.
#[inline]
pub(super) fn highest_index(
    tallies: &Tallies,
    excluded: &ServerSet,
    width: f64,
    c: f64,
) -> ServerId {
    if !tallies.all_tried() {
        let untried = ServerId::all(tallies.servers())
            .find(|s| !excluded.contains(*s) && tallies.attempts_of(*s) == 0.0);
        if let Some(server) = untried {
            return server;
        }
    }
    let numerator = width * libm::log(tallies.total() as f64);
    let (attempts, rates) = (tallies.attempts(), tallies.success_rates());
    first_max_by(tallies.servers(), excluded, |server| {
        let i = server.index();
        rates[i] + c * (numerator / attempts[i]).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::parts::testing::{decide, observe};

    #[test]
    fn tries_every_server_once_before_repeating() {
        let mut ucb1 = Ucb1::new(Ucb1Spec::default(), 3);
        for expected in [0, 1, 2] {
            assert_eq!(decide(&mut ucb1, 0, &[]), expected);
            observe(&mut ucb1, expected, Outcome::Success);
        }
    }

    #[test]
    fn prefers_the_uncertain_server_when_means_are_equal() {
        let mut ucb1 = Ucb1::new(Ucb1Spec::default(), 2);
        for server in [0, 0, 0, 0, 1, 1] {
            observe(&mut ucb1, server, Outcome::Success);
        }
        assert_eq!(decide(&mut ucb1, 0, &[]), 1);
        assert_eq!(decide(&mut ucb1, 0, &[1]), 1, "does not exclude by default");
    }

    #[test]
    fn with_exclusion_a_paid_attempt_goes_to_the_best() {
        let mut ucb1 = Ucb1::new(Ucb1Spec { exclude_tried: true }, 2);
        observe(&mut ucb1, 0, Outcome::Failure);
        observe(&mut ucb1, 1, Outcome::Success);
        assert_eq!(decide(&mut ucb1, 0, &[1]), 0);
        assert_eq!(decide(&mut ucb1, 0, &[1, 0, 1]), 1);
    }
}
