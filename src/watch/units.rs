//! How the metrics of a run are written: shares in per cent, latencies in milliseconds.

use super::figures::{ms, percent, points};
use crate::report::metric::unit;
use crate::stats::Interval;
use crate::validate::forecast::RunMetric;

/// A value with its unit; `-` if there is none.
pub(super) fn value(metric: RunMetric, x: Option<f64>) -> String {
    x.map_or("-".to_owned(), |x| number(metric, x) + unit(metric))
}

/// An interval without the unit, one number where both ends are the same.
pub(super) fn interval(metric: RunMetric, interval: Interval) -> String {
    let (low, high) = (number(metric, interval.low), number(metric, interval.high));
    if low == high { low } else { format!("{low} to {high}") }
}

fn number(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => percent(x),
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => ms(x),
        _ => points(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_unit() {
        assert_eq!(value(RunMetric::SuccessRate, Some(0.976)), "97.6 %");
        assert_eq!(value(RunMetric::LatencyP99, Some(23.7)), "24 ms");
        assert_eq!(value(RunMetric::Score, None), "-");
        let both = Interval { low: 0.41, high: 0.88 };
        assert_eq!(interval(RunMetric::BusiestShare, both), "41.0 to 88.0");
        assert_eq!(interval(RunMetric::RateLimited, Interval { low: 0.0, high: 0.0 }), "0");
    }
}
