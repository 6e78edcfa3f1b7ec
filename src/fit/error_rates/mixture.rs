//! The evidence of a mixture of two betas: each server is of the first or the second kind.
//!
//! Hyper-prior: the correlation 1 / (concentration + 1) that both components share uniform on
//! (0, 1); the means uniform on the triangle first < second; the weight of the second uniform on
//! (0, 1). For each concentration the likelihood of each server is tabulated over means; a cell
//! of the four-dimensional grid is then one product over servers.
//!
//! When not to use it: directly; [`super::fit_error_rates`] compares families.

use super::beta::{concentration, shapes};
use super::grid::{Axis, GridPosterior, integrate, share_above_diagonal};
use super::population::{Tally, log_beta_marginal};

/// Cells along the axes of the correlation, of either mean, and of the weight.
const CORRELATIONS: usize = 16;
const MEANS: usize = 24;
const WEIGHTS: usize = 12;
/// Cells below the best one by more than this may be cut off.
const NEGLIGIBLE: f64 = 14.0;
/// The least likelihood of one server, as a share of its greatest over the means: below it a cell
/// is hopeless, and products of four stay floats.
const FLOOR: f64 = 1e-70;

/// The posterior of (correlation, first mean, second mean, weight of the second), given tallies
/// and how often each occurs.
pub(super) fn posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<4>> {
    let axes =
        [Axis::unit(CORRELATIONS), Axis::unit(MEANS), Axis::unit(MEANS), Axis::unit(WEIGHTS)];
    integrate(axes, NEGLIGIBLE, |[correlation, first, second, weight]| {
        let (firsts, seconds) = (first.midpoints(), second.midpoints());
        let weights = weight.midpoints();
        let sides = (first.cell(), second.cell());
        let mut values = Vec::with_capacity(CORRELATIONS * MEANS * MEANS * WEIGHTS);
        for correlation in correlation.midpoints() {
            let table = Table::new(tallies, concentration(correlation), &firsts, &seconds);
            for (i, first) in firsts.iter().enumerate() {
                for (j, second) in seconds.iter().enumerate() {
                    let share = share_above_diagonal(*first, *second, sides);
                    if share > 0.0 {
                        // The prior density on the triangle is 2.
                        let log_prior = libm::log(2.0 * share) + table.log_scale;
                        let sums = table.log_likelihoods(i, j, &weights);
                        values.extend(sums.map(|log_likelihood| log_prior + log_likelihood));
                    } else {
                        values.extend([f64::NEG_INFINITY; WEIGHTS]);
                    }
                }
            }
        }
        values
    })
}

/// The likelihood of each server at each mean, for one concentration.
struct Table {
    /// `ln` of what all likelihoods were divided by.
    log_scale: f64,
    /// For each mean of the first component, one value a server.
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    times: Vec<f64>,
}

impl Table {
    fn new(tallies: &[(Tally, f64)], concentration: f64, firsts: &[f64], seconds: &[f64]) -> Self {
        let at = |mean: &f64| {
            let (alpha, beta) = shapes(*mean, concentration);
            tallies.iter().map(|(t, _)| log_beta_marginal(alpha, beta, *t)).collect::<Vec<f64>>()
        };
        let mut first: Vec<Vec<f64>> = firsts.iter().map(at).collect();
        let mut second: Vec<Vec<f64>> = seconds.iter().map(at).collect();
        let mut log_scale = 0.0;
        for (server, (_, times)) in tallies.iter().enumerate() {
            let all = first.iter().chain(&second).map(|of_mean| of_mean[server]);
            let best = all.fold(f64::NEG_INFINITY, f64::max);
            log_scale += times * best;
            for of_mean in first.iter_mut().chain(&mut second) {
                of_mean[server] = libm::exp(of_mean[server] - best);
            }
        }
        Self { log_scale, first, second, times: tallies.iter().map(|(_, times)| *times).collect() }
    }

    /// `ln` of the scaled likelihood of all servers, for each weight.
    fn log_likelihoods(&self, i: usize, j: usize, weights: &[f64]) -> [f64; WEIGHTS] {
        let (mut sums, mut products) = ([0.0; WEIGHTS], [1.0; WEIGHTS]);
        let servers = self.first[i].iter().zip(&self.second[j]).zip(&self.times);
        for (server, ((a, b), times)) in servers.enumerate() {
            for ((product, sum), weight) in products.iter_mut().zip(&mut sums).zip(weights) {
                let likelihood = (a + weight * (b - a)).max(FLOOR);
                if *times == 1.0 {
                    *product *= likelihood;
                } else {
                    *sum += times * libm::log(likelihood);
                }
            }
            if server % 4 == 3 {
                for (product, sum) in products.iter_mut().zip(&mut sums) {
                    *sum += libm::log(*product);
                    *product = 1.0;
                }
            }
        }
        products.iter().zip(&mut sums).for_each(|(product, sum)| *sum += libm::log(*product));
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::error_rates::Population;
    use crate::world::ErrorFamily;

    #[test]
    fn the_tabulated_likelihood_is_that_of_the_population() {
        let tallies = [(3, 7), (0, 40), (400, 100), (1, 0), (2, 2), (9, 1), (30, 4)];
        let tallies = tallies.map(|(failures, successes)| (Tally { failures, successes }, 1.0));
        let (firsts, seconds) = ([0.1, 0.3], [0.4, 0.8]);
        let weights: Vec<f64> = Axis::unit(WEIGHTS).midpoints();
        let table = Table::new(&tallies, 6.0, &firsts, &seconds);
        let got = table.log_likelihoods(1, 0, &weights);
        let (alpha, beta) = shapes(0.3, 6.0);
        let (second_alpha, second_beta) = shapes(0.4, 6.0);
        for (weight, got) in weights.into_iter().zip(got) {
            let population =
                ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta };
            let exact: f64 = tallies.iter().map(|(t, _)| population.log_marginal(*t)).sum();
            assert!((got + table.log_scale - exact).abs() < 1e-9, "{weight}: {got} {exact}");
        }
    }
}
