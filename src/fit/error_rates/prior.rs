//! The error rate of a server before it is seen: a density on (0, 1), whatever family it came from.
//!
//! The population averaged over what is known of its hyperparameters, as the mass and the mean
//! rate of each cell of a grid of rates. Starts, limits, checks and predictions need no more of a
//! population than this: the likelihood of a server's attempts, the chance that its next attempt
//! fails, its posterior. Small tallies are looked up, others summed over the cells that matter;
//! beyond [`MANY_ATTEMPTS`] the likelihood is integrated within each cell.
//!
//! When not to use it: to learn about the population itself; servers share its hyperparameters,
//! and a product over servers of averages forgets that.

use super::population::Tally;
use super::prior_cell::{MANY_ATTEMPTS, PriorCell};
use super::rate_cells::{CELLS, Cell, RATE_CELLS};
use super::truncated::TruncatedBeta;
use crate::stats::special::log_sum_exp;
use crate::world::ErrorFamily;

/// Tallies of up to so many attempts are looked up.
const SMALL: usize = 64;
/// Averages below this have lost digits, or all, to underflow.
const SMALLEST_AVERAGE: f64 = 1e-250;
/// Cells whose likelihood is below the best one by more than this on the log scale are left out.
const NEGLIGIBLE: f64 = 45.0;

/// A density of error rates.
#[derive(Debug, Clone, PartialEq)]
pub struct RatePrior {
    /// The cells with mass, in order of rates.
    cells: Vec<PriorCell>,
    /// `ln` of the marginal likelihood of small tallies: of n attempts and f failures at
    /// n (n + 1) / 2 + f.
    small: Vec<f64>,
}

impl RatePrior {
    /// Every rate as likely as any other.
    #[must_use]
    pub fn flat() -> Self {
        Self::of(&ErrorFamily::FLAT)
    }

    /// One population.
    #[must_use]
    pub fn of(population: &ErrorFamily) -> Self {
        Self::average(&[(population.clone(), 1.0)])
    }

    /// Several populations with weights above 0 (they need not sum to 1).
    #[must_use]
    pub fn average(populations: &[(ErrorFamily, f64)]) -> Self {
        let mut cells = vec![Cell::default(); CELLS];
        for (population, weight) in populations {
            RATE_CELLS.add(population, *weight, &mut cells);
        }
        let total: f64 = cells.iter().map(|cell| cell.mass).sum();
        let with_mass = cells.iter().enumerate().filter(|(_, cell)| cell.mass > 0.0);
        let cells: Vec<PriorCell> =
            with_mass.map(|(index, cell)| PriorCell::new(index, cell, total)).collect();
        let mut prior = Self { cells, small: Vec::new() };
        prior.small = prior.table();
        prior
    }

    /// `ln` of p^f (1-p)^s averaged over the density.
    #[must_use]
    pub fn log_marginal(&self, tally: Tally) -> f64 {
        if let Some(looked_up) = index(tally).and_then(|i| self.small.get(i)) {
            return *looked_up;
        }
        if tally.attempts() > MANY_ATTEMPTS {
            return log_sum_exp(&self.log_masses(tally));
        }
        self.summed(tally)
    }

    /// The chance that the next attempt at a server fails.
    #[must_use]
    pub fn predictive_failure(&self, tally: Tally) -> f64 {
        let more = Tally { failures: tally.failures + 1, ..tally };
        libm::exp(self.log_marginal(more) - self.log_marginal(tally)).min(1.0)
    }

    /// The probability that a server with this tally has a rate of at most `at`.
    #[must_use]
    pub fn posterior_cdf(&self, tally: Tally, at: f64) -> f64 {
        let at = at.clamp(0.0, 1.0);
        let place = RATE_CELLS.cell_of(at);
        let mut below = 0.0;
        for (cell, mass) in self.cells.iter().zip(self.posterior(tally)) {
            if cell.index == place {
                below += mass * cell.share_below(tally, at);
            } else if cell.index < place {
                below += mass;
            }
        }
        below.min(1.0)
    }

    /// The rate that a server with this tally is below with probability `u` in (0, 1).
    #[must_use]
    pub fn posterior_quantile(&self, tally: Tally, u: f64) -> f64 {
        let mut below = 0.0;
        for (cell, mass) in self.cells.iter().zip(self.posterior(tally)) {
            if below + mass >= u && mass > 0.0 {
                let wanted = ((u - below) / mass).clamp(0.0, 1.0);
                let (mut low, mut high) = cell.ends();
                for _ in 0..50 {
                    let middle = 0.5 * (low + high);
                    if cell.share_below(tally, middle) < wanted {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                return 0.5 * (low + high);
            }
            below += mass;
        }
        self.cells.last().map_or(1.0, |cell| RATE_CELLS.edges[cell.index + 1])
    }

    /// The mean rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.predictive_failure(Tally::default())
    }

    /// All small tallies, by one multiplication a cell and tally.
    fn table(&self) -> Vec<f64> {
        let mut table = vec![0.0; (SMALL + 1) * (SMALL + 2) / 2];
        let mut failed: Vec<f64> = self.cells.iter().map(|c| libm::exp(c.log_mass)).collect();
        for f in 0..=SMALL {
            let mut terms = failed.clone();
            for s in 0..=SMALL - f {
                let average: f64 = terms.iter().sum();
                let tally = Tally { failures: f as u64, successes: s as u64 };
                table[(f + s) * (f + s + 1) / 2 + f] = if f + s == 0 {
                    0.0
                } else if average > SMALLEST_AVERAGE {
                    libm::log(average)
                } else {
                    self.summed(tally)
                };
                terms.iter_mut().zip(&self.cells).for_each(|(t, cell)| *t *= 1.0 - cell.rate);
            }
            failed.iter_mut().zip(&self.cells).for_each(|(t, cell)| *t *= cell.rate);
        }
        table
    }

    /// `ln` of the sum over cells of mass and average likelihood.
    fn summed(&self, tally: Tally) -> f64 {
        let (f, s) = tally.as_floats();
        let value = |cell: &PriorCell| cell.log_posterior(f, s);
        // The likelihood falls on either side of its mode, so that no cell matters beyond one
        // whose likelihood is negligible, whatever its mass.
        let middle = self.cells.partition_point(|cell| cell.rate * (f + s) < f);
        let mut best = f64::NEG_INFINITY;
        let mut matters = |cell: &PriorCell| {
            let value = value(cell);
            best = best.max(value);
            value - cell.log_mass > best - NEGLIGIBLE
        };
        let far = self.cells[middle..].iter().position(|cell| !matters(cell));
        let near = self.cells[..middle].iter().rposition(|cell| !matters(cell));
        let last = far.map_or(self.cells.len(), |far| middle + far + 1);
        let cells = &self.cells[near.unwrap_or(0)..last];
        let terms = cells.iter().filter_map(|cell| {
            let beyond = value(cell) - best;
            (beyond > -NEGLIGIBLE).then(|| libm::exp(beyond) * cell.curvature(f, s))
        });
        best + libm::log(terms.sum::<f64>())
    }

    /// `ln` of the mass of each cell times the likelihood averaged within.
    fn log_masses(&self, tally: Tally) -> Vec<f64> {
        let (f, s) = tally.as_floats();
        if tally.attempts() <= MANY_ATTEMPTS {
            let value =
                |cell: &PriorCell| cell.log_posterior(f, s) + libm::log(cell.curvature(f, s));
            return self.cells.iter().map(value).collect();
        }
        let server = TruncatedBeta::new(tally);
        let mode = f / (f + s);
        // The likelihood within a cell is at most that at the rate nearest to the mode, and at
        // least nearly that at the mean rate.
        let best = self
            .cells
            .iter()
            .map(|cell| cell.log_posterior(f, s))
            .fold(f64::NEG_INFINITY, f64::max);
        let value = |cell: &PriorCell| {
            let (low, high) = cell.ends();
            let bound = cell.log_mass + server.log_likelihood(mode.clamp(low, high));
            if bound < best - NEGLIGIBLE {
                return f64::NEG_INFINITY;
            }
            cell.log_mass + cell.log_average(&server, tally)
        };
        self.cells.iter().map(value).collect()
    }

    fn posterior(&self, tally: Tally) -> Vec<f64> {
        let mut values = self.log_masses(tally);
        let total = log_sum_exp(&values);
        values.iter_mut().for_each(|value| *value = libm::exp(*value - total));
        values
    }
}

/// The place of a small tally in the table.
fn index(tally: Tally) -> Option<usize> {
    let attempts = tally.attempts();
    if attempts > SMALL as u64 {
        return None;
    }
    usize::try_from(attempts * (attempts + 1) / 2 + tally.failures).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::error_rates::Population;

    const POPULATIONS: [ErrorFamily; 6] = [
        ErrorFamily::FLAT,
        ErrorFamily::Uniform { low: 0.02, high: 0.75 },
        ErrorFamily::Uniform { low: 0.33, high: 0.35 },
        ErrorFamily::Beta { alpha: 0.6, beta: 0.9 },
        ErrorFamily::Beta { alpha: 30.0, beta: 70.0 },
        ErrorFamily::BetaMixture {
            weight: 0.3,
            alpha: 1.2,
            beta: 9.0,
            second_alpha: 20.0,
            second_beta: 7.0,
        },
    ];

    fn tally(failures: u64, successes: u64) -> Tally {
        Tally { failures, successes }
    }

    #[test]
    fn the_marginal_likelihood_is_that_of_the_population_at_small_and_large_counts() {
        for population in POPULATIONS {
            let prior = RatePrior::of(&population);
            for n in [1_u64, 5, 64, 65, 300, 4_000, 9_999, 10_001, 40_000, 1_000_000] {
                for share in [0.0, 0.1, 0.34, 0.7, 1.0] {
                    let f = (share * n as f64) as u64;
                    let t = tally(f, n - f);
                    // Rates that the population rules out: the edge is known to a cell only.
                    let raw = f as f64 / n as f64;
                    let rest = population.cdf((raw + 0.02).min(1.0)) - population.cdf(raw - 0.02);
                    if n >= 64 && rest < 1e-3 {
                        continue;
                    }
                    let (got, exact) = (prior.log_marginal(t), population.log_marginal(t));
                    let error = (got - exact).abs();
                    // Within a cell the density is flat, which a million attempts can tell.
                    let bound = if n < 100_000 { 1e-3 } else { 1e-2 };
                    assert!(error < bound, "{population:?} {t:?}: {got} {exact}");
                    let (got, exact) =
                        (prior.predictive_failure(t), population.predictive_failure(t));
                    assert!((got - exact).abs() < 5e-4, "{population:?} {t:?}: {got} {exact}");
                }
            }
        }
    }

    #[test]
    fn no_step_where_the_way_of_computing_changes() {
        for population in POPULATIONS {
            let prior = RatePrior::of(&population);
            for share in [0.0, 0.05, 0.34, 0.5, 1.0] {
                for last in [SMALL as u64, MANY_ATTEMPTS] {
                    let f = (share * last as f64) as u64;
                    let before = tally(f, last - f);
                    // One success more costs ln P(success).
                    let after = tally(f, last + 1 - f);
                    let step = prior.log_marginal(after) - prior.log_marginal(before);
                    let exact = population.log_marginal(after) - population.log_marginal(before);
                    let raw = f as f64 / last as f64;
                    let rest = population.cdf((raw + 0.02).min(1.0)) - population.cdf(raw - 0.02);
                    if rest > 1e-3 {
                        assert!(
                            (step - exact).abs() < 1e-3,
                            "{population:?} {share} {last}: {step} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn hopeless_tallies_have_finite_marginals_and_sane_posteriors() {
        let prior = RatePrior::of(&ErrorFamily::Uniform { low: 0.4, high: 0.5 });
        for t in [tally(0, 64), tally(0, 90_000), tally(1_000_000, 0), tally(3_000, 3)] {
            let (got, exact) = (
                prior.log_marginal(t),
                ErrorFamily::Uniform { low: 0.4, high: 0.5 }.log_marginal(t),
            );
            assert!(got.is_finite() && (got / exact - 1.0).abs() < 0.01, "{t:?} {got} {exact}");
            assert!((0.39..0.51).contains(&prior.predictive_failure(t)), "{t:?}");
            assert!((0.39..0.51).contains(&prior.posterior_quantile(t, 0.5)), "{t:?}");
        }
    }

    #[test]
    fn quantiles_undo_the_distribution_function_which_is_the_populations() {
        for population in POPULATIONS {
            let prior = RatePrior::of(&population);
            for t in [tally(0, 0), tally(3, 9), tally(40, 80), tally(6_800, 13_200)] {
                for u in [0.025, 0.3, 0.5, 0.975] {
                    let at = prior.posterior_quantile(t, u);
                    assert!((prior.posterior_cdf(t, at) - u).abs() < 1e-6, "{population:?} {t:?}");
                    let exact = population.posterior_quantile(t, u);
                    assert!((exact - at).abs() < 2e-3, "{population:?} {t:?} {u}: {at} {exact}");
                }
            }
        }
    }

    #[test]
    fn an_average_of_populations_has_the_average_likelihood() {
        let weighted: Vec<(ErrorFamily, f64)> =
            POPULATIONS.into_iter().zip([1.0, 2.0, 0.5, 3.0, 1.0, 0.2]).collect();
        let prior = RatePrior::average(&weighted);
        for t in [tally(1, 0), tally(4, 9), tally(200, 300)] {
            let likelihood = |(p, w): &(ErrorFamily, f64)| w * p.log_marginal(t).exp();
            let exact = (weighted.iter().map(likelihood).sum::<f64>() / 7.7).ln();
            assert!((prior.log_marginal(t) - exact).abs() < 1e-3, "{t:?}");
        }
    }
}
