//! The evidence of the beta family: mean and correlation independent and uniform on (0, 1).
//!
//! The correlation is that of two attempts at one server, 1 / (concentration + 1), where
//! concentration = alpha + beta. The likelihood of all tallies is a product of three functions of
//! one variable each, of alpha, beta and alpha + beta; they are tabulated in the logarithm of that
//! variable and interpolated by cubics, so that the cost of a cell does not grow with the data.
//!
//! When not to use it: directly; [`super::fit_error_rates`] compares families.

use super::grid::{Axis, GridPosterior, integrate};
use super::population::Tally;
use crate::stats::special::ln_gamma;

/// Cells along each axis.
const CELLS: usize = 64;
/// Cells below the best one by more than this may be cut off.
const NEGLIGIBLE: f64 = 25.0;
/// Distance of the nodes in `ln x`: the error is below 1e-6 (1 + x) for ten servers.
const STEP: f64 = 1.0 / 32.0;

/// alpha + beta, from the correlation of two attempts at one server.
pub(super) fn concentration(correlation: f64) -> f64 {
    1.0 / correlation - 1.0
}

/// alpha and beta.
pub(super) fn shapes(mean: f64, concentration: f64) -> (f64, f64) {
    (mean * concentration, (1.0 - mean) * concentration)
}

/// The posterior of (mean, correlation), given tallies and how often each occurs.
pub(super) fn posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<2>> {
    let counts = |of: fn(&Tally) -> u64| counts(tallies.iter().map(|(t, times)| (of(t), *times)));
    let failures = counts(|t| t.failures);
    let successes = counts(|t| t.successes);
    let attempts = counts(|t| t.attempts());
    integrate([Axis::unit(CELLS); 2], NEGLIGIBLE, |[mean, correlation]| {
        let (means, correlations) = (mean.midpoints(), correlation.midpoints());
        let (greatest, least) =
            (concentration(correlations[0]), concentration(correlations[CELLS - 1]));
        let of_alpha = Rising::new(&failures, means[0] * least, means[CELLS - 1] * greatest);
        let rest = |mean: f64| 1.0 - mean;
        let of_beta =
            Rising::new(&successes, rest(means[CELLS - 1]) * least, rest(means[0]) * greatest);
        let of_both = Rising::new(&attempts, least, greatest);
        let columns: Vec<(f64, f64)> = correlations
            .iter()
            .map(|correlation| {
                let concentration = concentration(*correlation);
                (libm::log(concentration), of_both.at(libm::log(concentration)))
            })
            .collect();
        let row = |mean: &f64| {
            let (of_mean, of_rest) = (libm::log(*mean), libm::log1p(-mean));
            let (of_alpha, of_beta) = (&of_alpha, &of_beta);
            columns.iter().map(move |(log_concentration, both)| {
                of_alpha.at(log_concentration + of_mean) + of_beta.at(log_concentration + of_rest)
                    - both
            })
        };
        means.iter().flat_map(row).collect()
    })
}

/// How often each count above 0 occurs, in order.
fn counts(all: impl Iterator<Item = (u64, f64)>) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(u64, f64)> = all.filter(|(n, _)| *n > 0).collect();
    sorted.sort_by_key(|(n, _)| *n);
    let mut counts: Vec<(f64, f64)> = Vec::new();
    for (n, times) in sorted {
        match counts.last_mut() {
            Some((last, sum)) if *last == n as f64 => *sum += times,
            _ => counts.push((n as f64, times)),
        }
    }
    counts
}

/// Sum over counts n of `ln Gamma(x + n) - ln Gamma(x)`, as a function of `ln x`.
struct Rising {
    /// `ln x` of the first node.
    start: f64,
    values: Vec<f64>,
}

impl Rising {
    /// For x between two ends.
    fn new(counts: &[(f64, f64)], from: f64, to: f64) -> Self {
        // A node more on either side, for the cubic.
        let start = libm::log(from) - STEP;
        let nodes = ((libm::log(to) - start) / STEP) as usize + 3;
        let servers: f64 = counts.iter().map(|(_, times)| times).sum();
        let value = |i: usize| {
            let x = libm::exp(start + i as f64 * STEP);
            counts.iter().map(|(n, times)| times * ln_gamma(x + n)).sum::<f64>()
                - servers * ln_gamma(x)
        };
        Self { start, values: (0..nodes).map(value).collect() }
    }

    /// By the cubic through the four nearest nodes (Lagrange).
    fn at(&self, log_x: f64) -> f64 {
        let position = (log_x - self.start) / STEP;
        let node = (position as usize).clamp(1, self.values.len() - 3);
        let t = position - node as f64;
        let [before, first, second, after] = [0, 1, 2, 3].map(|i| self.values[node - 1 + i]);
        let (down, up, far) = (t + 1.0, t - 1.0, t - 2.0);
        0.5 * (down * up * far * first - down * t * far * second)
            + (down * t * up * after - t * up * far * before) / 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::population::log_beta_marginal;
    use super::*;

    #[test]
    fn the_interpolated_likelihood_is_the_exact_one() {
        let tallies = [(3, 7), (0, 40), (400, 100), (1, 0), (60_000, 20_000)];
        let tallies = tallies.map(|(failures, successes)| (Tally { failures, successes }, 2.0));
        let of = |count: fn(&Tally) -> u64| counts(tallies.iter().map(|(t, k)| (count(t), *k)));
        let tables = [of(|t| t.failures), of(|t| t.successes), of(|t| t.attempts())]
            .map(|counts| Rising::new(&counts, 1e-4, 1e4));
        for (alpha, beta) in [(0.001, 0.3), (0.7, 0.2), (2.1, 5.3), (40.0, 70.7), (1e3, 7.7e3)] {
            let [a, b, both] = [alpha, beta, alpha + beta].map(f64::ln);
            let got = tables[0].at(a) + tables[1].at(b) - tables[2].at(both);
            let exact: f64 =
                tallies.iter().map(|(t, times)| times * log_beta_marginal(alpha, beta, *t)).sum();
            let bound = 1e-6 * (1.0 + alpha + beta);
            assert!((got - exact).abs() < bound, "{alpha} {beta}: {got} {exact}");
        }
    }
}
