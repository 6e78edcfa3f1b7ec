//! The population that the servers come from, estimated from their tallies as the run goes.
//!
//! Empirical Bayes: success rates are Beta(m v, (1-m) v) over servers, with the mean m and the
//! strength v (in attempts) unknown. A grid of (m, v) carries weights; an outcome of a server with
//! s successes and f failures before it multiplies each weight by that outcome's Beta-Bernoulli
//! probability, (m v + s) / (v + s + f) for a success (Carlin and Louis, "Bayesian Methods for
//! Data Analysis", 3rd edition, section 5.4: marginal likelihood). The order of outcomes does not
//! matter: the product is the marginal likelihood of the tallies.
//!
//! Limits: one Beta population; a mixture of two kinds of servers is fitted by the nearest Beta.

/// Means on the grid: the centres of nine equal cells.
const MEANS: usize = 9;
/// Strengths on the grid, in attempts: from a flat population to nearly equal servers.
const STRENGTHS: [f64; 4] = [2.0, 4.0, 8.0, 16.0];
/// Weights are scaled up when their sum falls below this.
const RESCALE_BELOW: f64 = 1e-100;

/// The mean that a cell stands for.
#[inline]
fn mean_of(cell: usize) -> f64 {
    (cell as f64 + 0.5) / MEANS as f64
}

/// The estimated population of servers.
#[derive(Debug, Clone)]
pub(super) struct Population {
    /// Of each (strength, mean).
    weight: [[f64; MEANS]; STRENGTHS.len()],
    /// The prior is given: nothing is estimated.
    given: bool,
    /// Pseudo-successes that a server starts with.
    pub(super) successes: f64,
    /// Pseudo-failures that a server starts with.
    pub(super) failures: f64,
}

impl Population {
    /// Nothing known but that means are more often high than low (density 2m).
    pub(super) fn unknown() -> Self {
        let weight = [std::array::from_fn(mean_of); STRENGTHS.len()];
        let mut population = Self { weight, given: false, successes: 0.0, failures: 0.0 };
        population.settle();
        population
    }

    /// A prior Beta(`successes`, `failures`) that is known.
    pub(super) fn given(successes: f64, failures: f64) -> Self {
        Self { given: true, successes, failures, ..Self::unknown() }
    }

    /// Takes in an outcome of a server that had `s` successes and `f` failures before it.
    #[inline]
    pub(super) fn observe(&mut self, s: f64, f: f64, success: bool) {
        if self.given {
            return;
        }
        for (row, strength) in self.weight.iter_mut().zip(STRENGTHS) {
            let counts = if success { s } else { f };
            let scale = 1.0 / (strength + s + f);
            for (cell, weight) in row.iter_mut().enumerate() {
                let mean = if success { mean_of(cell) } else { 1.0 - mean_of(cell) };
                *weight *= (mean * strength + counts) * scale;
            }
        }
        self.settle();
    }

    /// The Beta that beliefs use: posterior mean of m, and of 1/v for the strength.
    fn settle(&mut self) {
        let (mut sum, mut mean, mut inverse) = (0.0, 0.0, 0.0);
        for (row, strength) in self.weight.iter().zip(STRENGTHS) {
            let (mut row_sum, mut row_mean) = (0.0, 0.0);
            for (cell, weight) in row.iter().enumerate() {
                row_sum += weight;
                row_mean += weight * mean_of(cell);
            }
            sum += row_sum;
            mean += row_mean;
            inverse += row_sum / strength;
        }
        let strength = sum / inverse;
        self.successes = mean / sum * strength;
        self.failures = strength - self.successes;
        if sum < RESCALE_BELOW {
            self.weight.as_flattened_mut().iter_mut().for_each(|w| *w /= sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ln B(a, b) for the slow version.
    fn ln_beta(a: f64, b: f64) -> f64 {
        libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
    }

    /// The pseudo-counts from the servers' final tallies, by the Beta-binomial's closed form.
    fn slowly(tallies: &[(f64, f64)]) -> (f64, f64) {
        let (mut sum, mut mean, mut inverse) = (0.0, 0.0, 0.0);
        for strength in STRENGTHS {
            for cell in 0..MEANS {
                let m = (cell as f64 + 0.5) / 9.0;
                let (a, b) = (m * strength, (1.0 - m) * strength);
                let ln: f64 =
                    tallies.iter().map(|(s, f)| ln_beta(a + s, b + f) - ln_beta(a, b)).sum();
                let weight = m * ln.exp();
                sum += weight;
                mean += weight * m;
                inverse += weight / strength;
            }
        }
        let strength = sum / inverse;
        (mean / sum * strength, (1.0 - mean / sum) * strength)
    }

    fn told(tallies: &[(f64, f64)], failures_first: bool) -> Population {
        let mut population = Population::unknown();
        for (s, f) in tallies {
            let (mut a, mut b) = (0.0, 0.0);
            for k in 0..(s + f) as usize {
                let success = (k < *s as usize) != failures_first;
                let success = if failures_first { k >= *f as usize } else { success };
                population.observe(a, b, success);
                if success { a += 1.0 } else { b += 1.0 }
            }
        }
        population
    }

    #[test]
    fn equals_the_marginal_likelihood_of_the_tallies_in_any_order() {
        let tallies = [(12.0, 3.0), (2.0, 5.0), (0.0, 1.0), (40.0, 4.0)];
        let (alpha, beta) = slowly(&tallies);
        for failures_first in [false, true] {
            let population = told(&tallies, failures_first);
            assert!((population.successes - alpha).abs() < 1e-9, "{alpha}");
            assert!((population.failures - beta).abs() < 1e-9, "{beta}");
        }
    }

    #[test]
    fn equal_servers_make_a_strong_prior_and_different_ones_a_weak_one() {
        let equal = told(&[(14.0, 6.0); 10], false);
        let different = told(&[(19.0, 1.0), (1.0, 19.0), (18.0, 2.0), (3.0, 17.0)], false);
        let strength = |p: &Population| p.successes + p.failures;
        assert!(strength(&equal) > 10.0 && strength(&different) < 4.0);
        assert!((equal.successes / strength(&equal) - 0.7).abs() < 0.05);
    }

    #[test]
    fn stays_finite_over_a_long_run_and_leaves_a_given_prior_alone() {
        let long = told(&[(60_000.0, 40_000.0)], false);
        assert!(long.successes.is_finite() && long.failures > 0.0);
        let mut given = Population::given(3.0, 2.0);
        given.observe(0.0, 0.0, false);
        assert_eq!((given.successes, given.failures), (3.0, 2.0));
    }
}
