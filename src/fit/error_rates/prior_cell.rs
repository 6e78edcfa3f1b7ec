//! One cell of a [`super::RatePrior`]: what the density within does to a likelihood.
//!
//! A cell knows its mass, its mean rate and its variance. Up to [`MANY_ATTEMPTS`] the likelihood
//! averaged within is that at the mean, corrected by Taylor's second term; beyond, its integral
//! over the flat density of the same mean and variance.
//!
//! When not to use it: beyond 10^6 attempts where the density is steep: it is off by 0.01 on the
//! log scale there, as the slope within a cell is not kept.

use super::population::Tally;
use super::rate_cells::{CELLS, Cell, RATE_CELLS};
use super::truncated::TruncatedBeta;
use crate::stats::special::{inc_beta, ln_beta};

/// Above this the likelihood varies within a cell.
pub(super) const MANY_ATTEMPTS: u64 = 10_000;

/// A cell with mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PriorCell {
    /// Its place in the grid of rates.
    pub(super) index: usize,
    /// `ln` of its probability.
    pub(super) log_mass: f64,
    /// The mean rate within.
    pub(super) rate: f64,
    log_rate: f64,
    log_rest: f64,
    /// Half the variance of the rate within.
    half_variance: f64,
}

impl PriorCell {
    /// Cell `index` of the grid, of a density whose masses sum to `total`.
    pub(super) fn new(index: usize, cell: &Cell, total: f64) -> Self {
        let edges = (RATE_CELLS.edges[index], RATE_CELLS.edges[index + 1]);
        let rate = (cell.moment / cell.mass).clamp(edges.0, edges.1);
        let variance = (cell.square / cell.mass - rate * rate).max(0.0);
        Self {
            index,
            log_mass: libm::log(cell.mass / total),
            rate,
            log_rate: libm::log(rate),
            log_rest: libm::log1p(-rate),
            half_variance: 0.5 * variance,
        }
    }

    /// Between which rates the mass lies: the flat density of its mean and variance, so that a
    /// uniform population ends within a cell where it does.
    pub(super) fn ends(&self) -> (f64, f64) {
        let half = (6.0 * self.half_variance).sqrt();
        ((self.rate - half).max(0.0), (self.rate + half).min(1.0))
    }

    /// `ln` of the mass times the likelihood at the mean rate.
    pub(super) fn log_posterior(&self, f: f64, s: f64) -> f64 {
        self.log_mass + f * self.log_rate + s * self.log_rest
    }

    /// The likelihood averaged over the cell, divided by that at the mean rate: Taylor's second
    /// term. Between a tenth and ten, as far cells would overdo it.
    pub(super) fn curvature(&self, f: f64, s: f64) -> f64 {
        let rest = 1.0 - self.rate;
        let (of_failures, of_successes) = (f / self.rate, s / rest);
        let slope = of_failures - of_successes;
        let second = slope * slope - of_failures / self.rate - of_successes / rest;
        (1.0 + self.half_variance * second).clamp(0.1, 10.0)
    }

    /// `ln` of the likelihood averaged over the cell, the density within flat; in the first and
    /// the last cell, where it may have a pole, the power of the rate (or of 1 - rate) that has
    /// the right mean.
    pub(super) fn log_average(&self, server: &TruncatedBeta, tally: Tally) -> f64 {
        let (f, s) = tally.as_floats();
        let end = RATE_CELLS.edges[1];
        let of_power = |failures: f64, successes: f64, mean: f64| {
            let share = (mean / end).clamp(1e-9, 1.0 - 1e-9);
            // The mean of the density x^(power - 1) on (0, end) is end power / (power + 1).
            let power = share / (1.0 - share);
            let (a, b) = (failures + power, successes + 1.0);
            libm::log(power * inc_beta(a, b, end)) + ln_beta(a, b) - power * libm::log(end)
        };
        let special = match self.index {
            0 => of_power(f, s, self.rate),
            last if last == CELLS - 1 => of_power(s, f, 1.0 - self.rate),
            _ => f64::NAN,
        };
        if special.is_finite() {
            return special;
        }
        let (low, high) = self.ends();
        server.log_integral(server.tail(low), server.tail(high)) - libm::log(high - low)
    }

    /// The share of a cell's posterior mass below a rate within it.
    pub(super) fn share_below(&self, tally: Tally, at: f64) -> f64 {
        let (low, high) = self.ends();
        if tally.attempts() <= MANY_ATTEMPTS {
            return ((at - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        }
        if at <= low || at >= high {
            return f64::from(u8::from(at >= high));
        }
        let server = TruncatedBeta::new(tally);
        let [low, at, high] = [low, at, high].map(|rate| server.tail(rate));
        libm::exp(server.log_integral(low, at) - server.log_integral(low, high)).min(1.0)
    }
}
