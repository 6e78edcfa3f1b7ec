//! States of a run, for tests.

use flakelab_core::domain::Rules;
use flakelab_core::stats::Interval;
use flakelab_fit::{
    Basis, MetricForecast, MetricRange, Milestone, OverheadSummary, PredictedConfig,
    PredictionFile, RunForecast, RunMetric,
};
use flakelab_live::{Metrics, RecentEvent, ServerMetrics};

/// A proxy that has sent its first attempt and knows no outcome.
pub(crate) fn waiting_for_first() -> Metrics {
    let mut metrics = Metrics {
        total_requests: 1,
        total_attempts: 1,
        in_service: 1,
        per_server: (0..10).map(|i| server(4000 + i, 0, 0, 0)).collect(),
        last_update: 1.8e9 + 0.4,
        started: 1.8e9,
        strategy: "V4 thompson".to_owned(),
        config: "0".to_owned(),
        ..Metrics::default()
    };
    metrics.per_server[3].num_requests = 1;
    metrics
}

/// 42 of 100 requests answered by ten servers, one of them with 500.
pub(crate) fn middle() -> Metrics {
    let counts =
        [(0, 0, 0), (3, 1, 0), (1, 0, 0), (31, 30, 0), (2, 1, 0), (9, 7, 2), (1, 0, 0), (4, 2, 0)];
    let counts = counts.into_iter().chain([(1, 0, 0), (2, 0, 0)]);
    Metrics {
        total_requests: 44,
        total_success: 41,
        total_failure: 1,
        total_retries: 10,
        total_rate_limited: 2,
        total_penalty: 3.0,
        global_regret: 1.0,
        best_guess_score: 38.0,
        latency_p50: 1.24,
        latency_p99: 23.7,
        latencies: latencies(42),
        per_server: (4000..).zip(counts).map(|(port, (n, s, r))| server(port, n, s, r)).collect(),
        last_update: 1.8e9 + 4.4,
        started: 1.8e9,
        strategy: "V4 thompson".to_owned(),
        config: "0".to_owned(),
        seed: 42,
        total_attempts: 54,
        total_extra_attempts: 3,
        total_timed_out: 1,
        waiting: 1,
        in_service: 1,
        ended: false,
        events: events(42),
        mesh: None,
    }
}

/// All 100 answered, and the proxy gone.
pub(crate) fn ended() -> Metrics {
    let mut metrics = middle();
    metrics.total_requests = 100;
    metrics.total_success = 98;
    metrics.total_failure = 2;
    metrics.total_attempts = 131;
    metrics.total_retries = 31;
    metrics.total_penalty = 13.0;
    metrics.global_regret = 2.0;
    metrics.best_guess_score = 85.0;
    metrics.latencies = latencies(100);
    metrics.per_server[3].num_requests = 108;
    metrics.per_server[3].num_success = 87;
    metrics.per_server[3].success_rate = 87.0 / 108.0;
    metrics.last_update = 1.8e9 + 10.2;
    metrics.waiting = 0;
    metrics.in_service = 0;
    metrics.ended = true;
    metrics.events = events(100);
    metrics
}

/// One server that never fails.
pub(crate) fn one_server() -> Metrics {
    let mut metrics = middle();
    metrics.per_server = vec![server(4000, 42, 42, 0)];
    (metrics.total_success, metrics.total_failure, metrics.total_attempts) = (42, 0, 42);
    metrics
}

/// 128 servers with an attempt or a few each.
pub(crate) fn many_servers() -> Metrics {
    let mut metrics = middle();
    let attempts = |i: u16| 1 + u64::from(i * 37 % 11);
    metrics.per_server =
        (0..128).map(|i| server(4000 + i, attempts(i), attempts(i) / 2, 0)).collect();
    metrics
}

/// Every number as large as it can be.
pub(crate) fn huge() -> Metrics {
    let mut metrics = middle();
    for n in [
        &mut metrics.total_requests,
        &mut metrics.total_success,
        &mut metrics.total_failure,
        &mut metrics.total_retries,
        &mut metrics.total_rate_limited,
        &mut metrics.total_attempts,
        &mut metrics.total_timed_out,
    ] {
        *n = u64::MAX;
    }
    for x in [
        &mut metrics.total_penalty,
        &mut metrics.global_regret,
        &mut metrics.best_guess_score,
        &mut metrics.latency_p50,
        &mut metrics.latency_p99,
        &mut metrics.last_update,
    ] {
        *x = f64::MAX;
    }
    (metrics.waiting, metrics.in_service) = (usize::MAX, usize::MAX);
    metrics.latencies = vec![f64::MAX, 0.0, -1.0, f64::NAN, f64::MIN_POSITIVE];
    for server in &mut metrics.per_server {
        server.port = u16::MAX;
        server.num_requests = u64::MAX;
        server.num_rate_limited = u64::MAX;
        server.success_rate = f64::MAX;
        server.avg_latency_ms = f64::MAX;
        server.belief = Some(f64::INFINITY);
    }
    metrics.strategy = "a strategy with a name that goes on and on and on, and on \u{1b}[2J".into();
    metrics.config = "config 模型 with a long name too".into();
    let attempts = vec![(u16::MAX, "success".to_owned()); 5000];
    let request = u64::MAX;
    metrics.events =
        vec![RecentEvent { at: f64::MAX, request, ok: true, attempts, latency_ms: f64::MAX }];
    metrics
}

fn server(port: u16, attempts: u64, successes: u64, rate_limited: u64) -> ServerMetrics {
    ServerMetrics {
        port,
        num_requests: attempts,
        num_success: successes,
        num_failure: attempts - successes - rate_limited,
        num_rate_limited: rate_limited,
        num_timed_out: 0,
        num_no_http: 0,
        num_refused: 0,
        success_rate: if attempts > 0 { successes as f64 / attempts as f64 } else { 0.0 },
        avg_latency_ms: if attempts > 0 { 1.0 + 0.1 * attempts as f64 } else { 0.0 },
        belief: Some((successes + 1) as f64 / (attempts + 2) as f64),
    }
}

fn latencies(n: u32) -> Vec<f64> {
    (0..n)
        .map(|i| if i % 9 == 8 { 11.0 + f64::from(i) } else { 1.0 + f64::from(i % 5) / 9.0 })
        .collect()
}

/// The last five answers up to request `last`.
fn events(last: u64) -> Vec<RecentEvent> {
    let chains: [&[(u16, &str)]; 5] = [
        &[(4003, "success")],
        &[(4005, "rate_limited"), (4003, "success")],
        &[(4001, "failure"), (4009, "timed_out"), (4004, "failure"), (4003, "failure")],
        &[(4003, "success")],
        &[(4007, "failure"), (4003, "success")],
    ];
    (0..5)
        .zip(chains)
        .map(|(i, chain)| {
            let request = last - 4 + i;
            RecentEvent {
                at: 1.8e9 + 0.1 * request as f64,
                request,
                ok: i != 2,
                attempts: chain.iter().map(|(port, end)| (*port, (*end).to_owned())).collect(),
                latency_ms: if i == 2 { 1003.5 } else { 1.3 * chain.len() as f64 },
            }
        })
        .collect()
}

/// A prediction of [`middle`] by the model and by the true rates.
pub(crate) fn prediction() -> PredictionFile {
    let interval = |low, high| Interval { low, high };
    let forecast = |metric, low: f64, high: f64| MetricForecast {
        metric,
        mean: (low + 2.0 * high) / 3.0,
        std_dev: (high - low) / 4.0,
        interval: interval(low, high),
        quantiles: (0..=100).map(|i| low + (high - low) * f64::from(i) / 100.0).collect(),
    };
    let metrics = vec![
        forecast(RunMetric::Score, 84.0, 97.0),
        forecast(RunMetric::SuccessRate, 0.94, 1.0),
        forecast(RunMetric::Attempts, 104.0, 127.0),
        forecast(RunMetric::Penalty, 0.0, 9.0),
        forecast(RunMetric::RateLimited, 0.0, 0.0),
        forecast(RunMetric::LatencyP50, 1.1, 1.6),
        forecast(RunMetric::LatencyP99, 4.2, 38.0),
        forecast(RunMetric::BusiestShare, 0.41, 0.88),
    ];
    // As if everything grew in proportion.
    let milestone = |answered: u64| {
        let part = |m: &MetricForecast| {
            let is_share = matches!(m.metric, RunMetric::SuccessRate | RunMetric::BusiestShare);
            let part = if is_share { 1.0 } else { answered as f64 / 100.0 };
            let interval = interval(part * m.interval.low, part * m.interval.high);
            MetricRange { metric: m.metric, mean: part * m.mean, interval }
        };
        let counted = metrics.iter().filter(|m| !m.metric.is_latency());
        Milestone { answered, ranges: counted.map(part).collect() }
    };
    let run = |basis| RunForecast {
        strategy: "V4 thompson".to_owned(),
        basis,
        metrics: metrics.clone(),
        milestones: [9, 17, 25, 34, 50, 67, 84, 100].map(milestone).to_vec(),
    };
    PredictionFile {
        schema: 1,
        configs: vec![PredictedConfig {
            config: "0".to_owned(),
            predicted_at: 1.8e9 - 3.0,
            requests: 100,
            requests_per_second: 10.0,
            rules: Rules::default(),
            seed: 1,
            replications: 1000,
            overhead: Some(OverheadSummary {
                requests: 200,
                first_attempt_p50_ms: 0.4,
                retry_p50_ms: 0.3,
                request_p50_ms: 0.2,
            }),
            runs: vec![run(Basis::Model), run(Basis::TrueRates)],
        }],
    }
}
