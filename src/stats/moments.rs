//! Mean and variance in one pass over the data.
//!
//! Welford's recurrence keeps the running mean and the sum of squared deviations from it, so that
//! no large sums are subtracted from each other; Chan's formula joins two such summaries.
//! Joining in another order moves the last bits: results that are written to files push in
//! replication order.
//!
//! Sources: B. P. Welford, Technometrics 4 (1962), 419-420; T. F. Chan, G. H. Golub and
//! R. J. LeVeque, The American Statistician 37 (1983), 242-247.

use super::interval::Interval;
use super::special::student_t_quantile;

/// Count, mean and spread of the values pushed so far, in their unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// Values pushed.
    count: u64,
    /// Their mean; 0 before the first.
    mean: f64,
    /// Their sum of squared deviations from the mean.
    m2: f64,
}

impl Moments {
    /// Takes in one finite value.
    #[inline]
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.m2 += delta * (x - self.mean);
    }

    /// Takes in all values of `other` at once (Chan et al. 1983, equation 2.1).
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.count += other.count;
        self.mean += delta * (m / (n + m));
        self.m2 += other.m2 + delta * delta * (n * m / (n + m));
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; NaN before the first value.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// The sample variance, with divisor n - 1; 0 for fewer than two values.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.m2 / (self.count - 1) as f64 }
    }

    /// The square root of [`variance`](Self::variance).
    #[must_use]
    pub fn std_dev(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The standard error of the mean, `std_dev / sqrt(n)`; 0 for fewer than two values.
    #[must_use]
    pub fn std_error(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.variance() / self.count as f64).sqrt() }
    }

    /// The two-sided Student t interval for the mean at a confidence in (0, 1), such as 0.95.
    ///
    /// Exact for normal data, approximate by the central limit theorem elsewhere. Fewer than two
    /// values say nothing of their spread: the interval is then the mean alone, and a width of
    /// zero means "unknown", not "exact" (look at [`count`](Self::count)). A confidence outside
    /// (0, 1) gives NaN or infinite ends.
    #[must_use]
    pub fn mean_interval(&self, confidence: f64) -> Interval {
        if self.count < 2 {
            return Interval { low: self.mean(), high: self.mean() };
        }
        let t = -student_t_quantile((1.0 - confidence) / 2.0, (self.count - 1) as f64);
        Interval::around(self.mean, t * self.std_error())
    }

    /// The moments of `count` zeros.
    pub(super) fn zeros(count: u64) -> Self {
        Self { count, ..Self::default() }
    }

    /// The moments of the negated values.
    pub(super) fn negated(self) -> Self {
        // 0 - x and not -x: the mean of nothing but zeros stays a plain zero.
        Self { mean: 0.0 - self.mean, ..self }
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|x| self.push(x));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        moments.extend(values);
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::assert_close;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn moments_of_a_small_sample_are_those_of_the_textbook() {
        let moments: Moments = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().collect();
        assert_eq!((moments.count(), moments.mean()), (8, 5.0));
        assert_close(moments.variance(), 32.0 / 7.0, 1e-15, "variance");
        assert_close(moments.std_error(), (4.0_f64 / 7.0).sqrt(), 1e-15, "standard error");
    }

    #[test]
    fn a_large_offset_does_not_eat_the_variance() {
        let moments: Moments = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert_close(moments.variance(), 250.0 / 999.0, 1e-9, "variance");
    }

    #[test]
    fn merging_is_pushing_everything() {
        let all: Vec<f64> = (0..100).map(|i| f64::from(i * i % 37)).collect();
        let mut left: Moments = all[..30].iter().copied().collect();
        left.merge(&all[30..].iter().copied().collect());
        left.merge(&Moments::default());
        let whole: Moments = all.iter().copied().collect();
        assert_eq!(left.count(), whole.count());
        assert_close(left.mean(), whole.mean(), 1e-14, "mean");
        assert_close(left.variance(), whole.variance(), 1e-14, "variance");
        let mut empty = Moments::default();
        empty.merge(&whole);
        assert_eq!(empty, whole);
    }

    #[test]
    fn nothing_has_no_mean_and_one_value_no_spread() {
        let mut moments = Moments::default();
        assert!(moments.mean().is_nan() && moments.mean_interval(0.95).low.is_nan());
        moments.push(3.0);
        assert_eq!((moments.variance(), moments.std_error()), (0.0, 0.0));
        assert_eq!(moments.mean_interval(0.95), Interval { low: 3.0, high: 3.0 });
    }

    #[test]
    fn the_interval_is_students() {
        // Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.776445105.
        let moments: Moments = [1.0, 2.0, 3.0, 4.0, 5.0].into_iter().collect();
        let half = 2.776_445_105_197_799 * 0.5_f64.sqrt();
        let interval = moments.mean_interval(0.95);
        assert_close(interval.low, 3.0 - half, 1e-10, "low");
        assert_close(interval.high, 3.0 + half, 1e-10, "high");
    }

    #[test]
    fn intervals_of_five_normal_values_cover_at_their_level() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let (mut covered, mut covered_by_normal) = (0_u32, 0_u32);
        for _ in 0..20_000 {
            let moments: Moments = (0..5).map(|_| standard_normal(&mut rng)).collect();
            covered += u32::from(moments.mean_interval(0.9).contains(0.0));
            let planted_bug = Interval::around(moments.mean(), 1.644_854 * moments.std_error());
            covered_by_normal += u32::from(planted_bug.contains(0.0));
        }
        // 18,000 expected, standard deviation 42.4; 4.5 of them: false alarm 7e-6.
        assert!((f64::from(covered) - 18_000.0).abs() < 191.0, "{covered}");
        // The normal quantile in place of Student's covers about 82.5 % and is caught.
        assert!(covered_by_normal < 17_000, "{covered_by_normal}");
    }
}
