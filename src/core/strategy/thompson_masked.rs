//! Thompson sampling with a mask: a server that answers 429 is left alone for a second.
//!
//! Beliefs are Beta(s+1, f+1) as in `thompson`; a 429 does not touch them and masks the server for
//! `cooldown_s` from the moment of the answer (a further 429 starts the second anew). When all are
//! masked, the one masked longest ago is taken. That is `blocking` with blocks that do not grow.
//!
//! Limits: the cooldown is a guess about the limiter. A limit of a few attempts per second and
//! server needs a shorter one, a long window a longer one, or every end of a mask costs a refusal.

use rand_chacha::ChaCha8Rng;

use crate::strategy::blocking::{Blocking, BlockingSpec};
use crate::strategy::declared::{Range, declared};

declared! {
    name: "thompson-masked", group: RateLimit,
    idea: "Thompson; a refusal masks the server for a second and says nothing of its rate",
    build: |spec, fleet, rng| spec.strategy(fleet.servers(), rng),
    pub struct ThompsonMaskedSpec {
        /// how long a refusal (429) masks its server, in seconds
        cooldown_s: f64 = 1.0, Range::number(0.0, 3600.0, (0.05, 10.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
    }
}

impl ThompsonMaskedSpec {
    /// Blocks that do not grow.
    fn strategy(self, servers: usize, rng: ChaCha8Rng) -> Blocking {
        let Self { cooldown_s: block_s, exclude_tried } = self;
        Blocking::new(BlockingSpec { block_s, most_multiplier: 1.0, exclude_tried }, servers, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::Strategy;
    use crate::strategy::testing::{decide_at, observe_at, rng};

    /// Server 0 is good beyond doubt.
    fn learned() -> Blocking {
        let mut strategy = ThompsonMaskedSpec::default().strategy(3, rng());
        for _ in 0..300 {
            observe_at(&mut strategy, 0.0, 0, Outcome::Success);
            observe_at(&mut strategy, 0.0, 1, Outcome::Failure);
            observe_at(&mut strategy, 0.0, 2, Outcome::Failure);
        }
        observe_at(&mut strategy, 0.0, 1, Outcome::Success);
        strategy
    }

    #[test]
    fn a_refusal_masks_for_a_second_and_leaves_the_belief_alone() {
        let mut strategy = learned();
        let before = strategy.estimates();
        observe_at(&mut strategy, 10.0, 0, Outcome::RateLimited);
        assert_eq!(strategy.estimates(), before);
        assert!((0..50).all(|_| decide_at(&mut strategy, 10.999, &[]) != 0));
        assert_eq!(decide_at(&mut strategy, 11.0, &[]), 0, "the second is over");
        assert_eq!(decide_at(&mut strategy, 10.5, &[0, 0, 0]), 1, "attempts that cost, too");
    }
}
