//! V4, Thompson sampling: play each server as often as it is believed to be the best.
//!
//! For each candidate draw a rate from the posterior Beta(s+1, f+1) and take the largest.
//! Thompson (1933), "On the likelihood that one unknown probability exceeds another",
//! Biometrika 25; in this form Chapelle and Li (2011), algorithm 2. Free attempts leave out
//! servers already tried for the request; attempts that cost go to the highest s/n.
//!
//! Limits: assumes fixed rates. Excluding tried servers is right when a server's failures
//! depend on the request, and gives away good second attempts when they do not.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::EXCLUDE_TRIED;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, Timestamp};
use crate::stats::sample;
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::parts::{Tallies, candidates, first_max_by};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of V4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThompsonSpec {
    /// Successes that the prior counts for (default 1, at least 1).
    pub prior_successes: f64,
    /// Failures that the prior counts for (default 1, at least 1).
    pub prior_failures: f64,
    /// Leave out servers that the request has tried, in free attempts (default true).
    pub exclude_tried: bool,
}

impl Default for ThompsonSpec {
    fn default() -> Self {
        Self { prior_successes: 1.0, prior_failures: 1.0, exclude_tried: true }
    }
}

impl Declared for ThompsonSpec {
    const ENTRY: Entry = Entry {
        name: "thompson",
        alias: Some("v4"),
        group: Group::Five,
        idea: "each server as often as it is believed best; the best where attempts cost",
        parameters: &[
            Parameter {
                key: "prior_successes",
                meaning: "successes that the prior counts for",
                range: Range::number(1.0, 1e6, (1.0, 10.0)),
            },
            Parameter {
                key: "prior_failures",
                meaning: "failures that the prior counts for",
                range: Range::number(1.0, 1e6, (1.0, 10.0)),
            },
            EXCLUDE_TRIED,
        ],
    };

    fn build(self, fleet: &Fleet, rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(Thompson::new(self, fleet.servers(), rng))
    }
}

/// Thompson sampling.
#[derive(Debug)]
pub struct Thompson {
    spec: ThompsonSpec,
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl Thompson {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: ThompsonSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self { spec, tallies: Tallies::new(servers), rng }
    }
}

impl Strategy for Thompson {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        let Self { spec, tallies, rng } = self;
        if !request.is_free() {
            return Decision::Send(tallies.best());
        }
        let excluded = candidates(tallies.servers(), spec.exclude_tried, request);
        Decision::Send(first_max_by(tallies.servers(), excluded, |server| {
            let a = tallies.successes_of(server) + spec.prior_successes;
            let b = tallies.failures_of(server) + spec.prior_failures;
            sample::beta(rng, a, b)
        }))
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
    use crate::domain::{Purpose, Streams};
    use crate::strategy::parts::testing::{decide, observe};

    fn thompson(servers: usize) -> Thompson {
        let rng = Streams::new(1).stream(Purpose::Strategy, 0, 0);
        Thompson::new(ThompsonSpec::default(), servers, rng)
    }

    #[test]
    fn settles_on_a_server_that_is_clearly_better() {
        let mut strategy = thompson(2);
        for _ in 0..200 {
            observe(&mut strategy, 0, Outcome::Failure);
            observe(&mut strategy, 1, Outcome::Success);
        }
        assert!((0..100).all(|_| decide(&mut strategy, 0, &[]) == 1));
        assert_eq!(decide(&mut strategy, 0, &[1]), 0, "tried servers are left out");
        assert_eq!(decide(&mut strategy, 0, &[1, 0, 0]), 1, "paid attempts take the best");
    }

    /// Two servers with beliefs Beta(2,1) and Beta(1,2): P(first is larger) = 5/6 exactly.
    /// 4 standard errors: false alarm 6e-5, and the seed is fixed.
    #[test]
    fn plays_a_server_as_often_as_it_is_believed_best() {
        let mut strategy = thompson(2);
        observe(&mut strategy, 0, Outcome::Success);
        observe(&mut strategy, 1, Outcome::Failure);
        let n = 20_000;
        let first = (0..n).filter(|_| decide(&mut strategy, 0, &[]) == 0).count() as f64;
        let p: f64 = 5.0 / 6.0;
        let standard_error = (p * (1.0 - p) / f64::from(n)).sqrt();
        assert!((first / f64::from(n) - p).abs() < 4.0 * standard_error, "{first}");
    }
}
