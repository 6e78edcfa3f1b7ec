//! `ln` of a server's likelihood averaged over its error rate, looked up.
//!
//! The probability q(f, s) of f failures and s successes in f + s attempts, whatever their order,
//! obeys
//!
//! ```text
//! (f + s + 1) q(f, s) = (f + 1) q(f + 1, s) + (s + 1) q(f, s + 1)
//! ```
//!
//! because one attempt more either fails or succeeds. So the tallies with the most failures and
//! those with the most successes give all others by additions of positive numbers: no digits are
//! lost. The likelihood of one order of outcomes is q(f, s) / binomial(f + s, f).
//!
//! A server beyond the table with more than [`MANY`] attempts has a narrow and nearly normal
//! posterior: its likelihood is B(f+1, s+1) times the density of rates averaged over that curve.
//!
//! When not to use it: for a few tallies; `RatePrior::log_marginal` is the same without a table.

use crate::fit::error_rates::{RatePrior, Tally};
use crate::stats::special::{ln_beta, ln_gamma, normal_cdf};

/// The table holds at most so many failures, or successes, and at most the square over two of
/// tallies.
const TABLED: usize = 2_000;
/// Attempts from which on the normal curve will do.
const MANY: u64 = 2_000;
/// Cells of the density of rates.
const CELLS: usize = 512;
/// Cells further than this many standard deviations from the mean hold nothing.
const REACH: f64 = 8.0;
/// With fewer failures or successes than this the posterior is too skewed for a normal curve.
const SKEWED: u64 = 100;
/// Below this the recursion has lost its digits, or all, to underflow.
const SMALLEST_PROBABILITY: f64 = 1e-280;
/// Below this the normal curve has lost its digits.
const SMALLEST_MASS: f64 = 1e-10;

/// Averaged likelihoods of tallies.
pub(super) struct Marginals<'a> {
    prior: &'a RatePrior,
    /// `ln` of the averaged likelihood of f failures and s successes at f columns + s.
    table: Vec<f64>,
    columns: usize,
    /// The density of rates in each cell; empty if no tally needs it.
    density: Vec<f64>,
}

impl<'a> Marginals<'a> {
    /// For tallies of up to so many failures and successes.
    pub(super) fn new(prior: &'a RatePrior, most: Tally) -> Self {
        let [failures, successes] =
            [most.failures, most.successes].map(|most| most.min(TABLED as u64) as usize);
        let failures = failures.min(TABLED * TABLED / 2 / (successes + 1));
        let mut density = Vec::new();
        if most.attempts() > MANY {
            let below = |i: usize| prior.posterior_cdf(Tally::default(), i as f64 / CELLS as f64);
            let below: Vec<f64> = (0..=CELLS).map(below).collect();
            density.extend(below.windows(2).map(|ends| (ends[1] - ends[0]) * CELLS as f64));
        }
        let table = table(prior, failures, successes);
        Self { prior, table, columns: successes + 1, density }
    }

    /// `ln` of p^f (1-p)^s averaged over the prior.
    #[inline]
    pub(super) fn log_marginal(&self, tally: Tally) -> f64 {
        if tally.successes < self.columns as u64 && tally.failures <= TABLED as u64 {
            let place = tally.failures as usize * self.columns + tally.successes as usize;
            if let Some(value) = self.table.get(place) {
                return *value;
            }
        }
        self.by_normal_curve(tally).unwrap_or_else(|| self.prior.log_marginal(tally))
    }

    fn by_normal_curve(&self, tally: Tally) -> Option<f64> {
        if tally.attempts() <= MANY || tally.failures.min(tally.successes) < SKEWED {
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

fn table(prior: &RatePrior, failures: usize, successes: usize) -> Vec<f64> {
    let log_factorial: Vec<f64> =
        (0..=failures + successes).map(|n| ln_gamma(n as f64 + 1.0)).collect();
    let log_orders =
        |f: usize, s: usize| log_factorial[f + s] - log_factorial[f] - log_factorial[s];
    let exactly =
        |f: usize, s: usize| prior.log_marginal(Tally { failures: f as u64, successes: s as u64 });
    let columns = successes + 1;
    let mut table = vec![0.0; (failures + 1) * columns];
    // q of one failure more, then of this number of failures, for each number of successes.
    let mut q = vec![0.0; columns];
    for f in (0..=failures).rev() {
        for s in (0..columns).rev() {
            let known = f == failures || s == successes;
            let value = if known {
                libm::exp(exactly(f, s) + log_orders(f, s))
            } else {
                ((f + 1) as f64 * q[s] + (s + 1) as f64 * q[s + 1]) / (f + s + 1) as f64
            };
            q[s] = value;
            // Impossible for all rates that the prior allows, or nearly: no digits are left.
            table[f * columns + s] = if f + s == 0 {
                0.0
            } else if value > SMALLEST_PROBABILITY {
                libm::log(value) - log_orders(f, s)
            } else {
                exactly(f, s)
            };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::ErrorFamily;

    fn tally(failures: u64, successes: u64) -> Tally {
        Tally { failures, successes }
    }

    #[test]
    fn the_table_holds_the_averages_over_the_prior() {
        for population in [
            ErrorFamily::FLAT,
            ErrorFamily::Uniform { low: 0.3, high: 0.35 },
            ErrorFamily::Beta { alpha: 2.0, beta: 2.0 },
        ] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, tally(1_000, 900));
            for (f, s) in [(0, 0), (1, 0), (0, 1), (7, 3), (300, 700), (0, 900), (1_000, 0)] {
                let (got, expected) =
                    (marginals.log_marginal(tally(f, s)), prior.log_marginal(tally(f, s)));
                assert!((got - expected).abs() < 1e-3, "{population:?} {f} {s} {got} {expected}");
            }
        }
    }

    #[test]
    fn the_normal_curve_takes_over_where_the_table_ends() {
        for population in [ErrorFamily::FLAT, ErrorFamily::Uniform { low: 0.041, high: 0.686 }] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, tally(1_000_000, 1_000_000));
            let tallies = [(110, 1_940), (1_025, 1_025), (1_410, 640), (0, 2_050), (2_050, 0)];
            for (f, s) in tallies.into_iter().chain([(4_000, 6_100), (300_000, 700_000)]) {
                let t = tally(f, s);
                let (got, expected) = (marginals.log_marginal(t), prior.log_marginal(t));
                assert!((got - expected).abs() < 0.06, "{population:?} {t:?} {got} {expected}");
            }
        }
    }
}
