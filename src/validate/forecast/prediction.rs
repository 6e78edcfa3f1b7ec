//! `prediction.json`: what was predicted of live runs, written before the first request.

use serde::{Deserialize, Serialize};

use super::{Forecast, RunMetric, Setting};
use crate::domain::Rules;
use crate::stats::Interval;
use crate::stats::quantile::quantile;
use crate::world::Overhead;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionFile {
    /// 1.
    pub schema: u32,
    /// One a config.
    pub configs: Vec<PredictedConfig>,
}

/// The predictions for one config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedConfig {
    /// The config, or the model's name.
    pub config: String,
    /// When it was predicted: Unix seconds.
    pub predicted_at: f64,
    /// Requests of a run.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// The rules.
    pub rules: Rules,
    /// Seed of the simulated runs: with the model and the overhead it gives the same numbers again.
    pub seed: u64,
    /// Simulated runs behind every distribution.
    pub replications: u64,
    /// What was added to simulated latencies; none if it was not measured.
    pub overhead: Option<OverheadSummary>,
    /// One a strategy and basis, strategies in the order they are played.
    pub runs: Vec<RunForecast>,
}

/// What was added to simulated latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OverheadSummary {
    /// Requests that it was measured with.
    pub requests: usize,
    /// Median addition to first attempts, milliseconds.
    pub first_attempt_p50_ms: f64,
    /// Median addition to further attempts, milliseconds.
    pub retry_p50_ms: f64,
    /// Median addition to requests beside their attempts, milliseconds.
    pub request_p50_ms: f64,
}

/// What a prediction knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The model: error rates drawn anew, and whatever the traces left open.
    Model,
    /// The model and the outcomes of the other strategies' runs against the same start.
    OtherRuns,
    /// The true error rates and limits, which only our own stand-in servers tell.
    TrueRates,
}

/// The prediction of one strategy's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunForecast {
    /// The strategy's label, as in tables.
    pub strategy: String,
    /// What the prediction knew.
    pub basis: Basis,
    /// In the order of [`RunMetric::ALL`].
    pub metrics: Vec<MetricForecast>,
}

/// The predictive distribution of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricForecast {
    /// The metric.
    pub metric: RunMetric,
    /// Mean over simulated runs.
    pub mean: f64,
    /// Standard deviation of one run.
    pub std_dev: f64,
    /// Quantiles 0.025 and 0.975.
    pub interval: Interval,
    /// The quantiles 0, 0.01, 0.02, ... 1.
    pub quantiles: Vec<f64>,
}

impl PredictionFile {
    /// The version of the file's form.
    pub const SCHEMA: u32 = 1;

    /// A file of these predictions.
    #[must_use]
    pub fn new(configs: Vec<PredictedConfig>) -> Self {
        Self { schema: Self::SCHEMA, configs }
    }
}

impl PredictedConfig {
    /// What was predicted of a metric of a strategy's run, the prediction that knew most last.
    #[must_use]
    pub fn forecasts(&self, strategy: &str, metric: RunMetric) -> Vec<(Basis, &MetricForecast)> {
        let runs = self.runs.iter().filter(|run| run.strategy == strategy);
        let mut found: Vec<(Basis, &MetricForecast)> = runs
            .filter_map(|run| Some((run.basis, run.metrics.iter().find(|m| m.metric == metric)?)))
            .collect();
        found.sort_by_key(|(basis, _)| *basis);
        found
    }

    /// What was predicted for a config at `predicted_at` (Unix seconds): `forecasts` made with
    /// `setting`.
    #[must_use]
    pub fn new(
        config: &str,
        predicted_at: f64,
        setting: &Setting<'_>,
        forecasts: &[Forecast],
    ) -> Self {
        let of_bases: Vec<Vec<RunForecast>> = forecasts.iter().map(Forecast::runs).collect();
        let of_strategy = |strategy: &crate::strategy::StrategySpec| {
            let label = strategy.label();
            of_bases.iter().flatten().filter(move |run| run.strategy == label).cloned()
        };
        Self {
            config: config.to_owned(),
            predicted_at,
            requests: setting.requests,
            requests_per_second: setting.requests_per_second,
            rules: setting.rules,
            seed: setting.seed,
            replications: setting.replications,
            overhead: setting.overhead.map(OverheadSummary::of),
            runs: setting.strategies.iter().flat_map(of_strategy).collect(),
        }
    }
}

impl OverheadSummary {
    /// The medians of what was measured; 0 where nothing was.
    #[must_use]
    pub fn of(overhead: &Overhead) -> Self {
        let median = |ms: Vec<f64>| {
            let mut sorted = ms;
            sorted.sort_by(f64::total_cmp);
            if sorted.is_empty() { 0.0 } else { quantile(&sorted, 0.5) }
        };
        let requests = &overhead.requests;
        Self {
            requests: overhead.requests.len(),
            first_attempt_p50_ms: median(requests.iter().map(|of| of.first_attempt_ms).collect()),
            retry_p50_ms: median(overhead.retry_ms.clone()),
            request_p50_ms: median(requests.iter().map(|of| of.beside_ms).collect()),
        }
    }
}

impl Basis {
    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OtherRuns => "this start, by the other runs",
            Self::TrueRates => "this start, by its true rates",
        }
    }
}
