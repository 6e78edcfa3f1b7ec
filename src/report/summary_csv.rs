//! `summary.csv`: one row for each scenario and strategy.

use serde::Serialize;

use crate::experiment::{ContenderSummary, NotesSummary, ScenarioSummary, Summary};

#[derive(Serialize)]
struct Record<'a> {
    config: &'a str,
    strategy: &'a str,
    reference: bool,
    replications: u64,
    requests: u64,
    score_mean: f64,
    score_ci_low: Option<f64>,
    score_ci_high: Option<f64>,
    score_sd: f64,
    success_rate: f64,
    success_rate_ci_low: Option<f64>,
    success_rate_ci_high: Option<f64>,
    attempts_per_request: f64,
    attempts_per_request_ci_low: Option<f64>,
    attempts_per_request_ci_high: Option<f64>,
    retries_mean: f64,
    retries_ci_low: Option<f64>,
    retries_ci_high: Option<f64>,
    penalty_mean: f64,
    penalty_ci_low: Option<f64>,
    penalty_ci_high: Option<f64>,
    rate_limited_mean: f64,
    rate_limited_ci_low: Option<f64>,
    rate_limited_ci_high: Option<f64>,
    timed_out_mean: f64,
    timed_out_ci_low: Option<f64>,
    timed_out_ci_high: Option<f64>,
    regret_mean: f64,
    regret_ci_low: Option<f64>,
    regret_ci_high: Option<f64>,
    oracle_regret_mean: f64,
    oracle_regret_ci_low: Option<f64>,
    oracle_regret_ci_high: Option<f64>,
    latency_p50_ms: f64,
    latency_p90_ms: f64,
    latency_p99_ms: f64,
    latency_p999_ms: f64,
    delta_vs_best_mean: Option<f64>,
    delta_vs_best_ci_low: Option<f64>,
    delta_vs_best_ci_high: Option<f64>,
    p_best: Option<f64>,
    p_best_method: Option<&'static str>,
    rank: Option<usize>,
    tied_with_best: Option<bool>,
    score_parameter_sd: Option<f64>,
    delta_vs_best_parameter_sd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered_by_health_mean: Cell,
    #[serde(skip_serializing_if = "Option::is_none")]
    switches_mean: Cell,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_variance_mean: Cell,
    #[serde(skip_serializing_if = "Option::is_none")]
    busiest_share_mean: Cell,
}

/// A cell of a column that only some files have: none for no column, then none for no value.
type Cell = Option<Option<f64>>;

/// The file's content. Ranking columns are empty beside reference rows, intervals and `p_best`
/// are when there is only one replication, those of parameters unless they were drawn. The last
/// four columns are there only if some strategy watches load and health, and hold its numbers.
pub fn summary_csv(summary: &Summary) -> Result<String, csv::Error> {
    let notes = |c: &ContenderSummary| c.notes.is_some();
    let with_notes = summary.scenarios.iter().any(|s| s.contenders.iter().any(notes));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for scenario in &summary.scenarios {
        for contender in &scenario.contenders {
            writer.serialize(record(scenario, contender, with_notes))?;
        }
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn record<'a>(
    scenario: &'a ScenarioSummary,
    c: &'a ContenderSummary,
    with_notes: bool,
) -> Record<'a> {
    let noted = |value: fn(&NotesSummary) -> f64| with_notes.then(|| c.notes.as_ref().map(value));
    // One replication has no interval.
    let spread_is_known = scenario.replications > 1;
    Record {
        config: &scenario.config,
        strategy: &c.strategy,
        reference: c.ranking.is_none(),
        replications: scenario.replications,
        requests: scenario.requests,
        score_mean: c.score.mean,
        score_ci_low: spread_is_known.then_some(c.score.interval.low),
        score_ci_high: spread_is_known.then_some(c.score.interval.high),
        score_sd: c.score.std_dev,
        success_rate: c.success_rate.mean,
        success_rate_ci_low: spread_is_known.then_some(c.success_rate.interval.low),
        success_rate_ci_high: spread_is_known.then_some(c.success_rate.interval.high),
        attempts_per_request: c.attempts_per_request.mean,
        attempts_per_request_ci_low: spread_is_known.then_some(c.attempts_per_request.interval.low),
        attempts_per_request_ci_high: spread_is_known
            .then_some(c.attempts_per_request.interval.high),
        retries_mean: c.retries.mean,
        retries_ci_low: spread_is_known.then_some(c.retries.interval.low),
        retries_ci_high: spread_is_known.then_some(c.retries.interval.high),
        penalty_mean: c.penalty.mean,
        penalty_ci_low: spread_is_known.then_some(c.penalty.interval.low),
        penalty_ci_high: spread_is_known.then_some(c.penalty.interval.high),
        rate_limited_mean: c.rate_limited.mean,
        rate_limited_ci_low: spread_is_known.then_some(c.rate_limited.interval.low),
        rate_limited_ci_high: spread_is_known.then_some(c.rate_limited.interval.high),
        timed_out_mean: c.timed_out.mean,
        timed_out_ci_low: spread_is_known.then_some(c.timed_out.interval.low),
        timed_out_ci_high: spread_is_known.then_some(c.timed_out.interval.high),
        regret_mean: c.regret.mean,
        regret_ci_low: spread_is_known.then_some(c.regret.interval.low),
        regret_ci_high: spread_is_known.then_some(c.regret.interval.high),
        oracle_regret_mean: c.oracle_regret.mean,
        oracle_regret_ci_low: spread_is_known.then_some(c.oracle_regret.interval.low),
        oracle_regret_ci_high: spread_is_known.then_some(c.oracle_regret.interval.high),
        latency_p50_ms: c.latency_p50_ms,
        latency_p90_ms: c.latency_p90_ms,
        latency_p99_ms: c.latency_p99_ms,
        latency_p999_ms: c.latency_p999_ms,
        delta_vs_best_mean: c.ranking.map(|r| r.delta),
        delta_vs_best_ci_low: c.ranking.map(|r| r.delta_interval.low).filter(|_| spread_is_known),
        delta_vs_best_ci_high: c.ranking.map(|r| r.delta_interval.high).filter(|_| spread_is_known),
        p_best: c.ranking.map(|r| r.p_best).filter(|_| spread_is_known),
        p_best_method: c.ranking.map(|_| scenario.p_best_method()).filter(|_| spread_is_known),
        rank: c.ranking.map(|r| r.rank),
        tied_with_best: c.ranking.map(|r| r.tied_with_best),
        score_parameter_sd: c.score_parameter_sd.map(|s| s.sd),
        delta_vs_best_parameter_sd: c.ranking.and_then(|r| r.delta_parameter_sd).map(|s| s.sd),
        filtered_by_health_mean: noted(|n| n.filtered_by_health.mean),
        switches_mean: noted(|n| n.switches.mean),
        load_variance_mean: noted(|n| n.load_variance.mean),
        busiest_share_mean: noted(|n| n.busiest_share.mean),
    }
}
