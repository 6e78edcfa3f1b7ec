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

use std::f64::consts::FRAC_PI_2;
use std::sync::{LazyLock, OnceLock};

use crate::rates::population::{Tally, TruncatedBeta};
use flakelab_core::stats::{inc_beta, ln_beta, log_sum_exp};
use flakelab_sim::world::ErrorFamily;

/// Tallies of up to so many attempts are looked up.
const SMALL: usize = 64;

/// Averages below this have lost digits, or all, to underflow.
const SMALLEST_AVERAGE: f64 = 1e-250;

/// Cells whose likelihood is below the best one by more than this on the log scale are left out.
const NEGLIGIBLE: f64 = 45.0;

/// A density of error rates.
#[derive(Debug, Clone)]
pub struct RatePrior {
    /// The cells with mass, in order of rates.
    cells: Vec<PriorCell>,
    /// `ln` of the marginal likelihood of small tallies: of n attempts and f failures at
    /// n (n + 1) / 2 + f. Filled when first needed; a prior that rates are only drawn from does
    /// without.
    small: OnceLock<Vec<f64>>,
}

/// The table follows from the cells.
impl PartialEq for RatePrior {
    fn eq(&self, other: &Self) -> bool {
        self.cells == other.cells
    }
}

impl RatePrior {
    /// Every rate as likely as any other.
    pub fn flat() -> Self {
        Self::of(&ErrorFamily::FLAT)
    }

    /// One population.
    pub fn of(population: &ErrorFamily) -> Self {
        Self::average(&[(population.clone(), 1.0)])
    }

    /// Several populations with weights above 0 (they need not sum to 1).
    pub fn average(populations: &[(ErrorFamily, f64)]) -> Self {
        let mut cells = vec![Cell::default(); CELLS];
        for (population, weight) in populations {
            RATE_CELLS.add(population, *weight, &mut cells);
        }
        let total: f64 = cells.iter().map(|cell| cell.mass).sum();
        let with_mass = cells.iter().enumerate().filter(|(_, cell)| cell.mass > 0.0);
        let cells: Vec<PriorCell> =
            with_mass.map(|(index, cell)| PriorCell::new(index, cell, total)).collect();
        Self { cells, small: OnceLock::new() }
    }

    /// `ln` of p^f (1-p)^s averaged over the density.
    pub fn log_marginal(&self, tally: Tally) -> f64 {
        if let Some(index) = index(tally) {
            return self.small.get_or_init(|| self.table())[index];
        }
        if tally.attempts() > MANY_ATTEMPTS {
            return log_sum_exp(&self.log_masses(tally));
        }
        self.summed(tally)
    }

    /// The chance that the next attempt at a server fails.
    pub fn predictive_failure(&self, tally: Tally) -> f64 {
        let more = Tally { failures: tally.failures + 1, ..tally };
        libm::exp(self.log_marginal(more) - self.log_marginal(tally)).min(1.0)
    }

    /// The probability that a server with this tally has a rate of at most `at`.
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
    pub fn posterior_quantile(&self, tally: Tally, u: f64) -> f64 {
        self.quantile_of(&self.posterior(tally), tally, u)
    }

    /// The same, given the posterior, for whoever draws from one often.
    pub(crate) fn quantile_of(&self, posterior: &[f64], tally: Tally, u: f64) -> f64 {
        let mut below = 0.0;
        for (cell, mass) in self.cells.iter().zip(posterior) {
            if below + mass >= u && *mass > 0.0 {
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

    /// The probability of each cell with mass for a server with this tally.
    pub(crate) fn posterior(&self, tally: Tally) -> Vec<f64> {
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

// ---- One cell of a [`RatePrior`]: what the density within does to a likelihood.
//
// A cell knows its mass, its mean rate and its variance. Up to [`MANY_ATTEMPTS`] the likelihood
// averaged within is that at the mean, corrected by Taylor's second term; beyond, its integral
// over the flat density of the same mean and variance. The slope within is not kept: beyond 10^6
// attempts, where the density is steep, it is off by 0.01 on the log scale.

/// Above this the likelihood varies within a cell.
const MANY_ATTEMPTS: u64 = 10_000;

/// A cell with mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PriorCell {
    /// Its place in the grid of rates.
    pub(crate) index: usize,
    /// `ln` of its probability.
    pub(crate) log_mass: f64,
    /// The mean rate within.
    pub(crate) rate: f64,
    log_rate: f64,
    log_rest: f64,
    /// Half the variance of the rate within.
    half_variance: f64,
}

impl PriorCell {
    /// Cell `index` of the grid, of a density whose masses sum to `total`.
    pub(crate) fn new(index: usize, cell: &Cell, total: f64) -> Self {
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
    pub(crate) fn ends(&self) -> (f64, f64) {
        let half = (6.0 * self.half_variance).sqrt();
        ((self.rate - half).max(0.0), (self.rate + half).min(1.0))
    }

    /// `ln` of the mass times the likelihood at the mean rate.
    fn log_posterior(&self, f: f64, s: f64) -> f64 {
        self.log_mass + f * self.log_rate + s * self.log_rest
    }

    /// The likelihood averaged over the cell, divided by that at the mean rate: Taylor's second
    /// term. Between a tenth and ten, as far cells would overdo it.
    fn curvature(&self, f: f64, s: f64) -> f64 {
        let rest = 1.0 - self.rate;
        let (of_failures, of_successes) = (f / self.rate, s / rest);
        let slope = of_failures - of_successes;
        let second = slope * slope - of_failures / self.rate - of_successes / rest;
        (1.0 + self.half_variance * second).clamp(0.1, 10.0)
    }

    /// `ln` of the likelihood averaged over the cell, the density within flat; in the first and
    /// the last cell, where it may have a pole, the power of the rate (or of 1 - rate) that has
    /// the right mean.
    fn log_average(&self, server: &TruncatedBeta, tally: Tally) -> f64 {
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
    fn share_below(&self, tally: Tally, at: f64) -> f64 {
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

// ---- Cells of error rates, equal in the angle arcsin(sqrt(rate)): fine near 0 and 1.
//
// In that angle the standard deviation of a binomial likelihood is 1 / (2 sqrt(attempts))
// whatever the rate (Freeman and Tukey, "Transformations related to the angular and the square
// root", Annals of Mathematical Statistics 21 (1950), 607-611), so that one grid serves all
// rates: a cell is 0.0031 wide, a standard deviation at 26,000 attempts. The first ends at 1e-5.

/// Number of cells.
pub(crate) const CELLS: usize = 512;

/// At either end so many cells take their mass from the distribution function: a density with a
/// pole bends too much in them.
const EXACT: usize = 8;

/// Betas of a greater concentration are narrower than a few cells and use it everywhere.
const CONCENTRATED: f64 = 2_000.0;

/// Standard deviations beyond which a concentrated beta has no mass.
const FAR: f64 = 12.0;

/// The grid, the same for all.
#[derive(Debug)]
pub(crate) struct RateCells {
    /// Ends of the cells, one more than cells.
    pub(crate) edges: Vec<f64>,
    /// The middle of each cell in the angle.
    pub(crate) rates: Vec<f64>,
    /// `ln` of each rate, and of 1 - rate.
    pub(crate) logs: Vec<(f64, f64)>,
    /// Two points of each cell (Gauss and Legendre): rate, `ln` of it, and of 1 - rate.
    gauss: Vec<[[f64; 3]; 2]>,
}

pub(crate) static RATE_CELLS: LazyLock<RateCells> = LazyLock::new(|| {
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
pub(crate) struct Cell {
    /// Its probability.
    pub(crate) mass: f64,
    /// Its probability times the mean rate within.
    pub(crate) moment: f64,
    /// Its probability times the mean square of the rate within.
    pub(crate) square: f64,
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
    fn cell_of(&self, rate: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= rate).saturating_sub(1).min(CELLS - 1)
    }

    /// The population's probability of each cell, times `weight`, added to `cells`.
    pub(crate) fn add(&self, population: &ErrorFamily, weight: f64, cells: &mut [Cell]) {
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
    use crate::rates::population::Population;
    use crate::synthetic::{MIXTURE, tally};

    const POPULATIONS: [ErrorFamily; 6] = [
        ErrorFamily::FLAT,
        ErrorFamily::Uniform { low: 0.02, high: 0.75 },
        ErrorFamily::Uniform { low: 0.33, high: 0.35 },
        ErrorFamily::Beta { alpha: 0.6, beta: 0.9 },
        ErrorFamily::Beta { alpha: 30.0, beta: 70.0 },
        MIXTURE,
    ];

    #[test]
    fn the_marginal_likelihood_is_that_of_the_population_at_small_and_large_counts() {
        for population in POPULATIONS {
            let prior = RatePrior::of(&population);
            // The way of computing changes at 64 and at 10,000: a prediction looks at either side.
            for n in [1_u64, 5, 64, 65, 300, 4_000, 10_000, 10_001, 40_000, 1_000_000] {
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
