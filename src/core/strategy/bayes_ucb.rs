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

use crate::domain::{PendingRequest, ServerId};
use crate::stats::{inc_beta, inv_inc_beta};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{NOBODY, Rule, Tallied, Tallies};

declared! {
    name: "bayes-ucb", group: Literature,
    idea: "the server whose belief has the highest upper quantile, 1 - 1/t",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct BayesUcbSpec {
        /// the quantile is 1 - quantile_factor / t; above 1 explores less
        quantile_factor: f64 = 1.0, Range::number(1e-3, 1e3, (0.1, 20.0));
    }
}

impl Rule for BayesUcbSpec {
    fn choose(&self, tallies: &Tallies, _: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        let tail = (self.quantile_factor / (tallies.total() + 1) as f64).min(1.0);
        // The lower quantile of the failure rate: 1 - index, which keeps its digits when the index
        // is close to 1.
        tallies.first_max_above(&NOBODY, |class, highest| {
            let (s, f) = tallies.counts(class);
            let (a, b) = (f + 1.0, s + 1.0);
            let lowest = -highest;
            if lowest <= 1.0 && inc_beta(a, b, lowest) < tail {
                return f64::NEG_INFINITY;
            }
            -inv_inc_beta(a, b, tail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

    /// The quantiles are known where one parameter is 1: with f failures only it is
    /// 1 - (1/t)^(1/(f+1)), with s successes only (1 - 1/t)^(1/(s+1)).
    #[test]
    fn closed_forms_of_small_cases_decide() {
        let of_failures = |f: i32, t: f64| 1.0 - (1.0 / t).powf(1.0 / f64::from(f + 1));
        let of_successes = |s: i32, t: f64| (1.0 - 1.0 / t).powf(1.0 / f64::from(s + 1));
        for (failures, successes) in [(1, 1), (1, 3), (2, 1), (5, 2), (3, 9)] {
            let mut strategy = tallied(BayesUcbSpec::default(), 3);
            (0..failures).for_each(|_| observe(&mut strategy, 0, Outcome::RateLimited));
            (0..successes).for_each(|_| observe(&mut strategy, 1, Outcome::Success));
            let t = f64::from(failures + successes + 1);
            let indices = [of_failures(failures, t), of_successes(successes, t), of_failures(0, t)];
            let highest = indices.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let expected = indices.iter().position(|index| *index == highest);
            assert_eq!(Some(usize::from(decide(&mut strategy, 0, &[]))), expected, "{indices:?}");
        }
    }
}
