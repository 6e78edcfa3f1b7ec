//! The error rate of a server before it is seen: a density on (0, 1), whatever family it came from.
//!
//! The population averaged over what is known of its hyperparameters, as weights on a grid of
//! rates. Starts, limits, checks and predictions need no more of a population than this: the
//! likelihood of a server's attempts, the chance that its next attempt fails, its posterior.
//!
//! When not to use it: to learn about the population itself; servers share its hyperparameters,
//! and a product over servers of averages forgets that.

use super::population::{Population, Tally};
use crate::stats::special::{ln_beta, log_sum_exp};

/// Cells of the grid.
const CELLS: usize = 512;
/// With more attempts than this a server's posterior is narrower than a few cells, and the
/// integral is the density there times the flat integral.
const MANY_ATTEMPTS: u64 = 4_000;

/// A density of error rates.
#[derive(Debug, Clone, PartialEq)]
pub struct RatePrior {
    /// `ln` of the probability of each cell; `-inf` where there is none.
    log_weights: Vec<f64>,
}

/// The middle of cell `i`.
fn rate(i: usize) -> f64 {
    (i as f64 + 0.5) / CELLS as f64
}

impl RatePrior {
    /// Every rate as likely as any other.
    #[must_use]
    pub fn flat() -> Self {
        Self { log_weights: vec![-libm::log(CELLS as f64); CELLS] }
    }

    /// One population.
    #[must_use]
    pub fn of(population: &Population) -> Self {
        Self::average(&[(*population, 1.0)])
    }

    /// Several populations with weights above 0 (they need not sum to 1).
    #[must_use]
    pub fn average(populations: &[(Population, f64)]) -> Self {
        let mut cells = vec![0.0; CELLS];
        let total: f64 = populations.iter().map(|(_, weight)| weight).sum();
        for (population, weight) in populations {
            let mut below = population.cdf(0.0);
            for (i, cell) in cells.iter_mut().enumerate() {
                let next = population.cdf((i + 1) as f64 / CELLS as f64);
                *cell += weight / total * (next - below).max(0.0);
                below = next;
            }
        }
        Self { log_weights: cells.into_iter().map(libm::log).collect() }
    }

    /// `ln` of p^f (1-p)^s averaged over the density.
    #[must_use]
    pub fn log_marginal(&self, tally: Tally) -> f64 {
        if tally.attempts() == 0 {
            return 0.0;
        }
        if tally.attempts() > MANY_ATTEMPTS {
            let (f, s) = tally.as_floats();
            let cell = ((f / (f + s) * CELLS as f64) as usize).min(CELLS - 1);
            let log_density = self.log_weights[cell].max(-700.0) + libm::log(CELLS as f64);
            return log_density + ln_beta(f + 1.0, s + 1.0);
        }
        log_sum_exp(&self.log_posterior(tally))
    }

    /// The chance that the next attempt at a server fails.
    #[must_use]
    pub fn predictive_failure(&self, tally: Tally) -> f64 {
        if tally.attempts() > MANY_ATTEMPTS {
            let (f, s) = tally.as_floats();
            return (f + 1.0) / (f + s + 2.0);
        }
        let weights = self.posterior(tally);
        weights.iter().enumerate().map(|(i, w)| w * rate(i)).sum()
    }

    /// The probability that a server with this tally has a rate of at most `at`, linear in a cell.
    #[must_use]
    pub fn posterior_cdf(&self, tally: Tally, at: f64) -> f64 {
        let position = at.clamp(0.0, 1.0) * CELLS as f64;
        let cell = position as usize;
        let weights = self.posterior(tally);
        let below: f64 = weights.iter().take(cell).sum();
        below + weights.get(cell).map_or(0.0, |w| w * (position - cell as f64))
    }

    /// The rate that a server with this tally is below with probability `u` in (0, 1).
    #[must_use]
    pub fn posterior_quantile(&self, tally: Tally, u: f64) -> f64 {
        let mut below = 0.0;
        for (i, weight) in self.posterior(tally).into_iter().enumerate() {
            if below + weight >= u && weight > 0.0 {
                return (i as f64 + ((u - below) / weight).clamp(0.0, 1.0)) / CELLS as f64;
            }
            below += weight;
        }
        1.0
    }

    /// The mean rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.predictive_failure(Tally::default())
    }

    fn log_posterior(&self, tally: Tally) -> Vec<f64> {
        let (f, s) = tally.as_floats();
        let value = |(i, log_weight): (usize, &f64)| {
            log_weight + f * libm::log(rate(i)) + s * libm::log1p(-rate(i))
        };
        self.log_weights.iter().enumerate().map(value).collect()
    }

    fn posterior(&self, tally: Tally) -> Vec<f64> {
        let mut values = self.log_posterior(tally);
        let total = log_sum_exp(&values);
        values.iter_mut().for_each(|value| *value = libm::exp(*value - total));
        values
    }
}
