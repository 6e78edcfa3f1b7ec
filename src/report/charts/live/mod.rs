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

use crate::report::charts::page::Page;
use crate::report::charts::palette::{Look, looks_of};
use crate::report::charts::{Chart, ChartError, lettering};
use crate::report::numbers::thousands;
use crate::validate::forecast::{Basis, LiveRun, MetricForecast, PredictedConfig, RunMetric};

/// The runs of one config, and what was predicted of them.
#[derive(Debug, Clone, Copy)]
pub struct LiveRuns<'a> {
    /// What was predicted.
    pub prediction: &'a PredictedConfig,
    /// In the order of play, the last one perhaps in part.
    pub runs: &'a [LiveRun],
    /// Names of the servers.
    pub servers: &'a [String],
    /// Whether the runs were interrupted.
    pub interrupted: bool,
}

impl<'a> LiveRuns<'a> {
    /// The strategies' labels.
    fn labels(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.strategy.label()).collect()
    }

    /// How the strategies look, the same as in the charts of a sweep of the same strategies.
    fn looks(&self) -> Vec<Look> {
        let labels = self.labels();
        let ranked = |label: &str| label != "random" && label != "oracle";
        looks_of(&labels.iter().map(|l| (l.as_str(), ranked(l))).collect::<Vec<_>>())
    }

    /// What the predictions knew, the sharpest last.
    fn bases(&self) -> Vec<Basis> {
        let mut bases: Vec<Basis> = self.prediction.runs.iter().map(|run| run.basis).collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    /// Whether a run was played to the end; a part of a run is not what was predicted.
    fn is_whole(&self, run: &LiveRun) -> bool {
        run.requests.len() as u64 >= self.prediction.requests
    }

    /// The strategies whose runs were stopped early.
    fn stopped_early(&self) -> Vec<String> {
        let partial = self.runs.iter().filter(|run| !self.is_whole(run));
        partial.map(|run| run.strategy.label()).collect()
    }

    /// What was predicted of a metric of a run, the sharpest prediction last.
    fn forecasts(&self, run: &LiveRun, metric: RunMetric) -> Vec<(Basis, &'a MetricForecast)> {
        self.prediction.forecasts(&run.strategy.label(), metric)
    }

    /// The sharpest prediction, of a run that was played to the end.
    fn sharpest(&self, run: &LiveRun, metric: RunMetric) -> Option<&'a MetricForecast> {
        let (_, forecast) = self.forecasts(run, metric).pop()?;
        self.is_whole(run).then_some(forecast)
    }
}

/// The names of these charts.
pub(in crate::report::charts) const NAMES: [&str; 5] =
    ["live-predicted", "live-lost", "live-servers", "live-latency", "live-drift"];

/// Draws all five charts, in the order of the module's table.
pub fn draw_live(of: &LiveRuns) -> Result<Vec<Chart>, ChartError> {
    lettering::ready()?;
    [predicted::chart, lost::chart, servers::chart, latency::chart, drift::chart]
        .into_iter()
        .map(|chart| chart(of))
        .collect()
}

/// A sheet for one of them.
fn page(heading: &str, of: &LiveRuns, reading: &str) -> Page {
    let PredictedConfig { config, requests, requests_per_second, .. } = of.prediction;
    let data = format!(
        "{} requests per strategy at {requests_per_second} per second, one run of each{}",
        thousands(*requests),
        if of.interrupted { ", interrupted" } else { "" }
    );
    Page::of_config(heading, config, &data, reading)
}

/// The finite ones of these values, ascending.
fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}
