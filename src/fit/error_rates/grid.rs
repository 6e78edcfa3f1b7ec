//! Integrals over two hyperparameters, by a midpoint grid that finds the mass by itself.
//!
//! The grid starts on a whole box. As long as all cells within e^-25 of the best one fit into a
//! much smaller box, the next grid covers that box with as many cells. What is left out weighs
//! less than cells x e^-25, about 1e-7 of the whole.
//!
//! When not to use it: for more than two parameters, or densities with several far peaks that
//! are narrower than a cell of the first grid.

use crate::stats::Interval;
use crate::stats::special::log_sum_exp;

/// Cells along each axis.
const CELLS: usize = 64;
/// Cells whose log density is further below the best one than this are left out.
const NEGLIGIBLE: f64 = 25.0;
/// More refinements than any likelihood of counts needs: each shrinks the box at least twofold.
const MOST_REFINEMENTS: usize = 40;

/// Equal cells between two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Axis {
    fn cell(self) -> f64 {
        (self.high - self.low) / CELLS as f64
    }

    /// The middle of each cell.
    pub(super) fn midpoints(self) -> Vec<f64> {
        (0..CELLS).map(|i| self.low + (i as f64 + 0.5) * self.cell()).collect()
    }

    /// The part of the axis that the cells `first` to `last` cover, one more on either side.
    fn around(self, first: usize, last: usize) -> Self {
        let edge = |i: usize| self.low + i as f64 * self.cell();
        Self {
            low: if first == 0 { self.low } else { edge(first - 1) },
            high: if last + 2 >= CELLS { self.high } else { edge(last + 2) },
        }
    }
}

/// A density on a grid, normalised.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Posterior {
    /// `ln` of the integral of the density over the box.
    pub(super) log_integral: f64,
    pub(super) x: Marginal,
    pub(super) y: Marginal,
}

/// The distribution of one of the two parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marginal {
    axis: Axis,
    /// Probability of each cell.
    weights: Vec<f64>,
}

/// Integrates a density given by its logarithm at all pairs of midpoints, x outside, y inside.
///
/// `None` if it is nowhere above zero or not a number somewhere.
pub(super) fn integrate(
    mut x: Axis,
    mut y: Axis,
    log_density: impl Fn(&[f64], &[f64]) -> Vec<f64>,
) -> Option<Posterior> {
    for _ in 0..MOST_REFINEMENTS {
        let values = log_density(&x.midpoints(), &y.midpoints());
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !best.is_finite() || values.len() != CELLS * CELLS {
            return None;
        }
        let (mut xs, mut ys) = ((CELLS, 0), (CELLS, 0));
        for (i, _) in values.iter().enumerate().filter(|(_, v)| **v >= best - NEGLIGIBLE) {
            let (column, row) = (i / CELLS, i % CELLS);
            xs = (xs.0.min(column), xs.1.max(column));
            ys = (ys.0.min(row), ys.1.max(row));
        }
        let (new_x, new_y) = (x.around(xs.0, xs.1), y.around(ys.0, ys.1));
        let shrinks = (new_x.high - new_x.low) * (new_y.high - new_y.low)
            < 0.5 * (x.high - x.low) * (y.high - y.low);
        if !shrinks {
            return Some(normalise(x, y, &values));
        }
        (x, y) = (new_x, new_y);
    }
    None
}

fn normalise(x: Axis, y: Axis, values: &[f64]) -> Posterior {
    let log_sum = log_sum_exp(values);
    let (mut of_x, mut of_y) = (vec![0.0; CELLS], vec![0.0; CELLS]);
    for (i, value) in values.iter().enumerate() {
        let weight = libm::exp(value - log_sum);
        of_x[i / CELLS] += weight;
        of_y[i % CELLS] += weight;
    }
    Posterior {
        log_integral: log_sum + libm::log(x.cell() * y.cell()),
        x: Marginal { axis: x, weights: of_x },
        y: Marginal { axis: y, weights: of_y },
    }
}

impl Marginal {
    pub(super) fn mean(&self) -> f64 {
        self.axis.midpoints().iter().zip(&self.weights).map(|(x, w)| x * w).sum()
    }

    /// The q-quantile, linear within a cell.
    fn quantile(&self, q: f64) -> f64 {
        let mut below = 0.0;
        for (i, weight) in self.weights.iter().enumerate() {
            if below + weight >= q && *weight > 0.0 {
                let share = ((q - below) / weight).clamp(0.0, 1.0);
                return self.axis.low + (i as f64 + share) * self.axis.cell();
            }
            below += weight;
        }
        self.axis.high
    }

    /// The equal-tailed interval that holds the parameter with this probability.
    pub(super) fn interval(&self, probability: f64) -> Interval {
        let tail = 0.5 * (1.0 - probability);
        Interval { low: self.quantile(tail), high: self.quantile(1.0 - tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_narrow_normal_peak_and_its_integral() {
        let unit = Axis { low: 0.0, high: 1.0 };
        let density = |xs: &[f64], ys: &[f64]| {
            let normal = |z: f64| -0.5 * z * z;
            xs.iter()
                .flat_map(|x| {
                    ys.iter().map(move |y| normal((x - 0.3) / 1e-4) + normal((y - 0.6) / 0.02))
                })
                .collect()
        };
        let posterior = integrate(unit, unit, density).unwrap();
        let expected = (std::f64::consts::TAU * 1e-4 * 0.02).ln();
        assert!((posterior.log_integral - expected).abs() < 1e-5);
        assert!((posterior.x.mean() - 0.3).abs() < 1e-7);
        let interval = posterior.y.interval(0.95);
        assert!((interval.low - (0.6 - 1.96 * 0.02)).abs() < 3e-4, "{interval:?}");
        assert!((interval.high - (0.6 + 1.96 * 0.02)).abs() < 3e-4, "{interval:?}");
    }

    #[test]
    fn a_density_that_is_nowhere_is_no_posterior() {
        let unit = Axis { low: 0.0, high: 1.0 };
        let nothing = |xs: &[f64], ys: &[f64]| vec![f64::NEG_INFINITY; xs.len() * ys.len()];
        assert_eq!(integrate(unit, unit, nothing), None);
    }
}
