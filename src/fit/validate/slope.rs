//! Do servers differ as much as the predictions say? The calibration slope.
//!
//! If predictions p of failures are right, a logistic regression of what happened on ln(p / (1 - p))
//! has intercept 0 and slope 1 (Cox, "Two further applications of a model for binary regression",
//! Biometrika 45 (1958), 562-565). A slope above 1: the predictions stay too near to the middle, as
//! from a population of error rates that is too narrow. Below 1: they go too far. A curve in bins
//! can miss either, since a little is wrong in every bin.
//!
//! Attempts of one run err together, so runs are the units: the variance of the slope is that of
//! the jackknife over runs, each left out by one Newton step, and is judged by Student's t with one
//! degree of freedom less than runs (MacKinnon, Nielsen and Webb, "Cluster-robust inference: a guide
//! to empirical practice", J. Econometrics 232 (2023), 272-299, their CV3).
//!
//! When not to use it: with predictions that were made after the outcomes were seen, or that knew
//! other runs of the same start which they in turn foretell; with a handful of runs the interval is
//! as wide as it must be.

use flakelab_core::stats::{Interval, student_t_cdf, student_t_quantile};

/// Predictions are moved this far from 0 and 1: one attempt that was thought impossible shall not
/// decide.
const LEAST_CHANCE: f64 = 1e-3;

/// Fewer runs tell no variance worth the name.
const LEAST_RUNS: usize = 3;

/// Newton's method settles in a handful of steps or not at all.
const STEPS: usize = 30;

/// The slope is settled when a step changes it by less.
const SETTLED: f64 = 1e-10;

/// The slope of outcomes on predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// 1 if servers differ as much as predicted; more if they differ more.
    pub slope: f64,
    /// 95 % interval, runs taken as independent.
    pub interval: Interval,
    /// p-value of the test that the slope is 1.
    pub p_value: f64,
    /// Adjusted by Holm over all tests of a validation.
    pub adjusted_p_value: f64,
}

/// The slope over runs, given by their predictions and whether attempts failed. `None` with fewer
/// than three runs, or if any two of them fail to determine it, as when all predictions are the same.
pub(crate) fn slope<'a>(runs: impl IntoIterator<Item = (&'a [f64], &'a [bool])>) -> Option<Slope> {
    let runs: Vec<Vec<(f64, f64)>> =
        runs.into_iter().map(|(p, failed)| points(p, failed)).collect();
    if runs.len() < LEAST_RUNS {
        return None;
    }
    let (mut intercept, mut slope) = (0.0, 1.0);
    for _ in 0..STEPS {
        let of_runs: Vec<Sums> = runs.iter().map(|run| Sums::of(run, intercept, slope)).collect();
        let all = of_runs.iter().fold(Sums::default(), |sum, of| sum.plus(*of, 1.0));
        let (up, steeper) = all.step()?;
        if steeper.abs() > SETTLED {
            (intercept, slope) = (intercept + up, slope + steeper);
            continue;
        }
        let mut squares = 0.0;
        for of in &of_runs {
            let (_, moved) = all.plus(*of, -1.0).step()?;
            squares += moved * moved;
        }
        let (n, df) = (runs.len() as f64, runs.len() as f64 - 1.0);
        let error = (squares * df / n).sqrt();
        let reach = student_t_quantile(0.975, df) * error;
        let p_value = 2.0 * student_t_cdf(-((slope - 1.0) / error).abs(), df);
        let interval = Interval { low: slope - reach, high: slope + reach };
        let found = Slope { slope, interval, p_value, adjusted_p_value: p_value };
        return p_value.is_finite().then_some(found);
    }
    None
}

/// Each attempt's log odds of failure as predicted, and 1 if it failed.
fn points(predicted: &[f64], failed: &[bool]) -> Vec<(f64, f64)> {
    let odds = |p: &f64| {
        let p = p.clamp(LEAST_CHANCE, 1.0 - LEAST_CHANCE);
        libm::log(p / (1.0 - p))
    };
    predicted
        .iter()
        .map(odds)
        .zip(failed.iter().map(|failed| f64::from(u8::from(*failed))))
        .collect()
}

/// First and second derivatives of the log likelihood in intercept and slope.
#[derive(Clone, Copy, Default)]
struct Sums {
    score: [f64; 2],
    /// Of the intercept, of both, of the slope.
    information: [f64; 3],
}

impl Sums {
    fn of(run: &[(f64, f64)], intercept: f64, slope: f64) -> Self {
        let mut sums = Self::default();
        for (x, y) in run {
            let p = 1.0 / (1.0 + libm::exp(-(intercept + slope * x)));
            let (off, weight) = (y - p, p * (1.0 - p));
            let one =
                Self { score: [off, off * x], information: [weight, weight * x, weight * x * x] };
            sums = sums.plus(one, 1.0);
        }
        sums
    }

    fn plus(self, other: Self, times: f64) -> Self {
        let mut sum = self;
        sum.score.iter_mut().zip(other.score).for_each(|(a, b)| *a += times * b);
        sum.information.iter_mut().zip(other.information).for_each(|(a, b)| *a += times * b);
        sum
    }

    /// Newton's step in intercept and slope; `None` where these attempts do not determine both.
    fn step(self) -> Option<(f64, f64)> {
        let ([u, v], [a, b, c]) = (self.score, self.information);
        let determinant = a * c - b * b;
        let step = ((c * u - b * v) / determinant, (a * v - b * u) / determinant);
        (determinant > 1e-9 * a * c && step.0.is_finite() && step.1.is_finite()).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::uniform01;

    fn log_odds(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    /// So many runs alike, each of attempts predicted as 0.2 and as 0.6, of which these fail.
    fn alike(runs: usize, low: [usize; 2], high: [usize; 2]) -> (Vec<f64>, Vec<bool>, usize) {
        let (mut predicted, mut failed) = (Vec::new(), Vec::new());
        for (p, [failures, attempts]) in [(0.2, low), (0.6, high)] {
            predicted.extend(vec![p; attempts]);
            failed.extend((0..attempts).map(|i| i < failures));
        }
        (predicted, failed, runs)
    }

    fn found((predicted, failed, runs): &(Vec<f64>, Vec<bool>, usize)) -> Option<Slope> {
        slope(std::iter::repeat_n((predicted.as_slice(), failed.as_slice()), *runs))
    }

    #[test]
    fn two_predictions_are_joined_by_a_straight_line() {
        let of = found(&alike(4, [1, 10], [7, 10])).unwrap();
        let expected = (log_odds(0.7) - log_odds(0.1)) / (log_odds(0.6) - log_odds(0.2));
        assert!((of.slope - expected).abs() < 1e-9, "{of:?}");
        // Runs that all say the same leave nothing open.
        assert!(of.interval.high - of.interval.low < 1e-6 && of.p_value < 1e-6, "{of:?}");
        let right = found(&alike(4, [2, 10], [6, 10])).unwrap();
        assert!((right.slope - 1.0).abs() < 1e-9, "{right:?}");
    }

    #[test]
    fn what_does_not_determine_a_slope_gives_none() {
        assert_eq!(found(&alike(2, [1, 10], [7, 10])), None, "too few runs");
        assert_eq!(found(&alike(4, [1, 10], [0, 0])), None, "one prediction");
        assert_eq!(found(&alike(4, [0, 10], [10, 10])), None, "no line is steep enough");
    }

    /// Runs of 100 attempts with chances from 0.05 to 0.95, and their predictions: log odds over
    /// `bold`.
    fn p_values(bold: f64, runs: u64, sets: u64) -> Vec<f64> {
        let of_set = |set: u64| {
            let made: Vec<(Vec<f64>, Vec<bool>)> = (0..runs)
                .map(|run| {
                    let mut rng = Streams::new(31).stream(Purpose::Analysis, 0, set * runs + run);
                    let attempt = |_| {
                        let p = 0.05 + 0.9 * uniform01(&mut rng);
                        let predicted = 1.0 / (1.0 + (-log_odds(p) / bold).exp());
                        (predicted, uniform01(&mut rng) < p)
                    };
                    (0..100).map(attempt).unzip()
                })
                .collect();
            slope(made.iter().map(|(p, failed)| (p.as_slice(), failed.as_slice()))).unwrap().p_value
        };
        (0..sets).map(of_set).collect()
    }

    /// Rejections at 5 % of 400 data sets: 20 expected, standard deviation 4.4; 40 are 4.6 of them,
    /// false alarm 1e-5. Planted error: log odds too small by a quarter.
    #[test]
    fn right_predictions_are_rarely_rejected_and_timid_ones_mostly() {
        let rejected = |p: Vec<f64>| p.iter().filter(|p| **p <= 0.05).count();
        for runs in [6, 18] {
            assert!((4..=40).contains(&rejected(p_values(1.0, runs, 400))), "{runs}");
        }
        assert!(rejected(p_values(4.0 / 3.0, 18, 100)) > 80);
    }
}
