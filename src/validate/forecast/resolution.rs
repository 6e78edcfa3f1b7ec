//! What runs of this length can tell: would a verdict notice error rates that are wrong?
//!
//! The rival is a world whose error rates are all five points higher than the prediction takes
//! them for. The power is the share of a few hundred such worlds in which some number of some
//! strategy's run falls so far out that Holm's first threshold, [`LEVEL`] / tests, rejects it.
//! Tests on other bases and Holm's later steps add a little to it.
//!
//! How long a run would have to be is an extrapolation. On luck in common with the prediction,
//! the rival's runs tell how far each metric's mean shifts; with the spread of one run that makes
//! z = shift / spread. In a run that is k times as long the mean shifts k times as far. The
//! variance from luck grows like k, so z grows like sqrt(k); the variance from one start of the
//! servers to the next, which only a prediction from the model alone holds, grows like k^2, so no
//! length gets z beyond shift / (spread between starts). The two are told apart by playing the
//! same starts with other luck. A normal metric would be noticed with a probability of
//! Phi(z - z_crit); what several metrics that are not normal make of it is taken from the power
//! at this length, as a factor on z, and kept. Where that power is nearly 0 or 1 it tells nothing
//! and the factor is 1.
//!
//! So the length is an order of magnitude: a strategy that learns errs less in longer runs, long
//! runs are more nearly normal than short ones, and a prediction from other runs gets sharper
//! with their length.
//!
//! When not to use it: to judge. It says nothing of the runs that were made.

use super::pools::{Forecast, Pool, Predicted};
use super::simulate::{Setting, Twist, Values};
use super::{Basis, Resolution, RunMetric};
use crate::stats::Moments;
use crate::stats::special::normal_quantile;
use crate::validate::LEVEL;
use crate::world::check_requests;

/// How wrong the rival's error rates are.
pub const ERROR_RATE_SHIFT: f64 = 0.05;
/// Runs of the rival for each strategy.
const RUNS: u64 = 400;
/// The power that is asked for.
const POWER: f64 = 0.8;
/// A power beyond these says little of how far from the threshold z is: at the lower end most
/// alarms are false ones.
const TELLING: std::ops::RangeInclusive<f64> = 0.05..=0.99;

/// What the verdict on these forecasts could notice; none without a metric that varies.
///
/// On the sharpest basis that there is: what a rival changes is the same on all, what hides it is
/// least there. `setting` is the one that the forecasts were made with.
#[must_use]
pub fn resolution(
    forecasts: &[Forecast],
    setting: &Setting<'_>,
    latency_is_judged: bool,
) -> Option<Resolution> {
    let counts = |metric: RunMetric, pool: &Pool| {
        pool.only_value().is_none() && (latency_is_judged || !metric.is_latency())
    };
    let tests = forecasts
        .iter()
        .flat_map(|forecast| &forecast.runs)
        .flat_map(|run| RunMetric::ALL.into_iter().zip(&run.pools))
        .filter(|(metric, pool)| counts(*metric, pool))
        .count();
    if tests == 0 {
        return None;
    }
    let threshold = LEVEL / tests as f64;
    let sharpest = forecasts.iter().max_by_key(|forecast| forecast.basis)?;
    let mut noticed = vec![false; RUNS as usize];
    let mut shifts = Vec::new();
    for (run, luck) in sharpest.runs.iter().zip(1..) {
        let rival = Rival::play(sharpest, run, luck, setting);
        for (i, (metric, pool)) in RunMetric::ALL.into_iter().zip(&run.pools).enumerate() {
            if counts(metric, pool) {
                for (noticed, value) in noticed.iter_mut().zip(values(&rival.rival, i)) {
                    let place = pool.place(value, 0.5);
                    *noticed |= 2.0 * place.min(1.0 - place) <= threshold;
                }
                shifts.push(rival.shift(i, pool));
            }
        }
    }
    let power = noticed.iter().filter(|noticed| **noticed).count() as f64 / RUNS as f64;
    let requests = setting.requests as f64 * lengths(&shifts, power, threshold);
    let possible = requests <= u64::MAX as f64 && check_requests(requests.ceil() as u64).is_ok();
    Some(Resolution {
        error_rate_shift: ERROR_RATE_SHIFT,
        power,
        requests_for_80_percent: possible.then_some(requests.ceil() as u64),
    })
}

/// How many times as long runs must be for [`POWER`]; infinite if no length is enough.
fn lengths(shifts: &[Shift], power: f64, threshold: f64) -> f64 {
    let critical = normal_quantile(1.0 - threshold / 2.0);
    let largest = shifts.iter().map(Shift::z).fold(0.0, f64::max);
    let effective = critical + normal_quantile(power);
    let factor = if TELLING.contains(&power) && effective > 0.0 && largest > 0.0 {
        effective / largest
    } else {
        1.0
    };
    let wanted = (critical + normal_quantile(POWER)) / factor;
    let shortest = shifts.iter().map(|s| s.lengths(wanted)).fold(f64::INFINITY, f64::min);
    if power >= POWER { shortest.min(1.0) } else { shortest.max(1.0) }
}

/// What the rival does to one metric of one strategy.
#[derive(Debug, Clone, Copy)]
struct Shift {
    /// Of the mean.
    shift: f64,
    /// The variance of one run that comes from luck.
    luck: f64,
    /// The variance that comes from one start of the servers to the next.
    between: f64,
}

impl Shift {
    /// The shift in standard deviations of one run.
    fn z(&self) -> f64 {
        self.shift.abs() / (self.luck + self.between).sqrt()
    }

    /// How many times as long a run must be until its shift is `wanted` spreads: the k with
    /// (k shift)^2 = wanted^2 (k^2 between + k luck). Infinite if there is none.
    fn lengths(&self, wanted: f64) -> f64 {
        let square = wanted * wanted;
        let left = self.shift * self.shift - square * self.between;
        if left > 0.0 { square * self.luck / left } else { f64::INFINITY }
    }
}

/// Runs of one strategy, in order of replications: as predicted, of the rival on the same luck,
/// and, where starts differ, as predicted on other luck.
struct Rival {
    predicted: Vec<Vec<Values>>,
    rival: Vec<Vec<Values>>,
    other_luck: Option<Vec<Vec<Values>>>,
}

impl Rival {
    /// Strategies with luck of their own, as live runs have it, against the same starts.
    fn play(forecast: &Forecast, run: &Predicted, luck: u64, setting: &Setting<'_>) -> Self {
        let play = |twist| {
            let only = std::slice::from_ref(&run.strategy);
            setting.simulate(&forecast.scenario, &run.start, only, RUNS, twist)
        };
        let starts_differ = forecast.basis == Basis::Model && run.start.is_uncertain();
        Self {
            predicted: play(Twist { shift: 0.0, luck }),
            rival: play(Twist { shift: ERROR_RATE_SHIFT, luck }),
            other_luck: starts_differ.then(|| play(Twist { shift: 0.0, luck: 0 })),
        }
    }

    /// What the rival does to the metric at position `i`, whose pool has a spread.
    fn shift(&self, i: usize, pool: &Pool) -> Shift {
        let mut shift = Moments::default();
        values(&self.predicted, i)
            .zip(values(&self.rival, i))
            .for_each(|(predicted, rival)| shift.push(rival - predicted));
        let variance = pool.std_dev * pool.std_dev;
        let between = self.between_starts(i).clamp(0.0, variance);
        Shift { shift: shift.mean(), luck: variance - between, between }
    }

    /// The covariance of runs against the same start and two standard errors more, as if they had
    /// nothing in common: a length is only promised where the spread between starts is known to
    /// be too small to hide the rival.
    fn between_starts(&self, i: usize) -> f64 {
        let Some(other) = &self.other_luck else { return 0.0 };
        let (mut sums, mut differences) = (Moments::default(), Moments::default());
        for (a, b) in values(&self.predicted, i).zip(values(other, i)) {
            sums.push(a + b);
            differences.push(a - b);
        }
        let covariance = (sums.variance() - differences.variance()) / 4.0;
        let variance = (sums.variance() + differences.variance()) / 4.0;
        covariance + 2.0 * variance / (sums.count() as f64).sqrt()
    }
}

/// The values of the metric at position `i`, in order of replications.
fn values(rows: &[Vec<Values>], i: usize) -> impl Iterator<Item = f64> {
    rows.iter().flatten().map(move |values| values[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_worked_out_by_hand() {
        let sharp = Shift { shift: 1.0, luck: 4.0, between: 0.0 };
        assert_eq!((sharp.z(), sharp.lengths(3.0)), (0.5, 36.0));
        // (10 x 1)^2 = 9 (100 x 0.1 + 10 x 0.1).
        let mixed = Shift { shift: 1.0, luck: 1.0 / 9.0, between: 0.1 };
        assert!((mixed.lengths(3.0) - 10.0).abs() < 1e-9);
        let lost = Shift { shift: 1.0, luck: 1.0, between: 0.2 };
        assert_eq!(lost.lengths(3.0), f64::INFINITY, "starts differ by more than the rival");
    }

    #[test]
    fn the_length_for_a_power_agrees_with_the_power_at_this_length() {
        let shifts = [Shift { shift: 1.0, luck: 1.0, between: 0.0 }];
        assert!((lengths(&shifts, POWER, 1e-3) - 1.0).abs() < 1e-9);
        assert!(lengths(&shifts, 0.3, 1e-3) > 1.2 && lengths(&shifts, 0.9, 1e-3) < 0.9);
        assert!(lengths(&shifts, 0.0, 1e-3) > 1.0 && lengths(&shifts, 1.0, 1e-3) <= 1.0);
    }
}
