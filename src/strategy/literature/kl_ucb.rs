//! KL-UCB: UCB1 with the bound that the data of a coin allow, no wider.
//!
//! index = the largest q with n d(s/n, q) <= ln t + c ln ln t, where d is the relative entropy of
//! two coins (`stats::kl`) and t the number of attempts so far. Untried servers come first. In the
//! long run no rule explores less: its regret meets the bound of Lai and Robbins (1985).
//! A. Garivier and O. Cappé (2011), "The KL-UCB Algorithm for Bounded Stochastic Bandits and
//! Beyond", COLT, arXiv 1102.2490, algorithm 1, equation (1). Their proof takes c = 3 and they
//! recommend c = 0 in practice, the default here. ln ln t is taken as 0 below t = e.
//!
//! Limits: assumes fixed rates. Servers are near 1 and each other here, where its margin over UCB1
//! is largest, but a few hundred requests still repay less exploration.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId};
use crate::stats::kl::{bernoulli_kl, kl_upper_bound};
use crate::strategy::declared::{Range, declared};
use crate::strategy::parts::{Rule, Tallied, Tallies};

declared! {
    name: "kl-ucb", group: Literature,
    idea: "UCB1 with the tightest bound that the data of a coin allow",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct KlUcbSpec {
        /// weight of ln ln t; 3 in the proof, 0 in practice
        c: f64 = 0.0, Range::number(0.0, 1000.0, (0.0, 3.0));
    }
}

impl KlUcbSpec {
    /// ln t + c ln ln t after `t` attempts.
    fn level(&self, t: u64) -> f64 {
        let ln_t = libm::log((t as f64).max(1.0));
        ln_t + self.c * libm::log(ln_t.max(1.0))
    }
}

impl Rule for KlUcbSpec {
    fn choose(&self, tallies: &Tallies, _: &PendingRequest, _: &mut ChaCha8Rng) -> ServerId {
        let (attempts, rates) = (tallies.attempts(), tallies.success_rates());
        if !tallies.all_tried() {
            let untried = attempts.iter().position(|n| *n == 0.0);
            return ServerId(untried.unwrap_or(0) as u16);
        }
        let level = self.level(tallies.total());
        let (mut best, mut highest) = (ServerId(0), f64::NEG_INFINITY);
        for (server, (n, rate)) in ServerId::all(attempts.len()).zip(attempts.iter().zip(rates)) {
            // The index exceeds the highest so far exactly if that one is still plausible here,
            // which takes one entropy to know; solving for the index takes several.
            if *rate > highest || n * bernoulli_kl(*rate, highest) < level {
                let index = kl_upper_bound(*rate, level / n);
                if index > highest {
                    (best, highest) = (server, index);
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::parts::testing::{decide, observe, tallied};

    #[test]
    fn tries_every_server_once_before_repeating() {
        let mut strategy = tallied(KlUcbSpec::default(), 3);
        for expected in [0, 1, 2] {
            assert_eq!(decide(&mut strategy, 0, &[]), expected);
            observe(&mut strategy, expected, Outcome::Success);
        }
    }

    /// With n failures and nothing else the index is 1 - t^(-1/n), as d(0, q) = -ln(1-q): the least
    /// tried wins, the first on a tie.
    #[test]
    fn closed_forms_of_small_cases_decide() {
        let mut strategy = tallied(KlUcbSpec::default(), 3);
        for server in [0, 0, 1, 1, 1, 2, 2, 2, 2] {
            observe(&mut strategy, server, Outcome::Failure);
        }
        assert_eq!(decide(&mut strategy, 0, &[]), 0);
        observe(&mut strategy, 0, Outcome::Failure);
        assert_eq!(decide(&mut strategy, 0, &[]), 0, "3 and 3: the first");
        observe(&mut strategy, 0, Outcome::TimedOut);
        assert_eq!(decide(&mut strategy, 0, &[]), 1);
    }

    /// A flawless server has the index 1 whatever n and t are, which nothing exceeds.
    #[test]
    fn a_flawless_server_is_never_left() {
        let mut strategy = tallied(KlUcbSpec::default(), 2);
        observe(&mut strategy, 0, Outcome::Failure);
        for _ in 0..1000 {
            observe(&mut strategy, 1, Outcome::Success);
            assert_eq!(decide(&mut strategy, 0, &[]), 1);
        }
    }

    #[test]
    fn the_level_is_that_of_the_paper() {
        let spec = KlUcbSpec { c: 3.0 };
        assert_eq!(spec.level(0), 0.0);
        let expected = 100.0_f64.ln() + 3.0 * 100.0_f64.ln().ln();
        assert!((spec.level(100) - expected).abs() < 1e-12);
    }
}
