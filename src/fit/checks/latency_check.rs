//! Latencies of the second halves against the fitted family: how many lie above its quantiles?
//!
//! Latencies of one run depend on each other: slow ones come in spells, and whole runs are slow.
//! So attempts are not counted as independent, stretches of the record are: each gives one number,
//! the sum over its second-half attempts of `1[above the quantile] - chance`, with mean 0 if the
//! family holds, whatever depends on what within it. The mean of these numbers over its standard
//! error is held against Student's distribution with one degree of freedom less than stretches.
//! That is valid for numbers of unequal variance too, at levels up to 8 % (R. Ibragimov and
//! U. K. Müller, "t-statistic based correlation and heterogeneity robust inference", Journal of
//! Business and Economic Statistics 28 (2010), 453-468).
//!
//! Three guards keep it from crying wolf:
//! - The variance is at least the binomial one: among few rare events all sums may be alike.
//! - The family was fitted to about as many latencies, so its quantiles are themselves about as
//!   far off as the second halves are: the variance is doubled. That is exact for nonparametric
//!   quantiles of first halves, and conservative for parametric families, for a family fitted to
//!   everything, and for one that was known.
//! - A single spell may hold all latencies above a quantile, or none happen to come. So at least
//!   [`LEAST_STRETCHES`] stretches must hold one above and as many one below, or there must be so
//!   many stretches that as many of each were expected even if every stretch were all of a kind.
//!   Otherwise nothing is tested. Which of it is so depends on the data, but only ever takes
//!   alarms away.
//!
//! When not to use it: for runs that depend on each other, as when a machine grows slower by the
//! hour; then stretches are no more independent than attempts.

use super::residuals::Finding;
use crate::stats::special::student_t_cdf;

/// What is looked at, and the chance to lie above.
pub(super) const QUANTILES: [(&str, f64); 3] =
    [("latency p50", 0.5), ("latency p90", 0.1), ("latency p99", 0.01)];
/// With fewer stretches, nothing is tested.
pub(super) const LEAST_STRETCHES: usize = 5;
/// Variance of the second halves and of the fit, over that of the second halves.
const WITH_THE_FIT: f64 = 2.0;

/// The second-half attempts of one stretch.
#[derive(Debug, Clone, Default)]
struct Counts {
    count: u64,
    above: [u64; QUANTILES.len()],
}

/// How many latencies lie above each of [`QUANTILES`], stretch by stretch.
#[derive(Debug, Clone, Default)]
pub(super) struct Exceedances {
    /// Number of the stretch that is being counted.
    stretch: Option<usize>,
    stretches: Vec<Counts>,
}

impl Exceedances {
    /// A latency, given as the fitted probability of at most as much; NaN is not looked at.
    /// The attempts of a stretch follow each other.
    pub(super) fn record(&mut self, stretch: usize, cdf: f64) {
        if cdf.is_nan() {
            return;
        }
        if self.stretch != Some(stretch) {
            self.stretch = Some(stretch);
            self.stretches.push(Counts::default());
        }
        let Some(counts) = self.stretches.last_mut() else { return };
        counts.count += 1;
        for (above, (_, chance)) in counts.above.iter_mut().zip(QUANTILES) {
            *above += u64::from(cdf > 1.0 - chance);
        }
    }

    /// Latencies above, as observed and as expected, and the test.
    pub(super) fn finding(&self, quantile: usize) -> (f64, f64, Finding) {
        let chance = QUANTILES[quantile].1;
        let count: u64 = self.stretches.iter().map(|of| of.count).sum();
        let above: u64 = self.stretches.iter().map(|of| of.above[quantile]).sum();
        let (observed, expected) = (above as f64, count as f64 * chance);
        if !self.is_testable(quantile) {
            return (observed, expected, Finding::NONE);
        }
        let n = self.stretches.len() as f64;
        let mean = (observed - expected) / n;
        let squares = self.stretches.iter().map(|of| {
            let sum = of.above[quantile] as f64 - of.count as f64 * chance;
            (sum - mean) * (sum - mean)
        });
        // Variances of the sum over all stretches.
        let between = squares.sum::<f64>() * n / (n - 1.0);
        let binomial = expected * (1.0 - chance);
        let statistic = (observed - expected) / (WITH_THE_FIT * between.max(binomial)).sqrt();
        let finding = Finding {
            statistic,
            p_value: (2.0 * student_t_cdf(-statistic.abs(), n - 1.0)).min(1.0),
            effect: observed - expected,
            attempts: count,
            ..Finding::NONE
        };
        (observed, expected, finding)
    }

    fn is_testable(&self, quantile: usize) -> bool {
        let with =
            |one: &dyn Fn(&Counts) -> bool| self.stretches.iter().filter(|of| one(of)).count();
        let above = with(&|of| of.above[quantile] > 0);
        let below = with(&|of| of.above[quantile] < of.count);
        let chance = QUANTILES[quantile].1;
        let of_a_kind = chance.min(1.0 - chance) * self.stretches.len() as f64;
        above.min(below) >= LEAST_STRETCHES || of_a_kind >= LEAST_STRETCHES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::stats::sample::standard_normal;
    use crate::stats::special::normal_cdf;

    /// p-values of `stretches` of 100 latencies, normal and `slower`, each by `rho` the one before.
    fn p_values(seed: u64, stretches: usize, rho: f64, slower: f64) -> [Option<f64>; 3] {
        let mut luck = Streams::new(0x1a7).stream(Purpose::Analysis, 0, seed);
        let mut all = Exceedances::default();
        for stretch in 0..stretches {
            let mut z = standard_normal(&mut luck);
            for _ in 0..100 {
                all.record(stretch, normal_cdf(z + slower));
                z = rho * z + (1.0 - rho * rho).sqrt() * standard_normal(&mut luck);
            }
        }
        [0, 1, 2].map(|quantile| {
            let finding = all.finding(quantile).2;
            (finding.attempts > 0).then_some(finding.p_value)
        })
    }

    /// 1,000 records of 20 stretches, neighbours with correlation 0.8. At 5 % there are at most 50
    /// alarms expected, with a standard deviation of 7: more than 78 have probability 1e-4. Taken
    /// for binomial, counts above the median have 2.5 times the deviation and alarm in 4 of 10.
    #[test]
    fn latencies_that_depend_on_each_other_are_no_false_alarm() {
        let mut alarms = [0; 3];
        for seed in 0..1_000 {
            for (alarms, p) in alarms.iter_mut().zip(p_values(seed, 20, 0.8, 0.0)) {
                *alarms += u32::from(p.is_some_and(|p| p < 0.05));
            }
        }
        assert!(alarms.iter().all(|alarms| *alarms <= 78), "{alarms:?}");
    }

    #[test]
    fn slower_second_halves_are_noticed_in_spite_of_dependence() {
        let seen = |slower| {
            let seen = |seed| p_values(seed, 20, 0.4, slower)[0].is_some_and(|p| p < 0.001);
            (0..20).filter(|seed| seen(*seed)).count()
        };
        assert_eq!((seen(0.6), seen(-0.6), seen(0.0)), (20, 20, 0));
    }

    #[test]
    fn few_stretches_and_single_spells_are_not_tested() {
        assert_eq!(p_values(1, 4, 0.0, 3.0), [None; 3]);
        // All slow latencies of ten stretches in one spell, or none at all.
        for spell in [0, 50] {
            let mut all = Exceedances::default();
            for i in 0..1_000_usize {
                all.record(i / 100, if i < spell { 0.999 } else { 0.3 });
            }
            all.record(10, f64::NAN);
            let (above, expected, finding) = all.finding(2);
            assert_eq!((above, expected, finding), (spell as f64, 10.0, Finding::NONE));
            // Half the stretches would lie above the median even if each were all of a kind.
            assert!(all.finding(0).2.p_value < 1e-3);
        }
        assert_eq!(Exceedances::default().finding(0), (0.0, 0.0, Finding::NONE));
    }

    #[test]
    fn equal_stretches_are_judged_by_the_binomial_variance() {
        let mut all = Exceedances::default();
        for i in 0..600_usize {
            all.record(i / 100, if i % 100 < 60 { 0.7 } else { 0.3 });
        }
        let (above, expected, finding) = all.finding(0);
        assert_eq!((above, expected, finding.attempts), (360.0, 300.0, 600));
        assert!((finding.statistic - 60.0 / 300_f64.sqrt()).abs() < 1e-12, "{finding:?}");
        assert!((finding.p_value - 0.018).abs() < 0.001, "{finding:?}");
    }
}
