//! V2, UCB1: try the server whose success rate could plausibly be highest.
//!
//! index = s/n + sqrt(2 ln t / n). Auer, Cesa-Bianchi and Fischer (2002), "Finite-time
//! Analysis of the Multiarmed Bandit Problem", Machine Learning 47, figure 1.
//! Untried servers come first. It knows nothing of free attempts: every attempt is a pull.
//!
//! Limits: assumes fixed rates, and explores more than a few hundred requests repay.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId, ServerSet};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates};

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
    let (attempts, rates) = (tallies.attempts(), tallies.success_rates());
    // The same without a root or a division. The least number takes nothing from a weight of 0 and
    // keeps untried servers first.
    let weight = (c * width.sqrt() * root_of_ln(tallies.total())).max(f64::MIN_POSITIVE);
    let inverse_roots = &tallies.inverse_roots()[..rates.len()];
    let quick = |class: usize| rates[class] + weight * inverse_roots[class];
    let slack = (1.0 + weight) * ROUNDING;
    let winner = if excluded.is_empty() {
        only_highest(rates.len(), slack, quick)
    } else if rates.len() == tallies.servers() {
        let left_out = |class: usize| excluded.contains(ServerId(class as u16));
        let index = |class| if left_out(class) { f64::NEG_INFINITY } else { quick(class) };
        only_highest(rates.len(), slack, index)
    } else {
        None
    };
    if let Some(class) = winner {
        return tallies.first_of(class);
    }
    let numerator = width * libm::log(tallies.total().max(1) as f64);
    tallies.first_max(excluded, |class| match attempts[class] {
        0.0 => f64::INFINITY,
        n => rates[class] + c * (numerator / n).sqrt(),
    })
}

/// The position of the highest of `n` values if no other is within `slack` of it. Without branches
/// that depend on values.
#[inline]
fn only_highest(n: usize, slack: f64, value: impl Fn(usize) -> f64) -> Option<usize> {
    let greater = |a: f64, b: f64| if b > a { b } else { a };
    // Two at a time, neither of which waits for the other.
    let (mut even, mut odd) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for pair in 0..n / 2 {
        even = greater(even, value(2 * pair));
        odd = greater(odd, value(2 * pair + 1));
    }
    let last = if n % 2 == 1 { value(n - 1) } else { odd };
    let floor = greater(greater(even, odd), last) - slack;
    let (mut close, mut place) = (0, 0);
    for i in 0..n {
        let is_close = value(i) >= floor;
        close += usize::from(is_close);
        place = if is_close { i } else { place };
    }
    (close == 1).then_some(place)
}

/// Indices this close, relative to what they are made of, are compared by the formula itself.
const ROUNDING: f64 = 1e-12;

/// sqrt(ln t) for t attempts; 0 before any.
#[inline]
fn root_of_ln(attempts: u64) -> f64 {
    let root = |attempts: u64| libm::log(attempts.max(1) as f64).sqrt();
    static TABLE: LazyLock<Vec<f64>> =
        LazyLock::new(|| (0..4096_u32).map(|t| libm::log(f64::from(t.max(1))).sqrt()).collect());
    TABLE.get(attempts as usize).copied().unwrap_or_else(|| root(attempts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Outcome, Purpose, Streams, Timestamp};
    use crate::stats::sample;
    use crate::strategy::testing::{attempt, decide, observe, tallied};

    #[test]
    fn prefers_the_uncertain_server_when_means_are_equal() {
        let mut ucb1 = tallied(Ucb1Spec::default(), 2);
        for server in [0, 0, 0, 0, 1, 1] {
            observe(&mut ucb1, server, Outcome::Success);
        }
        assert_eq!(decide(&mut ucb1, 0, &[]), 1);
        assert_eq!(decide(&mut ucb1, 0, &[1]), 1, "does not exclude by default");
    }

    /// 42,000 decisions, 1 to 12 servers and 100 of them, with and without exclusions.
    #[test]
    fn quick_indices_decide_as_the_formula_does() {
        let mut coins = Streams::new(3).stream(Purpose::World, 0, 0);
        for servers in [1, 2, 3, 5, 10, 12, 100] {
            for c in [0.0, 1.0, 3.0] {
                let mut tallies = Tallies::new(servers);
                let mut excluded = ServerSet::EMPTY;
                for step in 0..2_000 {
                    let choice = highest_index(&tallies, &excluded, 2.0, c);
                    let ln_t = libm::log((tallies.total().max(1)) as f64);
                    let expected = tallies.first_max(&excluded, |class| {
                        let n = tallies.attempts()[class];
                        if n == 0.0 {
                            return f64::INFINITY;
                        }
                        tallies.success_rates()[class] + c * (2.0 * ln_t / n).sqrt()
                    });
                    assert_eq!(choice, expected, "{servers} servers, c {c}, step {step}");
                    let success = sample::uniform01(&mut coins) < 0.6 + 0.003 * f64::from(choice.0);
                    let outcome = if success { Outcome::Success } else { Outcome::Failure };
                    tallies.record(&attempt(choice.0, Timestamp::ZERO), outcome);
                    excluded = ServerSet::EMPTY;
                    if !success && servers > 1 {
                        excluded.insert(choice);
                    }
                }
            }
        }
    }
}
