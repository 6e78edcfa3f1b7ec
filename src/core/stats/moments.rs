//! Mean and variance in one pass over the data; quantiles.
//!
//! Welford's recurrence keeps the running mean and the sum of squared deviations from it, so that
//! no large sums are subtracted from each other; Chan's formula joins two such summaries.
//! Joining in another order moves the last bits: results that are written to files push in
//! replication order.
//!
//! Sources: B. P. Welford, Technometrics 4 (1962), 419-420; T. F. Chan, G. H. Golub and
//! R. J. LeVeque, The American Statistician 37 (1983), 242-247.

use crate::stats::special::student_t_quantile;

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
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; NaN before the first value.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// The sample variance, with divisor n - 1; 0 for fewer than two values.
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.m2 / (self.count - 1) as f64 }
    }

    /// The square root of [`variance`](Self::variance).
    pub fn std_dev(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The standard error of the mean, `std_dev / sqrt(n)`; 0 for fewer than two values.
    pub fn std_error(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.variance() / self.count as f64).sqrt() }
    }

    /// The two-sided Student t interval for the mean at a confidence in (0, 1), such as 0.95.
    ///
    /// Exact for normal data, approximate by the central limit theorem elsewhere. Fewer than two
    /// values say nothing of their spread: the interval is then the mean alone, and a width of
    /// zero means "unknown", not "exact" (look at [`count`](Self::count)). A confidence outside
    /// (0, 1) gives NaN or infinite ends.
    pub fn mean_interval(&self, confidence: f64) -> Interval {
        if self.count < 2 {
            return Interval { low: self.mean(), high: self.mean() };
        }
        let t = -student_t_quantile((1.0 - confidence) / 2.0, (self.count - 1) as f64);
        Interval::around(self.mean, t * self.std_error())
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|x| moments.push(x));
        moments
    }
}

/// A closed interval of the real line; both ends in the unit of what it is about.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The interval from `center - half_width` to `center + half_width`.
    pub fn around(center: f64, half_width: f64) -> Self {
        Self { low: center - half_width, high: center + half_width }
    }

    /// Whether `x` lies inside, the ends included.
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    /// The distance between the ends.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Half the distance between the ends.
    pub fn half_width(&self) -> f64 {
        self.width() / 2.0
    }
}

// ---- Interpolated quantiles are for metrics of replications, where the sample stands for a
// population. Nearest ranks are for latencies within one replication, where the p99 should be a
// latency that happened. R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The
// American Statistician 50 (1996), 361-365; definitions 7 and 1.

/// The p-quantile of ascending values, linear between `x[floor h]` and the next for
/// `h = (n - 1) p` (Hyndman and Fan's type 7, the default of R and NumPy).
///
/// Values must be sorted; p outside \[0, 1\] counts as the nearer end. NaN for no values or a
/// NaN p.
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
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::assert_close;

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

    #[test]
    fn an_interval_knows_its_ends() {
        let interval = Interval { low: -1.0, high: 3.0 };
        assert!(interval.contains(-1.0) && interval.contains(3.0) && !interval.contains(3.1));
        assert_eq!((interval.width(), interval.half_width()), (4.0, 2.0));
        assert_eq!(Interval::around(1.0, 2.0), interval);
    }

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
