//! What follows for simulations from what latency depends on.
//!
//! A dependence is weighed against the mean time between two requests of the recordings.
//!
//! When not to use it: for simulations with requests much faster than those recorded.

use std::fmt::Write;

use super::dependence::{LatencyDependence, LatencyFactor};

/// A dependence is called one below this adjusted p-value.
const LEVEL: f64 = 0.05;
/// Differences below this share of the time between two requests change no decision.
const NEGLIGIBLE: f64 = 0.02;

/// A sentence or two for a tested factor; `typical` are the median and the p98 of all attempts,
/// `between_requests_ms` is the mean time from one request to the next, where there is one.
pub(super) fn follows(
    test: &LatencyDependence,
    typical: (f64, f64),
    between_requests_ms: Option<f64>,
) -> String {
    if test.p_adjusted >= LEVEL {
        return "No dependence seen; drawing latencies independently is not contradicted."
            .to_owned();
    }
    let (median_ms, slow_ms) = typical;
    let mut text = String::new();
    let difference = (test.effect - 1.0).abs() * median_ms;
    let is_small = between_requests_ms.is_some_and(|budget| difference < NEGLIGIBLE * budget);
    let verdict = if is_small {
        "no strategy is affected"
    } else {
        "strategies may be affected, and models do not know it"
    };
    let budget = match between_requests_ms {
        Some(ms) => {
            let digits = if ms < 10.0 { 2 } else { 0 };
            format!("{difference:.2} ms of {ms:.digits$} ms between two requests")
        }
        None => format!("{difference:.2} ms"),
    };
    let _ = match test.factor {
        LatencyFactor::Server => write!(text, "Servers' medians differ by {budget}: {verdict}."),
        LatencyFactor::AttemptNumber => {
            let which = if test.effect < 1.0 { "faster" } else { "slower" };
            write!(text, "Retries are {which} by {budget}: {verdict}.")
        }
        LatencyFactor::Run => write!(
            text,
            "Runs' medians differ by {budget}: {verdict}; one distribution describes all runs, \
                 not each."
        ),
        LatencyFactor::Outcome => {
            let which = if test.effect < 1.0 { "faster" } else { "slower" };
            write!(text, "Failures are {which} by {budget}: {verdict}.")
        }
        LatencyFactor::Previous => write!(
            text,
            "Neighbours are alike, which simulations leave out: quantiles of single attempts \
                 are right, sums over the attempts of one request spread a little more in truth."
        ),
        LatencyFactor::SlowSpell => write!(
            text,
            "Attempts slower than {:.1} ms come in spells ({:.0} % follow another, 2 % would \
                 by chance): simulations spread them evenly, so one request rarely meets two.",
            slow_ms,
            100.0 * test.effect
        ),
        LatencyFactor::TimeInRun => write!(
            text,
            "{} runs are slow {:.1} s after they begin: more likely the client's doing than the \
                 servers'; the fitted tail holds it and may be too long.",
            test.statistic, test.effect
        ),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_weighed_against_the_pace_of_the_recordings() {
        let test = LatencyDependence {
            factor: LatencyFactor::Server,
            statistic: 0.0,
            p_value: 0.001,
            p_adjusted: 0.01,
            effect_name: "",
            effect: 1.5,
            effect_interval: None,
            follows: String::new(),
        };
        let say = |between| follows(&test, (1.0, 9.0), between);
        let affected = "strategies may be affected, and models do not know it.";
        for (between, expected) in [
            (Some(101.6), "by 0.50 ms of 102 ms between two requests: no strategy is affected."),
            (Some(5.0), "by 0.50 ms of 5.00 ms between two requests: strategies may be affected"),
            (None, "by 0.50 ms: strategies may be affected"),
        ] {
            assert!(say(between).contains(expected), "{}", say(between));
        }
        assert!(say(None).ends_with(affected));
    }
}
