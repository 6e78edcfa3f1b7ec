//! What runs of this length can tell: would a verdict notice error rates that are wrong?
//!
//! The rival is a world whose error rates are all five points higher than the prediction takes
//! them for. The power is the share of a few hundred such worlds in which some number of some
//! strategy's run falls so far out that Holm's first threshold, [`LEVEL`] / tests, rejects it.
//! Tests on other bases and Holm's later steps add a little to it.
//!
//! How long a run would have to be is an extrapolation. On luck in common with the prediction,
//! the rival's runs tell how far each metric's mean shifts; with the spread of one run that makes
//! z = shift / spread, and a normal metric is noticed with a probability of Phi(z - z_crit). What
//! several metrics that are not normal make of it is taken from the power at this length, as a
//! factor on z; where that power is nearly 0 or 1 it tells nothing and the factor is 1.
//!
//! If requests were independent, z would grow with the square root of their number. They are not:
//! strategies learn and settle on a server, at times on a wrong one, which makes shifts smaller
//! and spreads larger. So z is measured again in longer runs, and grows on by the power law
//! between the two. What one start of the servers differs from the next, which only a prediction
//! from the model alone holds, sets z a limit at any length: shift / (spread between starts). The
//! latter is found by playing the same starts with other luck.
//!
//! The length is an order of magnitude, and behind rate limits a lower bound: there spreads grow
//! with the length for longer than is looked at (config 1, one start, 100 requests: 1,178 are
//! named, and give 14 %). A prediction from other runs gets sharper with their length, too, which
//! is left out.
//!
//! When not to use it: for how many requests a comparison of strategies takes.

use serde::Serialize;

use crate::forecast::metric::RunMetric;
use crate::forecast::predict::{Basis, Forecast, Pool, Predicted, Setting, Simulated, Twist};
use crate::forecast::servers::ServerMetric;
use crate::validate::LEVEL;
use flakelab_core::stats::{Moments, normal_quantile};
use flakelab_sim::world::{Scenario, check_requests};

/// What runs of this length can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resolution {
    /// How wrong the rival is: every error rate is higher by so much (0.05: five points).
    pub error_rate_shift: f64,
    /// About how probable it is that this verdict would reject it, 0 to 1.
    pub power: f64,
    /// About how many requests a run would need for a power of 80 %; none if no length that a
    /// run may have is enough.
    pub requests_for_80_percent: Option<u64>,
}

/// How wrong the rival's error rates are.
pub const ERROR_RATE_SHIFT: f64 = 0.05;

/// Runs of the rival for each strategy.
const RUNS: u64 = 400;

/// The power that is asked for.
const POWER: f64 = 0.8;

/// How many times as long the longer runs are.
const LONGER: u64 = 4;

/// A z that grows with less than this power of the length is taken for one that does not grow.
const LEAST_GROWTH: f64 = 0.1;

/// A power beyond these says little of how far from the threshold z is: at the lower end most
/// alarms are false ones.
const TELLING: std::ops::RangeInclusive<f64> = 0.05..=0.99;

/// What the verdict on these forecasts could notice; none without a metric that varies.
///
/// Error rates show in counts; latencies are tests that the threshold is divided by, nothing more.
/// On the sharpest basis that there is: what a rival changes is the same on all, what hides it is
/// least there. `setting` is the one that the forecasts were made with.
pub fn resolution(forecasts: &[Forecast], setting: &Setting<'_>) -> Option<Resolution> {
    let counts = |run: &Predicted, metric: RunMetric, pool: &Pool| {
        pool.only_value().is_none() && (run.knows_path || !metric.is_latency())
    };
    let of_run = |run: &Predicted| {
        let metrics = RunMetric::ALL.into_iter().zip(&run.pools);
        let servers = ServerMetric::ALL.into_iter().filter_map(|metric| run.server_pool(metric));
        metrics.filter(|(metric, pool)| counts(run, *metric, pool)).count()
            + servers.filter(|pool| pool.only_value().is_none()).count()
    };
    let tests: usize = forecasts.iter().flat_map(|forecast| &forecast.runs).map(of_run).sum();
    if tests == 0 {
        return None;
    }
    let threshold = LEVEL / tests as f64;
    // With a start for each strategy there is a forecast for each, too.
    let basis = forecasts.iter().map(|forecast| forecast.basis).max()?;
    let sharpest: Vec<(&Forecast, &Predicted)> = forecasts
        .iter()
        .filter(|forecast| forecast.basis == basis)
        .flat_map(|forecast| forecast.runs.iter().map(move |run| (forecast, run)))
        .collect();
    // Each run of the rival of so many requests, with the metrics that tell of it.
    let rivals = |requests: u64| {
        sharpest.iter().zip(1..).map(move |((forecast, run), luck)| {
            let scenario = Scenario { requests, ..forecast.scenario.clone() };
            let metrics = RunMetric::ALL.into_iter().zip(&run.pools).enumerate();
            let telling = metrics.filter(move |(_, (metric, pool))| {
                counts(run, *metric, pool) && !metric.is_latency()
            });
            let telling: Vec<(usize, &Pool)> = telling.map(|(i, (_, pool))| (i, pool)).collect();
            (Rival::play(&scenario, basis, run, luck, setting), telling)
        })
    };
    let mut noticed = vec![false; RUNS as usize];
    let mut here = Vec::new();
    for (rival, telling) in rivals(setting.requests) {
        for (i, pool) in telling {
            for (noticed, value) in noticed.iter_mut().zip(values(&rival.rival, i)) {
                let place = pool.place(value, 0.5);
                *noticed |= 2.0 * place.min(1.0 - place) <= threshold;
            }
            here.push(rival.shift(i));
        }
    }
    let power = noticed.iter().filter(|noticed| **noticed).count() as f64 / RUNS as f64;
    let requests = if power >= POWER {
        setting.requests as f64
    } else {
        let shifts =
            rivals(setting.requests.saturating_mul(LONGER)).flat_map(|(rival, telling)| {
                telling.into_iter().map(|(i, _)| rival.shift(i)).collect::<Vec<_>>()
            });
        let there: Vec<Shift> = shifts.collect();
        setting.requests as f64 * lengths(&here, &there, power, threshold)
    };
    let possible = requests <= u64::MAX as f64 && check_requests(requests.ceil() as u64).is_ok();
    Some(Resolution {
        error_rate_shift: ERROR_RATE_SHIFT,
        power,
        requests_for_80_percent: possible.then_some(requests.ceil() as u64),
    })
}

/// How many times as long as here runs must be for [`POWER`]; infinite if no length is enough.
/// The lists hold the same metrics, in runs as long as here and [`LONGER`] times as long.
fn lengths(here: &[Shift], there: &[Shift], power: f64, threshold: f64) -> f64 {
    let critical = normal_quantile(1.0 - threshold / 2.0);
    let largest = here.iter().map(|shift| shift.z).fold(0.0, f64::max);
    let effective = critical + normal_quantile(power);
    let factor = if TELLING.contains(&power) && effective > 0.0 && largest > 0.0 {
        effective / largest
    } else {
        1.0
    };
    let wanted = (critical + normal_quantile(POWER)) / factor;
    let best = here.iter().zip(there).max_by(|(_, a), (_, b)| a.z.total_cmp(&b.z));
    let Some((here, there)) = best.filter(|(_, there)| there.limit > wanted) else {
        return f64::INFINITY;
    };
    let longer = LONGER as f64;
    let growth = (libm::log(there.z / here.z) / libm::log(longer)).min(0.5);
    if growth.is_nan() || growth < LEAST_GROWTH {
        return f64::INFINITY;
    }
    (longer * libm::pow(wanted / there.z, 1.0 / growth)).max(1.0)
}

/// What the rival does to one metric of one strategy, in standard deviations of one run.
#[derive(Debug, Clone, Copy)]
struct Shift {
    /// How far the mean moves.
    z: f64,
    /// What that cannot exceed at any length.
    limit: f64,
}

/// Runs of one strategy, in order of replications: as predicted, of the rival on the same luck,
/// and, where starts differ, as predicted on other luck.
struct Rival {
    predicted: Vec<Vec<Simulated>>,
    rival: Vec<Vec<Simulated>>,
    other_luck: Option<Vec<Vec<Simulated>>>,
}

impl Rival {
    /// Strategies with luck of their own, as live runs have it, against the same starts.
    fn play(
        scenario: &Scenario,
        basis: Basis,
        run: &Predicted,
        luck: u64,
        setting: &Setting<'_>,
    ) -> Self {
        let play = |twist| {
            let only = std::slice::from_ref(&run.strategy);
            setting.simulate(scenario, &run.start, only, RUNS, twist)
        };
        let starts_differ = basis == Basis::Model && run.start.is_uncertain();
        Self {
            predicted: play(Twist { shift: 0.0, luck }),
            rival: play(Twist { shift: ERROR_RATE_SHIFT, luck }),
            other_luck: starts_differ.then(|| play(Twist { shift: 0.0, luck: 0 })),
        }
    }

    /// What the rival does to the metric at position `i`.
    fn shift(&self, i: usize) -> Shift {
        let (mut shift, mut predicted) = (Moments::default(), Moments::default());
        for (a, b) in values(&self.predicted, i).zip(values(&self.rival, i)) {
            shift.push(b - a);
            predicted.push(a);
        }
        let in_spreads = |variance: f64| shift.mean().abs() / variance.sqrt();
        let (variance, between) = (predicted.variance(), self.between_starts(i));
        Shift {
            // Where nothing varies in so few runs, nothing is known of z.
            z: if variance > 0.0 { in_spreads(variance) } else { 0.0 },
            limit: if between > 0.0 { in_spreads(between) } else { f64::INFINITY },
        }
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
fn values(rows: &[Vec<Simulated>], i: usize) -> impl Iterator<Item = f64> {
    rows.iter().flatten().map(move |run| run.values[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(z: f64) -> Shift {
        Shift { z, limit: f64::INFINITY }
    }

    #[test]
    fn lengths_are_those_worked_out_by_hand() {
        // Two-sided 5 %: 1.960 + 0.842 = 2.802 spreads are wanted; by the square root (and no
        // faster) from 1 in runs four times as long, 4 x 2.802^2 = 31.4.
        for here in [0.5, 0.1] {
            let length = lengths(&[shift(here)], &[shift(1.0)], 0.0, 0.05);
            assert!((length - 31.4).abs() < 0.01, "{length}");
        }
        // By the fourth root: 4 x 2.802^4 = 246.5.
        let length = lengths(&[shift(0.5_f64.sqrt())], &[shift(1.0)], 0.0, 0.05);
        assert!((length - 246.5).abs() < 0.2, "{length}");
        // A power of 1/2 here means that 1.960 spreads are reached.
        let length = lengths(&[shift(0.5)], &[shift(1.0)], 0.5, 0.05);
        assert!((length - (2.802_f64 / 1.96).powi(2)).abs() < 0.01, "{length}");
    }

    #[test]
    fn what_does_not_grow_or_has_a_limit_is_never_noticed() {
        assert_eq!(lengths(&[shift(1.0)], &[shift(1.01)], 0.0, 0.05), f64::INFINITY);
        let limited = Shift { z: 1.0, limit: 2.0 };
        assert_eq!(lengths(&[shift(0.5)], &[limited], 0.0, 0.05), f64::INFINITY);
        assert_eq!(lengths(&[], &[], 0.0, 0.05), f64::INFINITY);
        assert_eq!(lengths(&[shift(0.0)], &[shift(0.0)], 0.0, 0.05), f64::INFINITY);
    }
}
