//! CSV for programs: rows whose cells keep all their digits, each with the name of its column;
//! `summary.csv` of a sweep.
//!
//! When not to use it: for people; that is [`Table`](crate::report::Table).

use serde::Serialize;

use flakelab_core::stats::Interval;
use flakelab_sim::experiment::{ContenderSummary, Mean, NotesSummary, ScenarioSummary, Summary};

#[derive(Debug, Default)]
pub struct Record {
    headings: Vec<String>,
    cells: Vec<Cell>,
}

/// A value as CSV writes it; nothing is an empty cell.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Text(String),
    Whole(u64),
    Real(f64),
    Flag(bool),
    Nothing,
}

impl Record {
    /// Adds a cell; all rows of a file have the same columns.
    pub fn cell(mut self, heading: impl Into<String>, value: impl Into<Cell>) -> Self {
        self.headings.push(heading.into());
        self.cells.push(value.into());
        self
    }
}

/// The content of a file of these rows; empty without a row.
pub fn csv_of(records: impl IntoIterator<Item = Record>) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (i, record) in records.into_iter().enumerate() {
        if i == 0 {
            writer.write_record(&record.headings)?;
        }
        writer.serialize(record.cells)?;
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

macro_rules! cells_from {
    ($($from:ty: $value:ident => $cell:expr;)*) => {
        $(impl From<$from> for Cell {
            fn from($value: $from) -> Self {
                $cell
            }
        })*
    };
}

cells_from! {
    &str: text => Self::Text(text.to_owned());
    String: text => Self::Text(text);
    u64: count => Self::Whole(count);
    usize: count => Self::Whole(count as u64);
    f64: x => Self::Real(x);
    bool: flag => Self::Flag(flag);
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

/// `summary.csv`: one row for each scenario and strategy. Ranking columns are empty beside reference
/// rows; intervals, ranks and `p_best` are with too few replications, those of parameters unless they
/// were drawn. The last
/// four columns are there only if some strategy watches load and health, and hold its numbers.
pub fn summary_csv(summary: &Summary) -> Result<String, csv::Error> {
    let notes = |c: &ContenderSummary| c.notes.is_some();
    let with_notes = summary.scenarios.iter().any(|s| s.contenders.iter().any(notes));
    let rows = summary.scenarios.iter().flat_map(|s| s.contenders.iter().map(move |c| (s, c)));
    csv_of(rows.map(|(scenario, c)| record(scenario, c, with_notes)))
}

fn record(scenario: &ScenarioSummary, c: &ContenderSummary, with_notes: bool) -> Record {
    let known = scenario.spread_is_known();
    let with_ends =
        |record: Record, heading: &str, quantity: &str, x, interval: Option<Interval>| {
            record
                .cell(heading, x)
                .cell(format!("{quantity}_ci_low"), interval.map(|ends| ends.low))
                .cell(format!("{quantity}_ci_high"), interval.map(|ends| ends.high))
        };
    let mean = |record: Record, heading: &str, quantity: &str, of: &Mean| {
        with_ends(record, heading, quantity, of.mean, of.interval)
    };
    let mut row = Record::default()
        .cell("config", scenario.config.as_str())
        .cell("strategy", c.strategy.as_str())
        .cell("reference", c.ranking.is_none())
        .cell("replications", scenario.replications)
        .cell("requests", scenario.requests);
    row = mean(row, "score_mean", "score", &c.score).cell("score_sd", c.score.std_dev);
    for (heading, quantity, of) in [
        ("success_rate", "success_rate", &c.success_rate),
        ("attempts_per_request", "attempts_per_request", &c.attempts_per_request),
        ("retries_mean", "retries", &c.retries),
        ("penalty_mean", "penalty", &c.penalty),
        ("rate_limited_mean", "rate_limited", &c.rate_limited),
        ("timed_out_mean", "timed_out", &c.timed_out),
        ("regret_mean", "regret", &c.regret),
        ("oracle_regret_mean", "oracle_regret", &c.oracle_regret),
    ] {
        row = mean(row, heading, quantity, of);
    }
    let ranking = c.ranking.as_ref();
    let quantiles = [
        ("latency_p50_ms", c.latency_p50_ms),
        ("latency_p90_ms", c.latency_p90_ms),
        ("latency_p99_ms", c.latency_p99_ms),
        ("latency_p999_ms", c.latency_p999_ms),
    ];
    for ((heading, ms), interval) in quantiles.into_iter().zip(c.latency_intervals_ms) {
        row = with_ends(row, heading, heading, ms, interval);
    }
    let delta = (ranking.map(|r| r.delta), ranking.and_then(|r| r.delta_interval));
    row = row
        .cell("delta_vs_best_mean", delta.0)
        .cell("delta_vs_best_ci_low", delta.1.map(|ends| ends.low))
        .cell("delta_vs_best_ci_high", delta.1.map(|ends| ends.high))
        .cell("p_best", ranking.and_then(|r| r.p_best))
        .cell("rank", ranking.filter(|_| known).map(|r| r.rank))
        .cell("tied_with_best", ranking.filter(|_| known).map(|r| r.tied_with_best))
        .cell("score_parameter_sd", c.score_parameter_sd.map(|s| s.sd))
        .cell(
            "delta_vs_best_parameter_sd",
            ranking.and_then(|r| r.delta_parameter_sd).map(|s| s.sd),
        );
    if with_notes {
        let noted = |value: fn(&NotesSummary) -> f64| c.notes.as_ref().map(value);
        row = row
            .cell("filtered_by_health_mean", noted(|n| n.filtered_by_health.mean))
            .cell("switches_mean", noted(|n| n.switches.mean))
            .cell("load_variance_mean", noted(|n| n.load_variance.mean))
            .cell("busiest_share_mean", noted(|n| n.busiest_share.mean));
    }
    row
}
