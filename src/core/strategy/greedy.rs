//! Greedy: always the server with the highest posterior mean, (s + a) / (n + a + b).
//!
//! The prior is Beta(a, b), by default with 1 and 1, whose mean an untried server counts. With many
//! servers it is nearly optimal, as one that is good enough is found by dropping those that
//! disappoint: M. Bayati, N. Hamidi, R. Johari and K. Khosravi (2020), "Unreasonable Effectiveness
//! of Greedy Algorithms in Multi-Armed Bandit with Many Arms", arXiv 2002.10121.
//!
//! Limits: it never looks for better than good enough. A server stays until its mean falls below
//! the prior's, so with few servers, or a prior mean that most of them exceed, it settles on the
//! first that is not bad.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{NOBODY, Rule, Tallied, Tallies};

declared! {
    name: "greedy", group: Literature,
    idea: "always the server with the highest posterior mean",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct GreedySpec {
        /// successes that the prior counts for
        prior_successes: f64 = 1.0, Range::number(1e-3, 1e6, (0.1, 20.0));
        /// failures that the prior counts for
        prior_failures: f64 = 1.0, Range::number(1e-3, 1e6, (0.1, 20.0));
    }
}

impl Rule for GreedySpec {
    fn choose(&self, tallies: &Tallies, _: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        tallies.first_max(&NOBODY, |class| self.success_rate(tallies, class))
    }

    /// The posterior mean.
    fn success_rate(&self, tallies: &Tallies, class: usize) -> f64 {
        let (a, b) = (self.prior_successes, self.prior_failures);
        (tallies.counts(class).0 + a) / (tallies.attempts()[class] + (a + b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Outcome, Purpose, Streams};
    use crate::stats::sample;
    use crate::strategy::testing::{decide, observe, tallied};

    /// The first server is left when failures outnumber successes for the first time: a walk with
    /// steps +1 at chance p and -1 at 1-p that reaches -1, which it ever does with chance (1-p)/p.
    /// 4 standard errors of 10,000 runs: false alarm 6e-5, fixed seed. After 400 steps the chance
    /// of a later visit is below 1e-30 for p = 0.8.
    #[test]
    fn it_leaves_a_good_server_as_often_as_a_gambler_is_ruined() {
        let (p, runs) = (0.8, 10_000);
        let mut coins = Streams::new(7).stream(Purpose::World, 0, 0);
        let mut left = 0;
        for _ in 0..runs {
            let mut greedy = tallied(GreedySpec::default(), 2);
            let leaves = (0..400).any(|_| {
                let success = sample::uniform01(&mut coins) < p;
                observe(&mut greedy, 0, if success { Outcome::Success } else { Outcome::Failure });
                decide(&mut greedy, 0, &[]) == 1
            });
            left += u32::from(leaves);
        }
        let (share, expected) = (f64::from(left) / f64::from(runs), (1.0 - p) / p);
        let standard_error = (expected * (1.0 - expected) / f64::from(runs)).sqrt();
        assert!((share - expected).abs() < 4.0 * standard_error, "{share}");
    }
}
