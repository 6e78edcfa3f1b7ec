//! `summary.csv`, one row a config and strategy, and `summary.json`, the same with the verdicts.
//!
//! | Columns of `summary.csv` | Meaning |
//! |---|---|
//! | `config` to `requests` | which run; `replications` is 1; `requests` are those sent |
//! | `score_mean` to `latency_p99_ms` | as in a sweep's `summary.csv`, of this one run |
//! | `busiest_share` | attempts at the server that got most, as a share of all, 0 to 1 |
//! | `drift_p99_ms`, `drift_max_ms` | how much later than due requests were sent |
//! | `refused`, `lost` | requests answered neither 200 nor 500; requests without any answer |
//! | `predicted_from` | what the sharpest prediction knew: `model`, `other_runs`, `true_rates` |
//! | `score_predicted_mean`, `_low`, `_high` | its mean and 95 % interval of the score |
//! | `judged`, `rejected` | comparisons of this strategy that count, and that reject at 1 % |
//! | `least_p_value` | the smallest p-value of this strategy, adjusted by Holm over the config |
//! | `held` | whether none of this strategy rejects; empty where nothing was judged |
//!
//! What is not known is an empty cell.

use serde::Serialize;

use super::{LivePage, LiveRow, Reconciliation, live_verdict, sentence};
use crate::validate::forecast::{Basis, Judgement, RunMetric, TestedMetric, Verdict};

#[derive(Serialize)]
struct Record<'a> {
    config: &'a str,
    strategy: String,
    replications: u64,
    requests: u64,
    score_mean: Option<f64>,
    success_rate: Option<f64>,
    attempts_per_request: Option<f64>,
    attempts: u64,
    retries_mean: u64,
    penalty_mean: Option<f64>,
    rate_limited_mean: u64,
    timed_out_mean: u64,
    regret_mean: u64,
    latency_p50_ms: Option<f64>,
    latency_p90_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
    busiest_share: Option<f64>,
    drift_p99_ms: Option<f64>,
    drift_max_ms: Option<f64>,
    refused: u64,
    lost: u64,
    predicted_from: Option<Basis>,
    score_predicted_mean: Option<f64>,
    score_predicted_low: Option<f64>,
    score_predicted_high: Option<f64>,
    judged: Option<usize>,
    rejected: Option<usize>,
    least_p_value: Option<f64>,
    held: Option<bool>,
}

/// The content of `summary.csv`.
///
/// # Errors
/// When a row cannot be written as CSV.
pub fn live_summary_csv(pages: &[LivePage]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for page in pages {
        for run in page.runs {
            writer.serialize(record(page, LiveRow::of(run)))?;
        }
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn record<'a>(page: &LivePage<'a>, row: LiveRow) -> Record<'a> {
    let known = |x: f64| x.is_finite().then_some(x);
    let predicted = page.prediction.forecasts(&row.strategy, RunMetric::Score).pop();
    let score = predicted.map(|(_, forecast)| forecast);
    let judged: Option<Vec<&TestedMetric>> = page.verdict.map(|verdict| {
        let counts =
            |t: &&TestedMetric| t.strategy == row.strategy && t.judgement == Judgement::Judged;
        verdict.tests.iter().filter(counts).collect()
    });
    let rejected =
        judged.as_ref().map(|tests| tests.iter().filter(|t| sentence::is_rejected(t)).count());
    let any = judged.as_ref().is_some_and(|tests| !tests.is_empty());
    let p_values = judged.iter().flatten().filter_map(|t| t.adjusted_p_value);
    Record {
        config: page.config,
        replications: 1,
        requests: row.requests,
        score_mean: known(row.score),
        success_rate: known(row.success_rate),
        attempts_per_request: known(row.attempts as f64 / row.requests as f64),
        attempts: row.attempts,
        retries_mean: row.retries,
        penalty_mean: known(row.penalty),
        rate_limited_mean: row.rate_limited,
        timed_out_mean: row.timed_out,
        regret_mean: row.regret,
        latency_p50_ms: known(row.latency_p50_ms),
        latency_p90_ms: known(row.latency_p90_ms),
        latency_p99_ms: known(row.latency_p99_ms),
        busiest_share: known(row.busiest_share),
        drift_p99_ms: known(row.drift_p99_ms),
        drift_max_ms: known(row.drift_max_ms),
        refused: row.refused,
        lost: row.lost,
        predicted_from: predicted.map(|(basis, _)| basis),
        score_predicted_mean: score.map(|f| f.mean),
        score_predicted_low: score.map(|f| f.interval.low),
        score_predicted_high: score.map(|f| f.interval.high),
        least_p_value: p_values.reduce(f64::min),
        judged: judged.as_ref().map(Vec::len),
        rejected,
        held: rejected.filter(|_| any).map(|n| n == 0),
        strategy: row.strategy,
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    schema: u32,
    configs: Vec<ConfigSummary<'a>>,
}

#[derive(Serialize)]
struct ConfigSummary<'a> {
    config: &'a str,
    requests: u64,
    requests_per_second: f64,
    interrupted: bool,
    runs: Vec<LiveRow>,
    /// The verdict in words.
    conclusion: String,
    verdict: Option<&'a Verdict>,
    reconciliation: &'a [Reconciliation],
    notes: &'a [String],
}

/// The content of `summary.json`; what is not known is `null`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn live_summary_json(pages: &[LivePage]) -> Result<String, serde_json::Error> {
    let configs = pages.iter().map(|page| ConfigSummary {
        config: page.config,
        requests: page.prediction.requests,
        requests_per_second: page.prediction.requests_per_second,
        interrupted: page.interrupted,
        runs: page.runs.iter().map(LiveRow::of).collect(),
        conclusion: live_verdict(page),
        verdict: page.verdict,
        reconciliation: page.reconciliation,
        notes: page.notes,
    });
    let summary = Summary { schema: 1, configs: configs.collect() };
    Ok(serde_json::to_string_pretty(&summary)? + "\n")
}
