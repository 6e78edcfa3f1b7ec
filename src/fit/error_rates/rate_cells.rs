//! Cells of error rates, equal in the angle arcsin(sqrt(rate)): fine near 0 and 1.
//!
//! In that angle the standard deviation of a binomial likelihood is 1 / (2 sqrt(attempts))
//! whatever the rate (Freeman and Tukey, "Transformations related to the angular and the square
//! root", Annals of Mathematical Statistics 21 (1950), 607-611), so that one grid serves all
//! rates: a cell is 0.0031 wide, a standard deviation at 26,000 attempts.
//!
//! When not to use it: to tell rates below 1e-5 from each other; the first cell ends there.

use std::f64::consts::FRAC_PI_2;
use std::sync::LazyLock;

use crate::stats::special::{inc_beta, ln_beta};
use crate::world::ErrorFamily;

/// Number of cells.
pub(super) const CELLS: usize = 512;
/// At either end so many cells take their mass from the distribution function: a density with a
/// pole bends too much in them.
const EXACT: usize = 8;
/// Betas of a greater concentration are narrower than a few cells and use it everywhere.
const CONCENTRATED: f64 = 2_000.0;
/// Standard deviations beyond which a concentrated beta has no mass.
const FAR: f64 = 12.0;

/// The grid, the same for all.
#[derive(Debug)]
pub(super) struct RateCells {
    /// Ends of the cells, one more than cells.
    pub(super) edges: Vec<f64>,
    /// The middle of each cell in the angle.
    pub(super) rates: Vec<f64>,
    /// `ln` of each rate, and of 1 - rate.
    pub(super) logs: Vec<(f64, f64)>,
    /// Two points of each cell (Gauss and Legendre): rate, `ln` of it, and of 1 - rate.
    gauss: Vec<[[f64; 3]; 2]>,
}

/// The grid.
pub(super) static RATE_CELLS: LazyLock<RateCells> = LazyLock::new(|| {
    let rate = |position: f64| {
        let sine = libm::sin(FRAC_PI_2 * position / CELLS as f64);
        sine * sine
    };
    let rest = |position: f64| rate(CELLS as f64 - position);
    let middles = || (0..CELLS).map(|i| i as f64 + 0.5);
    RateCells {
        edges: (0..=CELLS).map(|i| rate(i as f64)).collect(),
        rates: middles().map(rate).collect(),
        logs: middles().map(|i| (libm::log(rate(i)), libm::log(rest(i)))).collect(),
        gauss: middles()
            .map(|i| {
                let offset = 0.5 / 3.0_f64.sqrt();
                [i - offset, i + offset].map(|i| [rate(i), libm::log(rate(i)), libm::log(rest(i))])
            })
            .collect(),
    }
});

/// How much of a population lies in a cell, and where.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Cell {
    /// Its probability.
    pub(super) mass: f64,
    /// Its probability times the mean rate within.
    pub(super) moment: f64,
    /// Its probability times the mean square of the rate within.
    pub(super) square: f64,
}

impl Cell {
    fn add(&mut self, mass: f64, moment: f64, square: f64) {
        self.mass += mass;
        self.moment += moment;
        self.square += square;
    }
}

impl RateCells {
    /// The cell that holds a rate in \[0, 1\].
    pub(super) fn cell_of(&self, rate: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= rate).saturating_sub(1).min(CELLS - 1)
    }

    /// The population's probability of each cell, times `weight`, added to `cells`.
    pub(super) fn add(&self, population: &ErrorFamily, weight: f64, cells: &mut [Cell]) {
        match *population {
            ErrorFamily::Uniform { low, high } => {
                let (first, last) = (self.cell_of(low), self.cell_of(high));
                for (i, cell) in cells.iter_mut().enumerate().take(last + 1).skip(first) {
                    let (from, to) = (self.edges[i].max(low), self.edges[i + 1].min(high));
                    let mass = weight * (to - from).max(0.0) / (high - low);
                    let square = (from * from + from * to + to * to) / 3.0;
                    cell.add(mass, mass * 0.5 * (from + to), mass * square);
                }
            }
            ErrorFamily::Beta { alpha, beta } => self.add_beta(alpha, beta, weight, cells),
            ErrorFamily::BetaMixture { .. } => {
                for (share, part) in population.parts() {
                    self.add(&part, weight * share, cells);
                }
            }
            ErrorFamily::Fixed { .. } => self.add(&ErrorFamily::FLAT, weight, cells),
        }
    }

    fn add_beta(&self, alpha: f64, beta: f64, weight: f64, cells: &mut [Cell]) {
        let both = alpha + beta;
        let mean = alpha / both;
        let square = mean * (alpha + 1.0) / (both + 1.0);
        let exact = |range: std::ops::Range<usize>, cells: &mut [Cell]| {
            // Each cell from the nearer end, so that a small mass is no difference of large ones.
            let upper = range.start >= CELLS / 2;
            let tail = |edge: usize| {
                let parts = [(1.0, alpha), (mean, alpha + 1.0), (square, alpha + 2.0)];
                parts.map(|(whole, alpha)| {
                    if upper {
                        whole * inc_beta(beta, alpha, self.edges[CELLS - edge])
                    } else {
                        whole * inc_beta(alpha, beta, self.edges[edge])
                    }
                })
            };
            let mut last = tail(range.start);
            for i in range {
                let next = tail(i + 1);
                let [mass, moment, square] = [0, 1, 2].map(|k| weight * (next[k] - last[k]).abs());
                cells[i].add(mass, moment, square);
                last = next;
            }
        };
        if both > CONCENTRATED {
            let spread = FAR * (mean * (1.0 - mean) / (both + 1.0)).sqrt() + FAR / both;
            let first = self.cell_of((mean - spread).max(0.0));
            let end = self.cell_of((mean + spread).min(1.0)) + 1;
            let middle = (CELLS / 2).clamp(first, end);
            exact(first..middle, cells);
            exact(middle..end, cells);
            return;
        }
        exact(0..EXACT, cells);
        exact(CELLS - EXACT..CELLS, cells);
        // d rate = 2 sqrt(rate (1 - rate)) d angle; half of it for each of two Gauss points.
        let log_scale = libm::log(FRAC_PI_2 / CELLS as f64 * weight) - ln_beta(alpha, beta);
        for (cell, points) in cells.iter_mut().zip(&self.gauss).take(CELLS - EXACT).skip(EXACT) {
            for [rate, of_rate, of_rest] in points {
                let mass = libm::exp(log_scale + (alpha - 0.5) * of_rate + (beta - 0.5) * of_rest);
                cell.add(mass, mass * rate, mass * rate * rate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_what_the_distribution_function_says() {
        let shapes = [(0.02, 0.05), (0.5, 0.5), (1.0, 1.0), (3.0, 900.0), (1e3, 950.0), (9e4, 2e5)];
        for (alpha, beta) in shapes {
            let population = ErrorFamily::Beta { alpha, beta };
            let mut cells = vec![Cell::default(); CELLS];
            RATE_CELLS.add(&population, 1.0, &mut cells);
            let (mut mass, mut moment) = (0.0, 0.0);
            for (i, cell) in cells.iter().enumerate() {
                let exact =
                    population.cdf(RATE_CELLS.edges[i + 1]) - population.cdf(RATE_CELLS.edges[i]);
                let bound = 1e-3 * exact + 1e-9;
                assert!((cell.mass - exact).abs() < bound, "{alpha} {beta} {i}: {cell:?} {exact}");
                mass += cell.mass;
                moment += cell.moment;
            }
            assert!((mass - 1.0).abs() < 5e-5, "{alpha} {beta}: {mass}");
            assert!((moment - population.mean()).abs() < 5e-5, "{alpha} {beta}: {moment}");
        }
        for (low, high) in [(0.02, 0.75), (0.3, 0.3001), (0.0, 1.0)] {
            let mut cells = vec![Cell::default(); CELLS];
            RATE_CELLS.add(&ErrorFamily::Uniform { low, high }, 1.0, &mut cells);
            let mass: f64 = cells.iter().map(|cell| cell.mass).sum();
            let moment: f64 = cells.iter().map(|cell| cell.moment).sum();
            assert!((mass - 1.0).abs() < 1e-12 && (moment - 0.5 * (low + high)).abs() < 1e-12);
        }
    }
}
