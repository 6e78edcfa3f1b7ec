//! V2, UCB1: try the server whose success rate could plausibly be highest.
//!
//! index = s/n + sqrt(2 ln t / n). Auer, Cesa-Bianchi and Fischer (2002), "Finite-time
//! Analysis of the Multiarmed Bandit Problem", Machine Learning 47, figure 1.
//! Untried servers come first. It knows nothing of free attempts: every attempt is a pull.
//!
//! Limits: assumes fixed rates, and explores more than a few hundred requests repay.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId, ServerSet};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates, first_max_by};

declared! {
    name: "ucb1", alias: "v2", group: Five,
    idea: "the server whose success rate could plausibly be highest",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct Ucb1Spec {
        /// leave out servers that the request has tried, in free attempts
        ///
        /// and send attempts that cost to the server with the highest s/n
        exclude_tried: bool = false, Range::Switch;
    }
}

impl Rule for Ucb1Spec {
    #[inline]
    fn choose(&self, tallies: &Tallies, request: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        if self.exclude_tried && !request.is_free() {
            return tallies.best();
        }
        let excluded = candidates(tallies.servers(), self.exclude_tried, request);
        highest_index(tallies, excluded, 2.0, 1.0)
    }
}

/// The candidate with the highest s/n + c sqrt(width ln t / n), untried candidates first.
#[inline]
pub(crate) fn highest_index(
    tallies: &Tallies,
    excluded: &ServerSet,
    width: f64,
    c: f64,
) -> ServerId {
    if !tallies.all_tried() {
        let untried = ServerId::all(tallies.servers())
            .find(|s| !excluded.contains(*s) && tallies.attempts()[s.index()] == 0.0);
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
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

    #[test]
    fn prefers_the_uncertain_server_when_means_are_equal() {
        let mut ucb1 = tallied(Ucb1Spec::default(), 2);
        for server in [0, 0, 0, 0, 1, 1] {
            observe(&mut ucb1, server, Outcome::Success);
        }
        assert_eq!(decide(&mut ucb1, 0, &[]), 1);
        assert_eq!(decide(&mut ucb1, 0, &[1]), 1, "does not exclude by default");
    }
}
