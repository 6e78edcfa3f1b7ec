//! Latencies of the second halves against the fitted family: how many lie above its quantiles?
//!
//! Each count is binomial when latencies are independent and the family was known. Fitted to the
//! same latencies the check is conservative; fitted to as many others it alarms too often by the
//! error of the fit (for nonparametric quantiles up to a factor of root 2 in the deviation).
//!
//! When not to use it: for latencies that come in slow and fast spells.

use super::residuals::{Finding, two_sided};
use crate::stats::special::inc_beta;

/// What is looked at, and the chance to lie above.
pub(super) const QUANTILES: [(&str, f64); 3] =
    [("latency p50", 0.5), ("latency p90", 0.1), ("latency p99", 0.01)];

/// How many latencies lie above each of [`QUANTILES`].
#[derive(Debug, Clone, Default)]
pub(super) struct Exceedances {
    count: u64,
    above: [u64; QUANTILES.len()],
}

impl Exceedances {
    /// A latency, given as the fitted probability of at most as much; NaN is not looked at.
    pub(super) fn record(&mut self, cdf: f64) {
        if cdf.is_nan() {
            return;
        }
        self.count += 1;
        for (above, (_, chance)) in self.above.iter_mut().zip(QUANTILES) {
            *above += u64::from(cdf > 1.0 - chance);
        }
    }

    /// Latencies above, as observed and as expected, and the test.
    pub(super) fn finding(&self, quantile: usize) -> (f64, f64, Finding) {
        let (n, above, chance) = (self.count, self.above[quantile], QUANTILES[quantile].1);
        if n == 0 {
            return (0.0, 0.0, Finding::NONE);
        }
        let expected = n as f64 * chance;
        let excess = above as f64 - expected;
        let finding = Finding {
            statistic: excess / (expected * (1.0 - chance)).sqrt(),
            p_value: binomial_p(n, above, chance),
            effect: excess,
            attempts: n,
            ..Finding::NONE
        };
        (above as f64, expected, finding)
    }
}

/// Twice the smaller tail of the binomial distribution, at most 1; normal beyond 10^6.
fn binomial_p(n: u64, seen: u64, p: f64) -> f64 {
    let (size, k) = (n as f64, seen as f64);
    if n > 1_000_000 {
        return two_sided((k - size * p) / (size * p * (1.0 - p)).sqrt());
    }
    // P(X >= k) = I_p(k, n - k + 1).
    let at_least = |k: f64| match k {
        k if k <= 0.0 => 1.0,
        k if k > size => 0.0,
        k => inc_beta(k, size - k + 1.0, p),
    };
    (2.0 * at_least(k).min(1.0 - at_least(k + 1.0))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: f64, expected: f64, relative: f64, what: &str) {
        let off = (got - expected).abs();
        assert!(off <= relative * expected.abs().max(1e-12), "{what}: {got} for {expected}");
    }

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        // R: 2 * pbinom(0, 100, 0.01), 2 * (1 - pbinom(4, 100, 0.01))
        assert_close(binomial_p(100, 0, 0.01), 0.732_064_7, 1e-6, "none");
        assert_close(binomial_p(100, 5, 0.01), 0.006_864_8, 1e-4, "five");
        assert_eq!(binomial_p(10, 5, 0.5), 1.0);
        assert!(binomial_p(2_000_000, 1_003_000, 0.5) < 1e-4);
    }

    #[test]
    fn a_slow_half_is_noticed() {
        let mut slow = Exceedances::default();
        (0..400).for_each(|i| slow.record(0.2 + 0.002 * f64::from(i)));
        slow.record(f64::NAN);
        let (above, expected, finding) = slow.finding(0);
        assert_eq!((above, expected, finding.attempts), (249.0, 200.0, 400));
        assert!(finding.p_value < 1e-5 && finding.effect > 0.0);
    }
}
