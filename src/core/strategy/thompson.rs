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

use crate::domain::{PendingRequest, ServerId};
use crate::stats::UNIFORM_PRIOR;
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates};

declared! {
    name: "thompson", alias: "v4", group: Five,
    idea: "each server as often as it is believed best; the best where attempts cost",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct ThompsonSpec {
        /// successes that the prior counts for
        prior_successes: f64 = 1.0, Range::number(1.0, 1e6, (1.0, 10.0));
        /// failures that the prior counts for
        prior_failures: f64 = 1.0, Range::number(1.0, 1e6, (1.0, 10.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
    }
}

impl Rule for ThompsonSpec {
    #[inline]
    fn choose(
        &self,
        tallies: &Tallies,
        request: &PendingRequest,
        rng: &mut ChaCha8Rng,
    ) -> ServerId {
        if !request.is_free() {
            return tallies.best();
        }
        let excluded = candidates(tallies.servers(), self.exclude_tried, request);
        let (a, b) = (self.prior_successes, self.prior_failures);
        if (a, b) == (1.0, 1.0) {
            return tallies.largest_draw(excluded, rng, &UNIFORM_PRIOR);
        }
        tallies.largest_beta(excluded, rng, |class| {
            let (s, f) = tallies.counts(class);
            (s + a, f + b)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

    /// Two servers with beliefs Beta(2,1) and Beta(1,2): P(first is larger) = 5/6 exactly.
    /// 4 standard errors: false alarm 6e-5, and the seed is fixed.
    #[test]
    fn plays_a_server_as_often_as_it_is_believed_best() {
        let mut strategy = tallied(ThompsonSpec::default(), 2);
        observe(&mut strategy, 0, Outcome::Success);
        observe(&mut strategy, 1, Outcome::Failure);
        let n = 20_000;
        let first = (0..n).filter(|_| decide(&mut strategy, 0, &[]) == 0).count() as f64;
        let p: f64 = 5.0 / 6.0;
        let standard_error = (p * (1.0 - p) / f64::from(n)).sqrt();
        assert!((first / f64::from(n) - p).abs() < 4.0 * standard_error, "{first}");
    }
}
