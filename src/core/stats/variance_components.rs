//! How much of a spread lies between groups, and how much within them? One-way analysis of variance
//! with random effects.
//!
//! A value is a group's own mean plus noise, `y = mu + b_g + e`; wanted is the variance of `b`.
//! With k values in each group the mean square between groups expects `var(e) + k var(b)`, the
//! one within them `var(e)`, so `(MS_between - MS_within) / k` is unbiased: the variance of the
//! groups' means less the part of it that noise explains. It may be negative when `b` varies
//! little or not at all.
//!
//! Its standard error is that of a mean over groups, `u_g = (m_g - m)^2 - s_g^2 / k`, taken from
//! the spread of the `u_g`: textbook formulas ask for normal `b` and for noise of one size, and
//! scores are noisier where servers are worse.
//!
//! When not to use it: with few groups. The standard error then says little itself, and for
//! normal values the relative one of the estimate is at least sqrt(2 / groups) whatever k is.
//!
//! Source: S. R. Searle, G. Casella and C. E. McCulloch, Variance Components, 1992, section 3.6.

use crate::stats::moments::Moments;

/// Sums over values that come group by group, groups of one size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VarianceComponents {
    /// Values in a group.
    size: u64,
    /// The group that is not complete yet; it does not count.
    open: Moments,
    groups: u64,
    /// The mean of the first group, which all means are counted from: fourth powers of what is
    /// left are harmless.
    origin: f64,
    /// Sums over groups of the powers 1 to 4 of their means.
    powers: [f64; 4],
    /// Sums of the noise of their means, `s^2 / k`, times the powers 0, 1 and 2 of the means.
    noise: [f64; 3],
    /// Sum of the squared noise.
    squared_noise: f64,
}

/// A variance between groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    /// The unbiased estimate, in squared units of the values; may be negative.
    pub variance: f64,
    /// Its standard error.
    pub std_error: f64,
}

impl VarianceComponents {
    /// Groups of `size` consecutive values, at least two.
    pub fn new(size: u64) -> Self {
        Self { size: size.max(2), ..Self::default() }
    }

    /// Takes in the next finite value.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.open.push(value);
        if self.open.count() == self.size {
            self.close();
        }
    }

    /// Complete groups.
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// The variance of the groups' true means; none for fewer than two groups.
    pub fn between(&self) -> Option<Between> {
        if self.groups < 2 {
            return None;
        }
        let n = self.groups as f64;
        let [p1, p2, p3, p4] = self.powers;
        let [v0, v1, v2] = self.noise;
        let mean = p1 / n;
        // Sums of (m - mean)^2, (m - mean)^4 and noise x (m - mean)^2, expanded.
        let squares = p2 - n * mean * mean;
        let mean2 = mean * mean;
        let fourths = p4 - 4.0 * mean * p3 + 6.0 * mean2 * p2 - 3.0 * n * mean2 * mean2;
        let mixed = v2 - 2.0 * mean * v1 + mean2 * v0;
        let sum_u = squares - v0;
        let sum_u2 = fourths - 2.0 * mixed + self.squared_noise;
        let spread = (sum_u2 - sum_u * sum_u / n).max(0.0) / (n - 1.0);
        Some(Between { variance: squares / (n - 1.0) - v0 / n, std_error: (spread / n).sqrt() })
    }

    fn close(&mut self) {
        let group = std::mem::take(&mut self.open);
        if self.groups == 0 {
            self.origin = group.mean();
        }
        self.groups += 1;
        let mut power = group.mean() - self.origin;
        let mean = power;
        for sum in &mut self.powers {
            *sum += power;
            power *= mean;
        }
        let mut noise = group.variance() / self.size as f64;
        self.squared_noise += noise * noise;
        for sum in &mut self.noise {
            *sum += noise;
            noise *= mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::assert_close;

    fn of(size: u64, values: &[f64]) -> VarianceComponents {
        let mut components = VarianceComponents::new(size);
        values.iter().for_each(|value| components.push(*value));
        components
    }

    #[test]
    fn the_estimate_is_that_of_the_table_computed_by_hand() {
        // Means 2, 5, 11 around 6: squares between 3 (16 + 1 + 25) = 126, mean square 63;
        // within each group 2 on 2 degrees of freedom, mean square 1. The last value is alone.
        let components = of(3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 11.0, 12.0, 99.0]);
        assert_eq!(components.groups(), 3);
        let between = components.between().unwrap();
        assert_close(between.variance, (63.0 - 1.0) / 3.0, 1e-14, "between");
        // u = 16 - 1/3, 1 - 1/3, 25 - 1/3, whose variance is that of 16, 1, 25: 147.
        assert_close(between.std_error, (147.0_f64 / 3.0).sqrt(), 1e-13, "standard error");
    }

    #[test]
    fn a_large_offset_does_not_eat_the_components() {
        let values: Vec<f64> = (0..40_i32).map(|i| f64::from(i * i % 13)).collect();
        let shifted: Vec<f64> = values.iter().map(|x| x + 1e9).collect();
        let (a, b) = (of(4, &values).between().unwrap(), of(4, &shifted).between().unwrap());
        assert_close(b.variance, a.variance, 1e-9, "variance");
        assert_close(b.std_error, a.std_error, 1e-9, "standard error");
    }

    #[test]
    fn one_group_has_nothing_between_and_noise_alone_may_give_less_than_nothing() {
        assert_eq!(of(2, &[1.0, 2.0, 3.0]).between(), None);
        assert_eq!(of(2, &[1.0, 2.0, 2.0, 1.0]).between().unwrap().variance, -0.25);
        assert_eq!(of(2, &[3.0; 8]).between(), Some(Between { variance: 0.0, std_error: 0.0 }));
    }

    /// 2,000 studies of 60 groups of 4 with normal `b` of standard deviation `own` and normal noise
    /// of a size for each group: the mean estimate, its standard deviation, and the mean
    /// standard error.
    fn studies(own: f64, noise_sd: impl Fn(u32) -> f64) -> (f64, f64, f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        let (mut estimates, mut errors) = (Moments::default(), Moments::default());
        for _ in 0..2_000 {
            let mut components = VarianceComponents::new(4);
            for group in 0..60 {
                let (own, sd) = (own * standard_normal(&mut rng), noise_sd(group));
                (0..4).for_each(|_| components.push(own + sd * standard_normal(&mut rng)));
            }
            let between = components.between().unwrap();
            estimates.push(between.variance);
            errors.push(between.std_error);
        }
        (estimates.mean(), estimates.std_dev(), errors.mean())
    }

    /// For normal values the estimate's variance is 2/16 (MS_between^2 / 59 + MS_within^2 / 180),
    /// 0.0198 for var(b) = 0.5. The mean of 2,000 estimates is within 4.5 x 0.00314 (false alarm
    /// 7e-6), fixed seed. Forgetting the noise of the means, a bias of 1/4, is caught.
    #[test]
    fn the_estimate_is_unbiased_and_a_planted_bug_is_caught() {
        let (mean, sd, _) = studies(0.5_f64.sqrt(), |_| 1.0);
        let close = |mean: f64| (mean - 0.5).abs() < 4.5 * 0.003_14;
        assert!(close(mean), "{mean}");
        assert!((sd / 0.1407 - 1.0).abs() < 0.08, "{sd}");
        assert!(!close(mean + 0.25));
    }

    /// Where half of the groups have all of the noise, the estimate varies more than the formula
    /// for noise of one size says; the standard error from the data follows, to 8 %.
    #[test]
    fn the_standard_error_holds_where_groups_are_not_equally_noisy() {
        let (_, sd, error) =
            studies(0.3, |group| if group % 2 == 0 { 0.0 } else { 2.0_f64.sqrt() });
        assert!((error / sd - 1.0).abs() < 0.08, "{error} for {sd}");
        let between = 1.0 + 4.0 * 0.09;
        let normal = (2.0 / 16.0 * (between * between / 59.0 + 1.0_f64 / 180.0)).sqrt();
        assert!(normal / sd < 0.85, "{normal} for {sd}");
    }
}
