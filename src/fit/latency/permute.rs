//! Permutation tests on ranks of a series.
//!
//! Latencies of neighbours are alike, and a plain permutation would call that a difference
//! between groups. So ranks are first freed of it, `e_t = s_t - phi s_(t-1)` with the series' own
//! lag-1 autocorrelation phi, and the rests are permuted within classes that may be exchanged
//! (M. J. Anderson, Can. J. Fish. Aquat. Sci. 58 (2001), 626-639). Mid-ranks, so that neither ties
//! nor the tail matter.
//!
//! When not to use it: for dependence that reaches further than to the neighbour; the rests then
//! still hold some, and p-values are somewhat too small.

use rand::Rng;

use crate::domain::{Purpose, Streams};
use crate::stats::sample::index_below;

/// Permutations of a test; the smallest possible p-value is 1 / (permutations + 1).
pub const PERMUTATIONS: u64 = 999;
/// Seed of the permutations, a constant: a test is a function of its traces.
const SEED: u64 = 0x7e57;

/// Mid-ranks of values, centred, divided by their number: from -1/2 to 1/2.
pub(super) fn scores(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut scores = vec![0.0; values.len()];
    let mut below = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + (same.len() as f64 + 1.0) / 2.0;
        same.iter().for_each(|i| scores[*i] = (rank - (n + 1.0) / 2.0) / n);
        below += same.len();
    }
    scores
}

/// Lag-1 autocorrelation of centred scores, within the series; 0 for nothing.
pub(super) fn lag_1(scores: &[f64], series: &[Vec<usize>]) -> f64 {
    let product = |pair: &[usize]| scores[pair[0]] * scores[pair[1]];
    let together: f64 = series.iter().flat_map(|s| s.windows(2)).map(product).sum();
    let square: f64 = series.iter().flatten().map(|i| scores[*i] * scores[*i]).sum();
    if square > 0.0 { together / square } else { 0.0 }
}

/// What is left of scores when each series' neighbours are accounted for.
pub(super) fn whitened(scores: &[f64], series: &[Vec<usize>]) -> Vec<f64> {
    let phi = lag_1(scores, series).clamp(-0.95, 0.95);
    let mut rest = scores.to_vec();
    for one in series {
        if let Some(first) = one.first() {
            rest[*first] = scores[*first] * (1.0 - phi * phi).sqrt();
        }
        for pair in one.windows(2) {
            rest[pair[1]] = scores[pair[1]] - phi * scores[pair[0]];
        }
    }
    rest
}

/// Statistic and p-value of the hypothesis that scores can be exchanged within `classes`.
///
/// `shuffle` rearranges a copy of the scores in place; large statistics speak against it.
fn test(
    scores: &[f64],
    stream: u16,
    shuffle: impl Fn(&mut [f64], &mut rand_chacha::ChaCha8Rng),
    statistic: impl Fn(&[f64]) -> f64,
) -> (f64, f64) {
    let observed = statistic(scores);
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, stream, 0);
    let mut mixed = scores.to_vec();
    // Rounding must not make equal statistics differ.
    let least = observed - 1e-9 * observed.abs();
    let mut as_far = 1;
    for _ in 0..PERMUTATIONS {
        shuffle(&mut mixed, &mut rng);
        as_far += u32::from(statistic(&mixed) >= least);
    }
    (observed, f64::from(as_far) / (PERMUTATIONS + 1) as f64)
}

/// Tests with scores permuted within classes.
pub(super) fn permuted(
    scores: &[f64],
    classes: &[Vec<usize>],
    stream: u16,
    statistic: impl Fn(&[f64]) -> f64,
) -> (f64, f64) {
    test(scores, stream, |mixed, rng| classes.iter().for_each(|of| mix(mixed, of, rng)), statistic)
}

/// Tests with each series of scores turned by a random number of places, which keeps what
/// neighbours share.
pub(super) fn turned(
    scores: &[f64],
    series: &[Vec<usize>],
    stream: u16,
    statistic: impl Fn(&[f64]) -> f64,
) -> (f64, f64) {
    let turn = |mixed: &mut [f64], rng: &mut rand_chacha::ChaCha8Rng| {
        for one in series.iter().filter(|one| !one.is_empty()) {
            let by = index_below(rng, one.len());
            one.iter().enumerate().for_each(|(j, i)| mixed[*i] = scores[one[(j + by) % one.len()]]);
        }
    };
    test(scores, stream, turn, statistic)
}

/// Fisher and Yates.
fn mix(values: &mut [f64], class: &[usize], rng: &mut impl Rng) {
    for i in (1..class.len()).rev() {
        values.swap(class[i], class[index_below(rng, i + 1)]);
    }
}

/// Kruskal and Wallis's statistic on any scores: the share of their sum of squares that lies
/// between groups, times their number less one (JASA 47 (1952), 583-621).
pub(super) fn between_groups(groups: &[usize], count: usize) -> impl Fn(&[f64]) -> f64 {
    let mut sizes = vec![0.0; count];
    groups.iter().for_each(|group| sizes[*group] += 1.0);
    move |scores: &[f64]| {
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let mut sums = vec![0.0; count];
        let mut squares = 0.0;
        for (score, group) in scores.iter().zip(groups) {
            sums[*group] += score - mean;
            squares += (score - mean) * (score - mean);
        }
        let part = |(sum, size): (&f64, &f64)| if *size > 0.0 { sum * sum / size } else { 0.0 };
        let between: f64 = sums.iter().zip(&sizes).map(part).sum();
        if squares > 0.0 { (n - 1.0) * between / squares } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_centred_mid_ranks() {
        assert_eq!(scores(&[5.0, 1.0, 5.0, 9.0]), [0.0, -0.375, 0.0, 0.375]);
        assert_eq!(scores(&[2.0; 3]), [0.0; 3]);
    }

    #[test]
    fn kruskal_and_walliss_statistic_is_that_of_r() {
        // R: kruskal.test(list(c(2.9, 3.0, 2.5, 2.6, 3.2), c(3.8, 2.7, 4.0, 2.4),
        //                      c(2.8, 3.4, 3.7, 2.2, 2.0))), its own example: 0.7714.
        let values = [2.9, 3.0, 2.5, 2.6, 3.2, 3.8, 2.7, 4.0, 2.4, 2.8, 3.4, 3.7, 2.2, 2.0];
        let groups = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2];
        let statistic = between_groups(&groups, 3)(&scores(&values));
        assert!((statistic - 0.771_428_571).abs() < 1e-8, "{statistic}");
    }

    #[test]
    fn whitening_undoes_an_autoregression() {
        let mut scores = vec![0.0; 400];
        let mut rng = Streams::new(4).stream(Purpose::World, 0, 0);
        for t in 1..400 {
            scores[t] = 0.6 * scores[t - 1] + crate::stats::sample::standard_normal(&mut rng);
        }
        let series = [(0..400).collect::<Vec<_>>()];
        // Four standard errors of 1 / sqrt n.
        assert!((lag_1(&scores, &series) - 0.6).abs() < 0.2);
        assert!(lag_1(&whitened(&scores, &series), &series).abs() < 0.2);
    }
}
