//! Which strategy is best, and which others might be?
//!
//! All strategies play the same replications, so they are compared by the differences of their
//! scores within a replication: what a replication does to all of them cancels. Each is compared
//! with the one of the highest mean, by two-sided paired t intervals at a joint confidence
//! 1 - alpha (Bonferroni: alpha / (k - 1) each). The ones whose interval holds 0 are tied.
//!
//! Why choosing the reference by looking at the data is allowed. The true best s is declared
//! worse than the winner b only if the paired difference b - s exceeds its half-width, though its
//! true mean is at most 0. For a given b this is a one-sided error of at most alpha / (2 (k - 1)),
//! and only k - 1 choices of b exist. Exclusion here implies exclusion by Hsu's one-sided
//! procedure, whichever b won; so the true best is wrongly excluded with a chance of at most
//! alpha / 2, a fortiori alpha. The argument says nothing of the second best.
//!
//! When not to use it: with a handful of replications and scores far from normal; for a claim
//! about one pair named in advance ([`PairedComparison::difference`] has the sharper interval).
//!
//! Sources: J. C. Hsu, Annals of Statistics 12 (1984), 1136-1144 (multiple comparisons with the
//! best); B. L. Nelson and F. J. Matejcik, Management Science 41 (1995), 1935-1945 (under common
//! random numbers, with Bonferroni's inequality).

use crate::stats::moments::{Interval, Moments};
use crate::stats::special::student_t_quantile;

/// Beyond this many replications a tie is not worth separating.
const MOST_REPLICATIONS: u64 = 1_000_000;

/// The normal quantile of 0.9: with this much more than the half-width, an interval excludes 0
/// nine times in ten. (Just the half-width would do it every other time.)
const POWER_90: f64 = 1.281_551_565_544_600_5;

/// Scores of k strategies over common replications, summarised in O(k^2) memory.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedComparison {
    scores: Vec<Moments>,
    /// Of `score_i - score_j` for i < j, row by row: (0, 1), (0, 2), ..., (1, 2), ...
    differences: Vec<Moments>,
}

/// How a strategy compares with the one of the highest mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgainstBest {
    /// Its mean minus the best mean, in units of score; at most 0 but for rounding.
    pub difference: f64,
    /// The simultaneous interval for that difference; `[0, 0]` for the best itself.
    pub interval: Interval,
    /// Whether the data leave open that it is the best: the interval holds 0, or the difference
    /// never varied (also when it is constant and not 0: no spread, no evidence of precision).
    pub tied: bool,
    /// How many fresh replications would separate it from the best nine times in ten, if the
    /// true difference and spread are those observed. `None` for the best itself, for
    /// those not tied, and for differences without spread, from which nothing extrapolates.
    pub replications_to_separate: Option<Separation>,
}

/// The number of fresh replications that would end a tie nine times in ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Separation {
    /// The smallest number with that power.
    Replications(u64),
    /// A million would not be enough.
    MoreThanMillion,
}

impl PairedComparison {
    /// A comparison of `strategies` strategies, before any replication.
    pub fn new(strategies: usize) -> Self {
        Self {
            scores: vec![Moments::default(); strategies],
            differences: vec![Moments::default(); strategies * strategies.saturating_sub(1) / 2],
        }
    }

    /// Takes in one replication: the finite score of every strategy, in their fixed order.
    ///
    /// # Panics
    ///
    /// If there are not as many scores as strategies, which is a bug of the caller.
    pub fn push(&mut self, scores: &[f64]) {
        assert_eq!(scores.len(), self.scores.len(), "one score for each strategy");
        self.scores.iter_mut().zip(scores).for_each(|(moments, &score)| moments.push(score));
        let pairs = scores
            .iter()
            .enumerate()
            .flat_map(|(i, &a)| scores[i + 1..].iter().map(move |&b| a - b));
        self.differences.iter_mut().zip(pairs).for_each(|(moments, d)| moments.push(d));
    }

    /// The number of strategies.
    pub fn strategies(&self) -> usize {
        self.scores.len()
    }

    /// The number of replications.
    pub fn count(&self) -> u64 {
        self.scores.first().map_or(0, Moments::count)
    }

    /// The moments of the scores of strategy `i`, an index below [`strategies`](Self::strategies).
    pub fn moments(&self, i: usize) -> &Moments {
        &self.scores[i]
    }

    /// The moments of `score_i - score_j` within a replication, for indices below
    /// [`strategies`](Self::strategies); all zeros for i = j.
    pub fn difference(&self, i: usize, j: usize) -> Moments {
        let k = self.strategies();
        let at = |i: usize, j: usize| self.differences[i * (2 * k - i - 1) / 2 + j - i - 1];
        match i.cmp(&j) {
            std::cmp::Ordering::Less => at(i, j),
            std::cmp::Ordering::Greater => at(j, i).negated(),
            std::cmp::Ordering::Equal => Moments::zeros(self.count()),
        }
    }

    /// The strategy of the highest mean score, the first of several; 0 before any replication.
    pub fn best(&self) -> usize {
        self.order().first().copied().unwrap_or(0)
    }

    /// The rank of each strategy by mean score: 1 is the highest, equal means rank in order of
    /// index.
    pub fn ranks(&self) -> Vec<usize> {
        let mut ranks = vec![0; self.strategies()];
        for (position, i) in self.order().into_iter().enumerate() {
            ranks[i] = position + 1;
        }
        ranks
    }

    /// Strategies by falling mean.
    fn order(&self) -> Vec<usize> {
        // Adding zero turns -0 into 0, which the total order would tell apart.
        let mean = |i: usize| self.scores[i].mean() + 0.0;
        let mut order: Vec<usize> = (0..self.strategies()).collect();
        order.sort_by(|&i, &j| mean(j).total_cmp(&mean(i)));
        order
    }

    /// How every strategy, in order of index, compares with the best at a joint confidence in
    /// (0, 1), such as 0.95. The module's head says what the confidence promises.
    ///
    /// After fewer than two replications all are tied.
    pub fn against_best(&self, confidence: f64) -> Vec<AgainstBest> {
        let others = self.strategies().saturating_sub(1).max(1);
        let one_sided = (1.0 - confidence) / (2 * others) as f64;
        let t = |n: u64| -student_t_quantile(one_sided, n.saturating_sub(1) as f64);
        let t_now = if self.count() < 2 { 0.0 } else { t(self.count()) };
        let best = self.best();
        let compare = |i: usize| {
            let paired = self.difference(i, best);
            let (difference, sd) = (paired.mean(), paired.std_dev());
            let interval = Interval::around(difference, t_now * paired.std_error());
            let tied = sd == 0.0 || interval.contains(0.0);
            let replications_to_separate = (tied && sd > 0.0).then(|| {
                separation(|n| (t(n) + POWER_90) * sd / (n as f64).sqrt() < difference.abs())
            });
            AgainstBest { difference, interval, tied, replications_to_separate }
        };
        (0..self.strategies()).map(compare).collect()
    }

    /// How much pairing sharpens the comparison of `i` with `j`: the variance of the difference of
    /// independent scores over that of the paired ones, `(var_i + var_j) / var(i - j)`.
    ///
    /// As many times more replications would be needed without pairing. Infinite when the paired
    /// difference never varies.
    pub fn variance_ratio(&self, i: usize, j: usize) -> f64 {
        let paired = self.difference(i, j).variance();
        let unpaired = self.scores[i].variance() + self.scores[j].variance();
        if paired == 0.0 { f64::INFINITY } else { unpaired / paired }
    }
}

/// The smallest number of replications, from 2 on, that is enough; `enough` must stay true once
/// it is, as it does for half-widths that shrink.
fn separation(enough: impl Fn(u64) -> bool) -> Separation {
    if !enough(MOST_REPLICATIONS) {
        return Separation::MoreThanMillion;
    }
    let (mut low, mut high) = (1, MOST_REPLICATIONS);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Separation::Replications(high)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::assert_close;

    /// Normal scores around `means` with a common part of standard deviation 3 and own parts of 1.
    fn simulate(means: &[f64], replications: usize, rng: &mut ChaCha8Rng) -> PairedComparison {
        let mut comparison = PairedComparison::new(means.len());
        for _ in 0..replications {
            let common = 3.0 * standard_normal(rng);
            let scores: Vec<f64> =
                means.iter().map(|mean| mean + common + standard_normal(rng)).collect();
            comparison.push(&scores);
        }
        comparison
    }

    fn of(replications: &[&[f64]]) -> PairedComparison {
        let mut comparison = PairedComparison::new(replications[0].len());
        replications.iter().for_each(|scores| comparison.push(scores));
        comparison
    }

    #[test]
    fn differences_are_paired_and_antisymmetric() {
        let comparison = of(&[&[1.0, 4.0, 2.0, 0.0], &[2.0, 9.0, 2.0, 0.5], &[6.0, 5.0, 1.0, 7.0]]);
        let direct: Moments = [2.0, 7.0, 4.0].into_iter().collect();
        assert_eq!(comparison.difference(1, 2), direct);
        assert_eq!(comparison.difference(2, 1).mean(), -direct.mean());
        assert_eq!(comparison.difference(2, 1).variance(), direct.variance());
        for i in 0..4 {
            for j in 0..4 {
                let expected = comparison.moments(i).mean() - comparison.moments(j).mean();
                assert!((comparison.difference(i, j).mean() - expected).abs() < 1e-14);
                assert_eq!(comparison.difference(i, j).count(), 3);
            }
        }
        assert_eq!(comparison.difference(3, 3).variance(), 0.0);
    }

    #[test]
    fn ranks_follow_the_means_and_ties_the_index() {
        let comparison = of(&[&[0.0, 3.0, -0.0, 5.0, 3.0], &[-0.0, 3.0, 0.0, 5.0, 3.0]]);
        assert_eq!(comparison.best(), 3);
        assert_eq!(comparison.ranks(), [4, 2, 5, 1, 3]);
        assert_eq!(PairedComparison::new(2).best(), 0);
        assert_eq!(PairedComparison::new(0).ranks(), Vec::<usize>::new());
    }

    #[test]
    fn two_strategies_get_the_ordinary_paired_t_interval() {
        // Differences first - second: -1, -2, -3, -4, -5.
        let rows = [[0.0, 1.0], [5.0, 7.0], [2.0, 5.0], [8.0, 12.0], [1.0, 6.0]];
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        let verdicts = of(&rows).against_best(0.95);
        let half = 2.776_445_105_197_799 * 0.5_f64.sqrt();
        assert_eq!(verdicts[0].difference, -3.0);
        assert_close(verdicts[0].interval.low, -3.0 - half, 1e-10, "low");
        assert_close(verdicts[0].interval.high, -3.0 + half, 1e-10, "high");
        assert!(!verdicts[0].tied && verdicts[0].replications_to_separate.is_none());
        let zero = Interval { low: 0.0, high: 0.0 };
        let itself = AgainstBest {
            difference: 0.0,
            interval: zero,
            tied: true,
            replications_to_separate: None,
        };
        assert_eq!(verdicts[1], itself);
    }

    #[test]
    fn differences_without_spread_are_ties() {
        let comparison = of(&[&[1.0, 1.0, 0.0], &[2.0, 2.0, 1.0], &[9.0, 9.0, 8.0]]);
        for verdict in comparison.against_best(0.95) {
            assert!(verdict.tied && verdict.replications_to_separate.is_none());
        }
        assert_eq!(comparison.variance_ratio(0, 1), f64::INFINITY);
        assert!(of(&[&[1.0, 5.0]]).against_best(0.95).iter().all(|verdict| verdict.tied));
    }

    /// 1,000 fresh comparisons of the predicted size, whose true mean and spread are those that
    /// the prediction rests on: 90 % of them must tell the two apart, within the binomial
    /// 99.9 % bound of 3.1 %; fixed seed. The size without the allowance for chance would tell
    /// in half of them only.
    #[test]
    fn the_predicted_number_of_replications_separates_nine_times_in_ten() {
        let mut observed = PairedComparison::new(2);
        (0..1000).for_each(|i| observed.push(&[if i % 2 == 0 { 1.1 } else { -0.9 }, 0.0]));
        let mut wide = PairedComparison::new(2);
        (0..1000).for_each(|i| wide.push(&[if i % 2 == 0 { 10.1 } else { -9.9 }, 0.0]));
        assert!(observed.against_best(0.95)[1].replications_to_separate.is_none(), "it is told");
        let verdict = wide.against_best(0.95)[1];
        let Some(Separation::Replications(n)) = verdict.replications_to_separate else {
            panic!("{verdict:?}");
        };
        // ((1.960 + 1.282) x 10 / 0.1)^2.
        assert!((105_000..105_500).contains(&n), "{n}");
        // The same at a hundredth of the size: n is proportional to (sd / mean)^2.
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let told = (0..1000).filter(|_| {
            let mut fresh = PairedComparison::new(2);
            (0..n / 100).for_each(|_| fresh.push(&[0.1 + standard_normal(&mut rng), 0.0]));
            !fresh.against_best(0.95)[1].tied
        });
        let told = told.count();
        assert!((869..=931).contains(&told), "{told}");
    }

    #[test]
    fn hopeless_ties_say_so() {
        let comparison = of(&[&[1000.0, 0.0], &[-1000.0, 0.0], &[0.001, 0.0]]);
        let verdict = comparison.against_best(0.95)[1];
        assert_eq!(verdict.replications_to_separate, Some(Separation::MoreThanMillion));
    }

    #[test]
    fn pairing_sharpens_by_the_share_of_common_variance() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let comparison = simulate(&[0.0, 1.0], 20_000, &mut rng);
        // (10 + 10) / (1 + 1); the relative error is about 1 %.
        assert!((comparison.variance_ratio(0, 1) - 10.0).abs() < 0.5);
    }

    #[test]
    fn the_true_best_is_rarely_excluded_and_a_naive_rule_is_caught() {
        // All five equal: the hardest case for the first, whose exclusion counts as the error.
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        let (mut excluded, mut excluded_naively) = (0, 0);
        for _ in 0..4000 {
            let comparison = simulate(&[0.0; 5], 20, &mut rng);
            excluded += u32::from(!comparison.against_best(0.9)[0].tied);
            // Planted bug: no Bonferroni, one-sided.
            let paired = comparison.difference(0, comparison.best());
            let t = student_t_quantile(0.9, 19.0);
            excluded_naively += u32::from(paired.mean() + t * paired.std_error() < 0.0);
        }
        // At most alpha / 2 = 5 %, 200 in 4000, sd 13.8: 4.5 sd above for the false alarm.
        assert!(excluded <= 262, "{excluded}");
        assert!(excluded_naively > 400, "{excluded_naively}");
    }
}
