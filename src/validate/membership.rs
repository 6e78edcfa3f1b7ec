//! Which runs met the same start of the servers as the one left out?
//!
//! All ways to cut the runs of a group, in order of time, into starts are averaged over: a
//! restart between neighbours has a prior probability each, a start's likelihood is the product
//! over servers of the likelihood of all its attempts (Barry and Hartigan, "Product partition
//! models for change point problems", Ann. Statist. 20 (1992), 260-279). The run in question
//! stands in its place with no attempts at all, so its outcomes cannot be seen.
//!
//! When not to use it: restarts within a run are not looked for.

use super::Rates;
use crate::fit::Tally;
use crate::stats::special::log_sum_exp;

/// Hypotheses less probable than this (`ln`, against the best) are dropped.
const NEGLIGIBLE: f64 = -14.0;

/// One way to place the run: the neighbours that met the same start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hypothesis {
    /// `ln` of its probability.
    pub(super) log_weight: f64,
    /// Attempts of the neighbours that met the same start, one a server.
    pub(super) tallies: Vec<Tally>,
    /// How many they are: nearest runs before it, nearest runs after it.
    pub(super) sharing: (usize, usize),
}

impl Hypothesis {
    /// Whether the run before, and the run after, met the same start.
    pub(super) fn with_neighbours(&self) -> (bool, bool) {
        (self.sharing.0 > 0, self.sharing.1 > 0)
    }
}

/// How probable each relation of a run to its neighbours is; the four sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Membership {
    /// A start that no other run met.
    pub fresh: f64,
    /// The start of the run before, but not that of the run after.
    pub previous: f64,
    /// The start of the run after, but not that of the run before.
    pub next: f64,
    /// The start of both.
    pub both: f64,
}

impl Membership {
    /// Adds the probability of one hypothesis.
    pub(super) fn add(&mut self, with_neighbours: (bool, bool), probability: f64) {
        match with_neighbours {
            (false, false) => self.fresh += probability,
            (true, false) => self.previous += probability,
            (false, true) => self.next += probability,
            (true, true) => self.both += probability,
        }
    }
}

/// All hypotheses about a run that stands at `position` among `others`, in order of time.
///
/// `restarts` holds the prior probability of a restart in each gap of the whole row, the run
/// included: as many as there are others.
pub(super) fn hypotheses(
    others: &[Vec<Tally>],
    position: usize,
    restarts: &[f64],
    rates: &Rates,
    servers: usize,
) -> Vec<Hypothesis> {
    let fresh = |log_weight| Hypothesis {
        log_weight,
        tallies: vec![Tally::default(); servers],
        sharing: (0, 0),
    };
    if others.is_empty() || matches!(rates, Rates::Known(_)) {
        return vec![fresh(0.0)];
    }
    let mut row: Vec<Option<&Vec<Tally>>> = others.iter().map(Some).collect();
    row.insert(position, None);
    let n = row.len();
    let restart = |gap: usize| libm::log(restarts.get(gap).copied().unwrap_or(0.5));
    let stay = |gap: usize| libm::log1p(-restarts.get(gap).copied().unwrap_or(0.5));
    // Start i..j: its pooled attempts, and `ln` of its likelihood with no restart inside.
    let mut starts: Vec<Vec<(Vec<Tally>, f64)>> = Vec::with_capacity(n);
    for first in 0..n {
        let (mut pooled, mut inside) = (vec![Tally::default(); servers], 0.0);
        let mut from_first = Vec::with_capacity(n - first);
        for (i, run) in row.iter().enumerate().skip(first) {
            if i > first {
                inside += stay(i - 1);
            }
            if let Some(run) = run {
                pooled.iter_mut().zip(run.iter()).for_each(|(sum, tally)| sum.add(*tally));
            }
            let likelihood: f64 =
                pooled.iter().enumerate().map(|(s, tally)| rates.log_marginal(s, *tally)).sum();
            from_first.push((pooled.clone(), inside + likelihood));
        }
        starts.push(from_first);
    }
    let of = |i: usize, j: usize| starts[i][j - i - 1].1 + if i > 0 { restart(i - 1) } else { 0.0 };
    let (mut forward, mut backward) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    for j in 1..=n {
        let terms: Vec<f64> = (0..j).map(|i| forward[i] + of(i, j)).collect();
        forward[j] = log_sum_exp(&terms);
    }
    for i in (0..n).rev() {
        let terms: Vec<f64> = (i + 1..=n).map(|j| of(i, j) + backward[j]).collect();
        backward[i] = log_sum_exp(&terms);
    }
    let mut found = Vec::new();
    for i in 0..=position {
        for j in position + 1..=n {
            found.push(Hypothesis {
                log_weight: forward[i] + of(i, j) + backward[j],
                tallies: starts[i][j - i - 1].0.clone(),
                sharing: (position - i, j - position - 1),
            });
        }
    }
    let best = found.iter().map(|h| h.log_weight).fold(f64::NEG_INFINITY, f64::max);
    found.retain(|h| h.log_weight - best >= NEGLIGIBLE);
    let total = log_sum_exp(&found.iter().map(|h| h.log_weight).collect::<Vec<f64>>());
    if !total.is_finite() {
        return vec![fresh(0.0)];
    }
    found.iter_mut().for_each(|h| h.log_weight -= total);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::RatePrior;

    fn flat() -> Rates {
        Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() }
    }

    fn run(counts: &[(u64, u64)]) -> Vec<Tally> {
        counts.iter().map(|&(failures, successes)| Tally { failures, successes }).collect()
    }

    #[test]
    fn with_one_neighbour_the_weights_are_the_prior() {
        let found = hypotheses(&[run(&[(3, 9)])], 1, &[0.3], &flat(), 1);
        let weight = |with: (bool, bool)| {
            found.iter().find(|h| h.with_neighbours() == with).unwrap().log_weight.exp()
        };
        assert!((weight((false, false)) - 0.3).abs() < 1e-9);
        assert!((weight((true, false)) - 0.7).abs() < 1e-9);
    }

    #[test]
    fn a_run_between_two_of_one_start_met_it_too_and_between_two_starts_it_met_neither_surely() {
        let (a, b) = (run(&[(1, 60), (40, 10)]), run(&[(45, 15), (2, 50)]));
        let weight = |others: &[Vec<Tally>], with: (bool, bool)| -> f64 {
            hypotheses(others, 1, &[0.2, 0.2], &flat(), 2)
                .iter()
                .filter(|h| h.with_neighbours() == with)
                .map(|h| h.log_weight.exp())
                .sum()
        };
        assert!(weight(&[a.clone(), a.clone()], (true, true)) > 0.99);
        let apart = [a, b];
        assert!(weight(&apart, (true, true)) < 1e-6);
        // One restart on either side: 0.16 each; two of them: 0.04.
        assert!((weight(&apart, (true, false)) - 0.16 / 0.36).abs() < 1e-6);
        assert!((weight(&apart, (false, false)) - 0.04 / 0.36).abs() < 1e-6);
    }

    #[test]
    fn known_rates_need_no_neighbours() {
        let found = hypotheses(&[run(&[(3, 9)])], 0, &[0.3], &Rates::Known(vec![0.2]), 1);
        assert_eq!((found.len(), found[0].tallies[0].attempts()), (1, 0));
    }
}
