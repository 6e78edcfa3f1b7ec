//! Predicted chances against what happened, in bins of the prediction.
//!
//! A chance p is calibrated when such events happen in a share p of cases. Bins are joined with
//! their neighbours until the number of events has variance enough for a chi-square; the sum of
//! squared z over joined bins is then compared with one degree of freedom a bin (F.
//! Seillier-Moiseiwitsch and A. P. Dawid, JASA 88 (1993), 355-359).
//!
//! When not to use it: for chances given after the event was seen; variances hold for those given
//! before.

use crate::stats::goodness::ChiSquare;
use crate::stats::special::chi_square_sf;

/// Bins of the prediction, equally wide on \[0, 1\].
const BINS: usize = 10;

/// Events with similar predictions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// Lower end of the bin.
    pub from: f64,
    /// Upper end of the bin.
    pub to: f64,
    /// Predictions.
    pub attempts: u64,
    /// Events predicted: the sum of the chances.
    pub expected: f64,
    /// Events that happened.
    pub observed: u64,
    /// Variance of the events if the chances are right.
    pub variance: f64,
}

impl Bin {
    /// Events beyond those predicted, in standard deviations; 0 without any variance.
    pub fn z(&self) -> f64 {
        let off = self.observed as f64 - self.expected;
        if self.variance > 0.0 { off / self.variance.sqrt() } else { 0.0 }
    }

    fn absorb(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.expected += other.expected;
        self.observed += other.observed;
        self.variance += other.variance;
    }
}

/// Predictions against events, by prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Bins without predictions are there, too.
    pub bins: Vec<Bin>,
}

impl Default for Calibration {
    fn default() -> Self {
        let end = |i: usize| i as f64 / BINS as f64;
        let bin = |i| Bin { from: end(i), to: end(i + 1), ..Bin::default() };
        Self { bins: (0..BINS).map(bin).collect() }
    }
}

impl Calibration {
    /// Puts a prediction and what came of it into its bin.
    pub fn record(&mut self, chance: f64, happened: bool) {
        let bin = ((chance * BINS as f64) as usize).min(BINS - 1);
        self.bins[bin].absorb(&Bin {
            attempts: 1,
            expected: chance,
            observed: u64::from(happened),
            variance: chance * (1.0 - chance),
            ..Bin::default()
        });
    }

    /// Sum of squared z over neighbours joined until each has this variance; what is left over at
    /// the end joins the last one.
    pub fn test(&self, least_variance: f64) -> ChiSquare {
        let mut joined: Vec<Bin> = Vec::new();
        for bin in self.bins.iter().filter(|bin| bin.attempts > 0) {
            match joined.last_mut().filter(|last| last.variance < least_variance) {
                Some(last) => last.absorb(bin),
                None => joined.push(*bin),
            }
        }
        if joined.len() > 1
            && let Some(last) = joined.pop_if(|last| last.variance < least_variance)
            && let Some(before) = joined.last_mut()
        {
            before.absorb(&last);
        }
        let statistic: f64 = joined.iter().map(|bin| bin.z() * bin.z()).sum();
        let df = joined.iter().filter(|bin| bin.variance > 0.0).count() as u64;
        let p_value = if df == 0 { 1.0 } else { chi_square_sf(statistic, df as f64) };
        ChiSquare { statistic, df, p_value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_count_what_was_expected_and_what_came() {
        let mut found = Calibration::default();
        for (chance, happened) in [(0.25, true), (0.25, false), (0.95, true), (1.0, true)] {
            found.record(chance, happened);
        }
        assert_eq!((found.bins[2].attempts, found.bins[2].observed), (2, 1));
        assert!((found.bins[2].z() - 0.5 / 0.375_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.bins[9].attempts, 2, "certainty belongs to the last bin");
    }

    #[test]
    fn bins_are_joined_until_they_have_variance_enough() {
        let mut found = Calibration::default();
        // Variances of 2.5, 2.1 and 0.9: the first stands alone, the last joins what is before it.
        (0..10).for_each(|i| found.record(0.5, i < 5));
        (0..10).for_each(|i| found.record(0.7, i < 4));
        (0..10).for_each(|i| found.record(0.9, i < 9));
        assert_eq!((found.test(2.0).df, found.test(3.0).df), (2, 1));
        let z = (13.0 - 16.0) / 3.0_f64.sqrt();
        assert!((found.test(2.0).statistic - z * z).abs() < 1e-12);
        assert_eq!(
            Calibration::default().test(3.0),
            ChiSquare { statistic: 0.0, df: 0, p_value: 1.0 }
        );
    }
}
