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

use crate::domain::{PendingRequest, ServerId};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates};

declared! {
    name: "larkin", alias: "v1", group: Five,
    idea: "learn about the server known least for a while, then use the best",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct LarkinSpec {
        /// requests spent in discovery
        discover_limit: u64 = 50, Range::whole(0, 1_000_000_000, (0, 400));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = false, Range::Switch;
    }
}

impl Rule for LarkinSpec {
    #[inline]
    fn choose(&self, tallies: &Tallies, request: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        if !request.is_free() {
            return tallies.best();
        }
        let excluded = candidates(tallies.servers(), self.exclude_tried, request);
        if request.id.0 < self.discover_limit {
            tallies.first_max(excluded, |class| {
                let (s, f) = tallies.counts(class);
                beta_variance(s + 1.0, f + 1.0)
            })
        } else if excluded.is_empty() {
            tallies.best()
        } else {
            let rates = tallies.success_rates();
            tallies.first_max(excluded, |class| rates[class])
        }
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
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

    #[test]
    fn after_discovery_it_stays_with_the_best() {
        let mut larkin = tallied(LarkinSpec { discover_limit: 2, exclude_tried: false }, 3);
        observe(&mut larkin, 1, Outcome::Success);
        observe(&mut larkin, 0, Outcome::Failure);
        assert_eq!(decide(&mut larkin, 1, &[]), 2, "still discovering: 2 is unknown");
        assert_eq!(decide(&mut larkin, 2, &[]), 1);
        assert_eq!(decide(&mut larkin, 2, &[1, 1]), 1, "no exclusion by default");
    }
}
