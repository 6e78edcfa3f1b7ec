//! What the charts of a live run show, taken from its page.

use super::LivePage;
use super::compare::bases;
use super::row::latencies;
use crate::report::charts::live::{
    Forecast, LivePicture, MetricPicture, RunPicture, ServerPicture,
};
use crate::report::numbers::thousands;
use crate::stats::Interval;
use crate::validate::forecast::{Basis, LiveRun, MetricForecast, RequestEnd, RunMetric};

/// The picture of one config.
pub(super) fn picture(page: &LivePage) -> LivePicture {
    let prediction = page.prediction;
    let mut data = format!(
        "{} requests per strategy at {} per second, one run of each",
        thousands(prediction.requests),
        prediction.requests_per_second
    );
    if page.interrupted {
        data += ", interrupted";
    }
    let mut known: Vec<_> = prediction.runs.iter().map(|run| run.basis).collect();
    known.extend(page.verdict.iter().flat_map(|verdict| bases(verdict)));
    known.sort_unstable();
    known.dedup();
    LivePicture {
        config: page.config.to_owned(),
        data,
        requests: prediction.requests,
        bases: known,
        servers: page.servers.to_vec(),
        runs: page.runs.iter().map(|run| of_run(page, run)).collect(),
    }
}

fn of_run(page: &LivePage, run: &LiveRun) -> RunPicture {
    let strategy = run.strategy.label();
    let metrics = RunMetric::ALL
        .into_iter()
        .map(|metric| MetricPicture {
            metric,
            observed: run.value(metric),
            forecasts: forecasts(page, &strategy, metric),
        })
        .collect();
    // A part of a run is not what was predicted.
    let whole = run.requests.len() as u64 >= page.prediction.requests;
    let score = forecasts(page, &strategy, RunMetric::Score).pop().filter(|_| whole);
    let answered = latencies(run);
    RunPicture {
        metrics,
        lost_points: lost_points(run),
        predicted_score: score.map(|(_, forecast)| forecast),
        score: run.value(RunMetric::Score),
        servers: run
            .ledger
            .servers
            .iter()
            .map(|s| ServerPicture { attempts: s.attempts, successes: s.successes })
            .collect(),
        unanswered: run.requests.len() - answered.len(),
        latencies_ms: answered,
        drift: run.requests.iter().map(|r| (r.due_ms / 1000.0, r.drift_ms)).collect(),
        whole,
        strategy,
    }
}

/// What was predicted of a metric, the prediction that knew most last. That by the other runs,
/// which is made only after them, stands in the verdict alone.
pub(super) fn forecasts(
    page: &LivePage,
    strategy: &str,
    metric: RunMetric,
) -> Vec<(Basis, Forecast)> {
    let before = page.prediction.runs.iter().filter(|run| run.strategy == strategy);
    let mut found: Vec<(Basis, Forecast)> = before
        .filter_map(|run| Some((run.basis, run.metrics.iter().find(|m| m.metric == metric)?)))
        .map(|(basis, forecast)| (basis, drawn(forecast)))
        .collect();
    for test in page.verdict.iter().flat_map(|verdict| &verdict.tests) {
        let is_new = found.iter().all(|(basis, _)| *basis != test.basis);
        if is_new && test.strategy == strategy && test.metric == metric {
            let unknown = Interval { low: f64::NAN, high: f64::NAN };
            let (mean, interval) = (test.mean, test.interval);
            found.push((test.basis, Forecast { mean, middle_half: unknown, interval }));
        }
    }
    found.sort_by_key(|(basis, _)| *basis);
    found
}

fn drawn(forecast: &MetricForecast) -> Forecast {
    let quantile = |percent: usize| forecast.quantiles.get(percent).copied().unwrap_or(f64::NAN);
    Forecast {
        mean: forecast.mean,
        middle_half: Interval { low: quantile(25), high: quantile(75) },
        interval: forecast.interval,
    }
}

/// Points lost so far, after each request: not answered 200, and penalties.
fn lost_points(run: &LiveRun) -> Vec<f64> {
    let mut lost = 0.0;
    let after = run.requests.iter().map(|request| {
        let extra = u64::from(request.attempts.saturating_sub(run.rules.free_attempts));
        lost += run.rules.penalty(extra);
        lost += if request.end == RequestEnd::Ok { 0.0 } else { 1.0 };
        lost
    });
    after.collect()
}
