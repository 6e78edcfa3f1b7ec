//! Quantiles of floats, and nearest ranks of counts.
//!
//! Interpolated quantiles are for metrics of replications, where the sample stands for a
//! population. Nearest ranks are for latencies within one replication, where the p99 should be a
//! latency that happened.
//!
//! Source: R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The American
//! Statistician 50 (1996), 361-365; definitions 7 and 1.

/// The p-quantile of ascending values, linear between `x[floor h]` and the next for
/// `h = (n - 1) p` (Hyndman and Fan's type 7, the default of R and NumPy).
///
/// Values must be sorted; p outside \[0, 1\] counts as the nearer end. NaN for no values or a
/// NaN p.
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    if sorted.is_empty() || p.is_nan() {
        return f64::NAN;
    }
    let h = (sorted.len() - 1) as f64 * p.clamp(0.0, 1.0);
    let below = h.floor() as usize;
    let share = h - below as f64;
    if share == 0.0 {
        return sorted[below];
    }
    sorted[below] + share * (sorted[below + 1] - sorted[below])
}

/// The `ceil(p n)`-th smallest value, at least the first (Hyndman and Fan's type 1), in O(n).
///
/// Reorders the values. p outside \[0, 1\] counts as the nearer end, NaN as 0. `None` for no
/// values.
#[must_use]
pub fn nearest_rank(values: &mut [u64], p: f64) -> Option<u64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    // The factor undoes the rounding of p: 0.07 * 100 is a little more than 7, and ceil gives 8.
    let rank = (p * n as f64 * (1.0 - 1e-12)).ceil() as usize;
    let (_, value, _) = values.select_nth_unstable(rank.clamp(1, n) - 1);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_r() {
        // R: quantile(c(1, 2, 4, 8, 16), c(0, .1, .25, .5, .9, 1))
        let x = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (p, expected) in
            [(0.0, 1.0), (0.1, 1.4), (0.25, 2.0), (0.5, 4.0), (0.9, 12.8), (1.0, 16.0)]
        {
            assert!((quantile(&x, p) - expected).abs() < 1e-12, "p = {p}");
        }
    }

    #[test]
    fn quantiles_of_nothing_and_of_one_value() {
        assert!(quantile(&[], 0.5).is_nan() && quantile(&[1.0], f64::NAN).is_nan());
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
        assert_eq!(quantile(&[1.0, 2.0], 1.5), 2.0);
        assert_eq!(quantile(&[0.0, f64::INFINITY], 1.0), f64::INFINITY);
    }

    #[test]
    fn the_nearest_rank_is_a_value_that_occurred() {
        // The worked example of the literature: 15, 20, 35, 40, 50.
        for (p, expected) in [(0.05, 15), (0.3, 20), (0.4, 20), (0.5, 35), (1.0, 50)] {
            assert_eq!(nearest_rank(&mut [35, 50, 15, 40, 20], p), Some(expected));
        }
        assert_eq!(nearest_rank(&mut [], 0.5), None);
    }

    #[test]
    fn every_percentile_of_a_hundred_is_its_own_number() {
        // Without the guard against rounding 7, 14, 28, ... come out one too high.
        for percent in 1..=100_u64 {
            let mut values: Vec<u64> = (1..=100).rev().collect();
            assert_eq!(nearest_rank(&mut values, percent as f64 / 100.0), Some(percent));
        }
    }
}
