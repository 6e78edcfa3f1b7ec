//! How the values of a metric are written, the same in tables, sentences and charts, and why some
//! are not judged.

use crate::report::numbers::{fixed, percent, significant};
use crate::stats::Interval;
use crate::validate::forecast::{Judgement, RunMetric, TestedMetric};

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

/// Why a number is not judged.
pub const fn why(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoSpread => "every simulated run gave this very number",
        Judgement::PathUnknown => "what the path added during the run is not known",
        Judgement::Disturbed => {
            "this machine was busy with other things: requests left late, or the path to the null \
             server stalled as long as the slowest requests take"
        }
        Judgement::Judged => "",
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
