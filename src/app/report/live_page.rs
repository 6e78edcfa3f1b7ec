//! What there is to report of a live run: what happened, and whether it had been predicted.
//! `live_table.rs` shows it on a terminal, `live_verdict.rs` puts it in words, `live.rs` writes the
//! files of its folder.
//!
//! When not to use it: to rank strategies. One run of each is mostly luck; `flakelab sweep`
//! ranks.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::report::numbers::{fixed, percent, significant, thousands};
use crate::report::text::config_name;
use flakelab_core::balancer::ServerCounts;
use flakelab_core::stats::{Interval, quantile};
use flakelab_fit::{
    Basis, Judgement, LiveRun, PredictedConfig, RequestEnd, RunMetric, TestedMetric, Verdict,
};

/// What there is to report of one config.
#[derive(Debug)]
pub struct LivePage {
    /// Names of the servers, in the model's order: their ports in the model.
    pub servers: Vec<String>,
    /// The runs that were played, in the order of play, the last one perhaps in part.
    pub runs: Vec<LiveRun>,
    pub prediction: PredictedConfig,
    /// The verdict; none if it cannot be given, as after an interruption.
    pub verdict: Option<Verdict>,
    pub interrupted: bool,
    /// Counts of the three sides, one entry a run where they are known.
    pub reconciliation: Vec<Reconciliation>,
    /// What else to keep in mind, whole sentences.
    pub notes: Vec<String>,
}

impl LivePage {
    /// The config's number, or the model's name.
    pub(crate) fn config(&self) -> &str {
        &self.prediction.config
    }

    pub(crate) fn title(&self) -> String {
        config_name(self.config())
    }

    /// Strategies that were to be played.
    pub(crate) fn planned(&self) -> usize {
        let labels: BTreeSet<&str> =
            self.prediction.runs.iter().map(|run| run.strategy.as_str()).collect();
        labels.len()
    }
}

/// The bases of a verdict, the sharpest last.
pub fn bases(verdict: &Verdict) -> Vec<Basis> {
    let mut bases: Vec<Basis> = verdict.tests.iter().map(|t| t.basis).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

// ---- How the values of a metric are written, the same in tables, sentences and charts, and why some
// are not judged.

/// The heading of a metric's column. Shares are written in percent.
pub const fn heading(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::SuccessRate => "success %",
        RunMetric::RateLimited => "429",
        RunMetric::BusiestShare => "busiest %",
        RunMetric::Score
        | RunMetric::Attempts
        | RunMetric::Penalty
        | RunMetric::LatencyP50
        | RunMetric::LatencyP99 => metric.name(),
    }
}

/// A value that was observed, or an end of an interval.
pub fn value(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => percent(x, 1),
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => significant(x),
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            count(x)
        }
    }
}

/// A mean over simulated runs.
pub fn mean(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            fixed(x, 1)
        }
        _ => value(metric, x),
    }
}

/// `80 to 97`.
pub fn span(metric: RunMetric, interval: Interval) -> String {
    format!("{} to {}", value(metric, interval.low), value(metric, interval.high))
}

/// `96 [80, 97]`: what was seen and where 95 % of simulated runs lie, as short as it can be told.
pub fn seen_in(metric: RunMetric, observed: f64, interval: Interval) -> String {
    let shown = |x: f64| match metric {
        // Percents of percents are only worth telling of a narrow interval.
        RunMetric::BusiestShare => fixed(x * 100.0, usize::from(interval.width() < 0.04)),
        _ => value(metric, x),
    };
    format!("{} [{}, {}]", shown(observed), shown(interval.low), shown(interval.high))
}

/// One digit after the point, none where it is 0 or the number large.
pub fn count(x: f64) -> String {
    let text = fixed(x, usize::from(x.abs() < 99.95));
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The unit of a metric's values, behind them.
pub fn unit(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => " %",
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => " ms",
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => "",
    }
}

/// The strategies of these tests, each once, in their order.
pub fn strategies_of<'t>(tests: impl Iterator<Item = &'t TestedMetric>) -> Vec<&'t str> {
    let mut found: Vec<&str> = Vec::new();
    for test in tests {
        if !found.contains(&test.strategy.as_str()) {
            found.push(&test.strategy);
        }
    }
    found
}

pub const fn why(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoSpread => "every simulated run gave this very number",
        Judgement::PathUnknown => "what the path added during the run is not known",
        Judgement::Disturbed => {
            "this machine was busy with other things: requests left late (so late that the next \
             were due, where counts are not judged), or the path to the null server stalled as long \
             as the slowest requests take"
        }
        Judgement::Judged => "",
    }
}

/// The numbers of one run, as tables and files show them. What nothing says is NaN, an empty cell in
/// files.
///
/// When not to use it: for what a strategy is worth on average; that is
/// [`ContenderSummary`](flakelab_sim::experiment::ContenderSummary), over many replications.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveRow {
    pub strategy: String,
    pub requests: u64,
    /// Requests answered 200 minus penalties.
    pub score: f64,
    /// Requests answered 200, as a share of all.
    pub success_rate: f64,
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Points lost to attempts beyond the free ones.
    pub penalty: f64,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Attempts without an answer in time.
    pub timed_out: u64,
    /// Requests not answered 200.
    pub regret: u64,
    /// Median of the requests' latencies, milliseconds.
    pub latency_p50_ms: f64,
    pub latency_p90_ms: f64,
    pub latency_p99_ms: f64,
    /// Attempts at the server that got most, as a share of all attempts.
    pub busiest_share: f64,
    /// 99th percentile of how much later than due requests were sent, milliseconds.
    pub drift_p99_ms: f64,
    pub drift_max_ms: f64,
    /// Requests answered with a status that is neither 200 nor 500.
    pub refused: u64,
    pub lost: u64,
}

impl LiveRow {
    pub fn of(run: &LiveRun) -> Self {
        let count = |wanted: &dyn Fn(RequestEnd) -> bool| {
            run.requests.iter().filter(|r| wanted(r.end)).count() as u64
        };
        let requests = run.requests.len() as u64;
        let latencies = sorted(run.requests.iter().filter_map(|r| r.latency_ms));
        let drift = sorted(run.requests.iter().map(|r| r.drift_ms));
        Self {
            strategy: run.strategy.label(),
            requests,
            score: run.value(RunMetric::Score),
            success_rate: run.value(RunMetric::SuccessRate),
            attempts: run.ledger.attempts,
            retries: run.ledger.retries,
            penalty: run.value(RunMetric::Penalty),
            rate_limited: run.ledger.rate_limited(),
            timed_out: run.ledger.timed_out(),
            regret: requests - count(&|end| end == RequestEnd::Ok),
            latency_p50_ms: run.value(RunMetric::LatencyP50),
            latency_p90_ms: quantile(&latencies, 0.9),
            latency_p99_ms: run.value(RunMetric::LatencyP99),
            busiest_share: run.value(RunMetric::BusiestShare),
            drift_p99_ms: quantile(&drift, 0.99),
            drift_max_ms: drift.last().copied().unwrap_or(f64::NAN),
            refused: count(&|end| matches!(end, RequestEnd::Refused(_))),
            lost: count(&|end| end == RequestEnd::Lost),
        }
    }
}

/// The finite ones of these values, ascending.
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Three sides count the same run: the load generator, the proxy, the servers. What disagrees is a
/// bug or a fault on the way (an attempt that timed out before the server wrote it down, say), never
/// luck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    pub strategy: String,
    pub counts: Vec<ReconciledCount>,
}

/// One thing that more than one side counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReconciledCount {
    pub what: String,
    /// By the load generator; none if it cannot know.
    pub load_generator: Option<u64>,
    pub proxy: Option<u64>,
    /// By the servers' log; none without such a log.
    pub servers: Option<u64>,
    /// Whether all that counted it found the same.
    pub agree: bool,
}

impl Reconciliation {
    /// Puts the run's counts side by side with those of the servers' log, one entry a server in
    /// the model's order; none if the servers keep no log that we know.
    pub fn new(run: &LiveRun, log: Option<&[ServerCounts]>) -> Self {
        let ends = |end: RequestEnd| run.requests.iter().filter(|r| r.end == end).count() as u64;
        let of_log = |count: fn(&ServerCounts) -> u64| log.map(|log| log.iter().map(count).sum());
        let ledger = &run.ledger;
        // Nobody tells the load generator of the attempts of a request that got no answer.
        let said = (ends(RequestEnd::Lost) == 0)
            .then(|| run.requests.iter().map(|r| u64::from(r.attempts)).sum());
        let succeeded = ledger.servers.iter().map(|s| s.successes).sum();
        let mut counts: Vec<ReconciledCount> = [
            ("requests", Some(run.requests.len() as u64), Some(ledger.arrived), None),
            ("answered 200", Some(ends(RequestEnd::Ok)), Some(ledger.answered_ok), None),
            ("answered 500", Some(ends(RequestEnd::Error)), Some(ledger.answered_error), None),
            ("attempts", said, Some(ledger.attempts), of_log(|s| s.attempts)),
            ("attempts that succeeded", None, Some(succeeded), of_log(|s| s.successes)),
            (
                "attempts refused with 429",
                None,
                Some(ledger.rate_limited()),
                of_log(|s| s.rate_limited),
            ),
        ]
        .map(|(what, load_generator, proxy, servers)| {
            let mut known = [load_generator, proxy, servers].into_iter().flatten();
            let first = known.next();
            let agree = known.all(|count| Some(count) == first);
            ReconciledCount { what: what.to_owned(), load_generator, proxy, servers, agree }
        })
        .into();
        if let Some(log) = log {
            // Sums may agree by chance; servers one by one hardly do.
            let pairs = ledger.servers.iter().zip(log);
            let differ = pairs.filter(|(a, b)| a.attempts != b.attempts).count()
                + ledger.servers.len().abs_diff(log.len());
            counts.push(ReconciledCount {
                what: "servers whose own count of attempts differs".to_owned(),
                load_generator: None,
                proxy: None,
                servers: Some(differ as u64),
                agree: differ == 0,
            });
        }
        Self { strategy: run.strategy.label(), counts }
    }

    pub fn agrees(&self) -> bool {
        self.counts.iter().all(|count| count.agree)
    }
}

impl ReconciledCount {
    /// `attempts: load generator 114, proxy 114, servers 113`.
    fn told(&self) -> String {
        let sides = [
            ("load generator", self.load_generator),
            ("proxy", self.proxy),
            ("servers", self.servers),
        ];
        let known: Vec<String> = sides
            .iter()
            .filter_map(|(side, count)| count.map(|n| format!("{side} {}", thousands(n))))
            .collect();
        format!("{}: {}", self.what, known.join(", "))
    }
}

/// Whether the counts of the runs agree, in a sentence, those that do not one by one; empty
/// where nothing was counted.
pub fn live_counts(page: &LivePage) -> String {
    let runs = &page.reconciliation;
    if runs.is_empty() {
        return String::new();
    }
    let has_log = runs.iter().flat_map(|run| &run.counts).any(|count| count.servers.is_some());
    let sides =
        if has_log { "Load generator, proxy and servers" } else { "Load generator and proxy" };
    let differing: Vec<String> = runs
        .iter()
        .flat_map(|run| run.counts.iter().filter(|c| !c.agree).map(move |c| (run, c)))
        .map(|(run, count)| format!("{}: {}", run.strategy, count.told()))
        .collect();
    match &differing[..] {
        [] => format!("{sides} agree on every count of every run."),
        some => format!("{sides} do not agree. {}.", some.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_precisely_as_they_are_meant() {
        assert_eq!(value(RunMetric::Score, 96.0), "96");
        assert_eq!(value(RunMetric::Score, 95.5), "95.5");
        assert_eq!(value(RunMetric::SuccessRate, 0.99), "99.0");
        assert_eq!(value(RunMetric::LatencyP50, 1.2345), "1.23");
        assert_eq!(value(RunMetric::LatencyP99, f64::NAN), "-");
        assert_eq!(mean(RunMetric::Attempts, 123.456), "123.5");
    }
}
