//! `ln` of a server's likelihood averaged over its error rate, looked up.
//!
//! The probability q(n, f) that f of n attempts fail, whatever their order, obeys
//!
//! ```text
//! q(n, f) = q(n+1, f) (n+1-f) / (n+1) + q(n+1, f+1) (f+1) / (n+1)
//! ```
//!
//! because the last attempt either succeeded or failed. So the longest row, summed over the grid
//! of rates, gives all shorter ones by additions of positive numbers: no digits are lost. The
//! likelihood of one order of outcomes is q(n, f) / binomial(n, f).
//!
//! Above [`TABLED`] attempts a server's posterior is narrow and nearly normal: its likelihood is
//! B(f+1, s+1) times the density of rates averaged over that normal curve.
//!
//! When not to use it: for a single tally; `RatePrior::log_marginal` is the same without a table.

use crate::fit::error_rates::{RatePrior, Tally};
use crate::stats::special::{ln_beta, ln_gamma, log_sum_exp, normal_cdf};

/// Cells of the grid of rates.
const CELLS: usize = 512;
/// The longest row of the table; 2 million entries.
const TABLED: usize = 2_000;
/// Cells further than this many standard deviations from the mean hold nothing.
const REACH: f64 = 8.0;
/// Below this the normal curve has lost its digits.
const SMALLEST_MASS: f64 = 1e-10;

/// A cell of the grid of rates in which the prior has probability.
struct Cell {
    low: f64,
    weight: f64,
    log_weight: f64,
    log_failure: f64,
    log_success: f64,
}

/// Averaged likelihoods of tallies.
pub(super) struct Marginals {
    cells: Vec<Cell>,
    /// `ln` of the averaged likelihood of f failures in n attempts at n (n + 1) / 2 + f.
    table: Vec<f64>,
    longest: usize,
}

impl Marginals {
    /// A table for tallies of up to `attempts`.
    pub(super) fn new(prior: &RatePrior, attempts: u64) -> Self {
        let edge = |i: usize| i as f64 / CELLS as f64;
        let below: Vec<f64> =
            (0..=CELLS).map(|i| prior.posterior_cdf(Tally::default(), edge(i))).collect();
        let cell = |i: usize| {
            let (weight, middle) = (below[i + 1] - below[i], (i as f64 + 0.5) / CELLS as f64);
            (weight > 0.0).then(|| Cell {
                low: edge(i),
                weight,
                log_weight: libm::log(weight),
                log_failure: libm::log(middle),
                log_success: libm::log1p(-middle),
            })
        };
        let cells = (0..CELLS).filter_map(cell).collect();
        let longest = attempts.min(TABLED as u64) as usize;
        let mut marginals = Self { cells, table: Vec::new(), longest };
        marginals.table = marginals.tabulate();
        marginals
    }

    /// `ln` of p^f (1-p)^s averaged over the prior.
    pub(super) fn log_marginal(&self, tally: Tally) -> f64 {
        let n = tally.attempts();
        if n <= self.longest as u64 {
            let n = n as usize;
            return self.table[n * (n + 1) / 2 + tally.failures as usize];
        }
        let (f, s) = (tally.failures as f64, tally.successes as f64);
        if n > TABLED as u64 { self.by_normal_curve(f, s) } else { self.by_grid(f, s) }
    }

    fn tabulate(&self) -> Vec<f64> {
        let longest = self.longest;
        let log_factorial: Vec<f64> = (0..=longest).map(|n| ln_gamma(n as f64 + 1.0)).collect();
        let log_orders =
            |n: usize, f: usize| log_factorial[n] - log_factorial[f] - log_factorial[n - f];
        let mut row: Vec<f64> = (0..=longest)
            .map(|f| {
                let by_grid = self.by_grid(f as f64, (longest - f) as f64);
                libm::exp(by_grid + log_orders(longest, f))
            })
            .collect();
        let mut table = vec![0.0; (longest + 1) * (longest + 2) / 2];
        for n in (0..=longest).rev() {
            for (f, q) in row.iter().enumerate() {
                // A rate that the prior excludes would have to be likely: no digits are left.
                table[n * (n + 1) / 2 + f] = if *q > 1e-280 {
                    libm::log(*q) - log_orders(n, f)
                } else {
                    self.by_grid(f as f64, (n - f) as f64)
                };
            }
            if n > 0 {
                let share = 1.0 / n as f64;
                for f in 0..n {
                    row[f] = (row[f] * (n - f) as f64 + row[f + 1] * (f + 1) as f64) * share;
                }
                row.truncate(n);
            }
        }
        table
    }

    fn by_grid(&self, f: f64, s: f64) -> f64 {
        let value = |cell: &Cell| cell.log_weight + f * cell.log_failure + s * cell.log_success;
        log_sum_exp(&self.cells.iter().map(value).collect::<Vec<f64>>())
    }

    fn by_normal_curve(&self, f: f64, s: f64) -> f64 {
        let (a, b) = (f + 1.0, s + 1.0);
        let mean = a / (a + b);
        let sd = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
        let width = 1.0 / CELLS as f64;
        let first = self.cells.partition_point(|cell| cell.low + width < mean - REACH * sd);
        let near = self.cells[first..].iter().take_while(|cell| cell.low < mean + REACH * sd);
        let below = |rate: f64| normal_cdf((rate - mean) / sd);
        let density: f64 = near
            .map(|cell| cell.weight / width * (below(cell.low + width) - below(cell.low)))
            .sum();
        if density > SMALLEST_MASS {
            libm::log(density) + ln_beta(a, b)
        } else {
            self.by_grid(f, s)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::error_rates::Population;

    fn tally(failures: u64, successes: u64) -> Tally {
        Tally { failures, successes }
    }

    #[test]
    fn the_table_holds_the_averages_over_the_prior() {
        for population in [
            Population::FLAT,
            Population::Uniform { low: 0.3, high: 0.35 },
            Population::Beta { alpha: 2.0, beta: 2.0 },
        ] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, 1_000);
            for (f, s) in [(0, 0), (1, 0), (0, 1), (7, 3), (300, 700), (0, 900), (1_000, 0)] {
                let (got, expected) =
                    (marginals.log_marginal(tally(f, s)), prior.log_marginal(tally(f, s)));
                let scale = expected.abs().max(1.0);
                // Midpoints of cells stand in for averages over them; that shows where every one of
                // many attempts failed or succeeded.
                let bound = if f.min(s) == 0 && f + s > 100 { 0.03 } else { 1e-5 };
                assert!((got - expected).abs() < bound * scale, "{population:?} {f} {s} {got}");
            }
        }
    }

    #[test]
    fn the_normal_curve_takes_over_where_the_table_ends() {
        for population in [Population::FLAT, Population::Uniform { low: 0.041, high: 0.686 }] {
            let marginals = Marginals::new(&RatePrior::of(&population), 10);
            for (f, s) in [(100, 1_950), (1_025, 1_025), (1_420, 630), (0, 2_050), (2_050, 0)] {
                let t = tally(f, s);
                let (normal, grid) =
                    (marginals.log_marginal(t), marginals.by_grid(f as f64, s as f64));
                // Next to 0 and 1 a cell is wider than the posterior, and the grid is the worse one.
                assert!((normal - grid).abs() < 0.5, "{population:?} {t:?} {normal} {grid}");
            }
            // More attempts than the grid resolves: close to the closed form.
            let t = tally(300_000, 700_000);
            let inside = ln_beta(300_001.0, 700_001.0);
            let closed = if population == Population::FLAT { 0.0 } else { -libm::log(0.645) };
            assert!((marginals.log_marginal(t) - inside - closed).abs() < 0.01);
        }
    }
}
