//! The numbers so far against what was predicted of a run that has got so far.
//!
//! The prediction holds a dozen counts of answered requests; between two of them the numbers have bounds
//! that follow from both ([`under_way`]). Nothing is extrapolated: a run that is as predicted lies
//! outside its interval with a probability of 5 % at most, at every moment, each number by itself. Over
//! a whole run one number or another is outside at times: colour says where to look, not what is
//! wrong. A run longer than the predicted one is not compared.
//!
//! Latencies are shown side by side and not judged: the prediction is of the time from when a
//! request was due to when its client had read the answer, and the proxy sees only its own part
//! of that (a millisecond less in a first run, which was outside every interval).
//!
//! When not to use it: for a verdict; `validate::forecast` judges the whole run, with p-values.

use crate::watch::figures::clean;
use crate::watch::follow::{answered, config_name, share, success_rate};
use flakelab_core::stats::Interval;
use flakelab_fit::{
    Basis, MetricForecast, MetricRange, PredictedConfig, PredictionFile, RunForecast, RunMetric,
    under_way,
};
use flakelab_live::Metrics;

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
    pub value: Option<f64>,
    /// Where 95 % of runs lie that have got so far, of latencies in whole runs; not a number where
    /// nothing is predicted.
    pub interval: Interval,
    pub mean: f64,
    pub place: Place,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is predicted of a run that has got so far: not yet, or no more.
    Nothing,
    Inside,
    Above,
    Below,
    /// A latency: predicted as the client sees it, known only as the proxy does.
    NotJudged,
}

impl Place {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "-",
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
    let is_whole = answered == config.requests;
    let compare = |m: &MetricForecast| {
        let (metric, value) = (m.metric, so_far(m.metric, metrics));
        let whole = MetricRange { metric, mean: m.mean, interval: m.interval };
        let range = match is_whole || metric.is_latency() {
            true => Some(whole),
            false => under_way(&run.milestones, metric, answered),
        };
        let place = match (range, value) {
            _ if metric.is_latency() => Place::NotJudged,
            (Some(range), Some(value)) => place(value, range.interval),
            _ => Place::Nothing,
        };
        let unknown = Interval { low: f64::NAN, high: f64::NAN };
        let (interval, mean) = range.map_or((unknown, f64::NAN), |r| (r.interval, r.mean));
        Comparison { metric, value, interval, mean, place }
    };
    Ok(Against {
        basis: run.basis,
        answered,
        requests: config.requests,
        is_whole,
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
    fn a_run_is_compared_with_what_was_predicted_of_so_many_requests() {
        let mut metrics = testing::middle();
        let against = against(&metrics, &testing::prediction()).unwrap();
        assert_eq!((against.answered, against.requests, against.is_whole), (42, 100, false));
        let score = row(&against, RunMetric::Score);
        assert_eq!(score.value, Some(metrics.best_guess_score));
        // 34 and 50 of 100 are next to it, and so 34 and 50 % of what is predicted of the whole.
        let (low, high) = (0.5 * 84.0 - 8.0, 0.34 * 97.0 + 8.0);
        assert!((score.interval.low - low).abs() < 1e-9, "{score:?}");
        assert!((score.interval.high - high).abs() < 1e-9, "{score:?}");
        assert_eq!(score.place, Place::Inside);
        assert_eq!(row(&against, RunMetric::RateLimited).place, Place::Above);
        metrics.total_success = 99;
        let whole = super::against(&metrics, &testing::prediction()).unwrap();
        assert!(whole.is_whole);
        let predicted = Interval { low: 84.0, high: 97.0 };
        assert_eq!(row(&whole, RunMetric::Score).interval, predicted);
    }

    #[test]
    fn what_nothing_is_predicted_of_is_not_judged() {
        let mut metrics = testing::middle();
        (metrics.total_success, metrics.total_failure) = (7, 0);
        let early = against(&metrics, &testing::prediction()).unwrap();
        assert_eq!(row(&early, RunMetric::BusiestShare).place, Place::Nothing);
        assert_ne!(row(&early, RunMetric::Score).place, Place::Nothing);
        let none = against(&testing::waiting_for_first(), &testing::prediction()).unwrap();
        assert_eq!(row(&none, RunMetric::SuccessRate).value, None);
        assert_eq!(row(&none, RunMetric::Attempts).place, Place::Inside);
        metrics.total_success = 999;
        let longer = against(&metrics, &testing::prediction()).unwrap();
        assert!(longer.rows.iter().all(|r| r.metric.is_latency() || r.place == Place::Nothing));
        let mut old = testing::prediction();
        old.configs[0].runs.iter_mut().for_each(|run| run.milestones.clear());
        let old = against(&testing::middle(), &old).unwrap();
        assert_eq!(row(&old, RunMetric::Score).place, Place::Nothing, "a file of before");
        let ended = against(&testing::ended(), &testing::prediction()).unwrap();
        assert_ne!(row(&ended, RunMetric::Score).place, Place::Nothing);
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
