//! The recursion: the exact worth of the game by backward induction over requests, attempts and
//! beliefs.
//!
//! A state is the number of requests served so far, the number of the attempt, and the
//! successes and failures of every server: the belief depends on these alone, since the servers'
//! rates are independent draws from a known population (Bellman 1956, "A problem in the
//! sequential design of experiments", Sankhya 16). With m_i the posterior mean of server i,
//!
//!   W(h, k, c) = max_i  m_i (1 + W(h+1, 0, c + s_i)) + (1 - m_i) W(h, k+1, c + f_i) - cost_k
//!
//! where cost_k is the penalty from the first attempt that is not free, W(h, cap, c) is
//! W(h+1, 0, c), and W(requests, 0, c) = 0. Servers are exchangeable, so only states whose
//! servers are in descending order of (successes, failures) are worked on. `h` completed requests
//! with S successes have had between cap (h-S) and cap (h-S) + (cap-1) S failures: nothing else
//! is reachable.
//!
//! Limits: for caps on attempts, no rate limits, no giving up before the cap. Memory is two
//! numbers for each pair of success and failure vectors.

use flakelab_core::domain::Rules;

use super::prior::{Predictive, Prior, cap};
use super::simplex::{MOST_SERVERS, Simplex, Vector};

/// A small case of the game.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    pub prior: Prior,
    pub servers: usize,
    pub requests: usize,
    pub rules: Rules,
}

impl Case {
    /// The game with at most 6 attempts a request.
    pub fn new(prior: Prior, servers: usize, requests: usize) -> Self {
        let rules = Rules { max_attempts: Some(6), ..Rules::default() };
        Self { prior, servers, requests, rules }
    }

    pub fn name(&self) -> String {
        format!("{} servers of {}, {} requests", self.servers, self.prior.name(), self.requests)
    }

    /// The exact mean score of the oracle.
    pub fn oracle(&self) -> f64 {
        self.requests as f64 * self.prior.oracle(self.servers, &self.rules)
    }

    /// Posterior means of every belief that the case can lead to, and their deviations.
    pub fn predictive(&self) -> Predictive {
        self.prior.predictive(self.requests + 1, self.requests * cap(&self.rules))
    }

    /// The penalty of attempt `k` of a request, from 0.
    pub fn cost(&self, k: usize) -> f64 {
        if k < self.rules.free_attempts as usize {
            0.0
        } else {
            self.rules.penalty_per_extra_attempt
        }
    }
}

/// A state in which a server has to be chosen.
#[derive(Debug)]
pub struct Node<'a> {
    /// Requests completed.
    pub completed: usize,
    /// Attempts of the current request so far.
    pub attempt: usize,
    pub successes: &'a Vector,
    pub failures: &'a Vector,
    /// For each server, the mean score from here on if it is chosen now and the recursion's
    /// chooser ever after.
    pub worth: &'a [f64],
    ranks: (usize, usize),
}

/// The mean score of the whole game when `choose` decides; it sees servers in descending order
/// of (successes, failures) and must not care which server is which.
pub fn backward(case: &Case, mut choose: impl FnMut(&Node<'_>) -> usize) -> f64 {
    let (n, cap) = (case.servers, cap(&case.rules));
    let predictive = case.predictive();
    let wins = Simplex::new(n, case.requests);
    let losses = Simplex::new(n, case.requests * cap);
    let stride = losses.up_to(case.requests * cap);
    let mut next = vec![0.0; wins.up_to(case.requests) * stride];
    let mut here = next.clone();
    let mut worth = [0.0; MOST_SERVERS];
    for completed in (0..case.requests).rev() {
        for attempt in (0..cap).rev() {
            let cost = case.cost(attempt);
            for total in 0..=completed {
                let least = cap * (completed - total) + attempt;
                for s in wins.range(total, total) {
                    let successes = wins.vector(s);
                    if successes[..n].windows(2).any(|pair| pair[0] < pair[1]) {
                        continue;
                    }
                    // In order of failures: what a failure leads to has not been overwritten.
                    for f in losses.range(least, least + (cap - 1) * total) {
                        let failures = losses.vector(f);
                        let descends = |i: usize| {
                            successes[i - 1] > successes[i] || failures[i - 1] >= failures[i]
                        };
                        if !(1..n).all(descends) {
                            continue;
                        }
                        let after_failure = if attempt + 1 == cap { &next } else { &here };
                        for i in 0..n {
                            let same = |j: usize| (successes[j], failures[j]);
                            if i > 0 && same(i) == same(i - 1) {
                                worth[i] = worth[i - 1];
                                continue;
                            }
                            let mean = predictive.mean(successes[i].into(), failures[i].into());
                            let (s1, f1) = raised(successes, failures, i, true);
                            let win = next[wins.rank(&s1) * stride + losses.rank(&f1)];
                            let (_, f1) = raised(successes, failures, i, false);
                            let loss = after_failure[s * stride + losses.rank(&f1)];
                            worth[i] = mean * (1.0 + win) + (1.0 - mean) * loss - cost;
                        }
                        let node = Node {
                            completed,
                            attempt,
                            successes,
                            failures,
                            worth: &worth[..n],
                            ranks: (s, f),
                        };
                        here[s * stride + f] = worth[choose(&node)];
                    }
                }
            }
        }
        std::mem::swap(&mut here, &mut next);
    }
    next[0]
}

/// The state after a success or failure of server `i`, in descending order again.
#[inline]
fn raised(successes: &Vector, failures: &Vector, mut i: usize, success: bool) -> (Vector, Vector) {
    let (mut s, mut f) = (*successes, *failures);
    if success {
        s[i] += 1
    } else {
        f[i] += 1
    }
    while i > 0 && (s[i], f[i]) > (s[i - 1], f[i - 1]) {
        s.swap(i, i - 1);
        f.swap(i, i - 1);
        i -= 1;
    }
    (s, f)
}

/// The first server of largest worth.
pub fn best(worth: &[f64]) -> usize {
    let mut best = 0;
    for i in 1..worth.len() {
        if worth[i] > worth[best] {
            best = i;
        }
    }
    best
}

/// The exact mean score of the best rule there is.
pub fn optimum(case: &Case) -> f64 {
    backward(case, |node| best(node.worth))
}

/// A rule as a table: the server for every state.
#[derive(Debug)]
pub struct Policy {
    wins: Simplex,
    losses: Simplex,
    cap: usize,
    /// For each (completed requests, attempt), the choice for each pair of vectors.
    choices: Vec<Vec<u8>>,
}

impl Policy {
    /// The best rule, and its mean score.
    pub fn optimal(case: &Case) -> (Self, f64) {
        let cap = cap(&case.rules);
        let wins = Simplex::new(case.servers, case.requests);
        let losses = Simplex::new(case.servers, case.requests * cap);
        let size = |h: usize, k: usize| wins.up_to(h) * losses.up_to(cap * h + k);
        let choices = (0..case.requests * cap)
            .map(|layer| vec![u8::MAX; size(layer / cap, layer % cap)])
            .collect();
        let mut policy = Self { wins, losses, cap, choices };
        let value = backward(case, |node| {
            let choice = best(node.worth);
            let (layer, place) = policy.place(node.completed, node.attempt, node.ranks);
            policy.choices[layer][place] = choice as u8;
            choice
        });
        (policy, value)
    }

    fn place(&self, h: usize, k: usize, (s, f): (usize, usize)) -> (usize, usize) {
        (h * self.cap + k, s * self.losses.up_to(self.cap * h + k) + f)
    }

    /// The server for attempt `attempt` of a request before which `completed` were served.
    /// `counts` are (successes, failures), servers in any order.
    pub fn choose(&self, completed: usize, attempt: usize, counts: &[(u16, u16)]) -> usize {
        let mut order = [0, 1, 2, 3];
        let order = &mut order[..counts.len()];
        order.sort_by(|a, b| counts[*b].cmp(&counts[*a]));
        let (mut s, mut f) = ([0; MOST_SERVERS], [0; MOST_SERVERS]);
        for (place, server) in order.iter().enumerate() {
            (s[place], f[place]) = counts[*server];
        }
        let ranks = (self.wins.rank(&s), self.losses.rank(&f));
        let (layer, place) = self.place(completed, attempt, ranks);
        order[usize::from(self.choices[layer][place])]
    }
}
