//! A closed interval, and the two classic ones for a proportion.
//!
//! Wilson's is for display: it covers at its level on average over proportions. Clopper and
//! Pearson's is for claims: it covers at least at its level for every proportion, and pays with
//! width.
//!
//! When not to use them: for a mean of scores that are not counts, see
//! [`Moments::mean_interval`](super::Moments::mean_interval).

use super::special::{inv_inc_beta, normal_quantile};

/// A closed interval of the real line; both ends in the unit of what it is about.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The interval from `center - half_width` to `center + half_width`.
    #[must_use]
    pub fn around(center: f64, half_width: f64) -> Self {
        Self { low: center - half_width, high: center + half_width }
    }

    /// Whether `x` lies inside, the ends included.
    #[must_use]
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    /// The distance between the ends.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Half the distance between the ends.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        self.width() / 2.0
    }
}

/// Wilson's score interval for a proportion (E. B. Wilson, JASA 22 (1927), 209-212).
///
/// Two-sided, at a confidence in (0, 1); other confidences give NaN. No trials give \[0, 1\];
/// successes above trials count as trials.
#[must_use]
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let successes = successes.min(trials);
    let n = trials as f64;
    let p = successes as f64 / n;
    let z = -normal_quantile((1.0 - confidence) / 2.0);
    let shrink = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / shrink;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / shrink;
    let interval = Interval::around(center, half);
    // At the ends the formula gives 0 and 1 but for rounding.
    Interval {
        low: if successes == 0 { 0.0 } else { interval.low },
        high: if successes == trials { 1.0 } else { interval.high },
    }
}

/// Clopper and Pearson's exact interval for a proportion (Biometrika 26 (1934), 404-413), through
/// quantiles of the Beta distribution.
///
/// Two-sided, at a confidence in (0, 1); other confidences give NaN. No trials give \[0, 1\];
/// successes above trials count as trials.
#[must_use]
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> Interval {
    let successes = successes.min(trials);
    let tail = (1.0 - confidence) / 2.0;
    let (s, f) = (successes as f64, (trials - successes) as f64);
    Interval {
        low: if successes == 0 { 0.0 } else { inv_inc_beta(s, f + 1.0, tail) },
        // The upper end is one minus the lower end for the failures.
        high: if successes == trials { 1.0 } else { 1.0 - inv_inc_beta(f, s + 1.0, tail) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    /// The chance that the interval covers p, summed over the binomial distribution.
    fn coverage(interval: impl Fn(u64, u64, f64) -> Interval, n: u64, p: f64) -> f64 {
        let mut probability = (1.0 - p).powi(n as i32);
        let mut covered = 0.0;
        for k in 0..=n {
            if interval(k, n, 0.95).contains(p) {
                covered += probability;
            }
            probability *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        }
        covered
    }

    #[test]
    fn an_interval_knows_its_ends() {
        let interval = Interval { low: -1.0, high: 3.0 };
        assert!(interval.contains(-1.0) && interval.contains(3.0) && !interval.contains(3.1));
        assert_eq!((interval.width(), interval.half_width()), (4.0, 2.0));
        assert_eq!(Interval::around(1.0, 2.0), interval);
    }

    #[test]
    fn intervals_agree_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), 857-872, table I: 81/263, 15/148 and 0/20.
        for (s, n, wilson_ends, exact_ends) in [
            (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
            (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
            (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        ] {
            let ends = wilson(s, n, 0.95);
            assert!((ends.low - wilson_ends.0).abs() < 6e-5, "{ends:?}");
            assert!((ends.high - wilson_ends.1).abs() < 6e-5, "{ends:?}");
            let ends = clopper_pearson(s, n, 0.95);
            assert!((ends.low - exact_ends.0).abs() < 6e-5, "{ends:?}");
            assert!((ends.high - exact_ends.1).abs() < 6e-5, "{ends:?}");
        }
    }

    #[test]
    fn all_successes_have_the_closed_form_of_the_rule_of_three() {
        let interval = clopper_pearson(100, 100, 0.95);
        assert_close(interval.low, 0.025_f64.powf(0.01), 1e-13, "low");
        assert_eq!(interval.high, 1.0);
        assert_eq!(wilson(100, 100, 0.95).high, 1.0);
    }

    #[test]
    fn no_trials_say_nothing() {
        let everything = Interval { low: 0.0, high: 1.0 };
        assert_eq!(wilson(0, 0, 0.95), everything);
        assert_eq!(clopper_pearson(0, 0, 0.95), everything);
        assert_eq!(clopper_pearson(9, 5, 0.95), clopper_pearson(5, 5, 0.95));
    }

    #[test]
    fn the_exact_interval_covers_everywhere_and_wilsons_on_average() {
        let ps: Vec<f64> = (1..100).map(|i| f64::from(i) / 100.0).collect();
        let exact = ps.iter().map(|&p| coverage(clopper_pearson, 30, p)).fold(1.0, f64::min);
        assert!(exact >= 0.95, "{exact}");
        let mean = ps.iter().map(|&p| coverage(wilson, 30, p)).sum::<f64>() / 99.0;
        assert!((0.94..0.96).contains(&mean), "{mean}");
        // A one-sided tail where a two-sided one belongs is a bug this notices.
        let planted_bug = |s, n, c| clopper_pearson(s, n, 2.0 * c - 1.0);
        assert!(ps.iter().any(|&p| coverage(planted_bug, 30, p) < 0.95));
    }
}
