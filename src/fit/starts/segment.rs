//! Which runs met the same start of the servers?
//!
//! Each start draws new error rates, so runs of one start share a rate per server and runs of
//! different starts do not. Runs stand in order of time; between any two neighbours there may be
//! a restart, with prior probability 1/2. The likelihood of a start is the product over servers
//! of the population-averaged likelihood of all its attempts. Summing over all ways to cut the
//! runs (forward-backward) gives the probability and the Bayes factor of each restart; dynamic
//! programming gives the most probable cut (Barry and Hartigan, "Product partition models for
//! change point problems", Ann. Statist. 20 (1992), 260-279).
//!
//! When not to use it: restarts within a run are not looked for, nor a restart of one server
//! alone; refusals by a rate limiter that hide among failures can look like a restart.

use rayon::prelude::*;

use crate::fit::error_rates::{Population, Tally};
use crate::stats::special::log_sum_exp;

/// The gap between two runs that follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// Whether the most probable cut has a restart here.
    pub restart: bool,
    /// Posterior probability of a restart.
    pub probability: f64,
    /// `ln` of the Bayes factor for a restart; with a prior of 1/2 also the log posterior odds.
    pub log_bayes_factor: f64,
}

/// Runs cut into starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// The start of each run in the most probable cut, from 0.
    pub start_of_run: Vec<usize>,
    /// The gaps between neighbours, one fewer than runs.
    pub boundaries: Vec<Boundary>,
}

impl Segmentation {
    /// How many starts the most probable cut has.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.start_of_run.last().map_or(0, |last| last + 1)
    }
}

/// Finds the starts among runs in order of time; each run is its servers' tallies in one order.
///
/// Time grows with the cube of the number of runs; a thousand take some seconds.
#[must_use]
pub fn segment(runs: &[Vec<Tally>], population: &Population) -> Segmentation {
    let n = runs.len();
    let likelihoods: Vec<Vec<f64>> =
        (0..n).into_par_iter().map(|first| of_segments_from(&runs[first..], population)).collect();
    // ln likelihood of one start holding exactly the runs i..j.
    let segment = |i: usize, j: usize| likelihoods[i][j - i - 1];
    // Every gap has the same prior for and against a restart, so the prior is one constant
    // factor of all cuts and cancels.
    let (mut forward, mut backward) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let (mut best, mut best_from) = (vec![0.0; n + 1], vec![0; n + 1]);
    for j in 1..=n {
        let terms: Vec<f64> = (0..j).map(|i| forward[i] + segment(i, j)).collect();
        forward[j] = log_sum_exp(&terms);
        best[j] = f64::NEG_INFINITY;
        for i in 0..j {
            if best[i] + segment(i, j) > best[j] {
                (best[j], best_from[j]) = (best[i] + segment(i, j), i);
            }
        }
    }
    for i in (0..n).rev() {
        let terms: Vec<f64> = (i + 1..=n).map(|j| segment(i, j) + backward[j]).collect();
        backward[i] = log_sum_exp(&terms);
    }
    let mut restarts = vec![false; n + 1];
    let mut end = n;
    while end > 0 {
        end = best_from[end];
        restarts[end] = true;
    }
    let boundary = |k: usize| {
        let with = forward[k] + backward[k];
        let across = |i: usize| (k + 1..=n).map(move |j| (i, j));
        let terms: Vec<f64> = (0..k)
            .flat_map(across)
            .map(|(i, j)| forward[i] + segment(i, j) + backward[j])
            .collect();
        let log_bayes_factor = with - log_sum_exp(&terms);
        Boundary {
            restart: restarts[k],
            probability: 1.0 / (1.0 + libm::exp(-log_bayes_factor)),
            log_bayes_factor,
        }
    };
    let start_of_run = restarts[..n]
        .iter()
        .scan(0, |starts, restart| {
            *starts += usize::from(*restart);
            Some(*starts - 1)
        })
        .collect();
    Segmentation { start_of_run, boundaries: (1..n).map(boundary).collect() }
}

/// `ln` likelihood of one start that holds the first run, the first two, and so on.
fn of_segments_from(runs: &[Vec<Tally>], population: &Population) -> Vec<f64> {
    let mut pooled: Vec<Tally> = Vec::new();
    runs.iter()
        .map(|run| {
            pooled.resize(pooled.len().max(run.len()), Tally::default());
            pooled.iter_mut().zip(run).for_each(|(sum, tally)| sum.add(*tally));
            pooled.iter().map(|tally| population.log_marginal(*tally)).sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(counts: &[(u64, u64)]) -> Vec<Tally> {
        counts.iter().map(|&(failures, successes)| Tally { failures, successes }).collect()
    }

    #[test]
    fn a_single_gap_has_the_bayes_factor_of_the_closed_form() {
        let (a, b) = (run(&[(3, 9), (5, 1)]), run(&[(7, 2), (4, 4)]));
        let found = segment(&[a.clone(), b.clone()], &Population::FLAT);
        let of = |t: Tally| Population::FLAT.log_marginal(t);
        let pooled =
            of(Tally { failures: 10, successes: 11 }) + of(Tally { failures: 9, successes: 5 });
        let apart: f64 = a.iter().chain(&b).map(|t| of(*t)).sum();
        let boundary = found.boundaries[0];
        assert!((boundary.log_bayes_factor - (apart - pooled)).abs() < 1e-12);
        let odds = boundary.log_bayes_factor.exp();
        assert!((boundary.probability - odds / (1.0 + odds)).abs() < 1e-12);
        assert_eq!(found.starts(), 1 + usize::from(boundary.restart));
    }

    #[test]
    fn cuts_where_rates_change_and_nowhere_else() {
        let (a, b) = (run(&[(1, 30), (20, 10)]), run(&[(18, 12), (2, 30)]));
        let runs = [a.clone(), a.clone(), b.clone(), b.clone(), a.clone()];
        let found = segment(&runs, &Population::FLAT);
        assert_eq!(found.start_of_run, [0, 0, 1, 1, 2]);
        assert_eq!(found.starts(), 3);
        assert!(found.boundaries[1].probability > 0.999 && found.boundaries[0].probability < 0.5);
    }

    #[test]
    fn servers_that_nobody_tried_say_nothing() {
        let found = segment(&[run(&[(0, 0)]), run(&[(0, 0)])], &Population::FLAT);
        assert_eq!(found.boundaries[0].log_bayes_factor, 0.0);
        assert_eq!(segment(&[], &Population::FLAT).starts(), 0);
    }
}
