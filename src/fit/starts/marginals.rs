//! `ln` of a server's likelihood averaged over its error rate, looked up.
//!
//! The probability q(n, f) that f of n attempts fail, whatever their order, obeys
//!
//! ```text
//! q(n, f) = q(n+1, f) (n+1-f) / (n+1) + q(n+1, f+1) (f+1) / (n+1)
//! ```
//!
//! because the last attempt either succeeded or failed. So the longest row gives all shorter ones
//! by additions of positive numbers: no digits are lost. The likelihood of one order of outcomes
//! is q(n, f) / binomial(n, f).
//!
//! Above [`TABLED`] attempts a server's posterior is narrow and nearly normal: its likelihood is
//! B(f+1, s+1) times the density of rates averaged over that normal curve.
//!
//! When not to use it: for a few tallies; `RatePrior::log_marginal` is the same without a table.

use crate::fit::error_rates::{RatePrior, Tally};
use crate::stats::special::{ln_beta, ln_gamma, normal_cdf};

/// The longest row of the table; 2 million entries.
const TABLED: u64 = 2_000;
/// Cells of the density of rates.
const CELLS: usize = 512;
/// Cells further than this many standard deviations from the mean hold nothing.
const REACH: f64 = 8.0;
/// With fewer failures or successes than this the posterior is too skewed for a normal curve.
const SKEWED: u64 = 100;
/// Below this the normal curve has lost its digits.
const SMALLEST_MASS: f64 = 1e-10;

/// Averaged likelihoods of tallies.
pub(super) struct Marginals<'a> {
    prior: &'a RatePrior,
    /// `ln` of the averaged likelihood of f failures in n attempts at n (n + 1) / 2 + f.
    table: Vec<f64>,
    longest: u64,
    /// The density of rates in each cell; empty if no tally needs it.
    density: Vec<f64>,
}

impl<'a> Marginals<'a> {
    /// For tallies of up to `attempts`.
    pub(super) fn new(prior: &'a RatePrior, attempts: u64) -> Self {
        let longest = attempts.min(TABLED);
        let below = |i: usize| prior.posterior_cdf(Tally::default(), i as f64 / CELLS as f64);
        let mut density = Vec::new();
        if attempts > TABLED {
            let below: Vec<f64> = (0..=CELLS).map(below).collect();
            density.extend(below.windows(2).map(|ends| (ends[1] - ends[0]) * CELLS as f64));
        }
        Self { prior, table: table(prior, longest as usize), longest, density }
    }

    /// `ln` of p^f (1-p)^s averaged over the prior.
    #[inline]
    pub(super) fn log_marginal(&self, tally: Tally) -> f64 {
        let n = tally.attempts();
        if n <= self.longest {
            return self.table[n as usize * (n as usize + 1) / 2 + tally.failures as usize];
        }
        self.by_normal_curve(tally).unwrap_or_else(|| self.prior.log_marginal(tally))
    }

    fn by_normal_curve(&self, tally: Tally) -> Option<f64> {
        if tally.failures.min(tally.successes) < SKEWED {
            return None;
        }
        let (a, b) = (tally.failures as f64 + 1.0, tally.successes as f64 + 1.0);
        let mean = a / (a + b);
        let sd = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
        let edge = |cell: usize| cell as f64 / CELLS as f64;
        let place = |rate: f64| (rate * CELLS as f64).max(0.0) as usize;
        let cells = place(mean - REACH * sd)..(place(mean + REACH * sd) + 1).min(CELLS);
        let mut below = normal_cdf((edge(cells.start) - mean) / sd);
        let mut mass = 0.0;
        for cell in cells {
            let next = normal_cdf((edge(cell + 1) - mean) / sd);
            mass += self.density.get(cell)? * (next - below);
            below = next;
        }
        (mass > SMALLEST_MASS).then(|| libm::log(mass) + ln_beta(a, b))
    }
}

fn table(prior: &RatePrior, longest: usize) -> Vec<f64> {
    let log_factorial: Vec<f64> = (0..=longest).map(|n| ln_gamma(n as f64 + 1.0)).collect();
    let log_orders =
        |n: usize, f: usize| log_factorial[n] - log_factorial[f] - log_factorial[n - f];
    let exactly = |n: usize, f: usize| {
        prior.log_marginal(Tally { failures: f as u64, successes: (n - f) as u64 })
    };
    let mut row: Vec<f64> =
        (0..=longest).map(|f| libm::exp(exactly(longest, f) + log_orders(longest, f))).collect();
    let mut table = vec![0.0; (longest + 1) * (longest + 2) / 2];
    for n in (1..=longest).rev() {
        for (f, q) in row.iter().enumerate() {
            // Impossible for all rates that the prior allows, or nearly: no digits are left.
            table[n * (n + 1) / 2 + f] =
                if *q > 1e-280 { libm::log(*q) - log_orders(n, f) } else { exactly(n, f) };
        }
        let share = 1.0 / n as f64;
        for f in 0..n {
            row[f] = (row[f] * (n - f) as f64 + row[f + 1] * (f + 1) as f64) * share;
        }
        row.truncate(n);
    }
    table
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
                assert!((got - expected).abs() < 1e-3, "{population:?} {f} {s} {got} {expected}");
            }
        }
    }

    #[test]
    fn the_normal_curve_takes_over_where_the_table_ends() {
        for population in [Population::FLAT, Population::Uniform { low: 0.041, high: 0.686 }] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, 2_100);
            let tallies = [(110, 1_940), (1_025, 1_025), (1_410, 640), (0, 2_050), (2_050, 0)];
            for (f, s) in tallies.into_iter().chain([(4_000, 6_100), (300_000, 700_000)]) {
                let t = tally(f, s);
                let (got, expected) = (marginals.log_marginal(t), prior.log_marginal(t));
                assert!((got - expected).abs() < 0.06, "{population:?} {t:?} {got} {expected}");
            }
        }
    }
}
