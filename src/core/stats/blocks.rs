//! How sure is a mean? Intervals that hold where values are skewed, where some come in groups that
//! are alike, and for many differences at once.
//!
//! Student's interval takes values for normal and independent. Scores are neither: a strategy that
//! loses hundreds of points on one set of servers in fifty has a skew of -7 to -11, and replications
//! that share a draw of the servers are alike. So means are taken over groups of replications that
//! are independent of each other, and the quantile of `t = (mean - truth) / standard error` is not
//! Student's but that of resamples of the data themselves: the bootstrap-t, in its symmetric form,
//! which is off by O(1 / n^2) only. A joint interval for many means takes the quantile of the
//! largest `|t|` of a resample, which knows how they depend on each other.
//!
//! Groups are kept as the sums of at most [`MOST`] blocks, whatever their number: when there are more,
//! neighbours are joined. An incomplete last block counts by its size.
//!
//! When not to use it: with fewer than some 50 groups. Resamples know no skew but that of the data,
//! and in a few groups the rare bad one is mostly missing.
//!
//! Sources: P. Hall, "Theoretical Comparison of Bootstrap Confidence Intervals", Annals of
//! Statistics 16 (1988), 927-953 (symmetric bootstrap-t); J. Romano and M. Wolf, "Exact and
//! Approximate Stepdown Methods for Multiple Hypothesis Testing", JASA 100 (2005), 94-108 (the
//! largest studentised statistic); W. Cochran, "Sampling Techniques" (3rd edition, 1977), section 6.4
//! (the standard error of a ratio of sums).

use rand::Rng;
use rayon::prelude::*;

use crate::stats::moments::{Interval, quantile};
use crate::stats::sample::index_below;
use crate::stats::special::{inv_inc_beta, normal_quantile, student_t_quantile};

/// More blocks than this are joined in pairs.
pub const MOST: usize = 256;

/// Resamples for intervals and P(best): a quantile of 95 % is then known to half a percent.
pub const RESAMPLES: usize = 2_000;

/// A resample's standard error counts as at least this share of that of the data. A difference that
/// is 0 in most blocks has resamples that hardly meet the others, and their t would be anything.
const LEAST_ERROR: f64 = 0.25;

/// An error smaller than this, relative to its mean, is one of rounding.
const ROUNDING: f64 = 1e-11;

/// Sums of several values over blocks of consecutive rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    columns: usize,
    /// So many consecutive rows are alike; blocks are whole groups.
    group: u64,
    /// Rows in a complete block.
    size: u64,
    /// Block after block, a sum for each column.
    sums: Vec<f64>,
    rows: u64,
}

/// What a mean is of: a column, or a column less another.
pub type Contrast = (usize, Option<usize>);

impl Blocks {
    /// Rows of `columns` values, of which every `group` consecutive ones may be alike (at least 1).
    pub fn new(columns: usize, group: u64) -> Self {
        let size = group.max(1);
        Self { columns, group: size, size, sums: Vec::new(), rows: 0 }
    }

    /// Takes in the next row of finite values, one for each column.
    pub fn push(&mut self, row: impl IntoIterator<Item = f64>) {
        if self.rows == MOST as u64 * self.size {
            self.join();
        }
        if self.rows.is_multiple_of(self.size) {
            self.sums.resize(self.sums.len() + self.columns, 0.0);
        }
        self.rows += 1;
        let last = self.sums.len() - self.columns;
        self.sums[last..].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Joins neighbours, of which there are as many as there may be.
    fn join(&mut self) {
        let joined = self.sums.chunks_exact(2 * self.columns).flat_map(|pair| {
            let (one, other) = pair.split_at(self.columns);
            one.iter().zip(other).map(|(a, b)| a + b)
        });
        self.sums = joined.collect();
        self.size *= 2;
    }

    /// Means over rows and their errors. Resample r draws its blocks from `rng_for_resample(r)`, one
    /// word a block: the result is the same to the bit whatever the number of threads.
    pub fn resampled<R: Rng>(
        &self,
        contrasts: &[Contrast],
        rng_for_resample: impl Fn(u64) -> R + Sync,
    ) -> Resampled {
        let blocks = self.sums.chunks(self.columns.max(1));
        let left = |block: u64| self.size.min(self.rows - block * self.size) as f64;
        let rows: Vec<f64> = (0..blocks.len() as u64).map(left).collect();
        let sums = blocks.flat_map(|sums| {
            let of = |(column, less): &Contrast| sums[*column] - less.map_or(0.0, |i| sums[i]);
            contrasts.iter().map(of)
        });
        let groups = self.rows as f64 / self.group as f64;
        resampled(sums.collect(), &rows, groups, rng_for_resample)
    }
}

/// Means of several quantities, and what resamples say of their errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled {
    means: Vec<f64>,
    std_errors: Vec<f64>,
    /// Resample after resample, the t of each quantity; 0 where it never varies.
    t: Vec<f64>,
    /// Of each quantity the blocks in which it is not 0.
    not_zero: Vec<usize>,
    /// Independent groups.
    groups: f64,
}

/// Means of quantities, given by their sums in blocks (block after block) and by the rows of each
/// block, from `groups` independent groups. Blocks are drawn with replacement, all quantities of one
/// together.
pub fn resampled<R: Rng>(
    mut sums: Vec<f64>,
    rows: &[f64],
    groups: f64,
    rng_for_resample: impl Fn(u64) -> R + Sync,
) -> Resampled {
    let blocks = rows.len();
    let k = sums.len().checked_div(blocks).unwrap_or(0);
    let all: f64 = rows.iter().sum();
    let mut means = vec![0.0; k];
    let mut not_zero = vec![0; k];
    for block in sums.chunks(k.max(1)) {
        for ((mean, times), sum) in means.iter_mut().zip(&mut not_zero).zip(block) {
            *mean += sum;
            *times += usize::from(*sum != 0.0);
        }
    }
    means.iter_mut().for_each(|mean| *mean /= all);
    // From here on, of each block how far it is above the mean: no large sums are subtracted.
    for (block, rows) in sums.chunks_mut(k.max(1)).zip(rows) {
        block.iter_mut().zip(&means).for_each(|(sum, mean)| *sum -= mean * rows);
    }
    let once = vec![1.0; blocks];
    let (_, mut std_errors) = off_and_error(&sums, rows, &once, k);
    for (error, mean) in std_errors.iter_mut().zip(&means) {
        // What never varies differs from its mean by rounding.
        *error = if *error <= ROUNDING * mean.abs() { 0.0 } else { *error };
    }
    let resample = |r: usize| {
        let mut rng = rng_for_resample(r as u64);
        let mut times = vec![0.0; blocks];
        (0..blocks).for_each(|_| times[index_below(&mut rng, blocks)] += 1.0);
        let (mut t, errors) = off_and_error(&sums, rows, &times, k);
        for ((t, error), of_data) in t.iter_mut().zip(errors).zip(&std_errors) {
            *t = if *of_data == 0.0 { 0.0 } else { *t / error.max(LEAST_ERROR * of_data) };
        }
        t
    };
    let t: Vec<Vec<f64>> = (0..RESAMPLES).into_par_iter().map(resample).collect();
    Resampled { t: t.concat(), means, std_errors, not_zero, groups }
}

/// How far the k means are off where each block counts so many times, and their standard errors.
fn off_and_error(above: &[f64], rows: &[f64], times: &[f64], k: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut off, mut error, mut by_rows) = (vec![0.0; k], vec![0.0; k], vec![0.0; k]);
    let (mut all, mut squared_rows) = (0.0, 0.0);
    for ((above, rows), times) in above.chunks(k.max(1)).zip(rows).zip(times) {
        if *times == 0.0 {
            continue;
        }
        all += times * rows;
        squared_rows += times * rows * rows;
        let sums = off.iter_mut().zip(&mut error).zip(&mut by_rows);
        for (((off, squares), by_rows), above) in sums.zip(above) {
            let counted = times * above;
            *off += counted;
            *squares += counted * above;
            *by_rows += counted * rows;
        }
    }
    // One block says nothing of its error.
    let blocks = rows.len() as f64;
    let correction = if blocks > 1.0 { blocks / (blocks - 1.0) } else { 0.0 };
    for ((off, error), by_rows) in off.iter_mut().zip(&mut error).zip(&by_rows) {
        *off /= all;
        let squares = *error - 2.0 * *off * by_rows + *off * *off * squared_rows;
        *error = (squares.max(0.0) * correction).sqrt() / all;
    }
    (off, error)
}

impl Resampled {
    /// The mean of a quantity.
    pub fn mean(&self, i: usize) -> f64 {
        self.means[i]
    }

    /// The standard error of that mean.
    pub fn std_error(&self, i: usize) -> f64 {
        self.std_errors[i]
    }

    /// Of each resample how far its mean is off, in units of the mean, as far as an interval would
    /// have it.
    pub fn errors(&self, i: usize) -> impl Iterator<Item = f64> {
        let of_resamples = self.t.chunks(self.means.len());
        of_resamples.map(move |t| t[i] * self.std_errors[i])
    }

    /// The number of standard errors within which all these means lie at once with that confidence.
    pub fn reach(&self, quantities: &[usize], confidence: f64) -> f64 {
        let largest = |t: &[f64]| quantities.iter().map(|i| t[*i].abs()).fold(0.0, f64::max);
        let mut all: Vec<f64> = self.t.chunks(self.means.len()).map(largest).collect();
        all.sort_by(f64::total_cmp);
        quantile(&all, confidence)
    }

    /// The interval of a mean.
    pub fn interval(&self, i: usize, confidence: f64) -> Interval {
        Interval::around(self.means[i], self.reach(&[i], confidence) * self.std_errors[i])
    }

    /// The interval of the mean of something rare: what happens `mean / most` of the times that it
    /// could, such as requests not answered. A resample of zeros knows no error; there a group counts
    /// as one trial, in which everything happens or nothing, and the interval is that of C. Clopper and
    /// E. Pearson (Biometrika 26, 1934, 404-413). Where the events are known to be more independent
    /// than that, as many trials count as explain the standard error (E. Korn and B. Graubard, Survey
    /// Methodology 24, 1998, 193-201, who also allow for how well few blocks know it). The interval
    /// holds this one and that of [`interval`](Self::interval).
    pub fn interval_of_rare(&self, i: usize, most: f64, confidence: f64) -> Interval {
        let one_sided = 0.5 * (1.0 - confidence);
        let (share, error) = (self.means[i] / most, self.std_errors[i] / most);
        let mut trials = self.groups;
        if error > 0.0 {
            let freedom = self.not_zero[i].max(2) as f64;
            let known = normal_quantile(one_sided) / student_t_quantile(one_sided, freedom);
            trials = trials.max(share * (1.0 - share) / (error * error) * known * known);
        }
        let (hit, missed) = (share * trials, (1.0 - share) * trials);
        let low = if hit > 0.0 { inv_inc_beta(hit, missed + 1.0, one_sided) } else { 0.0 };
        let high =
            if missed > 0.0 { inv_inc_beta(hit + 1.0, missed, 1.0 - one_sided) } else { 1.0 };
        let resampled = self.interval(i, confidence);
        Interval {
            low: resampled.low.clamp(0.0, most * low),
            high: resampled.high.clamp(most * high, most),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::moments::Moments;
    use crate::stats::sample::{standard_normal, uniform01};
    use crate::stats::special::assert_close;

    fn rng(resample: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        rng.set_stream(resample);
        rng
    }

    fn blocks_of(group: u64, values: impl IntoIterator<Item = f64>) -> Blocks {
        let mut blocks = Blocks::new(1, group);
        values.into_iter().for_each(|value| blocks.push([value]));
        blocks
    }

    fn resampled_of(group: u64, values: impl IntoIterator<Item = f64>) -> Resampled {
        blocks_of(group, values).resampled(&[(0, None)], rng)
    }

    #[test]
    fn blocks_are_joined_and_nothing_is_lost() {
        for rows in [1, 255, 256, 257, 1_000, 5_000] {
            let blocks = blocks_of(4, (0..rows).map(f64::from));
            assert!(blocks.sums.len() <= MOST && blocks.size.is_multiple_of(4));
            assert_eq!(blocks.sums.iter().sum::<f64>(), f64::from(rows * (rows - 1) / 2));
            assert_eq!(blocks.sums.len(), (rows as usize).div_ceil(blocks.size as usize));
            let first: f64 = (0..rows.min(blocks.size as i32)).map(f64::from).sum();
            assert_eq!(blocks.sums[0], first, "neighbours, in order");
        }
    }

    #[test]
    fn of_single_values_it_is_the_ordinary_mean_and_error() {
        let values: Vec<f64> = (0..200_i32).map(|i| f64::from(i * i % 37)).collect();
        let of: Moments = values.iter().copied().collect();
        let resampled = resampled_of(1, values);
        assert_close(resampled.mean(0), of.mean(), 1e-14, "mean");
        assert_close(resampled.std_error(0), of.std_error(), 1e-13, "error");
        assert_eq!(resampled_of(1, [3.0]).std_error(0), 0.0);
    }

    /// Ten values in groups of four: sums 10, 26 and 19 of 4, 4 and 2 rows around a mean of 5.5.
    #[test]
    fn an_incomplete_block_counts_by_its_size() {
        let resampled = resampled_of(4, (1..=10).map(f64::from));
        assert_eq!(resampled.mean(0), 5.5);
        let squares =
            (10.0_f64 - 22.0).powi(2) + (26.0_f64 - 22.0).powi(2) + (19.0_f64 - 11.0).powi(2);
        assert_close(resampled.std_error(0), (squares * 1.5).sqrt() / 10.0, 1e-14, "ratio");
    }

    /// How often of 400 intervals from 60 groups of `alike` values of skew -6 hold the mean, taken
    /// as groups of `group`; and how often Student's do.
    fn coverage(alike: u64, group: u64) -> (u32, u32) {
        let mut words = ChaCha8Rng::seed_from_u64(7);
        let truth = -libm::exp(0.5);
        let (mut held, mut held_by_student) = (0, 0);
        for _ in 0..400 {
            let mut values = Vec::new();
            for _ in 0..60 {
                let value = -libm::exp(standard_normal(&mut words));
                (0..alike).for_each(|_| values.push(value));
            }
            let of: Moments = values.iter().copied().collect();
            held_by_student += u32::from(of.mean_interval(0.95).contains(truth));
            held += u32::from(resampled_of(group, values).interval(0, 0.95).contains(truth));
        }
        (held, held_by_student)
    }

    /// 95 % of 400 are 380; log-normal losses leave the bootstrap-t some points short at 60 groups,
    /// so 360 are asked for; Student's interval holds fewer. Fixed seeds. Planted bug: values that are
    /// alike taken for independent.
    #[test]
    fn intervals_hold_skewed_means_and_groups_that_are_alike() {
        let (held, by_student) = coverage(1, 1);
        assert!(held >= 360 && held > by_student, "{held}, Student's {by_student}");
        let (held, _) = coverage(4, 4);
        assert!(held >= 360, "{held}");
        let (wrongly_grouped, _) = coverage(4, 1);
        assert!(wrongly_grouped < 320, "{wrongly_grouped}");
    }

    /// Four normal means, of which the last two are the same: all intervals hold at once in 95 % of
    /// 1,000 sets, 950, standard deviation 6.9; 4.5 of them, and 1 % for 60 rows: false alarm 1e-5.
    #[test]
    fn joint_intervals_hold_at_once_and_single_ones_do_not() {
        let mut words = ChaCha8Rng::seed_from_u64(17);
        let (mut held, mut held_singly) = (0, 0);
        for _ in 0..1_000 {
            let mut blocks = Blocks::new(4, 1);
            for _ in 0..60 {
                let [a, b, c] = [(); 3].map(|()| standard_normal(&mut words));
                blocks.push([a, 0.5 * (a + b), c, c]);
            }
            let of = blocks.resampled(&[(0, None), (1, None), (2, None), (3, None)], rng);
            let within = |reach: f64| (0..4).all(|i| of.mean(i).abs() <= reach * of.std_error(i));
            held += u32::from(within(of.reach(&[0, 1, 2, 3], 0.95)));
            held_singly += u32::from(within(of.reach(&[0], 0.95)));
        }
        assert!((909..=981).contains(&held), "{held}");
        assert!(held_singly < 900, "{held_singly}");
    }

    #[test]
    fn what_never_varies_has_no_width() {
        let mut blocks = Blocks::new(2, 1);
        (0..50).for_each(|i| blocks.push([f64::from(i), f64::from(i) - 0.3]));
        let of = blocks.resampled(&[(0, Some(1)), (0, None)], rng);
        assert!(of.std_error(0) == 0.0 && of.interval(0, 0.95).width() == 0.0);
        assert_close(of.mean(0), 0.3, 1e-14, "mean");
        assert!(of.interval(1, 0.95).width() > 5.0);
    }

    #[test]
    fn what_never_happened_may_happen() {
        // Clopper and Pearson: 1 - 0.025^(1/n) for none of n.
        let most = |n: f64| 1.0 - libm::pow(0.025, 1.0 / n);
        let of = resampled_of(1, [0.0; 200]).interval_of_rare(0, 1000.0, 0.95);
        assert_eq!(of.low, 0.0);
        assert_close(of.high, 1000.0 * most(200.0), 1e-12, "none of 200 runs");
        let of = resampled_of(4, [0.0; 200]).interval_of_rare(0, 1.0, 0.95);
        assert_close(of.high, most(50.0), 1e-12, "none of 50 groups");
        let of = resampled_of(1, [8.0; 200]).interval_of_rare(0, 8.0, 0.95);
        assert_eq!(of.high, 8.0);
        assert_close(of.low, 8.0 * (1.0 - most(200.0)), 1e-12, "always");
    }

    /// Runs that lose 5 of 100 requests with a chance of 1 in 300, and mostly nothing: of 500
    /// intervals of 200 runs more than 93 % hold the mean; the plain ones hold it where they can, in
    /// about half. Fixed seed.
    #[test]
    fn intervals_of_rare_things_hold() {
        let mut words = ChaCha8Rng::seed_from_u64(23);
        let (mut held, mut held_plainly) = (0, 0);
        for _ in 0..500 {
            let lost = |_| if uniform01(&mut words) < 1.0 / 300.0 { 5.0 } else { 0.0 };
            let of = resampled_of(1, (0..200).map(lost));
            let truth = 5.0 / 300.0;
            held += u32::from(of.interval_of_rare(0, 100.0, 0.95).contains(truth));
            held_plainly += u32::from(of.interval(0, 0.95).contains(truth));
        }
        assert!(held >= 465, "{held}");
        assert!(held_plainly < 350, "{held_plainly}");
    }
}
