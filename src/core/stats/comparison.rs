//! Which strategy is best, and which others might be?
//!
//! All strategies play the same replications, so they are compared by the differences of their
//! scores within a replication: what a replication does to all of them cancels. Each is compared
//! with the one of the highest mean, by intervals that hold for all pairs of strategies at once
//! ([`Blocks`]). So it does no harm that the best one is known from the same data. The ones whose
//! interval holds 0 are tied.
//!
//! When not to use it: with a handful of replications; for a claim about one pair named in advance,
//! whose own interval is sharper.
//!
//! Sources: J. W. Tukey, "The Problem of Multiple Comparisons" (1953), for all pairs by their
//! largest studentised difference, here by resampling (see [`blocks`](crate::stats::blocks)).

use rand::Rng;

use crate::stats::blocks::{Blocks, Contrast, Resampled};
use crate::stats::moments::Interval;

/// Beyond this many replications a tie is not worth separating.
const MOST_REPLICATIONS: f64 = 1e6;

/// The normal quantile of 0.9: with this much more than the half-width, an interval excludes 0
/// nine times in ten. (Just the half-width would do it every other time.)
const POWER_90: f64 = 1.281_551_565_544_600_5;

/// No smaller true difference is looked for than the lower end of an interval of this confidence.
const LIKELY: f64 = 0.8;

/// Means this close, relative to the size of what they may be off, are a tie that rounding has split.
const TIE: f64 = 1e-9;

/// Leads that one resample goes through for P(best).
const LEADS_IN_RESAMPLE: usize = 256;

/// Mean scores of k strategies over common replications, and resamples of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedComparison {
    strategies: usize,
    replications: f64,
    /// The scores, then the differences `score_i - score_j` for i < j, row by row: (0, 1), (0, 2),
    /// ..., (1, 2), ...
    resampled: Resampled,
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
    /// How many fresh replications would separate it from the best. `None` for the best itself, for
    /// those not tied, and for differences without spread, from which nothing extrapolates.
    pub replications_to_separate: Option<Separation>,
}

/// In which range the number of fresh replications probably lies that would end a tie nine times in
/// ten. The spread is known well enough; the true difference is not, and the number goes with its
/// square. Who is tied was seen with a difference rather too small, so the range reaches farther to
/// large ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Separation {
    /// If the difference is as large as its joint interval allows; none for more than a million.
    pub at_least: Option<u64>,
    /// If it is as small as is likely, by its own interval at 80 %; none for more than a million, or
    /// if there may be none.
    pub at_most: Option<u64>,
}

impl Separation {
    /// The same where fewer than `fewest` would tell nothing.
    #[must_use]
    pub fn max(self, fewest: u64) -> Self {
        let raised = |n: Option<u64>| n.map(|n| n.max(fewest));
        Self { at_least: raised(self.at_least), at_most: raised(self.at_most) }
    }
}

impl PairedComparison {
    /// Compares the strategies whose scores are these columns, at least one. Resample r draws from
    /// `rng_for_resample(r)`.
    pub fn of<R: Rng>(
        blocks: &Blocks,
        scores: &[usize],
        rng_for_resample: impl Fn(u64) -> R + Sync,
    ) -> Self {
        let alone = scores.iter().map(|i| (*i, None));
        let pairs = scores
            .iter()
            .enumerate()
            .flat_map(|(i, a)| scores[i + 1..].iter().map(|b| (*a, Some(*b))));
        let contrasts: Vec<Contrast> = alone.chain(pairs).collect();
        let resampled = blocks.resampled(&contrasts, rng_for_resample);
        Self { strategies: scores.len(), replications: blocks.rows() as f64, resampled }
    }

    /// The means of the scores, in order of the strategies, and after them those of the pairs.
    pub fn resampled(&self) -> &Resampled {
        &self.resampled
    }

    /// Which of the resampled means is that of `score_i - score_j`, i < j.
    pub fn pair(&self, i: usize, j: usize) -> usize {
        let k = self.strategies;
        k + i * (2 * k - i - 1) / 2 + j - i - 1
    }

    /// The strategy of the highest mean score, the first of several.
    pub fn best(&self) -> usize {
        self.order().first().copied().unwrap_or(0)
    }

    /// The rank of each strategy by mean score: 1 is the highest, equal means rank in order of
    /// index.
    pub fn ranks(&self) -> Vec<usize> {
        let mut ranks = vec![0; self.strategies];
        for (position, i) in self.order().into_iter().enumerate() {
            ranks[i] = position + 1;
        }
        ranks
    }

    /// Strategies by falling mean.
    fn order(&self) -> Vec<usize> {
        // Adding zero turns -0 into 0, which the total order would tell apart.
        let mean = |i: usize| self.resampled.mean(i) + 0.0;
        let mut order: Vec<usize> = (0..self.strategies).collect();
        order.sort_by(|&i, &j| mean(j).total_cmp(&mean(i)));
        order
    }

    /// How every strategy, in order of index, compares with the best at a joint confidence in
    /// (0, 1), such as 0.95.
    pub fn against_best(&self, confidence: f64) -> Vec<AgainstBest> {
        let (k, best) = (self.strategies, self.best());
        let pairs: Vec<usize> = (k..k + k * k.saturating_sub(1) / 2).collect();
        let reach = self.resampled.reach(&pairs, confidence);
        let compare = |i: usize| {
            if i == best {
                let interval = Interval { low: 0.0, high: 0.0 };
                let (difference, tied, replications_to_separate) = (0.0, true, None);
                return AgainstBest { difference, interval, tied, replications_to_separate };
            }
            let pair = self.pair(i.min(best), i.max(best));
            // 0 - x and not -x: no difference stays a plain zero.
            let mean = self.resampled.mean(pair);
            let difference = if i < best { mean } else { 0.0 - mean };
            let error = self.resampled.std_error(pair);
            let interval = Interval::around(difference, reach * error);
            let tied = error == 0.0 || interval.contains(0.0);
            let replications_to_separate = (tied && error > 0.0).then(|| {
                let off = self.resampled.reach(&[pair], LIKELY) * error;
                let needed = |lead: f64| self.needed((reach + POWER_90) * error / lead);
                let lead = difference.abs();
                Separation { at_least: needed(lead + reach * error), at_most: needed(lead - off) }
            });
            AgainstBest { difference, interval, tied, replications_to_separate }
        };
        (0..k).map(compare).collect()
    }

    /// As many replications as make errors so many times smaller; none for more than a million, and
    /// for a negative number of times, which is that of a difference that may be none.
    fn needed(&self, times: f64) -> Option<u64> {
        let needed = (self.replications * times * times).ceil();
        (times > 0.0 && needed <= MOST_REPLICATIONS).then_some(needed as u64)
    }

    /// The chance that each strategy has the highest mean: on average over all servers where those do
    /// not differ, and over the servers themselves where they do.
    ///
    /// `leads` holds, on each kind of servers, how far the best strategy is ahead of each (0 of
    /// itself): k leads in order of strategy, then those of the next kind. What luck leaves open of
    /// the mean leads is added, resample by resample and with all strategies together, by their t, as
    /// intervals have it; equal ones share a win. The chances add up to 1.
    ///
    /// It says how firmly data and model point at a strategy; of k equally good ones, one has a
    /// chance well above 1/k in any given experiment (P. Hall and H. Miller, Annals of Statistics 37,
    /// 2009, 3929-3959).
    pub fn p_best(&self, leads: &[f64]) -> Vec<f64> {
        let (k, best) = (self.strategies, self.best());
        let of_pair = |i: usize| {
            let (sign, pair) =
                if i < best { (-1.0, self.pair(i, best)) } else { (1.0, self.pair(best, i)) };
            self.resampled.errors(pair).map(move |error| sign * error).collect::<Vec<f64>>()
        };
        let errors: Vec<Option<Vec<f64>>> =
            (0..k).map(|i| (i != best).then(|| of_pair(i))).collect();
        let resamples = errors.iter().flatten().map(Vec::len).next().unwrap_or(1);
        let step = (leads.len() / k).div_ceil(LEADS_IN_RESAMPLE).max(1);
        let (mut wins, mut rounds) = (vec![0.0; k], 0.0);
        let mut left = vec![0.0; k];
        for resample in 0..resamples {
            for leads in leads.chunks_exact(k).skip(resample % step).step_by(step) {
                for ((left, lead), errors) in left.iter_mut().zip(leads).zip(&errors) {
                    *left = lead - errors.as_ref().map_or(0.0, |errors| errors[resample]);
                }
                let least = left.iter().copied().fold(0.0, f64::min);
                let size = left.iter().fold(0.0, |size: f64, left| size.max(left.abs()));
                let winners =
                    left.iter().filter(|left| **left <= least + TIE * size).count() as f64;
                for (wins, left) in wins.iter_mut().zip(&left) {
                    *wins += if *left <= least + TIE * size { 1.0 / winners } else { 0.0 };
                }
                rounds += 1.0;
            }
        }
        wins.iter().map(|wins| wins / rounds).collect()
    }

    /// How much pairing sharpens the comparison of `i` with `j`, i < j: the variance of the mean
    /// difference of independent scores over that of the paired ones.
    ///
    /// As many times more replications would be needed without pairing. Infinite when the paired
    /// difference never varies.
    pub fn variance_ratio(&self, i: usize, j: usize) -> f64 {
        let variance = |of: usize| self.resampled.std_error(of).powi(2);
        let paired = variance(self.pair(i, j));
        if paired == 0.0 { f64::INFINITY } else { (variance(i) + variance(j)) / paired }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::sample::standard_normal;
    use crate::stats::special::normal_cdf;

    fn resample(resample: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        rng.set_stream(resample);
        rng
    }

    fn of<'a>(rows: impl IntoIterator<Item = &'a [f64]>) -> PairedComparison {
        let mut rows = rows.into_iter().peekable();
        let k = rows.peek().map_or(0, |row| row.len());
        let mut blocks = Blocks::new(k, 1);
        rows.for_each(|row| blocks.push(row.iter().copied()));
        PairedComparison::of(&blocks, &(0..k).collect::<Vec<_>>(), resample)
    }

    /// Rows of normal scores around `means` with a common part of standard deviation 3 and own parts
    /// of 1, one after the other.
    fn simulated(means: &[f64], replications: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut scores = Vec::new();
        for _ in 0..replications {
            let common = 3.0 * standard_normal(rng);
            scores.extend(means.iter().map(|mean| mean + common + standard_normal(rng)));
        }
        scores
    }

    fn compared(means: &[f64], replications: usize, seed: u64) -> PairedComparison {
        let scores = simulated(means, replications, &mut ChaCha8Rng::seed_from_u64(seed));
        of(scores.chunks(means.len()))
    }

    #[test]
    fn ranks_follow_the_means_and_ties_the_index() {
        let comparison = of([&[0.0, 3.0, -0.0, 5.0, 3.0][..], &[-0.0, 3.0, 0.0, 5.0, 3.0]]);
        assert_eq!(comparison.best(), 3);
        assert_eq!(comparison.ranks(), [4, 2, 5, 1, 3]);
    }

    #[test]
    fn every_pair_is_compared_within_replications() {
        let rows: [&[f64]; 3] =
            [&[1.0, 4.0, 2.0, 0.0], &[2.0, 9.0, 2.0, 0.5], &[6.0, 5.0, 1.0, 7.0]];
        let comparison = of(rows);
        for i in 0..4 {
            for j in i + 1..4 {
                let mean: f64 = rows.iter().map(|row| row[i] - row[j]).sum::<f64>() / 3.0;
                let pair = comparison.pair(i, j);
                assert!((comparison.resampled().mean(pair) - mean).abs() < 1e-14, "{i} {j}");
            }
        }
        let against: Vec<f64> =
            comparison.against_best(0.95).iter().map(|a| a.difference).collect();
        let expected = [-3.0, 0.0, -13.0 / 3.0, -3.5];
        assert!(against.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{against:?}");
    }

    /// Normal scores: half-widths are those of Student to a few percent.
    #[test]
    fn two_strategies_get_about_the_ordinary_paired_interval() {
        let comparison = compared(&[0.0, 0.5], 250, 3);
        let [a, b] = comparison.against_best(0.95)[..] else { panic!() };
        let half = 1.969 * comparison.resampled().std_error(2);
        assert!((a.interval.half_width() / half - 1.0).abs() < 0.06, "{a:?}, Student's {half}");
        assert!(!a.tied && a.replications_to_separate.is_none() && a.difference < 0.0);
        let interval = Interval { low: 0.0, high: 0.0 };
        assert_eq!((b.interval, b.tied, b.replications_to_separate), (interval, true, None));
    }

    #[test]
    fn differences_without_spread_are_ties() {
        let rows: [&[f64]; 3] = [&[1.0, 1.0, 0.0], &[2.0, 2.0, 1.0], &[9.0, 9.0, 8.0]];
        let comparison = of(rows);
        for verdict in comparison.against_best(0.95) {
            assert!(verdict.tied && verdict.replications_to_separate.is_none());
        }
        assert_eq!(comparison.variance_ratio(0, 1), f64::INFINITY);
        assert_eq!(comparison.p_best(&[0.0, 0.0, 1.0]), [0.5, 0.5, 0.0]);
        let one = of([&[1.0, 5.0][..]]);
        assert!(one.against_best(0.95).iter().all(|verdict| verdict.tied));
    }

    /// A true difference of 0.15 with own parts of 1: an interval excludes 0 nine times in ten from
    /// ((1.960 + 1.282) x sqrt(2) / 0.15)^2 = 934 on, and for pairs that are tied after 200 the
    /// range holds that in nine of ten. Of 200 sets some 135 are tied; 95 % of such shares are
    /// within 6 points, fixed seed. The single number that the observed difference gives would be
    /// right to a quarter in a fifth of them.
    #[test]
    fn the_range_holds_the_number_of_replications_that_it_takes() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut tied, mut held, mut about) = (0.0, 0.0, 0.0);
        for _ in 0..200 {
            let scores = simulated(&[0.15, 0.0], 200, &mut rng);
            let comparison = of(scores.chunks(2));
            let verdicts = comparison.against_best(0.95);
            let Some(range) = verdicts.iter().find_map(|v| v.replications_to_separate) else {
                continue;
            };
            tied += 1.0;
            let most = range.at_most.unwrap_or(u64::MAX);
            held += f64::from(u8::from(range.at_least.is_none_or(|n| n <= 934) && 934 <= most));
            let lead = comparison.resampled().mean(2);
            let observed = (3.242 * 2.0_f64.sqrt() / lead).powi(2);
            about += f64::from(u8::from((700.0..1_245.0).contains(&observed)));
        }
        assert!(tied > 100.0, "{tied}");
        assert!((0.8..=1.0).contains(&(held / tied)), "{held} of {tied}");
        assert!(about / tied < 0.5, "{about} of {tied}");
    }

    #[test]
    fn hopeless_ties_say_so() {
        let rows: [&[f64]; 3] = [&[1000.0, 0.0], &[-1000.0, 0.0], &[0.001, 0.0]];
        let range = of(rows).against_best(0.95)[1].replications_to_separate.unwrap();
        assert_eq!(range.at_most, None);
    }

    #[test]
    fn pairing_sharpens_by_the_share_of_common_variance() {
        // (10 + 10) / (1 + 1); of 256 blocks the relative error is about 12 %.
        let ratio = compared(&[0.0, 1.0], 20_000, 2).variance_ratio(0, 1);
        assert!((ratio - 10.0).abs() < 4.0, "{ratio}");
    }

    /// Five equal strategies: the first is excluded in at most 5 % of 400 comparisons, 20, standard
    /// deviation 4.4; 4.5 of them. Planted bug: the interval of one pair.
    #[test]
    fn the_true_best_is_rarely_excluded_and_a_naive_rule_is_caught() {
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        let (mut excluded, mut excluded_naively) = (0, 0);
        for _ in 0..400 {
            let scores = simulated(&[0.0; 5], 60, &mut rng);
            let comparison = of(scores.chunks(5));
            let verdicts = comparison.against_best(0.95);
            excluded += u32::from(!verdicts[0].tied);
            let best = comparison.best();
            let (pair, of) = (comparison.pair(0, best.max(1)), comparison.resampled());
            let naive = of.reach(&[pair], 0.9) * of.std_error(pair);
            excluded_naively += u32::from(best > 0 && verdicts[0].difference + naive < 0.0);
        }
        assert!(excluded <= 40, "{excluded}");
        assert!(excluded_naively > 40, "{excluded_naively}");
    }

    /// The chance that the first of two is better is the normal one of their paired difference; the
    /// standard error of a share of 2,000 is 1.1 %, five of them. Planted bug: unpaired columns lose
    /// most of the certainty.
    #[test]
    fn two_strategies_win_with_the_normal_probability_of_their_paired_difference() {
        let scores = simulated(&[0.1, 0.0], 250, &mut ChaCha8Rng::seed_from_u64(31));
        let comparison = of(scores.chunks(2));
        let lead = comparison.resampled().mean(2);
        let expected = normal_cdf(lead / comparison.resampled().std_error(2));
        assert!((0.6..0.99).contains(&expected), "an informative case: {expected}");
        let leads = if comparison.best() == 0 { [0.0, lead] } else { [-lead, 0.0] };
        let p = comparison.p_best(&leads);
        assert!((p[0] - expected).abs() < 0.055, "{p:?} {expected}");
        assert!((p[0] + p[1] - 1.0).abs() < 1e-9);
        let rows: Vec<&[f64]> = scores.chunks(2).collect();
        let apart: Vec<[f64; 2]> = (0..250).map(|r| [rows[r][0], rows[(r + 1) % 250][1]]).collect();
        let unpaired = of(apart.iter().map(|row| &row[..])).p_best(&leads);
        assert!((unpaired[0] - 0.5).abs() < 0.6 * (expected - 0.5), "{unpaired:?}");
    }

    #[test]
    fn copies_share_a_win_and_the_servers_decide_where_they_differ() {
        let scores = simulated(&[50.0, 0.0], 200, &mut ChaCha8Rng::seed_from_u64(4));
        let doubled: Vec<[f64; 4]> = scores.chunks(2).map(|s| [s[0], s[1], s[0], s[1]]).collect();
        let comparison = of(doubled.iter().map(|row| &row[..]));
        assert_eq!(comparison.p_best(&[0.0, 50.0, 0.0, 50.0]), [0.5, 0.0, 0.5, 0.0]);
        // On one kind of servers in four the others are 30 ahead, which is far more than luck.
        let kinds: Vec<f64> = (0..400)
            .flat_map(
                |i| if i % 4 == 0 { [0.0, -30.0, 0.0, -30.0] } else { [0.0, 77.0, 0.0, 77.0] },
            )
            .collect();
        let p = comparison.p_best(&kinds);
        assert!((p[0] - 0.375).abs() < 1e-3 && (p[1] - 0.125).abs() < 1e-3, "{p:?}");
    }
}
