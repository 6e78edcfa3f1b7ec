//! The evidence of the uniform family: (low, high) uniform on the triangle 0 <= low < high <= 1.
//!
//! A cell of the grid that the diagonal cuts counts by its share above it; where its middle lies
//! below, the population is taken as the one rate that low and high approach.
//!
//! When not to use it: directly; [`super::fit_error_rates`] compares families.

use super::grid::{Axis, GridPosterior, integrate, share_above_diagonal};
use super::population::Tally;
use super::truncated::{Tail, TruncatedBeta};

/// Cells along each axis.
const CELLS: usize = 64;
/// Cells below the best one by more than this may be cut off.
const NEGLIGIBLE: f64 = 25.0;

/// The posterior of (low, high), given tallies and how often each occurs.
pub(super) fn posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<2>> {
    let servers: Vec<(TruncatedBeta, f64)> =
        tallies.iter().map(|(tally, times)| (TruncatedBeta::new(*tally), *times)).collect();
    let count: f64 = tallies.iter().map(|(_, times)| times).sum();
    integrate([Axis::unit(CELLS); 2], NEGLIGIBLE, |[low, high]| {
        let (lows, highs) = (low.midpoints(), high.midpoints());
        let sides = (low.cell(), high.cell());
        let pair = |i: usize| (lows[i / CELLS], highs[i % CELLS]);
        let mut sum: Vec<f64> = (0..CELLS * CELLS)
            .map(|i| {
                let (low, high) = pair(i);
                // The prior density on the triangle is 2; 1 / (high - low) once a server.
                let prior = libm::log(2.0 * share_above_diagonal(low, high, sides));
                if low < high { prior - count * libm::log(high - low) } else { prior }
            })
            .collect();
        for (server, times) in &servers {
            let tails = |rates: &[f64]| -> Vec<Tail> {
                rates.iter().map(|rate| server.tail(*rate)).collect()
            };
            let (at_low, at_high) = (tails(&lows), tails(&highs));
            for (i, total) in sum.iter_mut().enumerate().filter(|(_, v)| v.is_finite()) {
                let (low, high) = pair(i);
                *total += times
                    * if low < high {
                        server.log_integral(at_low[i / CELLS], at_high[i % CELLS])
                    } else {
                        server.log_likelihood(0.5 * (low + high))
                    };
            }
        }
        sum
    })
}
