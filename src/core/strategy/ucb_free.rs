//! V3, UCB that knows attempts are free at first: explore widely there, exploit afterwards.
//!
//! Free attempts leave out servers already tried for the request, take untried servers first
//! and then the highest s/n + c sqrt(ln t / n), UCB1's index (see `ucb1`) with an exploration
//! weight c (sqrt 2 would be UCB1's). Attempts that cost go to the highest s/n.
//!
//! Limits: with c = 3 it explores far longer than short runs repay; excluding tried servers
//! gives away good second attempts when failures are independent.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates};
use crate::strategy::ucb1::highest_index;

declared! {
    name: "ucb-free", alias: "v3", group: Five,
    idea: "UCB with a wide margin in free attempts, the best in those that cost",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct UcbFreeSpec {
        /// weight of exploration
        c: f64 = 3.0, Range::number(0.0, 1000.0, (0.0, 4.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
    }
}

impl Rule for UcbFreeSpec {
    #[inline]
    fn choose(&self, tallies: &Tallies, request: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        if !request.is_free() {
            return tallies.best();
        }
        let excluded = candidates(tallies.servers(), self.exclude_tried, request);
        highest_index(tallies, excluded, 1.0, self.c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

    #[test]
    fn free_attempts_leave_out_tried_servers_and_paid_ones_take_the_best() {
        let mut ucb = tallied(UcbFreeSpec::default(), 3);
        for server in [0, 1, 2] {
            observe(
                &mut ucb,
                server,
                if server == 1 { Outcome::Success } else { Outcome::Failure },
            );
        }
        assert_eq!(decide(&mut ucb, 0, &[]), 1);
        assert_eq!(decide(&mut ucb, 0, &[1]), 0);
        assert_eq!(decide(&mut ucb, 0, &[1, 0]), 2);
        assert_eq!(decide(&mut ucb, 0, &[1, 0, 2]), 1);
    }
}
