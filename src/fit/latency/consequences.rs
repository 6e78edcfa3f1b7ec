//! What follows for simulations from what latency depends on.
//!
//! When not to use it: where requests come much faster than 10 per second; a dependence is weighed
//! against the time between two of them.

use std::fmt::Write;

use super::dependence::{LatencyDependence, LatencyFactor};

/// A dependence is called one below this adjusted p-value.
const LEVEL: f64 = 0.05;
/// Time between two requests at 10 per second, in milliseconds.
const BUDGET_MS: f64 = 100.0;
/// Differences below this share of it change no decision.
const NEGLIGIBLE: f64 = 0.02;

/// A sentence or two for a tested factor; `median_ms` and `slow_ms` are the median and the p98 of
/// all attempts.
pub(super) fn follows(test: &LatencyDependence, median_ms: f64, slow_ms: f64) -> String {
    if test.p_adjusted >= LEVEL {
        return "No dependence seen; drawing latencies independently is not contradicted."
            .to_owned();
    }
    let mut text = String::new();
    let difference = (test.effect - 1.0).abs() * median_ms;
    let verdict = if difference < NEGLIGIBLE * BUDGET_MS {
        "no strategy is affected"
    } else {
        "strategies may be affected, and models do not know it"
    };
    let budget =
        format!("{difference:.2} ms of {BUDGET_MS} ms between two requests at 10 per second");
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
