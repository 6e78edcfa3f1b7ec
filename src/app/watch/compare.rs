//! The numbers so far against a prediction of the whole run.
//!
//! Score, attempts, penalty and refusals grow with the requests. What they would be at the end is
//! told by their pace: the number so far times predicted requests over requests answered. That
//! stands beside the predicted interval in the same unit, and is the number itself at the end.
//! Before the end it scatters more than a whole run does, and learning costs most at the beginning:
//! being outside then means little, and is said in words, not in colour.
//!
//! A run longer than the predicted one is compared at the pace of the predicted length, and is no
//! more conclusive: it has learnt for longer.
//!
//! Latencies are shown side by side and not judged: the prediction is of the time from when a
//! request was due to when its client had read the answer, and the proxy sees only its own part
//! of that (a millisecond less in a first run, which was outside every interval).
//!
//! When not to use it: for a verdict; `validate::forecast` judges the whole run, with p-values.

use crate::watch::figures::clean;
use crate::watch::follow::{answered, config_name, share, success_rate};
use flakelab_core::stats::Interval;
use flakelab_fit::{Basis, PredictedConfig, PredictionFile, RunForecast, RunMetric};
use flakelab_live::Metrics;

/// Fewer answers say nothing of a pace.
const FEWEST_ANSWERS: u64 = 10;

/// A run against its prediction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Against {
    pub basis: Basis,
    pub answered: u64,
    /// Requests of the predicted run.
    pub requests: u64,
    /// Whether just as many were answered as were predicted.
    pub is_whole: bool,
    /// In the order of the prediction.
    pub rows: Vec<Comparison>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    pub metric: RunMetric,
    /// Its value so far; none before there is one.
    pub so_far: Option<f64>,
    /// Its value at the end at this pace; for rates and latencies the value so far.
    pub at_pace: Option<f64>,
    /// 95 % of predicted runs lie here.
    pub interval: Interval,
    pub mean: f64,
    pub place: Place,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Too little was seen.
    TooEarly,
    Inside,
    Above,
    Below,
    /// A latency: predicted as the client sees it, known only as the proxy does.
    NotJudged,
}

impl Place {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::TooEarly => "early",
            Self::Inside => "inside",
            Self::Above => "above",
            Self::Below => "below",
            Self::NotJudged => "-",
        }
    }
}

/// The run against the prediction for its config and strategy; the error says what is missing.
pub(crate) fn against(metrics: &Metrics, file: &PredictionFile) -> Result<Against, String> {
    let Some(config) = file.configs.iter().find(|c| c.config == metrics.config) else {
        return Err(format!("nothing was predicted for {}", config_name(&metrics.config)));
    };
    let Some(run) = best_run(config, &metrics.strategy) else {
        return Err(format!("nothing was predicted for {}", clean(&metrics.strategy)));
    };
    let answered = answered(metrics);
    let to_end = (answered > 0).then(|| config.requests as f64 / answered as f64);
    let compare = |m: &flakelab_fit::MetricForecast| {
        let so_far = so_far(m.metric, metrics);
        let at_pace = match m.metric {
            RunMetric::Score
            | RunMetric::Attempts
            | RunMetric::Penalty
            | RunMetric::RateLimited => so_far.zip(to_end).map(|(value, factor)| value * factor),
            _ => so_far,
        };
        let place = match at_pace {
            _ if m.metric.is_latency() => Place::NotJudged,
            Some(value) if answered >= FEWEST_ANSWERS => place(value, m.interval),
            _ => Place::TooEarly,
        };
        let (metric, interval, mean) = (m.metric, m.interval, m.mean);
        Comparison { metric, so_far, at_pace, interval, mean, place }
    };
    Ok(Against {
        basis: run.basis,
        answered,
        requests: config.requests,
        is_whole: answered == config.requests,
        rows: run.metrics.iter().map(compare).collect(),
    })
}

/// The prediction that knew most before the run: of the true rates, else of the model. One from
/// the other runs is made after them and would come too late to be compared with.
fn best_run<'a>(config: &'a PredictedConfig, strategy: &str) -> Option<&'a RunForecast> {
    let with = |basis| config.runs.iter().find(|r| r.strategy == strategy && r.basis == basis);
    with(Basis::TrueRates).or_else(|| with(Basis::Model)).or_else(|| with(Basis::OtherRuns))
}

fn place(value: f64, interval: Interval) -> Place {
    // Values that went through a file and a division may miss an end by rounding.
    let slack = 1e-9 * value.abs().max(1.0);
    match value {
        _ if value.is_nan() || interval.low.is_nan() || interval.high.is_nan() => Place::NotJudged,
        _ if value < interval.low - slack => Place::Below,
        _ if value > interval.high + slack => Place::Above,
        _ => Place::Inside,
    }
}

fn so_far(metric: RunMetric, metrics: &Metrics) -> Option<f64> {
    let latency = |ms: f64| (!metrics.latencies.is_empty()).then_some(ms);
    match metric {
        RunMetric::Score => Some(metrics.best_guess_score),
        RunMetric::SuccessRate => success_rate(metrics),
        RunMetric::Attempts => Some(metrics.total_attempts as f64),
        RunMetric::Penalty => Some(metrics.total_penalty),
        RunMetric::RateLimited => Some(metrics.total_rate_limited as f64),
        RunMetric::LatencyP50 => latency(metrics.latency_p50),
        RunMetric::LatencyP99 => latency(metrics.latency_p99),
        RunMetric::BusiestShare => {
            let most = metrics.per_server.iter().map(|s| s.num_requests).max()?;
            share(most, metrics)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing;

    fn row(against: &Against, metric: RunMetric) -> Comparison {
        against.rows.iter().copied().find(|r| r.metric == metric).unwrap()
    }

    #[test]
    fn counts_are_compared_at_their_pace_and_rates_as_they_are() {
        let mut metrics = testing::middle();
        let against = against(&metrics, &testing::prediction()).unwrap();
        assert_eq!((against.answered, against.requests, against.is_whole), (42, 100, false));
        let score = row(&against, RunMetric::Score);
        assert_eq!(score.so_far, Some(metrics.best_guess_score));
        assert_eq!(score.at_pace, Some(metrics.best_guess_score * 100.0 / 42.0));
        let rate = row(&against, RunMetric::SuccessRate);
        assert_eq!(rate.so_far, rate.at_pace);
        metrics.total_success = 99;
        let whole = super::against(&metrics, &testing::prediction()).unwrap();
        assert!(whole.is_whole);
        assert_eq!(row(&whole, RunMetric::Score).at_pace, Some(metrics.best_guess_score));
        metrics.total_success = 999;
        let longer = super::against(&metrics, &testing::prediction()).unwrap();
        assert!(!longer.is_whole, "a longer run has more luck and has learnt more");
        let at_pace = row(&longer, RunMetric::Score).at_pace.unwrap();
        assert!((at_pace - metrics.best_guess_score / 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_few_answers_are_too_early_and_none_give_no_pace() {
        let mut metrics = testing::middle();
        (metrics.total_success, metrics.total_failure) = (9, 0);
        let early = against(&metrics, &testing::prediction()).unwrap();
        assert!(early.rows.iter().all(|r| r.place == Place::TooEarly || r.metric.is_latency()));
        let none = against(&testing::waiting_for_first(), &testing::prediction()).unwrap();
        assert_eq!(row(&none, RunMetric::Score).at_pace, None);
        assert_eq!(row(&none, RunMetric::SuccessRate).so_far, None);
    }

    #[test]
    fn true_rates_are_preferred_and_latency_is_not_judged() {
        let metrics = testing::middle();
        let mut file = testing::prediction();
        assert_eq!(against(&metrics, &file).unwrap().basis, Basis::TrueRates);
        file.configs[0].runs.retain(|r| r.basis != Basis::TrueRates);
        let by_model = against(&metrics, &file).unwrap();
        assert_eq!(by_model.basis, Basis::Model);
        assert_eq!(row(&by_model, RunMetric::LatencyP99).place, Place::NotJudged);
        assert_eq!(row(&by_model, RunMetric::SuccessRate).place, Place::Inside);
    }

    #[test]
    fn what_was_not_predicted_is_named() {
        let mut metrics = testing::middle();
        metrics.strategy = "V9 new".to_owned();
        assert!(against(&metrics, &testing::prediction()).unwrap_err().contains("V9 new"));
        metrics.config = "7".to_owned();
        assert!(against(&metrics, &testing::prediction()).unwrap_err().contains("config 7"));
    }

    #[test]
    fn ends_are_inside_and_beyond_them_is_not() {
        let interval = Interval { low: 1.0, high: 2.0 };
        let places = [0.9, 1.0, 2.0, 2.1].map(|x| place(x, interval));
        assert_eq!(places, [Place::Below, Place::Inside, Place::Inside, Place::Above]);
        assert_eq!(place(1.0, Interval { low: f64::NAN, high: 2.0 }), Place::NotJudged);
    }
}
