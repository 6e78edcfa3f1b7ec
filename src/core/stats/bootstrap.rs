//! How sure are we that the strategy with the highest mean is the best? And how much of a spread lies
//! between groups?
//!
//! `p_best` resamples replications with replacement and counts how often each strategy has the
//! highest mean. A resampled replication brings the scores of all strategies along, so pairing is
//! kept. It measures how firmly the data point at a strategy; it is neither a posterior
//! probability nor a p-value, and of k equally good strategies one has a share well above 1/k
//! in any given experiment.
//!
//! From 10^5 replications on, resampling costs more than it tells: the means are then normal for
//! all purposes, and [`p_best_normal`] draws them from their estimated joint distribution.
//!
//! Source: B. Efron, Annals of Statistics 7 (1979), 1-26; for the share of wins, P. Hall and
//! H. Miller, Annals of Statistics 37 (2009), 3929-3959, who also say when it misleads.

use rand::Rng;
use rayon::prelude::*;

use crate::stats::comparison::PairedComparison;
use crate::stats::moments::Moments;
use crate::stats::sample::{index_below, standard_normal};

/// Resamples for [`p_best`]: the standard error of a share is then at most 1.1 %.
pub const RESAMPLES: usize = 2_000;

/// Draws for [`p_best_normal`]: the standard error of a share is then at most 0.36 %.
pub const NORMAL_DRAWS: usize = 20_000;

/// Above this many replications [`p_best_normal`] takes over from [`p_best`].
pub const NORMAL_ABOVE_REPLICATIONS: u64 = 100_000;

/// Means this close, relative to their size, are a tie that rounding has split: sums of the same
/// scores in another order.
const TIE: f64 = 1e-12;

/// The share of bootstrap resamples in which each strategy has the highest mean; ties in a
/// resample share it equally.
///
/// `scores` holds one row of `strategies` finite scores for each replication. Resample r draws
/// its indices from `rng_for_resample(r)`, one word a replication, whatever the number of threads
/// and the order of work: the result is the same to the bit. The shares add up to 1; they are
/// all equal without scores, NaN for no resamples, and none for no strategies.
///
/// # Panics
///
/// If `scores` is not a whole number of rows, which is a bug of the caller.
pub fn p_best<R: Rng>(
    scores: &[f64],
    strategies: usize,
    resamples: usize,
    rng_for_resample: impl Fn(u64) -> R + Sync,
) -> Vec<f64> {
    if strategies == 0 {
        return Vec::new();
    }
    assert_eq!(scores.len() % strategies, 0, "whole rows of scores");
    let replications = scores.len() / strategies;
    let winners_of = |resample: usize| {
        let mut rng = rng_for_resample(resample as u64);
        let mut sums = vec![0.0; strategies];
        for _ in 0..replications {
            let row = index_below(&mut rng, replications) * strategies;
            for (sum, score) in sums.iter_mut().zip(&scores[row..row + strategies]) {
                *sum += score;
            }
        }
        let size = sums.iter().fold(0.0, |size: f64, sum| size.max(sum.abs()));
        winners(&sums, TIE * size)
    };
    // Collected in order of resample, then counted on one thread.
    let all: Vec<Vec<usize>> = (0..resamples).into_par_iter().map(winners_of).collect();
    shares(strategies, &all)
}

/// The paired normal approximation of [`p_best`]: the share of `draws` of the mean scores from
/// their estimated joint normal distribution in which each strategy has the highest.
///
/// Only differences decide, so the differences from the best strategy are drawn. Their
/// covariances follow from the variances of paired differences alone,
/// `cov(i - b, j - b) = (var(i - b) + var(j - b) - var(i - j)) / 2`, and what all strategies have
/// in common never enters, to be subtracted again. Takes `strategies - 1` words a draw.
/// Wants two replications at least, and says nothing of use before.
pub fn p_best_normal<R: Rng>(comparison: &PairedComparison, draws: usize, rng: &mut R) -> Vec<f64> {
    let k = comparison.strategies();
    let best = comparison.best();
    let variance = |i, j| comparison.difference(i, j).variance() / comparison.count() as f64;
    let others: Vec<usize> = (0..k).filter(|&i| i != best).collect();
    let covariance: Vec<Vec<f64>> = others
        .iter()
        .map(|&i| {
            let with = |&j: &usize| 0.5 * (variance(i, best) + variance(j, best) - variance(i, j));
            others.iter().map(with).collect()
        })
        .collect();
    let factor = cholesky(covariance);
    let centers: Vec<f64> = others.iter().map(|&i| comparison.difference(i, best).mean()).collect();
    let spread = others.iter().map(|&i| variance(i, best).sqrt()).fold(0.0, f64::max);

    let mut normals = vec![0.0; others.len()];
    let mut means = vec![0.0; k];
    let mut all = Vec::with_capacity(draws);
    for _ in 0..draws {
        normals.iter_mut().for_each(|z| *z = standard_normal(rng));
        for ((row, center), &i) in factor.iter().zip(&centers).zip(&others) {
            means[i] = center + row.iter().zip(&normals).map(|(l, z)| l * z).sum::<f64>();
        }
        // Equal strategies differ by the rounding of the factor, 1e-6 of the spread at most.
        all.push(winners(&means, 1e-6 * spread));
    }
    shares(k, &all)
}

/// Those within `tolerance` of the greatest value.
fn winners(values: &[f64], tolerance: f64) -> Vec<usize> {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (0..values.len()).filter(|&i| values[i] >= greatest - tolerance).collect()
}

/// The share of rounds each strategy won, ties divided.
fn shares(strategies: usize, rounds: &[Vec<usize>]) -> Vec<f64> {
    let mut shares = vec![0.0; strategies];
    for winners in rounds {
        winners.iter().for_each(|&i| shares[i] += 1.0 / winners.len() as f64);
    }
    shares.iter().map(|share| share / rounds.len() as f64).collect()
}

/// The lower triangular L with `L L^T = matrix`, for a positive semidefinite matrix.
///
/// A pivot that cancellation has eaten, of a strategy that is a copy or a mixture of others, gets
/// a column of zeros (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 10.3).
fn cholesky(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = matrix.len();
    for j in 0..n {
        let dot = |a: &[f64], b: &[f64]| -> f64 { (0..j).map(|m| a[m] * b[m]).sum() };
        let pivot = matrix[j][j] - dot(&matrix[j], &matrix[j]);
        let root = if pivot > 1e-12 * matrix[j][j] { pivot.sqrt() } else { 0.0 };
        for i in j + 1..n {
            let rest = matrix[i][j] - dot(&matrix[i], &matrix[j]);
            matrix[i][j] = if root > 0.0 { rest / root } else { 0.0 };
        }
        matrix[j][j] = root;
        matrix[j][j + 1..].fill(0.0);
    }
    matrix
}

// ---- How much of a spread lies between groups, and how much within them: one-way analysis of
// variance with random effects.
//
// A value is a group's own mean plus noise, `y = mu + b_g + e`; wanted is the variance of `b`.
// With k values in each group the mean square between groups expects `var(e) + k var(b)`, the
// one within them `var(e)`, so `(MS_between - MS_within) / k` is unbiased: the variance of the
// groups' means less the part of it that noise explains. It may be negative when `b` varies
// little or not at all.
//
// Its standard error is that of a mean over groups, `u_g = (m_g - m)^2 - s_g^2 / k`, taken from
// the spread of the `u_g`: textbook formulas ask for normal `b` and for noise of one size, and
// scores are noisier where servers are worse.
//
// When not to use it: with few groups. The standard error then says little itself, and for
// normal values the relative one of the estimate is at least sqrt(2 / groups) whatever k is.
//
// Source: S. R. Searle, G. Casella and C. E. McCulloch, Variance Components, 1992, section 3.6.

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
    use crate::stats::special::{assert_close, normal_cdf};

    fn resample_rng(resample: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        rng.set_stream(resample);
        rng
    }

    /// Rows of normal scores around the means, with a strong common part.
    fn rows(means: &[f64], replications: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(31);
        let mut scores = Vec::new();
        for _ in 0..replications {
            let common = 5.0 * standard_normal(&mut rng);
            scores.extend(means.iter().map(|mean| mean + common + standard_normal(&mut rng)));
        }
        scores
    }

    fn comparison(scores: &[f64], strategies: usize) -> PairedComparison {
        let mut comparison = PairedComparison::new(strategies);
        scores.chunks(strategies).for_each(|row| comparison.push(row));
        comparison
    }

    /// The normal chance that the first of two is better, given its paired moments.
    fn first_of_two(comparison: &PairedComparison) -> f64 {
        let paired = comparison.difference(0, 1);
        normal_cdf(paired.mean() / paired.std_error())
    }

    #[test]
    fn two_strategies_win_with_the_normal_probability_of_their_paired_difference() {
        let scores = rows(&[0.1, 0.0], 300);
        let comparison = comparison(&scores, 2);
        let expected = first_of_two(&comparison);
        assert!((0.6..0.99).contains(&expected), "an informative case: {expected}");
        let resampled = p_best(&scores, 2, RESAMPLES, resample_rng);
        // Standard errors below 1.1 % and 0.36 %; 4.5 of them: false alarm 7e-6.
        assert!((resampled[0] - expected).abs() < 0.05, "{resampled:?} {expected}");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn = p_best_normal(&comparison, NORMAL_DRAWS, &mut rng);
        assert!((drawn[0] - expected).abs() < 0.016, "{drawn:?} {expected}");
        assert!((drawn[0] + drawn[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn resampling_strategies_apart_would_be_caught() {
        // Planted bug: the columns shuffled against each other lose the pairing, and with it most
        // of the certainty.
        let scores = rows(&[0.3, 0.0], 200);
        let unpaired: Vec<f64> =
            (0..200).flat_map(|r| [scores[2 * r], scores[2 * ((r + 1) % 200) + 1]]).collect();
        assert!(p_best(&scores, 2, RESAMPLES, resample_rng)[0] > 0.95);
        assert!(p_best(&unpaired, 2, RESAMPLES, resample_rng)[0] < 0.85);
    }

    #[test]
    fn both_ways_agree_on_several_strategies() {
        let scores = rows(&[0.0, 0.12, -0.1, 0.1, 0.11], 400);
        let resampled = p_best(&scores, 5, RESAMPLES, resample_rng);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let drawn = p_best_normal(&comparison(&scores, 5), NORMAL_DRAWS, &mut rng);
        for (a, b) in resampled.iter().zip(&drawn) {
            // 4.5 standard errors of the rougher one.
            assert!((a - b).abs() < 0.052, "{resampled:?} {drawn:?}");
        }
    }

    #[test]
    fn copies_of_a_strategy_share_its_wins() {
        let single = rows(&[0.05, 0.0], 200);
        let doubled: Vec<f64> = single.chunks(2).flat_map(|s| [s[0], s[1], s[0], s[1]]).collect();
        let one = p_best(&single, 2, 500, resample_rng);
        let two = p_best(&doubled, 4, 500, resample_rng);
        assert_eq!((two[0], two[1]), (one[0] / 2.0, one[1] / 2.0));
        assert_eq!((two[0], two[1]), (two[2], two[3]));

        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let drawn = p_best_normal(&comparison(&doubled, 4), NORMAL_DRAWS, &mut rng);
        assert!((drawn[0] - drawn[2]).abs() < 1e-9 && (drawn[1] - drawn[3]).abs() < 1e-9);
        let expected = first_of_two(&comparison(&single, 2)) / 2.0;
        assert!((drawn[0] - expected).abs() < 0.009, "{drawn:?} {expected}");
    }

    #[test]
    fn scores_without_spread_decide_at_once() {
        let scores = [1.0, 2.0, 2.0].repeat(50);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        assert_eq!(p_best(&scores, 3, 100, resample_rng), [0.0, 0.5, 0.5]);
        assert_eq!(p_best_normal(&comparison(&scores, 3), 100, &mut rng), [0.0, 0.5, 0.5]);
        assert_eq!(p_best(&[], 2, 10, resample_rng), [0.5, 0.5]);
        assert_eq!(p_best(&[1.0, 2.0], 1, 10, resample_rng), [1.0]);
        assert!(p_best(&[], 0, 10, resample_rng).is_empty());
    }

    #[test]
    fn the_factor_gives_the_matrix_back_also_when_it_is_singular() {
        for matrix in [
            vec![vec![4.0, 2.0, -1.0], vec![2.0, 5.0, 0.5], vec![-1.0, 0.5, 3.0]],
            vec![vec![1.0, 1.0, 0.3], vec![1.0, 1.0, 0.3], vec![0.3, 0.3, 2.0]],
            vec![vec![0.0, 0.0], vec![0.0, 2.0]],
        ] {
            let l = cholesky(matrix.clone());
            for i in 0..matrix.len() {
                for j in 0..matrix.len() {
                    let product: f64 = l[i].iter().zip(&l[j]).map(|(a, b)| a * b).sum();
                    assert!((product - matrix[i][j]).abs() < 1e-14, "{l:?}");
                }
            }
        }
    }

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
