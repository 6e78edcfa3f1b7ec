//! The verdict: every observed number against its prediction.
//!
//! The randomised probability integral transform (Czado, Gneiting and Held, Biometrics 65 (2009),
//! 1254-1261) with the observation as one more member of its pool: its rank among all of them is
//! uniform if it was drawn as they were, so that p-values are exact. Holm's adjustment holds
//! whatever the tests have to do with each other; they share a start and often the very run.
//!
//! When not to use it: on runs that did not finish. They are shorter than what was predicted.

use super::pools::{Forecast, Pool};
use super::{Judgement, LiveRun, RunMetric, TestedMetric, Verdict};
use crate::domain::{Purpose, Streams};
use crate::stats::multiple::holm;
use crate::stats::sample::uniform_open;
use crate::validate::LEVEL;

/// The stream of the words that break ties: like no other of [`Purpose::Analysis`].
const TIES: u16 = u16::MAX;
/// Fewer simulated runs would show: quantiles 0.025 and 0.975 would move from seed to seed.
const FEWEST_REPLICATIONS: u64 = 5_000;

/// Simulated runs that a verdict of so many tests needs.
///
/// The smallest p-value that N simulated runs can give is below 2 / (N + 1), and Holm rejects the
/// smallest of m at [`LEVEL`] / m. N = 200 m makes an observation beyond all simulated runs
/// certain to be rejected: 2 m / (200 m + 1) < 0.01. At least 5,000, rounded up to thousands.
#[must_use]
pub fn replications(tests: usize) -> u64 {
    (tests as u64).saturating_mul(200).max(FEWEST_REPLICATIONS).div_ceil(1_000) * 1_000
}

/// Judges finished runs by the forecasts that were made of them, on every basis that there is.
///
/// Latencies count where the forecast knows the path as it was during the run
/// ([`Forecast::with_latencies_of`]) and the run was not disturbed
/// ([`LiveRun::is_disturbed`]). Ties are broken
/// by words from `seed`: the same runs get the same verdict again. A strategy that a forecast
/// does not know is not tested on its basis.
#[must_use]
pub fn judge(config: &str, runs: &[LiveRun], forecasts: &[Forecast], seed: u64) -> Verdict {
    let streams = Streams::new(seed);
    let mut tests = Vec::new();
    for (run, number) in runs.iter().zip(0..) {
        let mut words = streams.stream(Purpose::Analysis, TIES, number);
        for forecast in forecasts {
            let Some(predicted) = forecast.of(&run.strategy) else { continue };
            for (metric, pool) in RunMetric::ALL.into_iter().zip(&predicted.pools) {
                let observed = run.value(metric);
                let stalls = metric == RunMetric::LatencyP99 && !predicted.knows_stalls;
                let latency = match (predicted.knows_path, run.is_disturbed() || stalls) {
                    (false, _) => Judgement::PathUnknown,
                    (true, true) => Judgement::Disturbed,
                    (true, false) => Judgement::Judged,
                };
                let pit = pool.place(observed, uniform_open(&mut words));
                tests.push(TestedMetric {
                    strategy: run.strategy.label(),
                    basis: forecast.basis,
                    metric,
                    observed,
                    mean: pool.mean,
                    interval: pool.interval(),
                    pit,
                    p_value: 2.0 * pit.min(1.0 - pit),
                    judgement: judgement(metric, pool, observed, latency),
                    adjusted_p_value: None,
                });
            }
        }
    }
    let mut judged: Vec<&mut TestedMetric> =
        tests.iter_mut().filter(|test| test.judgement == Judgement::Judged).collect();
    let adjusted = holm(&judged.iter().map(|test| test.p_value).collect::<Vec<f64>>());
    for (test, p) in judged.iter_mut().zip(&adjusted) {
        test.adjusted_p_value = Some(*p);
    }
    let p_value = adjusted.into_iter().min_by(f64::total_cmp);
    Verdict {
        config: config.to_owned(),
        tests,
        p_value,
        held: p_value.is_none_or(|p| p > LEVEL),
        resolution: None,
    }
}

/// Whether a test counts.
fn judgement(metric: RunMetric, pool: &Pool, observed: f64, latency: Judgement) -> Judgement {
    if metric.is_latency() && latency != Judgement::Judged {
        latency
    } else if pool.only_value() == Some(observed) {
        Judgement::NoSpread
    } else {
        Judgement::Judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_count_when_the_path_is_known_and_the_schedule_was_kept() {
        let pool = Pool::new(vec![1.0, 2.0, 3.0]);
        let of = |metric, latency| judgement(metric, &pool, 2.0, latency);
        for why in [Judgement::PathUnknown, Judgement::Disturbed, Judgement::Judged] {
            assert_eq!(of(RunMetric::LatencyP50, why), why);
            assert_eq!(of(RunMetric::Score, why), Judgement::Judged);
        }
    }

    #[test]
    fn enough_runs_are_simulated_that_one_beyond_them_all_is_rejected() {
        assert_eq!((replications(0), replications(25)), (5_000, 5_000));
        assert_eq!((replications(26), replications(105)), (6_000, 21_000));
        for tests in [1, 25, 26, 105, 1_000] {
            let pool = Pool::new(vec![0.0; replications(tests) as usize]);
            let mut p = vec![0.5; tests];
            p[0] = 2.0 * (1.0 - pool.place(1.0, 1e-12));
            assert!(holm(&p)[0] < LEVEL, "{tests}");
        }
    }
}
