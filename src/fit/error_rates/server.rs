//! One server's error rate after all the data: averaged over families and hyperparameters.
//!
//! The posterior of a rate p given all tallies D is the average over hyperparameters, by their
//! posterior, of p's posterior at those hyperparameters, which needs the server's own tally only:
//! p(p | D) = sum over draws of p(p | own tally, draw) / draws. Plugging in one estimate of the
//! hyperparameters instead forgets that they are uncertain; its 95 % intervals cover 68 to 91 %
//! (empirical Bayes; Morris, "Parametric empirical Bayes inference", JASA 78 (1983), 47-55).
//!
//! When not to use it: for a tally that the fit did not see; it would be counted once too little.

use std::sync::Arc;

use super::families::CREDIBILITY;
use super::population::{Population, Tally};
use super::rate_cells::{CELLS, Cell, RATE_CELLS};
use crate::stats::Interval;
use crate::world::ErrorFamily;

/// With more attempts than this the posterior is too narrow for the grid of rates.
const MANY_ATTEMPTS: u64 = 10_000;
/// Interval ends this many cells from 0 or 1 are solved for exactly.
const END_CELLS: usize = 8;
/// Halvings of an interval within (0, 1), in the logarithm near 0.
const HALVINGS: u32 = 48;
/// Rates nearer to 0 than this are 0.
const LEAST_RATE: f64 = 1e-15;

/// What is known of one server's error rate.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerRate {
    /// Posterior mean: the chance that its next attempt fails.
    pub mean: f64,
    /// Equal-tailed 95 % interval.
    pub interval_95: Interval,
    tally: Tally,
    populations: Arc<[ErrorFamily]>,
}

impl ServerRate {
    /// The posterior probability that the rate is at most `rate`; exact for each draw.
    #[must_use]
    pub fn cdf(&self, rate: f64) -> f64 {
        cdf(&self.populations, self.tally, rate)
    }
}

fn cdf(populations: &[ErrorFamily], tally: Tally, rate: f64) -> f64 {
    let sum: f64 = populations.iter().map(|p| p.posterior_cdf(tally, rate)).sum();
    sum / populations.len() as f64
}

/// Equally likely populations, and the mass of each in every cell of the grid of rates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Servers {
    populations: Arc<[ErrorFamily]>,
    /// One row a population.
    masses: Vec<f64>,
}

impl Servers {
    pub(super) fn new(populations: &[ErrorFamily]) -> Self {
        let mut masses = Vec::with_capacity(populations.len() * CELLS);
        let mut cells = vec![Cell::default(); CELLS];
        for population in populations {
            cells.fill(Cell::default());
            RATE_CELLS.add(population, 1.0, &mut cells);
            masses.extend(cells.iter().map(|cell| cell.mass));
        }
        Self { populations: populations.into(), masses }
    }

    /// The rate of a server with this tally.
    pub(super) fn rate(&self, tally: Tally) -> ServerRate {
        let tail = 0.5 * (1.0 - CREDIBILITY);
        let solved = |u: f64| solve(u, |rate| cdf(&self.populations, tally, rate));
        let tails = [tail, 1.0 - tail];
        let (mean, ends) = match self.posterior(tally) {
            Some(cells) => {
                let mean = cells.iter().zip(&RATE_CELLS.rates).map(|(w, rate)| w * rate).sum();
                (mean, tails.map(|u| quantile(&cells, u).unwrap_or_else(|| solved(u))))
            }
            None => {
                let sum: f64 = self.populations.iter().map(|p| p.predictive_failure(tally)).sum();
                (sum / self.populations.len() as f64, tails.map(solved))
            }
        };
        let interval_95 = Interval { low: ends[0], high: ends[1] };
        ServerRate { mean, interval_95, tally, populations: Arc::clone(&self.populations) }
    }

    /// The probability of each cell; `None` where cells are too wide.
    fn posterior(&self, tally: Tally) -> Option<Vec<f64>> {
        if tally.attempts() > MANY_ATTEMPTS {
            return None;
        }
        let (f, s) = tally.as_floats();
        let logs: Vec<f64> = RATE_CELLS.logs.iter().map(|(p, q)| f * p + s * q).collect();
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let likelihood: Vec<f64> = logs.iter().map(|log| libm::exp(log - best)).collect();
        let mut sum = vec![0.0; CELLS];
        for row in self.masses.chunks_exact(CELLS) {
            let marginal = dot(row, &likelihood);
            // A population that cannot have made the tally on this grid: cells are too wide.
            if marginal < 1e-280 {
                return None;
            }
            let weight = 1.0 / (marginal * self.populations.len() as f64);
            sum.iter_mut().zip(row).for_each(|(sum, mass)| *sum += weight * mass);
        }
        sum.iter_mut().zip(&likelihood).for_each(|(sum, likelihood)| *sum *= likelihood);
        Some(sum)
    }
}

/// In eight interleaved sums, always the same, which the processor adds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// The u-quantile, linear within a cell; `None` in the end cells.
fn quantile(cells: &[f64], u: f64) -> Option<f64> {
    let mut below = 0.0;
    for (i, weight) in cells.iter().enumerate() {
        if below + weight >= u && *weight > 0.0 {
            let inside = (END_CELLS..CELLS - END_CELLS).contains(&i);
            let [low, high] = [RATE_CELLS.edges[i], RATE_CELLS.edges[i + 1]];
            return inside.then(|| low + (high - low) * ((u - below) / weight).clamp(0.0, 1.0));
        }
        below += weight;
    }
    None
}

/// Where an increasing function on (0, 1) reaches `u`: by halving, near the ends of their
/// logarithms.
fn solve(u: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let from_below = cdf(0.5) >= u;
    let rate = |x: f64| if from_below { libm::exp(x) } else { 1.0 - libm::exp(x) };
    // x = ln(rate) or ln(1 - rate), from the end towards the middle.
    let (mut end, mut middle) = (libm::log(LEAST_RATE), libm::log(0.5));
    for _ in 0..HALVINGS {
        let x = 0.5 * (end + middle);
        let towards_the_end = (cdf(rate(x)) >= u) == from_below;
        if towards_the_end {
            middle = x;
        } else {
            end = x;
        }
    }
    rate(0.5 * (end + middle))
}
