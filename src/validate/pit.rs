//! Are recorded counts ordinary members of their predictions?
//!
//! The probability integral transform (PIT) sends a count to its place among the predicted ones;
//! over runs these places are uniform if the predictions hold. A count occupies a whole step
//! (a, b] of the predictive distribution: the randomised PIT draws a place within the step, the
//! non-randomised one keeps the step (Czado, Gneiting and Held, Biometrics 65 (2009), 1254-1261).
//!
//! The test here is Neyman's smooth test of order 2 (Neyman 1937) on the steps' mean Legendre
//! polynomials: the first sees counts that are too high or too low, the second predictions that
//! are too wide or too narrow. For independent runs its null distribution is exact, however few
//! they are and whatever their steps: every replication is as likely to be the recorded run as the
//! recording itself, so each takes that role in turn.
//!
//! When not to use it: as exact where runs share a start. They met the same error rates, and left
//! out in turn each is evidence for the others, so their places depend on one another while the
//! replications that stand in for them do not: the test can be too strict or too lenient. The
//! number of starts, not of runs, limits what can be shown.

use super::whole_run::Metric;
use crate::domain::{Purpose, Streams};
use crate::stats::goodness::{ks_p_value, ks_statistic, randomised_pit};
use crate::stats::quantile::quantile;
use crate::stats::sample::uniform_open;

/// Randomisations whose median p-value is reported, so that none of them can be picked.
const RANDOMISATIONS: u64 = 199;

/// A count over all runs: predicted and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricTest {
    /// What is counted.
    pub metric: Metric,
    /// Runs compared.
    pub runs: usize,
    /// Runs whose count lies in its 95 % interval.
    pub inside: usize,
    /// Sums over runs: recorded, predicted.
    pub totals: (u64, f64),
    /// Whether any prediction has a spread; without one nothing is tested.
    pub tested: bool,
    /// First component, about standard normal: above 0, more than predicted.
    pub shift: f64,
    /// Second component: above 0, further from the middle than predicted.
    pub spread: f64,
    /// p-value of Neyman's smooth test of order 2 on the non-randomised PIT.
    pub p_value: f64,
    /// The same, adjusted by Holm over all tests of a validation.
    pub adjusted_p_value: f64,
    /// Median over randomisations of the Kolmogorov p-value of the randomised PIT.
    pub randomised_p_value: f64,
}

/// Predicted counts of one run and the recorded one, which stands last.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    values: Vec<u64>,
    sorted: Vec<u64>,
}

impl Pool {
    pub(super) fn new(predicted: impl Iterator<Item = u64>, observed: u64) -> Self {
        let mut values: Vec<u64> = predicted.collect();
        values.push(observed);
        let mut sorted = values.clone();
        sorted.sort_unstable();
        Self { values, sorted }
    }

    /// The step of the empirical distribution at a member's value.
    pub(super) fn step(&self, member: usize) -> (f64, f64) {
        let value = self.values[member];
        let n = self.sorted.len() as f64;
        let below = self.sorted.partition_point(|v| *v < value);
        let at = self.sorted.partition_point(|v| *v <= value);
        (below as f64 / n, at as f64 / n)
    }

    /// The position of the recorded count.
    pub(super) fn recorded(&self) -> usize {
        self.values.len() - 1
    }

    /// The recorded count.
    pub(super) fn observed(&self) -> u64 {
        self.values.last().copied().unwrap_or(0)
    }

    /// The predicted counts.
    pub(super) fn predicted(&self) -> &[u64] {
        &self.values[..self.values.len() - 1]
    }

    fn has_spread(&self) -> bool {
        self.sorted.first() != self.sorted.last()
    }
}

/// Means over a step of the first two Legendre polynomials on (0, 1), normalised.
fn legendre((a, b): (f64, f64)) -> [f64; 2] {
    [
        3.0_f64.sqrt() * (a + b - 1.0),
        5.0_f64.sqrt() * (2.0 * (a * a + a * b + b * b) - 3.0 * (a + b) + 1.0),
    ]
}

/// Both components when member `r` of each pool plays the recorded run.
fn components(steps: &[Vec<(f64, f64)>], r: usize) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for run in steps {
        let [shift, spread] = legendre(run[r]);
        sum = [sum[0] + shift, sum[1] + spread];
    }
    let root = (steps.len() as f64).sqrt();
    [sum[0] / root, sum[1] / root]
}

/// Tests one metric over all runs; the pools are equally large. `inside` and `totals` are handed
/// through. The Holm adjustment is the caller's.
pub(super) fn test(
    metric: Metric,
    pools: &[Pool],
    inside: usize,
    totals: (u64, f64),
    seed: u64,
) -> MetricTest {
    let tested = pools.iter().any(Pool::has_spread);
    let members = pools.iter().map(|pool| pool.values.len()).min().unwrap_or(0);
    let mut found = MetricTest {
        metric,
        runs: pools.len(),
        inside,
        totals,
        tested,
        shift: 0.0,
        spread: 0.0,
        p_value: 1.0,
        adjusted_p_value: 1.0,
        randomised_p_value: 1.0,
    };
    if !tested || members < 2 {
        return MetricTest { tested: false, ..found };
    }
    let steps: Vec<Vec<(f64, f64)>> =
        pools.iter().map(|pool| (0..members).map(|r| pool.step(r)).collect()).collect();
    let [shift, spread] = components(&steps, members - 1);
    let size = |c: [f64; 2]| c[0] * c[0] + c[1] * c[1];
    let threshold = size([shift, spread]) - 1e-9;
    let as_far = (0..members).filter(|r| size(components(&steps, *r)) >= threshold).count();
    (found.shift, found.spread) = (shift, spread);
    found.p_value = as_far as f64 / members as f64;
    found.randomised_p_value = randomised(&steps, members - 1, seed);
    found
}

/// Median Kolmogorov p-value over randomisations of the recorded runs' PIT.
fn randomised(steps: &[Vec<(f64, f64)>], recorded: usize, seed: u64) -> f64 {
    let streams = Streams::new(seed);
    let mut p_values: Vec<f64> = (0..RANDOMISATIONS)
        .map(|i| {
            let mut rng = streams.stream(Purpose::Analysis, u16::MAX, i);
            let place = |run: &Vec<(f64, f64)>| {
                let (a, b) = run[recorded];
                randomised_pit(a, b, uniform_open(&mut rng))
            };
            let mut places: Vec<f64> = steps.iter().map(place).collect();
            places.sort_by(f64::total_cmp);
            ks_p_value(ks_statistic(&places), places.len())
        })
        .collect();
    p_values.sort_by(f64::total_cmp);
    quantile(&p_values, 0.5)
}

#[cfg(test)]
mod unit_tests {
    use super::*;
    use crate::stats::sample::index_below;

    #[test]
    fn legendre_means_vanish_over_the_whole_and_are_extreme_at_the_ends() {
        let [shift, spread] = legendre((0.0, 1.0));
        assert!(shift.abs() < 1e-12 && spread.abs() < 1e-12);
        assert!(legendre((0.99, 1.0))[0] > 1.7 && legendre((0.99, 1.0))[1] > 2.1);
        assert!(legendre((0.5, 0.5))[1] < -1.1);
    }

    /// p-values of 18 runs of counts with few values, each shifted by `shift` times a coin.
    fn p_values(shift: u64) -> Vec<f64> {
        (0..400)
            .map(|study| {
                let mut rng = Streams::new(5).stream(Purpose::Analysis, 0, study);
                let mut count = || (0..6).filter(|_| index_below(&mut rng, 10) < 1).count() as u64;
                let pools: Vec<Pool> = (0..18)
                    .map(|_| {
                        let predicted: Vec<u64> = (0..199).map(|_| count()).collect();
                        let observed = count() + shift;
                        Pool::new(predicted.into_iter(), observed)
                    })
                    .collect();
                test(Metric::Attempts, &pools, 0, (0, 0.0), 1).p_value
            })
            .collect()
    }

    /// 400 tests at 10 %: 40 expected, standard deviation 6; 4.5 of them: false alarm 7e-6.
    #[test]
    fn p_values_of_counts_that_hold_are_uniform_and_a_shift_by_one_is_caught() {
        let alarms = p_values(0).iter().filter(|p| **p <= 0.1).count();
        assert!((13..=67).contains(&alarms), "{alarms}");
        let caught = p_values(1).iter().filter(|p| **p <= 0.01).count();
        assert!(caught > 390, "{caught}");
    }

    #[test]
    fn a_count_without_spread_is_not_tested() {
        let pool = Pool::new([0, 0, 0].into_iter(), 0);
        let found = test(Metric::FailedRequests, &[pool], 1, (0, 0.0), 1);
        assert!(!found.tested && found.p_value == 1.0);
        let surprise = Pool::new([0, 0, 0].into_iter(), 1);
        assert!(test(Metric::FailedRequests, &[surprise], 0, (1, 0.0), 1).tested);
    }
}
