//! How far the tail of a fit can be believed.
//!
//! The interval of an observed quantile lies between two order statistics whose ranks are
//! binomial quantiles: it holds for any distribution (David and Nagaraja, "Order Statistics",
//! 3rd ed., 7.1). Where no rank is high enough, as for the p99.9 of 500 attempts, the sample
//! does not know the quantile, and only a lower end is given.
//!
//! When not to use it: for attempts in slow spells the interval is too narrow, because they are
//! not independent.

use crate::stats::special::inc_beta;
use crate::world::LatencyFamily;

/// The quantiles shown.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// Probability of each side outside the interval.
const OUTSIDE: f64 = 0.025;

/// A quantile of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyQuantile {
    /// Which: 0.5 is the median.
    pub p: f64,
    /// Of the fit.
    pub fitted_ms: f64,
    /// Of the attempts: the smallest that at least a share `p` does not exceed.
    pub observed_ms: f64,
    /// Lower end of its 95 % interval; `None` when the sample is too small for one.
    pub low_ms: Option<f64>,
    /// Upper end; `None` when the sample cannot know one.
    pub high_ms: Option<f64>,
}

impl LatencyQuantile {
    /// Whether the sample can know this quantile at all.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.low_ms.is_some() && self.high_ms.is_some()
    }

    /// Whether the fit lies within what is known.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.low_ms.is_none_or(|low| self.fitted_ms >= low)
            && self.high_ms.is_none_or(|high| self.fitted_ms <= high)
    }
}

/// Observed against fitted tails.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyTail {
    /// p50, p90, p99, p99.9.
    pub quantiles: Vec<LatencyQuantile>,
    /// The longest latency seen, in milliseconds.
    pub longest_ms: f64,
    /// The chance that so many attempts drawn from the fit would have one at least as long.
    pub chance_of_longest: f64,
    /// How many attempts lie beyond the fit's p99.9.
    pub beyond: usize,
    /// How many should.
    pub beyond_expected: f64,
}

/// The tail of ascending latencies in milliseconds, of which there is at least one.
pub(super) fn tail(family: &LatencyFamily, sorted_ms: &[f64]) -> LatencyTail {
    let n = sorted_ms.len();
    let far = family.quantile(0.999);
    let longest_ms = sorted_ms.last().copied().unwrap_or(0.0);
    let above = 1.0 - family.cdf(longest_ms * (1.0 - 1e-12));
    LatencyTail {
        quantiles: QUANTILES.map(|p| observed(family, sorted_ms, p)).to_vec(),
        longest_ms,
        chance_of_longest: -libm::expm1(n as f64 * libm::log1p(-above.clamp(0.0, 1.0))),
        beyond: n - sorted_ms.partition_point(|ms| *ms <= far),
        beyond_expected: 0.001 * n as f64,
    }
}

fn observed(family: &LatencyFamily, sorted_ms: &[f64], p: f64) -> LatencyQuantile {
    let n = sorted_ms.len();
    // The factor undoes the rounding of p.
    let rank = ((p * n as f64 * (1.0 - 1e-12)).ceil() as usize).clamp(1, n.max(1));
    let (low, high) = ranks(n, p);
    let at = |rank: usize| sorted_ms.get(rank.checked_sub(1)?).copied();
    LatencyQuantile {
        p,
        fitted_ms: family.quantile(p),
        observed_ms: at(rank).unwrap_or(f64::NAN),
        low_ms: at(low),
        high_ms: at(high),
    }
}

/// Ranks (from 1) of the order statistics between which the p-quantile lies with at least 95 %;
/// 0 or n + 1 where there is none.
fn ranks(n: usize, p: f64) -> (usize, usize) {
    // The chance that at most k of n attempts lie below the quantile.
    let at_most = |k: usize| {
        if k >= n { 1.0 } else { inc_beta((n - k) as f64, k as f64 + 1.0, 1.0 - p) }
    };
    // The largest low with P(fewer than low lie below) <= 2.5 %.
    let low = (0..n).collect::<Vec<_>>().partition_point(|k| at_most(*k) <= OUTSIDE);
    // The smallest high with P(at least high lie below) <= 2.5 %.
    let high = (0..n).collect::<Vec<_>>().partition_point(|k| at_most(*k) < 1.0 - OUTSIDE) + 1;
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_binomial_table() {
        // Median of 10: P(at most 1) = 11/1024 = 1.07 %, P(at most 2) = 5.5 %: ranks 2 and 9.
        assert_eq!(ranks(10, 0.5), (2, 9));
        // Five values do not know their median at 95 %: 2/32 = 6 % lie outside.
        assert_eq!(ranks(5, 0.5), (0, 6));
        // p99.9 of 3,687 attempts: 0.999^3687 is just above 2.5 %; of 3,688 it is below.
        assert_eq!((ranks(3687, 0.999).1, ranks(3688, 0.999).1), (3688, 3688));
    }

    #[test]
    fn a_quantile_beyond_the_sample_is_called_unknown() {
        let sorted: Vec<f64> = (1..=500).map(f64::from).collect();
        let tail = tail(&LatencyFamily::Constant { ms: 250.0 }, &sorted);
        let known: Vec<bool> = tail.quantiles.iter().map(LatencyQuantile::is_known).collect();
        assert_eq!(known, [true, true, true, false]);
        assert_eq!(tail.quantiles[3].observed_ms, 500.0);
        let agrees: Vec<bool> = tail.quantiles.iter().map(LatencyQuantile::agrees).collect();
        assert_eq!(agrees, [true, false, false, false]);
        assert_eq!((tail.longest_ms, tail.beyond, tail.chance_of_longest), (500.0, 250, 0.0));
    }

    #[test]
    fn the_longest_of_a_hundred_has_its_closed_form() {
        // 1 - (1 - 1/4)^2 for two attempts whose longest is the upper quartile.
        let family = LatencyFamily::LogLogistic { median_ms: 1.0, shape: 1.0 };
        assert!((tail(&family, &[0.5, 3.0]).chance_of_longest - 0.4375).abs() < 1e-9);
    }
}
