//! How much of a spread lies between groups, and how much within them: one-way analysis of
//! variance with random effects.
//!
//! A value is a group's own mean plus noise, `y = mu + b_g + e`; wanted is the variance of `b`.
//! With k values in each group the mean square between groups expects `var(e) + k var(b)`, the
//! one within them `var(e)`, so `(MS_between - MS_within) / k` is unbiased. Groups of different
//! sizes n_g have `(N - sum n_g^2 / N) / (groups - 1)` in place of k. A negative estimate is
//! cut at 0.
//!
//! Values come in order of their groups and only sums are kept. The sums of squares are built
//! from differences of means (Welford's recurrence within a group, Chan's formula between
//! groups), so that none is lost in a large total.
//!
//! When not to use it: with few groups (the estimate then says little: its relative standard
//! error is at least sqrt(2 / groups)), or where the noise differs between groups in a way that
//! goes with their size.
//!
//! Source: S. R. Searle, G. Casella and C. E. McCulloch, Variance Components, 1992, section 3.6.

use super::moments::Moments;

/// The two mean squares of values that come group by group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VarianceComponents {
    /// The group of the last value.
    current: u64,
    /// The values of that group.
    open: Moments,
    /// The groups before it.
    closed: Groups,
}

/// What is kept of whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Groups {
    groups: u64,
    /// Values in all.
    values: f64,
    /// Sum of the squares of the groups' sizes.
    squared_sizes: f64,
    /// Mean of all values.
    mean: f64,
    /// Sum of squares between groups.
    between: f64,
    /// Sum of squares within groups.
    within: f64,
}

impl VarianceComponents {
    /// Takes in a finite value of a group. The values of a group come one after the other: one
    /// that comes back later would count as another group.
    #[inline]
    pub fn push(&mut self, group: u64, value: f64) {
        if group != self.current {
            self.closed.add(&self.open);
            self.open = Moments::default();
            self.current = group;
        }
        self.open.push(value);
    }

    /// The number of groups.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.all().groups
    }

    /// The variance of the groups' true means, at least 0; none while there are fewer than two
    /// groups or none has two values.
    #[must_use]
    pub fn between(&self) -> Option<f64> {
        let all = self.all();
        let (between_df, within_df) = (all.groups as f64 - 1.0, all.values - all.groups as f64);
        if between_df < 1.0 || within_df < 1.0 {
            return None;
        }
        let size = (all.values - all.squared_sizes / all.values) / between_df;
        Some(((all.between / between_df - all.within / within_df) / size).max(0.0))
    }

    /// The variance within groups; none while no group has two values.
    #[must_use]
    pub fn within(&self) -> Option<f64> {
        let all = self.all();
        let df = all.values - all.groups as f64;
        (df >= 1.0).then(|| all.within / df)
    }

    /// All groups, the open one included.
    fn all(&self) -> Groups {
        let mut all = self.closed;
        all.add(&self.open);
        all
    }
}

impl Groups {
    fn add(&mut self, group: &Moments) {
        if group.count() == 0 {
            return;
        }
        let (n, size) = (self.values, group.count() as f64);
        let delta = group.mean() - self.mean;
        self.groups += 1;
        self.values += size;
        self.squared_sizes += size * size;
        self.mean += delta * (size / self.values);
        self.between += delta * delta * (n * size / self.values);
        self.within += group.variance() * (size - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::assert_close;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn of(groups: &[&[f64]]) -> VarianceComponents {
        let mut components = VarianceComponents::default();
        for (g, values) in (5..).zip(groups) {
            values.iter().for_each(|value| components.push(g, *value));
        }
        components
    }

    #[test]
    fn groups_of_one_size_give_the_table_computed_by_hand() {
        // Means 2, 5, 11; squares within 2, 2, 2 (df 6); grand mean 6: between 3 (16 + 1 + 25).
        let components = of(&[&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], &[10.0, 11.0, 12.0]]);
        assert_eq!(components.groups(), 3);
        assert_eq!(components.within(), Some(1.0));
        // MS_between = 126 / 2 = 63.
        assert_close(components.between().unwrap(), (63.0 - 1.0) / 3.0, 1e-14, "between");
    }

    #[test]
    fn groups_of_different_sizes_are_weighed() {
        // Means 1, 4; grand mean (2 + 16) / 6 = 3; between 2 x 4 + 4 x 1 = 12, df 1;
        // within 2 + 2 = 4, df 4; size (6 - 20 / 6) / 1 = 8 / 3.
        let components = of(&[&[0.0, 2.0], &[3.0, 4.0, 4.0, 5.0]]);
        assert_close(components.between().unwrap(), (12.0 - 1.0) * 3.0 / 8.0, 1e-14, "between");
    }

    #[test]
    fn a_large_offset_does_not_eat_the_components() {
        let shifted = of(&[&[1e9 + 1.0, 1e9 + 3.0], &[1e9 + 5.0, 1e9 + 7.0]]);
        assert_eq!(shifted.between(), of(&[&[1.0, 3.0], &[5.0, 7.0]]).between());
    }

    #[test]
    fn too_little_data_has_no_components_and_equal_groups_have_none_between() {
        assert_eq!(VarianceComponents::default().between(), None);
        assert_eq!(of(&[&[1.0, 2.0]]).between(), None);
        assert_eq!(of(&[&[1.0], &[2.0], &[3.0]]).between(), None);
        assert_eq!(of(&[&[1.0, 2.0], &[2.0, 1.0]]).between(), Some(0.0));
    }

    /// 2,000 studies of 50 groups of 4 with var(b) = 0.5 and var(e) = 1. The estimate's variance
    /// is 2 / 16 x (MS_between^2 / 49 + MS_within^2 / 150) = 0.0238 (Searle et al., section 3.6),
    /// cuts at 0 are as good as never; so the mean of 2,000 is within 4.5 x 0.00345 (false
    /// alarm 7e-6), fixed seed. Forgetting to divide by the size of a group is caught.
    #[test]
    fn the_estimate_is_unbiased_and_a_planted_bug_is_caught() {
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        let mut estimates = Moments::default();
        for _ in 0..2_000 {
            let mut components = VarianceComponents::default();
            for group in 0..50 {
                let own = 0.5_f64.sqrt() * standard_normal(&mut rng);
                (0..4).for_each(|_| components.push(group, own + standard_normal(&mut rng)));
            }
            estimates.push(components.between().unwrap());
        }
        let close = |mean: f64| (mean - 0.5).abs() < 4.5 * 0.003_45;
        assert!(close(estimates.mean()), "{}", estimates.mean());
        assert!((estimates.variance() / 0.0238 - 1.0).abs() < 0.15, "{}", estimates.variance());
        assert!(!close(4.0 * estimates.mean()));
    }
}
