//! Where a model comes from, in a table that goes into its file, and in sentences of warning.
//!
//! When not to use it: to read numbers back from; a `FitReport` has them with all their digits.

use toml::{Table, Value};

use super::error_rates::FamilyFit;
use super::latency::LatencyFit;
use super::report::ConfigFit;
use crate::stats::Interval;

/// Significant digits of numbers in a provenance table.
const DIGITS: usize = 6;
/// p-values below this are called a misfit. Six are looked at in a config, so that one of 18
/// would be a false alarm in about one fit of six.
const MISFIT: f64 = 0.01;
/// A Bayes factor below this (3, "barely worth a mention" in Kass and Raftery) chooses nothing.
const LEAST_LOG_BAYES_FACTOR: f64 = 1.098_612_288_668_109_8;
/// Restarts with a probability between this and one minus this are doubtful.
const DOUBTFUL: f64 = 0.05;
/// With fewer servers, counted at each start, the hyper-prior speaks louder than the data.
const FEW_SERVERS: usize = 20;

/// A number to so many significant digits, as a decimal would be written.
pub(super) fn rounded(x: f64, digits: usize) -> f64 {
    // Through the decimal text, which is exact; a float that is not finite stays as it is.
    format!("{x:.*e}", digits.saturating_sub(1)).parse().unwrap_or(x)
}

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

/// A table of those entries that say something: a BIC of equal values is infinite.
fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let says_something = |value: &Value| value.as_float().is_none_or(f64::is_finite);
    let entries = entries.into_iter().filter(|(_, value)| says_something(value));
    Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The `[provenance]` table of a config's model.
pub(super) fn provenance(fit: &ConfigFit) -> Table {
    let attempts = fit.runs.iter().map(|run| run.attempts).sum();
    let starts = fit.runs.last().map_or(0, |run| run.start);
    let boundaries = fit.boundaries.iter().map(|b| number(b.log_bayes_factor)).collect();
    let traces = fit.runs.iter().map(|run| text(format!("{} (start {})", run.file, run.start)));
    let entries = [
        ("assumed", Value::Boolean(fit.rate_limit.assumed)),
        ("attempts", count(attempts)),
        ("error_rate", error_rate(fit)),
        ("goodness", goodness(fit)),
        ("homogeneity", Value::Array(homogeneity(fit))),
        ("latency", latency(fit)),
        ("rate_limit", rate_limit(fit)),
        ("reason", text(reason(fit))),
        ("restart_log_bayes_factors", Value::Array(boundaries)),
        ("runs", count(fit.runs.len())),
        ("source", text("flakelab fit")),
        ("starts", count(starts)),
        ("traces", Value::Array(traces.collect())),
        ("warnings", Value::Array(fit.warnings.iter().map(text).collect())),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn reason(fit: &ConfigFit) -> &'static str {
    if fit.rate_limit.assumed {
        "the rate limit is assumed (see rate_limit.reason in the model file); all else is fitted"
    } else {
        "nothing is assumed; all is fitted"
    }
}

fn error_rate(fit: &ConfigFit) -> Value {
    let family = |family: &FamilyFit| {
        let mut entries = Table::new();
        entries.insert("family".to_owned(), text(family.population.family()));
        entries.insert("log_evidence".to_owned(), number(family.log_evidence));
        for parameter in &family.hyperparameters {
            entries.insert(parameter.name.to_owned(), number(parameter.estimate));
            entries.insert(format!("{}_95", parameter.name), ends(parameter.interval));
        }
        Value::Table(entries)
    };
    table([
        ("estimate", text("posterior means of the hyperparameters; _95: credible intervals")),
        ("families", Value::Array(fit.population.families.iter().map(family).collect())),
        ("fitted_on", text(format!("config {}", fit.population.fitted_on))),
        ("log_bayes_factor", number(fit.population.log_bayes_factor)),
        ("raw_mean", number(fit.goodness.raw_mean)),
    ])
}

/// Of the population, for the config's own servers.
fn goodness(fit: &ConfigFit) -> Value {
    let goodness = &fit.goodness;
    let left_out = fit.runs.iter().map(|run| run.taken_for_refusals).sum();
    table([
        ("attempts_taken_for_refusals", count(left_out)),
        ("calibration_chi_square", number(goodness.calibration_test.statistic)),
        ("calibration_df", count(goodness.calibration.len())),
        ("calibration_p", number(goodness.calibration_test.p_value)),
        ("pit_ks", number(goodness.pit_ks_distance)),
        ("pit_ks_p", number(goodness.pit_ks_p_value)),
        ("servers", count(goodness.servers)),
    ])
}

fn homogeneity(fit: &ConfigFit) -> Vec<Value> {
    fit.homogeneity
        .iter()
        .map(|test| {
            table([
                ("chi_square", number(test.test.statistic)),
                ("df", count(usize::try_from(test.test.df).unwrap_or(usize::MAX))),
                ("p", number(test.test.p_value)),
                ("runs", count(test.runs)),
                ("scope", text(test.scope.clone())),
            ])
        })
        .collect()
}

fn latency(fit: &ConfigFit) -> Value {
    let one = |fit: &LatencyFit| {
        let mut entries = vec![
            ("attempts", count(fit.attempts)),
            ("bic_lognormal", number(fit.bic_lognormal)),
            ("ks", number(fit.ks_distance)),
            ("ks_p", number(fit.ks_p_value)),
        ];
        entries.extend(fit.bic_mixture.map(|bic| ("bic_lognormal_mixture", number(bic))));
        table(entries)
    };
    let fits = &fit.latency;
    let mut entries = vec![("bic_together", number(fits.bic_together))];
    entries.extend(fits.bic_apart.map(|bic| ("bic_apart", number(bic))));
    entries.extend(fits.first_median_ms.map(|ms| ("first_attempts_median_ms", number(ms))));
    entries.extend(fits.retry_median_ms.map(|ms| ("retries_median_ms", number(ms))));
    match &fits.failure {
        Some(failure) => {
            entries.extend([("success", one(&fits.success)), ("failure", one(failure))])
        }
        None => entries.push(("all", one(&fits.success))),
    }
    table(entries)
}

fn rate_limit(fit: &ConfigFit) -> Value {
    let evidence = &fit.rate_limit.evidence;
    let mut entries = vec![
        ("assumed", Value::Boolean(fit.rate_limit.assumed)),
        ("log_bayes_factor_against_none", number(evidence.log_bayes_factor)),
        ("reason", text(fit.rate_limit.reason.clone())),
        ("tested", text(evidence.limit.to_string())),
        ("would_refuse", number_of(evidence.refused)),
        ("would_refuse_but_succeeded", number_of(evidence.refused_but_succeeded)),
    ];
    entries
        .extend(evidence.supported_per_second.map(|range| ("supported_per_second", ends(range))));
    table(entries)
}

fn number_of(n: u64) -> Value {
    count(usize::try_from(n).unwrap_or(usize::MAX))
}

/// What to keep in mind about a config, as sentences.
pub(super) fn warnings(fit: &ConfigFit) -> Vec<String> {
    let mut warnings = Vec::new();
    error_rate_warnings(fit, &mut warnings);
    start_warnings(fit, &mut warnings);
    limit_warnings(fit, &mut warnings);
    let parts = [
        Some(("attempts", &fit.latency.success)),
        fit.latency.failure.as_ref().map(|f| ("failures", f)),
    ];
    for (what, part) in parts.into_iter().flatten().filter(|(_, part)| part.ks_p_value < MISFIT) {
        warnings.push(format!(
            "The latency of {what} is not quite of the fitted family (Kolmogorov-Smirnov distance \
             {:.3}, p = {:.3}).",
            part.ks_distance, part.ks_p_value
        ));
        if let (Some(first), Some(retry)) =
            (fit.latency.first_median_ms, fit.latency.retry_median_ms)
        {
            warnings.push(format!(
                "First attempts and retries differ in a way that the family cannot say: their \
                 medians are {first:.3} ms and {retry:.3} ms."
            ));
        }
    }
    warnings
}

fn error_rate_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    let (population, goodness) = (&fit.population, &fit.goodness);
    let mut strategies: Vec<&str> =
        fit.runs.iter().flat_map(|run| &run.strategies).map(String::as_str).collect();
    strategies.sort_unstable();
    strategies.dedup();
    let mean = population.families.first().map_or(f64::NAN, |family| family.population.mean());
    if strategies.iter().any(|strategy| *strategy != "random") {
        warnings.push(format!(
            "Raw error rates are biased, because {} chose servers by their outcomes: their mean \
             over servers is {:.3}, that of the fitted population {mean:.3}. Only likelihoods \
             were used.",
            strategies.join(", "),
            goodness.raw_mean
        ));
    }
    if population.fitted_on != fit.config {
        warnings.push(format!(
            "The population of error rates is that of config {}: refusals hide among the failures \
             of config {}, and a fit to them would take refusals for errors.",
            population.fitted_on, fit.config
        ));
    } else if fit.config.number() > 0 {
        warnings.push(format!(
            "There are no runs of config 0, so the error rates are fitted to the failures of \
             config {} itself, where refusals hide: they are too high.",
            fit.config
        ));
    }
    if population.log_bayes_factor < LEAST_LOG_BAYES_FACTOR {
        warnings.push(format!(
            "The data hardly prefer one family of error rates to the other (Bayes factor {:.2}).",
            libm::exp(population.log_bayes_factor)
        ));
    }
    if goodness.servers < FEW_SERVERS && population.fitted_on == fit.config {
        warnings.push(format!(
            "Only {} servers were seen: the intervals of the population are wide.",
            goodness.servers
        ));
    }
    for (name, p) in [
        ("servers' rates", goodness.pit_ks_p_value),
        ("attempts' predictions", goodness.calibration_test.p_value),
    ] {
        if p < MISFIT {
            warnings.push(format!("The population does not fit the {name} (p = {p:.4})."));
        }
    }
    if !population.settled {
        warnings.push("Starts and population did not settle on each other.".to_owned());
    }
}

fn start_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    for (pair, boundary) in fit.runs.windows(2).zip(&fit.boundaries) {
        if (DOUBTFUL..=1.0 - DOUBTFUL).contains(&boundary.probability) {
            let hidden = if fit.rate_limit.assumed {
                " (refusals among the failures can look like a restart)"
            } else {
                ""
            };
            warnings.push(format!(
                "Whether the servers were started anew between {} and {} is doubtful: probability \
                 {:.2}{hidden}.",
                pair[0].file, pair[1].file, boundary.probability
            ));
        }
    }
    for test in fit.homogeneity.iter().filter(|t| t.scope.starts_with("start ")) {
        if test.test.p_value < MISFIT {
            warnings.push(format!(
                "The runs of {} differ more than one start would (chi-square {:.1} on {}).",
                test.scope, test.test.statistic, test.test.df
            ));
        }
    }
}

fn limit_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    let (limit, evidence) = (&fit.rate_limit, &fit.rate_limit.evidence);
    if limit.assumed {
        warnings.push(format!("The rate limit of config {} is an assumption.", fit.config));
        if evidence.refused_but_succeeded > 0 {
            warnings.push(format!(
                "The rate limit assumed contradicts the traces: {} of {} attempts that it would \
                 refuse succeeded.",
                evidence.refused_but_succeeded, evidence.refused
            ));
        }
    } else if evidence.log_bayes_factor > LEAST_LOG_BAYES_FACTOR {
        warnings.push(
            "There are signs of a rate limit where there should be none: attempts that follow \
             each other closely fail."
                .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_as_decimals() {
        assert_eq!(rounded(0.123_456_789, 4), 0.1235);
        assert_eq!(rounded(-12_345.678, 3), -12_300.0);
        assert_eq!((rounded(0.0, 4), rounded(20.0, 4)), (0.0, 20.0));
        assert!(rounded(f64::NAN, 4).is_nan() && rounded(f64::INFINITY, 4).is_infinite());
    }
}
