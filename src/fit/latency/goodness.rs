//! Does a family fit? Kolmogorov's distance by parametric bootstrap, with the data of a QQ chart.
//!
//! Draws from the fit are fitted again: tables would be wrong, because the parameters come from
//! the same data (Stute, Gonzáles Manteiga and Presedo Quindimil, Metrika 40 (1993), 243-256).
//! The same draws give the pointwise 95 % band of each order statistic.
//!
//! When not to use it: for the far tail, which the distance hardly sees (the table of tails
//! does), and as a test of independence. The p-value knows nothing of the choice between
//! families, and calls the fit slightly better than it is.

use rayon::prelude::*;

use crate::domain::{Purpose, Streams};
use crate::stats::Interval;
use crate::stats::quantile::quantile;
use crate::world::LatencyFamily;

use super::families::{SHORTEST_MS, distance, refit};

/// Draws of the bootstrap; the smallest possible p-value is 1 / (draws + 1).
pub(super) const DRAWS: u64 = 199;
/// The most points of a QQ chart.
const MOST_POINTS: usize = 200;
/// Seed of the bootstrap, a constant: a fit is a function of its traces.
const SEED: u64 = 0x1a7e;

/// One point of a QQ chart, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QqPoint {
    /// What the fit expects of this rank.
    pub fitted_ms: f64,
    /// What was seen.
    pub observed_ms: f64,
    /// Where 95 % of samples drawn from the fit have it.
    pub band_ms: Interval,
}

/// How well a family fits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goodness {
    pub(super) p_value: f64,
    pub(super) qq: Vec<QqPoint>,
}

/// Judges a fit of ascending ln latencies.
pub(super) fn judge(family: &LatencyFamily, sorted: &[f64], stream: u16) -> Goodness {
    let n = sorted.len();
    let ranks = ranks(n);
    let observed = distance(family, sorted);
    let streams = Streams::new(SEED);
    let draws: Vec<(bool, Vec<f64>)> = (0..DRAWS)
        .into_par_iter()
        .map(|draw| {
            let mut rng = streams.stream(Purpose::Analysis, stream, draw);
            let drawn = || libm::log(family.draw(&mut rng).as_millis_f64().max(SHORTEST_MS));
            let mut log_ms: Vec<f64> = std::iter::repeat_with(drawn).take(n).collect();
            log_ms.sort_by(f64::total_cmp);
            let as_far = distance(&refit(family, &log_ms), &log_ms) >= observed;
            (as_far, ranks.iter().map(|rank| log_ms[*rank]).collect())
        })
        .collect();
    let as_far = draws.iter().filter(|(far, _)| *far).count();
    let point = |(position, rank): (usize, &usize)| {
        let mut drawn: Vec<f64> = draws.iter().map(|(_, log_ms)| log_ms[position]).collect();
        drawn.sort_by(f64::total_cmp);
        let at = |p| libm::exp(quantile(&drawn, p));
        QqPoint {
            fitted_ms: family.quantile((*rank as f64 + 0.5) / n as f64),
            observed_ms: libm::exp(sorted[*rank]),
            band_ms: Interval { low: at(0.025), high: at(0.975) },
        }
    };
    Goodness {
        p_value: (as_far + 1) as f64 / (DRAWS + 1) as f64,
        qq: ranks.iter().enumerate().map(point).collect(),
    }
}

/// Ranks of a chart: all, or the 25 at either end and the others at equal distances.
fn ranks(n: usize) -> Vec<usize> {
    if n <= MOST_POINTS {
        return (0..n).collect();
    }
    let end = MOST_POINTS / 8;
    let middle = MOST_POINTS - 2 * end;
    let between = (0..middle).map(|i| end + i * (n - 2 * end) / middle);
    (0..end).chain(between).chain(n - end..n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_both_ends_and_no_rank_twice() {
        for n in [0, 1, 200, 201, 1416, 20_000] {
            let ranks = ranks(n);
            assert_eq!(ranks.len(), n.min(MOST_POINTS));
            assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{n}");
            assert!(n == 0 || (ranks[0], ranks[ranks.len() - 1]) == (0, n - 1));
        }
    }
}
