//! Integrals over a few hyperparameters, by a midpoint grid that finds the mass by itself.
//!
//! The grid starts on a whole box. As long as all cells whose log density is within a threshold
//! of the best one fit into a much smaller box, the next grid covers that box with as many cells.
//! What is left out weighs less than cells x e^-threshold of the whole.
//!
//! When not to use it: for more than four parameters, or densities with several far peaks that
//! are narrower than a cell of the first grid.

use flakelab_core::stats::{Interval, log_sum_exp};

/// More refinements than any likelihood of counts needs: each shrinks the box at least twofold.
const MOST_REFINEMENTS: usize = 60;

/// Equal cells between two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) cells: usize,
}

impl Axis {
    /// The unit interval.
    pub(crate) const fn unit(cells: usize) -> Self {
        Self { low: 0.0, high: 1.0, cells }
    }

    /// The length of a cell.
    pub(crate) fn cell(self) -> f64 {
        (self.high - self.low) / self.cells as f64
    }

    /// The point that divides cell `i` in the ratio `share` to 1 - `share`.
    pub(crate) fn at(self, i: usize, share: f64) -> f64 {
        self.low + (i as f64 + share) * self.cell()
    }

    pub(crate) fn midpoints(self) -> Vec<f64> {
        (0..self.cells).map(|i| self.at(i, 0.5)).collect()
    }

    /// The part of the axis that the cells `first` to `last` cover, one more on either side.
    fn around(self, first: usize, last: usize) -> Self {
        Self {
            low: if first == 0 { self.low } else { self.at(first - 1, 0.0) },
            high: if last + 2 >= self.cells { self.high } else { self.at(last + 2, 0.0) },
            ..self
        }
    }
}

/// A density on a grid, normalised.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GridPosterior<const N: usize> {
    /// `ln` of the integral of the density over the box.
    pub(crate) log_integral: f64,
    axes: [Axis; N],
    /// Probability of each cell, the last axis running fastest.
    weights: Vec<f64>,
}

/// The distribution of one of the parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marginal {
    axis: Axis,
    /// Probability of each cell.
    weights: Vec<f64>,
}

/// Integrates a density given by its logarithm at the midpoints of all cells, the last axis
/// running fastest. Cells below the best one by more than `negligible` may be cut off.
///
/// `None` if it is nowhere above zero or not a number somewhere.
pub(crate) fn integrate<const N: usize>(
    mut axes: [Axis; N],
    negligible: f64,
    log_density: impl Fn(&[Axis; N]) -> Vec<f64>,
) -> Option<GridPosterior<N>> {
    for _ in 0..MOST_REFINEMENTS {
        let values = log_density(&axes);
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let cells: usize = axes.iter().map(|axis| axis.cells).product();
        if !best.is_finite() || values.len() != cells || values.iter().any(|v| v.is_nan()) {
            return None;
        }
        let (mut first, mut last) = (axes.map(|axis| axis.cells), [0; N]);
        for (i, _) in values.iter().enumerate().filter(|(_, v)| **v >= best - negligible) {
            for (d, at) in indices(&axes, i).into_iter().enumerate() {
                first[d] = first[d].min(at);
                last[d] = last[d].max(at);
            }
        }
        let mut smaller = axes;
        (0..N).for_each(|d| smaller[d] = axes[d].around(first[d], last[d]));
        let volume = |axes: &[Axis; N]| axes.iter().map(|a| a.high - a.low).product::<f64>();
        if volume(&smaller) >= 0.5 * volume(&axes) {
            let log_sum = log_sum_exp(&values);
            let cell: f64 = axes.iter().map(|axis| axis.cell()).product();
            return Some(GridPosterior {
                log_integral: log_sum + libm::log(cell),
                axes,
                weights: values.iter().map(|value| libm::exp(value - log_sum)).collect(),
            });
        }
        axes = smaller;
    }
    None
}

/// The place of a cell on each axis.
fn indices<const N: usize>(axes: &[Axis; N], mut cell: usize) -> [usize; N] {
    let mut at = [0; N];
    for d in (0..N).rev() {
        at[d] = cell % axes[d].cells;
        cell /= axes[d].cells;
    }
    at
}

/// The share of a cell with the middle (x, y) and these sides in which x < y.
pub(crate) fn share_above_diagonal(x: f64, y: f64, sides: (f64, f64)) -> f64 {
    // The difference of two uniform variables: its distribution function, piecewise quadratic.
    let (long, short) = (sides.0.max(sides.1), sides.0.min(sides.1));
    let (inner, outer) = (0.5 * (long - short), 0.5 * (long + short));
    let d = y - x;
    if d.abs() >= outer {
        return f64::from(u8::from(d > 0.0));
    }
    if d.abs() <= inner {
        return 0.5 + d / long;
    }
    let corner = (outer - d.abs()) * (outer - d.abs()) / (2.0 * long * short);
    if d > 0.0 { 1.0 - corner } else { corner }
}

impl<const N: usize> GridPosterior<N> {
    pub(crate) fn marginal(&self, d: usize) -> Marginal {
        let axis = self.axes[d];
        let mut weights = vec![0.0; axis.cells];
        for (i, weight) in self.weights.iter().enumerate() {
            weights[indices(&self.axes, i)[d]] += weight;
        }
        Marginal { axis, weights }
    }

    /// The cells that hold the given quantiles (increasing) of the distribution over all cells
    /// in serpentine order: one after the other they are neighbours, so that evenly spaced
    /// quantiles are spread evenly over all parameters. `share` places points within cells.
    pub(crate) fn points(
        &self,
        quantiles: impl Iterator<Item = f64>,
        mut share: impl FnMut() -> f64,
    ) -> Vec<[f64; N]> {
        let mut order = (0..self.weights.len()).map(|i| self.serpentine(i));
        let mut at = order.next().unwrap_or([0; N]);
        let mut below = self.weight(at);
        quantiles
            .map(|u| {
                while below < u {
                    let Some(next) = order.next() else { break };
                    // Rounding may leave the sum below 1: then the last cell of any weight stays.
                    if self.weight(next) > 0.0 {
                        at = next;
                        below += self.weight(next);
                    }
                }
                let mut point = [0.0; N];
                (0..N).for_each(|d| point[d] = self.axes[d].at(at[d], share()));
                point
            })
            .collect()
    }

    fn weight(&self, at: [usize; N]) -> f64 {
        let index = (0..N).fold(0, |index, d| index * self.axes[d].cells + at[d]);
        self.weights[index]
    }

    /// Every axis turns back where the number before it grows by one.
    fn serpentine(&self, cell: usize) -> [usize; N] {
        let mut at = indices(&self.axes, cell);
        let mut before = 0;
        for (place, axis) in at.iter_mut().zip(&self.axes) {
            let forward = *place;
            if before % 2 == 1 {
                *place = axis.cells - 1 - forward;
            }
            before = before * axis.cells + forward;
        }
        at
    }
}

impl Marginal {
    pub(crate) fn mean(&self) -> f64 {
        self.weights.iter().enumerate().map(|(i, w)| w * self.axis.at(i, 0.5)).sum()
    }

    /// The probability of at most `x`, linear within a cell.
    pub(crate) fn cdf(&self, x: f64) -> f64 {
        let position = ((x - self.axis.low) / self.axis.cell()).max(0.0);
        let cell = position as usize;
        let below: f64 = self.weights.iter().take(cell).sum();
        below + self.weights.get(cell).map_or(0.0, |w| w * (position - cell as f64))
    }

    /// The q-quantile, linear within a cell.
    fn quantile(&self, q: f64) -> f64 {
        let mut below = 0.0;
        for (i, weight) in self.weights.iter().enumerate() {
            if below + weight >= q && *weight > 0.0 {
                return self.axis.at(i, ((q - below) / weight).clamp(0.0, 1.0));
            }
            below += weight;
        }
        self.axis.high
    }

    /// The equal-tailed interval that holds the parameter with this probability.
    pub(crate) fn interval(&self, probability: f64) -> Interval {
        let tail = 0.5 * (1.0 - probability);
        Interval { low: self.quantile(tail), high: self.quantile(1.0 - tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: [Axis; 2] = [Axis::unit(64); 2];

    fn peak(axes: &[Axis; 2]) -> Vec<f64> {
        let normal = |z: f64| -0.5 * z * z;
        let ys = axes[1].midpoints();
        let row = |x: f64| {
            let at_x = normal((x - 0.3) / 1e-4);
            ys.iter().map(move |y| at_x + normal((y - 0.6) / 0.02)).collect::<Vec<_>>()
        };
        axes[0].midpoints().into_iter().flat_map(row).collect()
    }

    #[test]
    fn finds_a_narrow_normal_peak_and_its_integral() {
        let posterior = integrate(UNIT, 25.0, peak).unwrap();
        let expected = (std::f64::consts::TAU * 1e-4 * 0.02).ln();
        assert!((posterior.log_integral - expected).abs() < 1e-5);
        assert!((posterior.marginal(0).mean() - 0.3).abs() < 1e-7);
        let y = posterior.marginal(1);
        let interval = y.interval(0.95);
        assert!((interval.low - (0.6 - 1.96 * 0.02)).abs() < 3e-4, "{interval:?}");
        assert!((interval.high - (0.6 + 1.96 * 0.02)).abs() < 3e-4, "{interval:?}");
        assert!((y.cdf(interval.low) - 0.025).abs() < 1e-12 && (y.cdf(2.0) - 1.0).abs() < 1e-12);
        assert_eq!(y.cdf(-1.0), 0.0);
    }

    #[test]
    fn a_density_that_is_nowhere_is_no_posterior() {
        let cells = 64 * 64;
        assert_eq!(integrate(UNIT, 25.0, |_| vec![f64::NEG_INFINITY; cells]), None);
        assert_eq!(integrate(UNIT, 25.0, |_| vec![f64::NAN; cells]), None);
    }

    #[test]
    fn evenly_spaced_quantiles_have_the_moments_of_the_density() {
        let posterior = integrate(UNIT, 25.0, peak).unwrap();
        let quantiles = (0..500).map(|i| (f64::from(i) + 0.5) / 500.0);
        let points = posterior.points(quantiles, || 0.5);
        for (d, mean, sd) in [(0, 0.3, 1e-4), (1, 0.6, 0.02)] {
            let average = points.iter().map(|p| p[d]).sum::<f64>() / 500.0;
            let variance = points.iter().map(|p| (p[d] - mean).powi(2)).sum::<f64>() / 500.0;
            assert!((average - mean).abs() < 0.02 * sd, "{d}: {average}");
            assert!((variance.sqrt() / sd - 1.0).abs() < 0.03, "{d}: {}", variance.sqrt());
        }
    }

    #[test]
    fn the_share_of_a_cell_above_the_diagonal_is_its_area_there() {
        for (x, y, sides) in
            [(0.5, 0.5, (0.1, 0.1)), (0.5, 0.53, (0.1, 0.04)), (0.5, 0.46, (0.02, 0.1))]
        {
            let n = 400;
            let at = |middle: f64, side: f64, i: usize| {
                middle + side * ((i as f64 + 0.5) / n as f64 - 0.5)
            };
            let above = (0..n * n).filter(|i| at(x, sides.0, i / n) < at(y, sides.1, i % n));
            let expected = above.count() as f64 / (n * n) as f64;
            let got = share_above_diagonal(x, y, sides);
            assert!((got - expected).abs() < 2e-3, "{x} {y}: {got} {expected}");
        }
        assert_eq!(share_above_diagonal(0.2, 0.4, (0.1, 0.1)), 1.0);
        assert_eq!(share_above_diagonal(0.4, 0.2, (0.1, 0.1)), 0.0);
    }
}
