//! Made runs for tests: toy strategies that prefer some of the servers, played by dice, and
//! predictions from many plays of the same toys.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::report::live_page::LivePage;
use flakelab_core::balancer::{Ledger, ServerCounts};
use flakelab_core::domain::{Purpose, Rules, Streams};
use flakelab_core::stats::{Interval, holm, quantile};
use flakelab_core::strategy::{FIVE, StrategySpec};
use flakelab_fit::{
    Basis, Judgement, LEVEL, LiveRequest, LiveRun, MetricForecast, OverheadSummary,
    PredictedConfig, RequestEnd, Resolution, RunForecast, RunMetric, TestedMetric, Verdict,
};

const BASES: [Basis; 3] = [Basis::Model, Basis::OtherRuns, Basis::TrueRates];

/// Everything a page borrows.
pub(crate) struct Made {
    pub servers: Vec<String>,
    pub runs: Vec<LiveRun>,
    pub prediction: PredictedConfig,
    pub verdict: Option<Verdict>,
    pub interrupted: bool,
}

impl Made {
    /// The page of it.
    pub fn page(&self) -> LivePage<'_> {
        LivePage {
            servers: &self.servers,
            runs: &self.runs,
            prediction: &self.prediction,
            verdict: self.verdict.as_ref(),
            interrupted: self.interrupted,
            reconciliation: &[],
            notes: &[],
        }
    }

    /// Judges again what was changed.
    pub fn judge(&mut self) {
        self.verdict = Some(verdict(&self.prediction, &self.runs));
    }
}

/// The five strategies, so many requests each, against so many servers.
pub(crate) fn made(requests: usize, servers: usize) -> Made {
    made_of(&FIVE, requests, servers)
}

/// These strategies.
pub(crate) fn made_of(names: &[&str], requests: usize, servers: usize) -> Made {
    let rates = rates(servers, 0);
    let strategies: Vec<StrategySpec> =
        names.iter().map(|name| StrategySpec::from_name(name).unwrap()).collect();
    let runs: Vec<LiveRun> = strategies
        .iter()
        .enumerate()
        .map(|(i, spec)| play(*spec, &rates, focus(i), requests, 1_000_000 + i as u64))
        .collect();
    let forecasts = strategies
        .iter()
        .enumerate()
        .flat_map(|(i, spec)| BASES.map(|basis| forecast(*spec, i, &rates, requests, basis)));
    let prediction = PredictedConfig {
        config: "0".to_owned(),
        predicted_at: 1_790_000_000.0,
        requests: requests as u64,
        requests_per_second: 10.0,
        rules: Rules::default(),
        seed: 42,
        replications: 100,
        overhead: Some(OverheadSummary {
            requests: 200,
            first_attempt_p50_ms: 0.61,
            retry_p50_ms: 0.18,
            request_p50_ms: 0.34,
        }),
        runs: forecasts.collect(),
    };
    let verdict = Some(verdict(&prediction, &runs));
    let servers = (0..servers).map(|i| (4000 + i).to_string()).collect();
    Made { servers, runs, prediction, verdict, interrupted: false }
}

fn stream(replication: u64) -> ChaCha8Rng {
    Streams::new(7).stream(Purpose::Analysis, 0, replication)
}

fn rates(servers: usize, replication: u64) -> Vec<f64> {
    let mut rng = stream(500_000 + replication);
    (0..servers).map(|_| 0.02 + 0.73 * rng.random::<f64>()).collect()
}

/// How much a toy strategy prefers good servers.
fn focus(strategy: usize) -> f64 {
    [9.0, 5.0, 3.0, 8.0, 7.0][strategy % 5]
}

/// One run of a toy.
fn play(
    spec: StrategySpec,
    rates: &[f64],
    focus: f64,
    requests: usize,
    replication: u64,
) -> LiveRun {
    let mut rng = stream(replication);
    let rules = Rules::default();
    let mut ledger = Ledger::new(rates.len());
    let mut played = Vec::new();
    for number in 0..requests {
        let learnt = (number as f64 / 20.0).min(1.0);
        let weights: Vec<f64> =
            rates.iter().map(|rate| ((1.0 - rate) * focus * learnt).exp()).collect();
        let drift_ms = 0.05 + 0.3 * rng.random::<f64>().powi(6);
        let mut latency_ms = 0.9 + drift_ms;
        let mut attempts = 0_u32;
        loop {
            let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
            let chosen = weights.iter().position(|w| {
                left -= w;
                left <= 0.0
            });
            let server = chosen.unwrap_or(0);
            attempts += 1;
            let failed = rng.random::<f64>() < rates[server];
            let counts: &mut ServerCounts = &mut ledger.servers[server];
            counts.attempts += 1;
            counts.failures += u64::from(failed);
            counts.successes += u64::from(!failed);
            latency_ms += 0.7 + 1.2 * rng.random::<f64>() * rng.random::<f64>();
            if !failed {
                break;
            }
        }
        ledger.attempts += u64::from(attempts);
        ledger.retries += u64::from(attempts - 1);
        ledger.extra_attempts += u64::from(attempts.saturating_sub(rules.free_attempts));
        played.push(LiveRequest {
            due_ms: number as f64 * 100.0,
            drift_ms,
            latency_ms: Some(latency_ms),
            end: RequestEnd::Ok,
            attempts,
        });
    }
    ledger.arrived = requests as u64;
    ledger.answered_ok = requests as u64;
    LiveRun { strategy: spec, ledger, rules, requests: played }
}

fn forecast(
    spec: StrategySpec,
    strategy: usize,
    known: &[f64],
    requests: usize,
    basis: Basis,
) -> RunForecast {
    // As many as make a smooth picture without making tests slow.
    let replications = if known.len() > 20 { 10 } else { 100 };
    let simulated: Vec<LiveRun> = (0..replications)
        .map(|replication| {
            let rates = match basis {
                Basis::Model => rates(known.len(), 1 + replication),
                Basis::OtherRuns => {
                    let other = rates(known.len(), 1 + replication);
                    known.iter().zip(other).map(|(a, b)| 0.85 * a + 0.15 * b).collect()
                }
                Basis::TrueRates => known.to_vec(),
            };
            let number = replication + 1000 * (1 + strategy as u64);
            play(spec, &rates, focus(strategy), requests, number)
        })
        .collect();
    let metrics = RunMetric::ALL
        .map(|metric| distribution(metric, simulated.iter().map(|r| r.value(metric)).collect()));
    RunForecast { strategy: spec.label(), basis, metrics: metrics.to_vec() }
}

/// The forecast that these simulated values make.
fn distribution(metric: RunMetric, mut values: Vec<f64>) -> MetricForecast {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    MetricForecast {
        metric,
        mean,
        std_dev: spread.sqrt(),
        interval: Interval { low: quantile(&values, 0.025), high: quantile(&values, 0.975) },
        quantiles: (0..=100).map(|i| quantile(&values, f64::from(i) / 100.0)).collect(),
    }
}

/// A rough verdict: PIT by the quantiles, the middle of ties.
fn verdict(prediction: &PredictedConfig, runs: &[LiveRun]) -> Verdict {
    let mut tests = Vec::new();
    for forecast in &prediction.runs {
        let Some(run) = runs.iter().find(|r| r.strategy.label() == forecast.strategy) else {
            continue;
        };
        for metric in &forecast.metrics {
            let observed = run.value(metric.metric);
            let below = metric.quantiles.iter().filter(|q| **q < observed).count() as f64;
            let equal = metric.quantiles.iter().filter(|q| **q == observed).count() as f64;
            let pit = (below + equal / 2.0 + 0.5) / 102.0;
            let judgement = match prediction.overhead {
                None if metric.metric.is_latency() => Judgement::PathUnknown,
                _ if metric.std_dev == 0.0 && metric.mean == observed => Judgement::NoSpread,
                _ => Judgement::Judged,
            };
            tests.push(TestedMetric {
                strategy: forecast.strategy.clone(),
                basis: forecast.basis,
                metric: metric.metric,
                observed,
                mean: metric.mean,
                interval: metric.interval,
                pit,
                p_value: 2.0 * pit.min(1.0 - pit),
                judgement,
                adjusted_p_value: None,
            });
        }
    }
    let mut verdict = Verdict {
        config: prediction.config.clone(),
        tests,
        p_value: None,
        held: true,
        resolution: None,
    };
    adjust(&mut verdict);
    verdict.resolution = Some(Resolution {
        error_rate_shift: 0.05,
        power: 0.07,
        requests_for_80_percent: Some(2_251),
    });
    verdict
}

/// Holm over what is judged, after p-values were changed.
pub(crate) fn adjust(verdict: &mut Verdict) {
    let judged: Vec<usize> = (0..verdict.tests.len())
        .filter(|i| verdict.tests[*i].judgement == Judgement::Judged)
        .collect();
    let p: Vec<f64> = judged.iter().map(|i| verdict.tests[*i].p_value).collect();
    for (i, p) in judged.iter().zip(holm(&p)) {
        verdict.tests[*i].adjusted_p_value = Some(p);
    }
    verdict.p_value = verdict.tests.iter().filter_map(|t| t.adjusted_p_value).reduce(f64::min);
    verdict.held = verdict.p_value.is_none_or(|p| p > LEVEL);
}
