//! How the values of a metric are written, the same in tables, sentences and charts.

use crate::report::numbers::fixed;
use crate::stats::Interval;
use crate::validate::forecast::RunMetric;

/// The heading of a metric's column. Shares are written in percent.
pub(super) const fn heading(metric: RunMetric) -> &'static str {
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
pub(super) fn value(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::SuccessRate | RunMetric::BusiestShare => percent(x),
        RunMetric::LatencyP50 | RunMetric::LatencyP99 => milliseconds(x),
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            count(x)
        }
    }
}

/// A mean over simulated runs.
pub(super) fn mean(metric: RunMetric, x: f64) -> String {
    match metric {
        RunMetric::Score | RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            fixed(x, 1)
        }
        _ => value(metric, x),
    }
}

/// `80 to 97`.
pub(super) fn span(metric: RunMetric, interval: Interval) -> String {
    format!("{} to {}", value(metric, interval.low), value(metric, interval.high))
}

/// `96 [80, 97]`: what was seen and where 95 % of simulated runs lie, as short as it can be told.
pub(super) fn seen_in(metric: RunMetric, observed: f64, interval: Interval) -> String {
    let shown = |x: f64| match metric {
        // Percents of percents are only worth telling of a narrow interval.
        RunMetric::BusiestShare => fixed(x * 100.0, usize::from(interval.width() < 0.04)),
        _ => value(metric, x),
    };
    format!("{} [{}, {}]", shown(observed), shown(interval.low), shown(interval.high))
}

/// A share in percent, one digit after the point.
pub(super) fn percent(share: f64) -> String {
    fixed(share * 100.0, 1)
}

/// One digit after the point, none where it is 0 or the number large.
pub(super) fn count(x: f64) -> String {
    let text = fixed(x, usize::from(x.abs() < 99.95));
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Three significant digits.
pub(super) fn milliseconds(ms: f64) -> String {
    let decimals = match ms.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    fixed(ms, decimals)
}

/// A p-value: two significant digits, none that a number of simulated runs cannot give.
pub(super) fn p_value(p: f64) -> String {
    match p {
        _ if p.is_nan() => "-".to_owned(),
        _ if p < 0.0001 => "<0.0001".to_owned(),
        _ if p < 0.001 => fixed(p, 4),
        _ if p < 0.1 => fixed(p, 3),
        _ => fixed(p, 2),
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
        assert_eq!(
            [0.000_01, 0.000_44, 0.0123, 0.5].map(p_value),
            ["<0.0001", "0.0004", "0.012", "0.50"]
        );
    }
}
