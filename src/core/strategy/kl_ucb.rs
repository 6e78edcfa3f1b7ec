//! KL-UCB: UCB1 with the bound that the data of a coin allow, no wider.
//!
//! index = the largest q with n d(s/n, q) <= ln t + c ln ln t, where d is the relative entropy of
//! two coins and t the number of attempts so far. Untried servers come first. In the
//! long run no rule explores less: its regret meets the bound of Lai and Robbins (1985).
//! A. Garivier and O. Cappé (2011), "The KL-UCB Algorithm for Bounded Stochastic Bandits and
//! Beyond", COLT, arXiv 1102.2490, algorithm 1, equation (1). Their proof takes c = 3 and they
//! recommend c = 0 in practice, the default here. ln ln t is taken as 0 below t = e.
//!
//! Limits: assumes fixed rates. Servers are near 1 and each other here, where its margin over UCB1
//! is largest, but a few hundred requests still repay less exploration.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{NOBODY, Rule, Tallied, Tallies};

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
        let level = self.level(tallies.total());
        tallies.first_max_above(&NOBODY, |class, highest| {
            let (n, rate) = (attempts[class], rates[class]);
            if n == 0.0 {
                return f64::INFINITY;
            }
            // The index exceeds the highest so far exactly if that one is still plausible here,
            // which takes one entropy to know; solving for the index takes several.
            if rate > highest || (highest <= 1.0 && n * bernoulli_kl(rate, highest) <= level) {
                kl_upper_bound(rate, level / n)
            } else {
                f64::NEG_INFINITY
            }
        })
    }
}

/// Newton's steps shrink at least by half until they are quadratic; 60 cover every double.
const MOST_STEPS: u32 = 60;

/// The relative entropy d(p, q) = p ln(p/q) + (1-p) ln((1-p)/(1-q)) of two coins, with 0 ln 0 = 0,
/// in nats, for p and q in \[0, 1\]; infinite where q rules out what p allows.
#[inline]
fn bernoulli_kl(p: f64, q: f64) -> f64 {
    term(p, q) + term(1.0 - p, 1.0 - q)
}

/// p ln(p/q), 0 for p = 0.
#[inline]
fn term(p: f64, q: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * libm::log(p / q) }
}

/// The largest q in \[p, 1\] with d(p, q) <= `level`, to about 1e-14, for p in \[0, 1\]; p itself
/// for a level of 0 or less.
///
/// d is convex in q, so Newton's method from any point above the bound comes down to it without
/// ever passing it, at about six logarithms a bound.
fn kl_upper_bound(p: f64, level: f64) -> f64 {
    if level <= 0.0 || p >= 1.0 {
        return p;
    }
    if p <= 0.0 {
        return -libm::expm1(-level);
    }
    // Two bounds from above: Pinsker's inequality, good for small levels, and leaving out
    // p ln(1/q) >= 0, good for large ones.
    let pinsker = p + (0.5 * level).sqrt();
    let tail = 1.0 - (1.0 - p) * libm::exp((p * libm::log(p) - level) / (1.0 - p));
    let mut q = pinsker.min(tail);
    for _ in 0..MOST_STEPS {
        let excess = bernoulli_kl(p, q) - level;
        let next = q - excess * q * (1.0 - q) / (q - p);
        // Rounding ends the descent; the negation also ends it on the NaN of q = p or q = 1.
        if !(next < q && next > p) {
            break;
        }
        q = next;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use crate::strategy::testing::{decide, observe, tallied};

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

    #[test]
    fn the_level_is_that_of_the_paper() {
        let spec = KlUcbSpec { c: 3.0 };
        assert_eq!(spec.level(0), 0.0);
        let expected = 100.0_f64.ln() + 3.0 * 100.0_f64.ln().ln();
        assert!((spec.level(100) - expected).abs() < 1e-12);
    }

    /// The largest q with d(p, q) <= level, by nothing but the definition.
    fn by_bisection(p: f64, level: f64) -> f64 {
        let d = |q: f64| {
            let left = if p > 0.0 { p * (p / q).ln() } else { 0.0 };
            let right = if p < 1.0 { (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln() } else { 0.0 };
            left + right
        };
        let (mut low, mut high) = (p, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if d(middle) <= level { low = middle } else { high = middle }
        }
        low
    }

    #[test]
    fn the_bound_is_the_one_that_bisection_finds() {
        for p in [0.0, 1e-9, 0.01, 0.2, 0.5, 0.75, 0.9, 0.999, 1.0 - 1e-9, 1.0] {
            for level in [1e-12, 1e-6, 1e-3, 0.05, 0.3, 1.0, 3.0, 10.0, 30.0] {
                let (got, expected) = (kl_upper_bound(p, level), by_bisection(p, level));
                // Where d is flat, at tiny levels, its own rounding moves the root.
                let tolerance = 1e-14 + 4e-16 / level.sqrt().max(1e-6);
                assert!((got - expected).abs() < tolerance, "{p} {level}: {got} {expected}");
            }
        }
    }

    /// d(1/2, q) = -ln(4 q (1-q)) / 2 can be solved for q, and d(0, q) = -ln(1-q).
    #[test]
    fn the_bound_agrees_with_closed_forms() {
        for level in [0.01_f64, 0.1, 0.7, 2.0] {
            let half = 0.5 + 0.5 * (1.0 - (-2.0 * level).exp()).sqrt();
            assert!((kl_upper_bound(0.5, level) - half).abs() < 1e-14, "{level}");
            assert!((kl_upper_bound(0.0, level) - (1.0 - (-level).exp())).abs() < 1e-15);
        }
        assert_eq!((kl_upper_bound(1.0, 2.0), kl_upper_bound(0.3, 0.0)), (1.0, 0.3));
    }

    #[test]
    fn entropy_knows_its_ends() {
        assert_eq!(bernoulli_kl(0.3, 0.3), 0.0);
        assert_eq!((bernoulli_kl(0.0, 0.0), bernoulli_kl(1.0, 1.0)), (0.0, 0.0));
        assert_eq!(
            (bernoulli_kl(0.5, 1.0), bernoulli_kl(0.5, 0.0)),
            (f64::INFINITY, f64::INFINITY)
        );
        let ln2 = std::f64::consts::LN_2;
        assert!((bernoulli_kl(1.0, 0.5) - ln2).abs() < 1e-16);
    }
}
