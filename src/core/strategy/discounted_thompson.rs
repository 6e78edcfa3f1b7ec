//! Discounted Thompson sampling: Thompson that forgets at a steady rate.
//!
//! After each outcome all counts are multiplied by gamma and the new one is added; the belief is
//! Beta(s+1, f+1) with the discounted s and f, and the largest draw is taken. What happened k
//! outcomes ago (of any server) counts gamma^k. A server that is left alone becomes unknown again
//! and is tried again. V. Raj and S. Kalyani (2017), "Taming Non-stationary Bandits: A Bayesian
//! Approach", arXiv 1707.09727, algorithm 1 (dTS), with alpha0 = beta0 = 1.
//!
//! Limits: with fixed rates it never stops exploring: it remembers about 1/(1-gamma) outcomes, 100
//! by default, over all servers together.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::stats::sample;
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Tallies, first_max_by};
use crate::strategy::{Decision, ServerEstimate, Strategy};

declared! {
    name: "discounted-thompson", group: Literature,
    idea: "Thompson that forgets at a steady rate",
    build: |spec, fleet, rng| DiscountedThompson::new(spec, fleet.servers(), rng),
    pub struct DiscountedThompsonSpec {
        /// what an outcome keeps of its weight at each further one; 1 forgets nothing
        gamma: f64 = 0.99, Range::number(0.0, 1.0, (0.9, 1.0));
    }
}

/// Discounted Thompson sampling.
#[derive(Debug)]
pub struct DiscountedThompson {
    gamma: f64,
    /// Discounted successes of each server.
    successes: Vec<f64>,
    /// Discounted failures of each server.
    failures: Vec<f64>,
    /// Undiscounted, for reports.
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl DiscountedThompson {
    pub fn new(spec: DiscountedThompsonSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self {
            gamma: spec.gamma,
            successes: vec![0.0; servers],
            failures: vec![0.0; servers],
            tallies: Tallies::new(servers),
            rng,
        }
    }

    fn belief(&self, server: ServerId) -> (f64, f64) {
        (self.successes[server.index()] + 1.0, self.failures[server.index()] + 1.0)
    }
}

impl Strategy for DiscountedThompson {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        let Self { successes, failures, rng, .. } = self;
        Decision::Send(first_max_by(successes.len(), &ServerSet::EMPTY, |server| {
            let i = server.index();
            sample::beta(rng, successes[i] + 1.0, failures[i] + 1.0)
        }))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.successes.iter_mut().for_each(|s| *s *= self.gamma);
        self.failures.iter_mut().for_each(|f| *f *= self.gamma);
        let counts = if outcome.is_success() { &mut self.successes } else { &mut self.failures };
        counts[attempt.server.index()] += 1.0;
        self.tallies.record(attempt, outcome);
    }

    /// Rates are means of the discounted beliefs.
    fn estimates(&self) -> Vec<ServerEstimate> {
        let discounted = |e: ServerEstimate| {
            let (a, b) = self.belief(e.server);
            ServerEstimate { success_rate: a / (a + b), ..e }
        };
        self.tallies.estimates().into_iter().map(discounted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{observe, rng};

    /// k successes in a row count (1 - gamma^k) / (1 - gamma), then everybody fades.
    #[test]
    fn counts_are_geometric_sums() {
        let spec = DiscountedThompsonSpec { gamma: 0.9 };
        let mut strategy = DiscountedThompson::new(spec, 2, rng());
        (0..50).for_each(|_| observe(&mut strategy, 0, Outcome::Success));
        (0..7).for_each(|_| observe(&mut strategy, 1, Outcome::RateLimited));
        let sum = |k: i32| (1.0 - 0.9_f64.powi(k)) / (1.0 - 0.9);
        let (a, b) = strategy.belief(ServerId(0));
        assert!((a - 1.0 - sum(50) * 0.9_f64.powi(7)).abs() < 1e-12 && b == 1.0, "{a} {b}");
        let (a, b) = strategy.belief(ServerId(1));
        assert!(a == 1.0 && (b - 1.0 - sum(7)).abs() < 1e-12, "{a} {b}");
    }
}
