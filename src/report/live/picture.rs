//! What the charts of a live run show, taken from its page.

use super::LivePage;
use super::compare::bases;
use super::row::latencies;
use super::summary::sharpest;
use crate::report::charts::live::{
    Forecast, LivePicture, MetricPicture, RunPicture, ServerPicture,
};
use crate::report::numbers::thousands;
use crate::stats::Interval;
use crate::validate::forecast::{LiveRun, MetricForecast, RequestEnd, RunMetric};

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
            forecasts: page
                .prediction
                .runs
                .iter()
                .filter(|forecast| forecast.strategy == strategy)
                .filter_map(|f| Some((f.basis, f.metrics.iter().find(|m| m.metric == metric)?)))
                .map(|(basis, forecast)| (basis, drawn(forecast)))
                .collect(),
        })
        .collect();
    // A part of a run is not what was predicted.
    let whole = run.requests.len() as u64 >= page.prediction.requests;
    let score = sharpest(page, &strategy, RunMetric::Score).filter(|_| whole);
    let answered = latencies(run);
    RunPicture {
        metrics,
        lost_points: lost_points(run),
        predicted_score: score.map(|(_, forecast)| drawn(forecast)),
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
