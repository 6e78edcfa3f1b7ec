//! Did what was predicted come true? Every observed number against its prediction, and every server.
//!
//! The randomised probability integral transform (Czado, Gneiting and Held, Biometrics 65 (2009),
//! 1254-1261) with the observation as one more member of its pool: its rank among all of them is
//! uniform if it was drawn as they were, so that p-values are exact. Holm's adjustment holds
//! whatever the tests have to do with each other; they share a start and often the very run.
//!
//! What no simulated run ever did needs no p-value and no adjustment: see [`Impossible`].
//!
//! When not to use it: for runs that were cut short.

use serde::Serialize;

use crate::forecast::live_run::LiveRun;
use crate::forecast::metric::RunMetric;
use crate::forecast::predict::{Basis, Forecast, Pool, Predicted};
use crate::forecast::resolution::Resolution;
use crate::forecast::servers::{ServerMetric, oddest, tally};
use crate::validate::LEVEL;
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Interval, holm, uniform_open};
use flakelab_sim::world::Scenario;

/// The verdict on the runs of one config.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The config, or the model's name.
    pub config: String,
    /// Every strategy, basis and metric, strategies in the order they were played.
    pub tests: Vec<TestedMetric>,
    /// Every strategy and basis: the server that stands out most.
    pub servers: Vec<TestedServer>,
    /// What servers did that none did in any simulated run.
    pub impossible: Vec<Impossible>,
    /// The smallest p-value after Holm's adjustment; none if nothing was tested.
    pub p_value: Option<f64>,
    /// Whether no test rejects at [`LEVEL`], and nothing impossible was seen.
    pub held: bool,
    /// What runs of this length can tell; none if it was not asked.
    pub resolution: Option<Resolution>,
}

/// One observed number against its prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestedMetric {
    /// The strategy's label.
    pub strategy: String,
    /// What the prediction knew.
    pub basis: Basis,
    /// The metric.
    pub metric: RunMetric,
    /// What was observed.
    pub observed: f64,
    /// Mean of the prediction.
    pub mean: f64,
    /// Its quantiles 0.025 and 0.975.
    pub interval: Interval,
    /// Randomised probability integral transform: where the observation falls, 0 to 1.
    pub pit: f64,
    /// Two-sided p-value, 2 min(pit, 1 - pit).
    pub p_value: f64,
    /// Whether it counts.
    pub judgement: Judgement,
    /// p-value adjusted by Holm over all that are judged; none if it is not judged.
    pub adjusted_p_value: Option<f64>,
}

/// Whether a test counts for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It counts.
    Judged,
    /// All simulated runs gave the same number, and so did the observed one: nothing to test.
    NoSpread,
    /// A latency whose overhead is not known: shown, not judged.
    PathUnknown,
    /// A number that this machine may have made. A latency: the load generator could not keep its
    /// schedule ([`LiveRun::is_disturbed`]), or the path stalled for as long as the slowest requests
    /// take. Any number: requests left when the next were due. Shown, not judged.
    Disturbed,
}

/// The server that stands out most in one run, against its prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestedServer {
    /// The strategy's label.
    pub strategy: String,
    /// What the prediction knew.
    pub basis: Basis,
    /// What is judged.
    pub metric: ServerMetric,
    /// The server, from 0.
    pub server: usize,
    /// Attempts that it accepted.
    pub attempts: u64,
    /// How many of them ended so.
    pub observed: u64,
    /// The share of failures that was predicted, 0 to 1; none of timeouts.
    pub predicted: Option<f64>,
    /// The chance that in a run as predicted some server stands out as much.
    pub p_value: f64,
    /// The same, adjusted by Holm over all that is judged; none if it is not judged, because no
    /// simulated run nor this one had a timeout, or this machine may have made timeouts.
    pub adjusted_p_value: Option<f64>,
}

/// What a server did and none did in any simulated run. At N simulated runs, that happens in a run as
/// predicted with a probability of at most 1 / (N + 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impossible {
    /// The strategy's label.
    pub strategy: String,
    /// The server, from 0.
    pub server: usize,
    /// What it did.
    pub what: Deed,
    /// How often.
    pub count: u64,
    /// Attempts that were sent to it.
    pub attempts: u64,
}

/// What a server may do that its model does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It gave no answer in time.
    TimedOut,
    /// It answered 429.
    RateLimited,
    /// Its answer was no HTTP, or it hung up before one was complete.
    NoHttp,
    /// It refused a connection: nobody listened.
    Refused,
}

/// The stream of the words that break ties: like no other of [`Purpose::Analysis`].
const TIES: u16 = u16::MAX;

/// Fewer simulated runs would show: quantiles 0.025 and 0.975 would move from seed to seed.
const FEWEST_REPLICATIONS: u64 = 5_000;

/// Simulated runs that a verdict of so many tests needs.
///
/// The smallest p-value that N simulated runs can give is below 2 / (N + 1), and Holm rejects the
/// smallest of m at [`LEVEL`] / m. N = 200 m makes an observation beyond all simulated runs
/// certain to be rejected: 2 m / (200 m + 1) < 0.01. At least 5,000, rounded up to thousands.
pub fn replications(tests: usize) -> u64 {
    (tests as u64).saturating_mul(200).max(FEWEST_REPLICATIONS).div_ceil(1_000) * 1_000
}

/// Judges finished runs by the forecasts that were made of them, on every basis that there is.
///
/// Latencies count where the forecast knows the path as it was during the run
/// ([`Forecast::with_latencies_of`]) and the run was not disturbed ([`LiveRun::is_disturbed`]);
/// counts where requests did not come in a bunch, because this machine stood still. Ties are broken
/// by words from `seed`: the same runs get the same verdict again. A strategy that a forecast does
/// not know is not tested on its basis. Only finished runs belong here: one that was cut short is
/// shorter than what was predicted.
pub fn judge(config: &str, runs: &[LiveRun], forecasts: &[Forecast], seed: u64) -> Verdict {
    let streams = Streams::new(seed);
    let (mut tests, mut servers, mut never) = (Vec::new(), Vec::new(), Vec::new());
    for (run, number) in runs.iter().zip(0..) {
        let mut words = streams.stream(Purpose::Analysis, TIES, number);
        for forecast in forecasts {
            let Some(predicted) = forecast.of(&run.strategy) else { continue };
            let stall = Stall::of(run, &forecast.scenario);
            for (metric, pool) in RunMetric::ALL.into_iter().zip(&predicted.pools) {
                let observed = run.value(metric);
                let stalls = metric == RunMetric::LatencyP99 && !predicted.knows_stalls;
                let late = metric.is_latency() && (run.is_disturbed() || stalls);
                let shown = if metric.is_latency() && !predicted.knows_path {
                    Judgement::PathUnknown
                } else if late || stall.counts {
                    Judgement::Disturbed
                } else {
                    Judgement::Judged
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
                    judgement: judgement(metric, pool, observed, shown),
                    adjusted_p_value: None,
                });
            }
            let word = || uniform_open(&mut words);
            let of_servers = tested(run, forecast.basis, predicted, word);
            servers.extend(of_servers.into_iter().map(|test| TestedServer {
                adjusted_p_value: test.adjusted_p_value.filter(|_| !stall.times_out),
                ..test
            }));
        }
        never.extend(impossible(run, forecasts));
    }
    let mut verdict = Verdict {
        config: config.to_owned(),
        tests,
        servers,
        impossible: never,
        p_value: None,
        held: true,
        resolution: None,
    };
    verdict.adjust();
    verdict
}

impl Verdict {
    /// Adjusts the p-values of all that is judged by Holm, and says what follows from them.
    pub fn adjust(&mut self) {
        let judged = self.tests.iter_mut().filter(|test| test.judgement == Judgement::Judged);
        let judged = judged.map(|test| (test.p_value, &mut test.adjusted_p_value));
        let servers = self.servers.iter_mut().filter(|test| test.adjusted_p_value.is_some());
        let servers = servers.map(|test| (test.p_value, &mut test.adjusted_p_value));
        let judged: Vec<(f64, &mut Option<f64>)> = judged.chain(servers).collect();
        let adjusted = holm(&judged.iter().map(|(p, _)| *p).collect::<Vec<f64>>());
        self.p_value = adjusted.iter().copied().min_by(f64::total_cmp);
        judged.into_iter().zip(adjusted).for_each(|((_, to), p)| *to = Some(p));
        self.held = self.impossible.is_empty() && self.p_value.is_none_or(|p| p > LEVEL);
    }
}

/// What this machine may have done to the counts of a run by standing still.
///
/// A request whose free attempts are used up is given up as soon as another waits, and an attempt ends
/// at its timeout. So a stall changes counts once it is as long as the time between two requests, which
/// then come at once, or as a timeout. A shorter one changes latencies only.
#[derive(Debug, Clone, Copy)]
struct Stall {
    /// Requests may have been given up, or attempts timed out: every count may be different.
    counts: bool,
    times_out: bool,
}

impl Stall {
    fn of(run: &LiveRun, scenario: &Scenario) -> Self {
        let (gap_ms, timeout_ms) =
            (1e3 / scenario.requests_per_second, run.rules.attempt_timeout_ms);
        // It may have begun nearly that gap before the request that it made late.
        let times_out = run.stood_still_for((timeout_ms - gap_ms).max(timeout_ms / 2.0));
        Self { counts: times_out || run.stood_still_for(gap_ms), times_out }
    }
}

fn judgement(metric: RunMetric, pool: &Pool, observed: f64, shown: Judgement) -> Judgement {
    if metric.is_latency() && shown != Judgement::Judged {
        shown
    } else if pool.only_value() == Some(observed) {
        Judgement::NoSpread
    } else {
        shown
    }
}

/// The tests of one run against one prediction; each `word`, in (0, 1), places a value within its rank.
fn tested(
    run: &LiveRun,
    basis: Basis,
    predicted: &Predicted,
    mut word: impl FnMut() -> f64,
) -> Vec<TestedServer> {
    let servers = &run.ledger.servers;
    let found = oddest(servers, &predicted.beliefs);
    let test = |(metric, (value, server)): (ServerMetric, (f64, usize))| {
        let pool = predicted.server_pool(metric)?;
        let counts = servers.get(server)?;
        let place = pool.place(value, word());
        let (observed, p_value) = match metric {
            ServerMetric::Failures => (tally(counts).failures, place),
            ServerMetric::TimedOut => (counts.timed_out, 1.0 - place),
        };
        Some(TestedServer {
            strategy: run.strategy.label(),
            basis,
            metric,
            server,
            attempts: tally(counts).attempts(),
            observed,
            predicted: match metric {
                ServerMetric::Failures => predicted.beliefs.get(server).map(|belief| belief.mean),
                ServerMetric::TimedOut => None,
            },
            p_value,
            // Until it is adjusted.
            adjusted_p_value: (pool.only_value() != Some(value)).then_some(p_value),
        })
    };
    ServerMetric::ALL.into_iter().zip(found).filter_map(test).collect()
}

/// What servers did in this run and in none that was simulated on any basis.
fn impossible(run: &LiveRun, forecasts: &[Forecast]) -> Vec<Impossible> {
    let predicted: Vec<&Predicted> = forecasts.iter().filter_map(|f| f.of(&run.strategy)).collect();
    let never = |pool: &dyn Fn(&Predicted) -> Option<f64>| {
        !predicted.is_empty() && predicted.iter().all(|run| pool(run) == Some(0.0))
    };
    let stalled = forecasts.iter().any(|forecast| Stall::of(run, &forecast.scenario).times_out);
    let no_timeout = !stalled
        && never(&|run| run.server_pool(ServerMetric::TimedOut).and_then(|pool| pool.only_value()));
    let refusals = RunMetric::ALL.iter().position(|metric| *metric == RunMetric::RateLimited);
    let no_refusal = never(&|run| run.pools.get(refusals?).and_then(|pool| pool.only_value()));
    let always_listens = !predicted.is_empty()
        && forecasts.iter().all(|f| !f.scenario.model.conditions.ever_refuses());
    let mut found = Vec::new();
    for (server, counts) in run.ledger.servers.iter().enumerate() {
        let of = |counts: &[u64]| counts.get(server).copied().unwrap_or(0);
        for (what, count, is_impossible) in [
            (Deed::TimedOut, counts.timed_out, no_timeout),
            (Deed::RateLimited, counts.rate_limited, no_refusal),
            (Deed::NoHttp, of(&run.no_http), !predicted.is_empty()),
            (Deed::Refused, of(&run.refused), always_listens),
        ] {
            if is_impossible && count > 0 {
                let (strategy, attempts) = (run.strategy.label(), counts.attempts);
                found.push(Impossible { strategy, server, what, count, attempts });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

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
