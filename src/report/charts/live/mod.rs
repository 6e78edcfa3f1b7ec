//! Charts of a live run: what was seen, and what had been predicted of it.
//!
//! | Chart | Shows |
//! |---|---|
//! | `live-predicted` | every metric of every run on what was predicted of it |
//! | `live-lost` | points lost, request by request, and the predicted end |
//! | `live-servers` | which servers the attempts went to, and how many of them succeeded |
//! | `live-latency` | quantiles of request latency, with the predicted p50 and p99 |
//! | `live-drift` | how late requests were sent |
//!
//! When not to use them: to compare strategies. One run of each is mostly luck; the charts of a
//! sweep compare.

mod drift;
mod grid;
mod latency;
mod lost;
mod predicted;
mod servers;

use crate::report::charts::page::{Page, config_name};
use crate::report::charts::palette::{Look, looks_of};
use crate::report::charts::{Chart, ChartError, lettering};
use crate::stats::Interval;
use crate::validate::forecast::{Basis, RunMetric};

/// What the charts of one config show; everything final, nothing computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePicture {
    /// The config's number, or the model's name.
    pub config: String,
    /// What it rests on: `100 requests per strategy at 10 per second, one run of each`.
    pub data: String,
    /// Requests of a whole run.
    pub requests: u64,
    /// What the predictions knew, the sharpest last.
    pub bases: Vec<Basis>,
    /// Names of the servers.
    pub servers: Vec<String>,
    /// In the order of play.
    pub runs: Vec<RunPicture>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPicture {
    /// The strategy's label.
    pub strategy: String,
    /// Whether it was played to the end; a part of a run is not what was predicted.
    pub whole: bool,
    /// In the order of [`RunMetric::ALL`].
    pub metrics: Vec<MetricPicture>,
    /// The score.
    pub score: f64,
    /// The sharpest prediction of the score, of whole runs.
    pub predicted_score: Option<Forecast>,
    /// Points lost so far, after each request.
    pub lost_points: Vec<f64>,
    /// In the order of the servers' names.
    pub servers: Vec<ServerPicture>,
    /// Latencies of the answered requests, ascending.
    pub latencies_ms: Vec<f64>,
    /// Requests without an answer.
    pub unanswered: usize,
    /// When requests were due, in seconds, and how much later they were sent, in milliseconds.
    pub drift: Vec<(f64, f64)>,
}

/// One metric of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPicture {
    /// The metric.
    pub metric: RunMetric,
    /// What was seen.
    pub observed: f64,
    /// What was predicted.
    pub forecasts: Vec<(Basis, Forecast)>,
}

/// A predictive distribution, as far as charts show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Mean over simulated runs.
    pub mean: f64,
    /// Quartiles.
    pub middle_half: Interval,
    /// Quantiles 0.025 and 0.975.
    pub interval: Interval,
}

/// One server in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerPicture {
    /// Attempts sent to it.
    pub attempts: u64,
    /// Those that succeeded.
    pub successes: u64,
}

/// The names of these charts.
pub(in crate::report::charts) const NAMES: [&str; 5] =
    ["live-predicted", "live-lost", "live-servers", "live-latency", "live-drift"];

/// Draws all five charts, in the order of the module's table.
pub fn draw_live(picture: &LivePicture) -> Result<Vec<Chart>, ChartError> {
    lettering::ready()?;
    [predicted::chart, lost::chart, servers::chart, latency::chart, drift::chart]
        .into_iter()
        .map(|chart| chart(picture))
        .collect()
}

/// A sheet for one of them.
fn page(heading: &str, picture: &LivePicture, reading: &str) -> Page {
    let config = config_name(&picture.config);
    let title = format!("{heading}: {config}, {}", picture.data);
    Page::headed(heading, title, &format!("{config} · {}", picture.data), reading)
}

/// How the strategies look, the same as in the charts of a sweep of the same strategies.
fn looks(picture: &LivePicture) -> Vec<Look> {
    let label = |run: &RunPicture| run.strategy.clone();
    let labels: Vec<String> = picture.runs.iter().map(label).collect();
    let ranked = |label: &str| label != "random" && label != "oracle";
    let labels: Vec<(&str, bool)> =
        labels.iter().map(|label| (label.as_str(), ranked(label))).collect();
    looks_of(&labels)
}
