//! Bayes-UCB: the server whose belief has the highest upper quantile.
//!
//! index = Q(1 - 1 / (t (ln T)^c), Beta(s+1, f+1)), where t counts attempts from 1 (the one to
//! decide on included) and Q(p, .) is the p-quantile. E. Kaufmann, O. Cappé and A. Garivier (2012),
//! "On Bayesian Upper Confidence Bounds for Bandit Problems", AISTATS, algorithm 1. Their proof
//! takes c >= 5 and a known horizon T; they recommend c = 0 in practice, which needs no horizon and
//! is the rule here. `quantile_factor`, which is not in the paper, makes the tail `quantile_factor`
//! / t.
//!
//! Limits: assumes fixed rates; a quantile costs microseconds where a draw costs a tenth of one.
//! Most are never computed: a server's quantile lies below the highest so far exactly if its upper
//! tail there is lighter than 1/t, which takes one incomplete beta function instead of an inverse.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, Timestamp};
use crate::stats::special::{inc_beta, inv_inc_beta};
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::parts::Tallies;
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of `bayes-ucb`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BayesUcbSpec {
    /// The upper tail is this over t (default 1, above 0).
    pub quantile_factor: f64,
}

impl Default for BayesUcbSpec {
    fn default() -> Self {
        Self { quantile_factor: 1.0 }
    }
}

impl Declared for BayesUcbSpec {
    const ENTRY: Entry = Entry {
        name: "bayes-ucb",
        alias: None,
        group: Group::Literature,
        idea: "the server whose belief has the highest upper quantile, 1 - 1/t",
        parameters: &[Parameter {
            key: "quantile_factor",
            meaning: "the quantile is 1 - quantile_factor / t; above 1 explores less",
            range: Range::number(1e-3, 1e3, (0.1, 20.0)),
        }],
    };

    fn build(self, fleet: &Fleet, _rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(BayesUcb::new(self, fleet.servers()))
    }
}

/// Bayes-UCB.
#[derive(Debug)]
pub struct BayesUcb {
    spec: BayesUcbSpec,
    tallies: Tallies,
}

impl BayesUcb {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: BayesUcbSpec, servers: usize) -> Self {
        Self { spec, tallies: Tallies::new(servers) }
    }
}

impl Strategy for BayesUcb {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        let tallies = &self.tallies;
        let tail = (self.spec.quantile_factor / (tallies.total() + 1) as f64).min(1.0);
        // The lower quantile of the failure rate: 1 - index, which keeps its digits when the index
        // is close to 1.
        let (mut best, mut lowest) = (ServerId(0), f64::INFINITY);
        for server in ServerId::all(tallies.servers()) {
            let (a, b) = (tallies.failures_of(server) + 1.0, tallies.successes_of(server) + 1.0);
            if lowest <= 1.0 && inc_beta(a, b, lowest) <= tail {
                continue;
            }
            let quantile = inv_inc_beta(a, b, tail);
            if quantile < lowest {
                (best, lowest) = (server, quantile);
            }
        }
        Decision::Send(best)
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

    /// The quantiles are known where one parameter is 1: with f failures only it is
    /// 1 - (1/t)^(1/(f+1)), with s successes only (1 - 1/t)^(1/(s+1)).
    #[test]
    fn closed_forms_of_small_cases_decide() {
        let of_failures = |f: i32, t: f64| 1.0 - (1.0 / t).powf(1.0 / f64::from(f + 1));
        let of_successes = |s: i32, t: f64| (1.0 - 1.0 / t).powf(1.0 / f64::from(s + 1));
        for (failures, successes) in [(1, 1), (1, 3), (2, 1), (5, 2), (3, 9)] {
            let mut strategy = BayesUcb::new(BayesUcbSpec::default(), 3);
            (0..failures).for_each(|_| observe(&mut strategy, 0, Outcome::RateLimited));
            (0..successes).for_each(|_| observe(&mut strategy, 1, Outcome::Success));
            let t = f64::from(failures + successes + 1);
            let indices = [of_failures(failures, t), of_successes(successes, t), of_failures(0, t)];
            let highest = indices.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let expected = indices.iter().position(|index| *index == highest);
            assert_eq!(Some(usize::from(decide(&mut strategy, 0, &[]))), expected, "{indices:?}");
        }
    }

    #[test]
    fn a_lighter_tail_explores_more() {
        let chosen = |quantile_factor| {
            let mut strategy = BayesUcb::new(BayesUcbSpec { quantile_factor }, 2);
            for _ in 0..20 {
                observe(&mut strategy, 0, Outcome::Success);
            }
            (0..4).for_each(|_| observe(&mut strategy, 0, Outcome::Failure));
            observe(&mut strategy, 1, Outcome::Failure);
            observe(&mut strategy, 1, Outcome::Success);
            decide(&mut strategy, 0, &[])
        };
        // Upper tails of 1/27 and 10/27: a belief of Beta(2, 2) reaches beyond one of Beta(21, 5)
        // only in the first.
        assert_eq!((chosen(0.1), chosen(10.0)), (1, 0));
    }
}
