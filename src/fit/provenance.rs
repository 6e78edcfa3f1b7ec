//! Where a model comes from, in a table that goes into its file.
//!
//! When not to use it: to read numbers back from; a `FitReport` has them with all their digits.

use toml::{Table, Value};

use super::error_rates::FamilyFit;
use super::latency::OutcomeLatency;
use super::limits::{Conclusion, LimitFamily};
use super::report::ConfigFit;
use super::rounding::rounded;
use crate::stats::Interval;

/// Significant digits of numbers in a provenance table.
const DIGITS: usize = 6;

fn number(x: f64) -> Value {
    Value::Float(rounded(x, DIGITS))
}

fn count(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn text(s: impl Into<String>) -> Value {
    Value::String(s.into())
}

fn ends(interval: Interval) -> Value {
    Value::Array(vec![number(interval.low), number(interval.high)])
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Array(texts.into_iter().map(text).collect())
}

/// A table of those entries that say something: a BIC of equal values is infinite.
fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let says_something = |value: &Value| value.as_float().is_none_or(f64::is_finite);
    let entries = entries.into_iter().filter(|(_, value)| says_something(value));
    Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The `[provenance]` table of a model.
pub(super) fn provenance(fit: &ConfigFit) -> Table {
    let attempts = fit.runs.iter().map(|run| run.attempts).sum();
    let traces: Vec<String> = fit
        .runs
        .iter()
        .map(|run| {
            let starts: Vec<String> =
                run.starts.iter().map(|(_, start)| start.to_string()).collect();
            format!("{} (start {})", run.file, starts.join(", "))
        })
        .collect();
    let mut entries = vec![
        ("assumed", Value::Boolean(fit.rate_limit.assumed || fit.latency.is_none())),
        ("attempts", count(attempts)),
        ("checks", checks(fit)),
        ("error_rate", error_rate(fit)),
        ("rate_limit", rate_limit(fit)),
        ("reason", text(reason(fit))),
        ("runs", count(fit.runs.len())),
        ("source", text("flakelab fit")),
        ("starts", count(fit.starts.starts.len())),
        ("traces", texts(&traces)),
        ("warnings", texts(&fit.warnings)),
    ];
    if let Some(latency) = &fit.latency {
        let mut parts = vec![("attempts_or_successes", of_latency(&latency.success))];
        parts.extend(latency.failure.as_ref().map(|f| ("failures", of_latency(f))));
        entries.push(("latency", table(parts)));
    }
    if fit.group.config.is_none() {
        entries.push(("servers", texts(&fit.group.servers)));
    }
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn reason(fit: &ConfigFit) -> &'static str {
    match (fit.rate_limit.assumed, fit.latency.is_some()) {
        (true, true) => {
            "the rate limit is assumed (see rate_limit.reason in the model file); all else is fitted"
        }
        (false, true) => "nothing is assumed; all is fitted",
        (true, false) => {
            "the rate limit (see rate_limit.reason in the model file) and latencies are assumed"
        }
        (false, false) => "latencies are assumed: these recordings do not tell them",
    }
}

fn error_rate(fit: &ConfigFit) -> Value {
    let family = |family: &FamilyFit| {
        let mut entries = Table::new();
        entries.insert("family".to_owned(), text(family.family.name()));
        entries.insert("log_evidence".to_owned(), number(family.log_evidence));
        entries.insert("probability".to_owned(), number(family.probability));
        // Of fixed rates each port's would stand here; they are no population.
        for parameter in family.hyperparameters.iter().filter(|p| p.name != "rate") {
            entries.insert(parameter.name.to_owned(), number(parameter.estimate));
            entries.insert(format!("{}_95", parameter.name), ends(parameter.interval));
        }
        Value::Table(entries)
    };
    table([
        ("estimate", text("posterior means of the hyperparameters; _95: credible intervals")),
        ("families", Value::Array(fit.rates.families.iter().map(family).collect())),
        ("fitted_on", text(format!("group {}", fit.rates_fitted_on))),
        ("raw_mean", number(fit.goodness.raw_mean)),
        ("servers", count(fit.goodness.servers)),
    ])
}

/// p-values of what was checked; adjusted ones by Holm.
fn checks(fit: &ConfigFit) -> Value {
    let goodness = &fit.goodness;
    let key =
        |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").replace("__", "_");
    let mut assumptions = Table::new();
    for test in fit.assumptions.iter().filter(|test| test.attempts > 0) {
        assumptions.insert(key(test.name), number(test.adjusted_p_value));
    }
    let mut held_out = Table::new();
    for check in fit.held_out.checks.iter().filter(|check| check.attempts > 0) {
        held_out.insert(key(check.name), number(check.adjusted_p_value));
    }
    table([
        ("assumptions_adjusted_p", Value::Table(assumptions)),
        ("calibration_p", number(goodness.calibration_test.p_value)),
        ("held_out_adjusted_p", Value::Table(held_out)),
        ("pit_ks_p", number(goodness.pit_ks_p_value)),
    ])
}

fn of_latency(fit: &OutcomeLatency) -> Value {
    let chosen = &fit.families[fit.chosen];
    table([
        ("attempts", count(fit.attempts)),
        ("bic", number(chosen.bic)),
        ("family", text(chosen.name())),
        ("ks", number(chosen.ks_distance)),
        ("p", number(fit.p_value)),
    ])
}

fn rate_limit(fit: &ConfigFit) -> Value {
    let inference = &fit.rate_limit.inference;
    let conclusion = match inference.conclusion {
        Conclusion::Found { .. } => "found",
        Conclusion::FoundFamilyOpen { .. } => "found, family open",
        Conclusion::Unexplained { .. } => "found, unexplained",
        Conclusion::Abstained { .. } => "abstained",
    };
    let family = |family: &LimitFamily| {
        table([
            ("kind", text(family.kind.to_string())),
            ("log_bayes_factor_against_none", number(family.log_bayes_factor_against_none)),
            ("probability", number(family.probability)),
        ])
    };
    table([
        ("advice", text(inference.advice.clone())),
        ("assumed", Value::Boolean(fit.rate_limit.assumed)),
        ("conclusion", text(conclusion)),
        ("families", Value::Array(inference.families.iter().map(family).collect())),
        ("log_bayes_factor_against_none", number(inference.log_bayes_factor)),
        ("reason", text(fit.rate_limit.reason.clone())),
        ("refusals", count(fit.runs.iter().map(|run| run.refusals).sum())),
    ])
}
