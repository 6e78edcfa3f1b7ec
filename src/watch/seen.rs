//! What the viewer knows: the last good metrics, and what is wrong with the files now.

use crate::metrics::Metrics;
use crate::validate::forecast::PredictionFile;

use super::figures::{clean, count, ms, percent, points};

/// The newest state of both files.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The last metrics that could be read; none before the first.
    pub metrics: Option<Metrics>,
    /// Why there are no newer ones; none while all is well.
    pub trouble: Option<String>,
    /// The prediction, or why there is none.
    pub prediction: Predicted,
    /// Ticks since something was last seen to change.
    pub quiet_ticks: u64,
}

/// The prediction, or why there is none.
#[derive(Debug)]
pub(super) enum Predicted {
    /// There is no such file; it may come later.
    Missing(String),
    /// The file cannot be used.
    Unusable(String),
    /// Here it is.
    File(Box<PredictionFile>),
}

impl Default for Predicted {
    fn default() -> Self {
        Self::Missing("no prediction.json beside the metrics".to_owned())
    }
}

/// Seconds that a proxy has been running by its own clock; none if it does not say.
pub(super) fn running_s(metrics: &Metrics) -> Option<f64> {
    let seconds = metrics.last_update - metrics.started;
    (metrics.started > 0.0 && seconds.is_finite()).then_some(seconds.max(0.0))
}

/// Requests that have their answer.
pub(super) fn answered(metrics: &Metrics) -> u64 {
    metrics.total_success.saturating_add(metrics.total_failure)
}

/// Requests answered 200 as a share of those answered; none before the first answer.
pub(super) fn success_rate(metrics: &Metrics) -> Option<f64> {
    let answered = answered(metrics);
    (answered > 0).then(|| metrics.total_success as f64 / answered as f64)
}

/// A server's attempts as a share of all; none before the first attempt.
pub(super) fn share(attempts: u64, metrics: &Metrics) -> Option<f64> {
    let all: f64 = metrics.per_server.iter().map(|s| s.num_requests as f64).sum();
    (all > 0.0).then(|| attempts as f64 / all)
}

/// `config 0`, or the name of a model.
pub(super) fn config_name(config: &str) -> String {
    crate::report::config_name(&clean(config))
}

/// `V4 thompson, config 0`, as far as the file says.
pub(super) fn title(metrics: &Metrics) -> String {
    let (strategy, config) = (clean(&metrics.strategy), config_name(&metrics.config));
    match (strategy.is_empty(), config.is_empty()) {
        (true, true) => "a proxy without a name".to_owned(),
        (true, false) => config,
        (false, true) => strategy,
        (false, false) => format!("{strategy}, {config}"),
    }
}

/// Names and values of the headline numbers, the most important first.
pub(super) fn headline(metrics: &Metrics) -> Vec<(&'static str, String)> {
    let latency = |x: f64| match metrics.latencies.is_empty() {
        true => "-".to_owned(),
        false => format!("{} ms", ms(x)),
    };
    let success = success_rate(metrics).map_or("-".to_owned(), |r| percent(r) + " %");
    vec![
        ("score", points(metrics.best_guess_score)),
        ("success", success),
        ("regret", points(metrics.global_regret)),
        ("penalty", points(metrics.total_penalty)),
        ("p50", latency(metrics.latency_p50)),
        ("p99", latency(metrics.latency_p99)),
        ("attempts", count(metrics.total_attempts)),
        ("retries", count(metrics.total_retries)),
        ("429s", count(metrics.total_rate_limited)),
        ("timed out", count(metrics.total_timed_out)),
        ("waiting", count(metrics.waiting as u64)),
        ("in service", count(metrics.in_service as u64)),
    ]
}

/// Whether it is a latency that a logarithm takes; the others are nonsense or rounded to nothing.
pub(super) fn is_sound(ms: &f64) -> bool {
    ms.is_finite() && *ms > 0.0
}

/// The last latencies that are sound, oldest first.
pub(super) fn sound_latencies(metrics: &Metrics) -> Vec<f64> {
    metrics.latencies.iter().copied().filter(is_sound).collect()
}
