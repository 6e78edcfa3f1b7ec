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
use crate::report::records::{Record, csv_of};
use crate::validate::forecast::{Basis, Judgement, RunMetric, TestedMetric, Verdict};

/// The content of `summary.csv`.
///
/// # Errors
/// When a row cannot be written as CSV.
pub fn live_summary_csv(pages: &[LivePage]) -> Result<String, csv::Error> {
    let of_page = |page: &LivePage| -> Vec<Record> {
        page.runs.iter().map(|run| record(page, &LiveRow::of(run))).collect()
    };
    csv_of(pages.iter().flat_map(of_page))
}

fn record(page: &LivePage, row: &LiveRow) -> Record {
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
    let basis = predicted.map(|(basis, _)| match basis {
        Basis::Model => "model",
        Basis::OtherRuns => "other_runs",
        Basis::TrueRates => "true_rates",
    });
    Record::default()
        .cell("config", page.config)
        .cell("strategy", row.strategy.as_str())
        .cell("replications", 1_u64)
        .cell("requests", row.requests)
        .cell("score_mean", known(row.score))
        .cell("success_rate", known(row.success_rate))
        .cell("attempts_per_request", known(row.attempts as f64 / row.requests as f64))
        .cell("attempts", row.attempts)
        .cell("retries_mean", row.retries)
        .cell("penalty_mean", known(row.penalty))
        .cell("rate_limited_mean", row.rate_limited)
        .cell("timed_out_mean", row.timed_out)
        .cell("regret_mean", row.regret)
        .cell("latency_p50_ms", known(row.latency_p50_ms))
        .cell("latency_p90_ms", known(row.latency_p90_ms))
        .cell("latency_p99_ms", known(row.latency_p99_ms))
        .cell("busiest_share", known(row.busiest_share))
        .cell("drift_p99_ms", known(row.drift_p99_ms))
        .cell("drift_max_ms", known(row.drift_max_ms))
        .cell("refused", row.refused)
        .cell("lost", row.lost)
        .cell("predicted_from", basis)
        .cell("score_predicted_mean", score.map(|f| f.mean))
        .cell("score_predicted_low", score.map(|f| f.interval.low))
        .cell("score_predicted_high", score.map(|f| f.interval.high))
        .cell("judged", judged.as_ref().map(Vec::len))
        .cell("rejected", rejected)
        .cell("least_p_value", p_values.reduce(f64::min))
        .cell("held", rejected.filter(|_| any).map(|n| n == 0))
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
