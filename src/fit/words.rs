//! What to keep in mind about a fit, as sentences, and where a model comes from, as a table.

use toml::{Table, Value};

use crate::checks::unrecorded_inputs;
use crate::latency::OutcomeLatency;
use crate::limits::{Conclusion, LimitFamily};
use crate::rates::FamilyFit;
use crate::report::ConfigFit;
use crate::runs::group_name;
use crate::starts::Place;
use flakelab_core::stats::Interval;
use flakelab_sim::world::{ErrorRateKind, Families, Latency};

/// p-values below this are called a misfit. Two are looked at so; those of assumptions
/// are adjusted and judged at 5 %.
const MISFIT: f64 = 0.01;

/// A family less probable than this has not won.
const CHOSEN: f64 = 0.75;

/// Restarts with a probability between this and one minus this are doubtful.
const DOUBTFUL: f64 = 0.05;

/// With fewer servers, counted at each start, the hyper-prior speaks louder than the data.
const FEW_SERVERS: usize = 20;

pub(crate) fn warnings(fit: &ConfigFit) -> Vec<String> {
    let mut warnings = Vec::new();
    choice_warnings(fit, &mut warnings);
    error_rate_warnings(fit, &mut warnings);
    start_warnings(fit, &mut warnings);
    let name = group_name(&fit.group);
    match fit.rate_limit.inference.conclusion {
        Conclusion::Unexplained => warnings.push(format!(
            "Servers of {name} refuse attempts by a law that is none of those known here; the rate \
             limit in the model is no more than the nearest one."
        )),
        _ if fit.rate_limit.assumed => {
            warnings.push(format!("The rate limit of {name} is an assumption."));
        }
        _ => {}
    }
    for test in fit.assumptions.iter().filter(|test| test.is_rejected()) {
        warnings.push(format!(
            "Assumption rejected: {} (adjusted p = {}). {}",
            test.name,
            rounded(test.adjusted_p_value, 2),
            test.consequence
        ));
    }
    match &fit.latency {
        None => warnings.push(
            "These recordings do not tell latencies; attempts are assumed to take 1 ms.".to_owned(),
        ),
        Some(latency) => {
            let parts = [
                Some(("attempts", &latency.success)),
                latency.failure.as_ref().map(|f| ("failures", f)),
            ];
            for (what, part) in parts.into_iter().flatten().filter(|(_, p)| p.p_value < MISFIT) {
                warnings.push(format!("Latency of {what}: {}", part.misses()));
            }
        }
    }
    warnings
}

fn strategies(fit: &ConfigFit) -> Vec<String> {
    let mut strategies: Vec<String> =
        fit.runs.iter().flat_map(|run| run.strategies.clone()).collect();
    strategies.sort_unstable();
    strategies.dedup();
    strategies
}

fn choice_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    let strategies = strategies(fit);
    let by_outcome = |name: &String| !["random", "probe", "round-robin"].contains(&name.as_str());
    if strategies.iter().any(by_outcome) {
        warnings.push(format!(
            "Raw error rates are biased where servers are chosen by their outcomes, as {} may: \
             their mean over servers is {:.3}, that of the fitted population {:.3}. Only \
             likelihoods were used.",
            strategies.join(", "),
            fit.goodness.raw_mean,
            fit.prior.mean()
        ));
    }
    warnings.extend(unrecorded_inputs(&strategies));
}

fn error_rate_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    let name = group_name(&fit.group);
    let limited = fit.group.config.is_some_and(|config| config.number() > 0);
    if fit.rates_fitted_on != fit.group.name {
        warnings.push(format!(
            "The population of error rates is that of config {}: refusals hide among the failures \
             of {name}, and a fit to them would take refusals for errors.",
            fit.rates_fitted_on
        ));
    } else if limited && !fit.rate_limit.inference.pressed.marked {
        // Where refusals are marked, its own failures are errors.
        warnings.push(format!(
            "There are no runs of config 0, so the error rates are fitted to the failures of \
             {name} itself, where refusals hide: they may be too high."
        ));
    }
    let redrawn: f64 = fit
        .rates
        .families
        .iter()
        .filter(|family| family.family != ErrorRateKind::Fixed)
        .map(|family| family.probability)
        .sum();
    if let Some(best) = fit.rates.best_redrawn()
        && best.probability < CHOSEN * redrawn
    {
        warnings.push(format!(
            "The data do not choose a family of error rates: {} has a probability of {:.2} among \
             those drawn anew at each start. Models draw from all of these.",
            best.family.name().replace('_', " "),
            best.probability / redrawn
        ));
    }
    if let Some(fixed) = fit.rates.family(ErrorRateKind::Fixed)
        && fixed.probability > 0.5
        && fit.starts.starts.len() > 1
    {
        warnings.push(format!(
            "The same rate for each port at every start is more likely than rates drawn anew \
             (probability {:.2}).",
            fixed.probability
        ));
    }
    if fit.goodness.servers < FEW_SERVERS && fit.rates_fitted_on == fit.group.name {
        warnings.push(format!(
            "Only {} servers were seen: the intervals of the population are wide.",
            fit.goodness.servers
        ));
    }
    for (name, p) in [
        ("servers' rates", fit.goodness.pit_ks_p_value),
        ("attempts' predictions", fit.goodness.calibration_test.p_value),
    ] {
        if p < MISFIT {
            warnings.push(format!("The population does not fit the {name} (p = {p:.4})."));
        }
    }
    if !fit.settled {
        warnings.push("Starts, rates and limit did not settle on each other.".to_owned());
    }
}

/// A restart changes all servers. When the evidence for one rests on a single server, an outage of
/// that server looks the same.
fn lonely_restarts(fit: &ConfigFit, warnings: &mut Vec<String>) {
    let inside: Vec<usize> = fit
        .runs
        .iter()
        .flat_map(|run| run.starts.iter().skip(1).map(|(_, start)| *start))
        .collect();
    for later in inside {
        let of = |start: usize| fit.servers.iter().filter(move |s| s.start == start);
        let mut factors: Vec<f64> = of(later - 1)
            .zip(of(later))
            .map(|(a, b)| {
                let mut both = a.rate.tally;
                both.add(b.rate.tally);
                let marginal = |tally| fit.prior.log_marginal(tally);
                marginal(a.rate.tally) + marginal(b.rate.tally) - marginal(both)
            })
            .collect();
        factors.sort_by(f64::total_cmp);
        let Some((most, others)) = factors.split_last() else { continue };
        if others.iter().sum::<f64>() < 0.0 && *most > 0.0 {
            warnings.push(format!(
                "The restart before start {later} rests on a single server: an outage of that \
                 server would look the same."
            ));
        }
    }
}

fn outage_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    for outage in &fit.starts.outages {
        let [from, until] = [outage.from_s, outage.until_s].map(|s| libm::round(s * 1e3) / 1e3);
        let failed = match outage.accepted - outage.failures {
            0 => format!("all {} attempts failed", outage.failures),
            _ => format!("{} of {} attempts failed", outage.failures, outage.accepted),
        };
        let (of, alone) = match outage.perhaps_only {
            None => ("all servers".to_owned(), String::new()),
            Some(one) => (
                format!("server {}, perhaps of all servers", fit.group.servers[one]),
                format!(", and servers = [{one}] if it was that one alone"),
            ),
        };
        let model = if fit.model.conditions.outages.is_empty() {
            format!(
                "They are left out of this fit, and the model has no outage. To play it, add to the \
                 model: [[outage]] kind = \"fail\", from_s = {from:?}, until_s = {until:?}{alone}."
            )
        } else {
            "They say nothing of error rates; the outage stands in the model.".to_owned()
        };
        warnings.push(format!(
            "An outage of {of}: from {from} to {until} s into {}, {failed}. {model}",
            fit.runs[outage.recording].file
        ));
    }
}

fn start_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
    outage_warnings(fit, warnings);
    lonely_restarts(fit, warnings);
    let doubtful = |p: f64| (DOUBTFUL..=1.0 - DOUBTFUL).contains(&p);
    for boundary in fit.starts.boundaries.iter().filter(|b| doubtful(b.probability)) {
        let file = |run: usize| fit.runs[run].file.as_str();
        let place = match &boundary.place {
            Place::Between { before, after } => {
                format!("between {} and {}", file(*before), file(*after))
            }
            Place::Inside { recording, into_file_s, .. } => {
                format!("{into_file_s:.1} s into {}", file(*recording))
            }
        };
        warnings.push(format!(
            "Whether the servers were started anew {place} is doubtful: probability {:.2}.",
            boundary.probability
        ));
    }
    for search in fit.starts.searches.iter().filter(|s| s.restarts == 0 && doubtful(s.probability))
    {
        warnings.push(format!(
            "Whether the servers were started anew while {} was recorded is doubtful: probability \
             {:.2}.",
            fit.runs[search.recording].file, search.probability
        ));
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

/// Significant digits of numbers in a provenance table.
const DIGITS: usize = 6;

fn number(x: f64) -> Value {
    Value::Float(rounded(x, DIGITS))
}

fn count(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A table of those entries that say something: a BIC of equal values is infinite.
fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let says_something = |value: &Value| value.as_float().is_none_or(f64::is_finite);
    let entries = entries.into_iter().filter(|(_, value)| says_something(value));
    Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).collect())
}

pub(crate) fn provenance(fit: &ConfigFit) -> Table {
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
        ("assumed", Value::from(fit.rate_limit.assumed || fit.latency.is_none())),
        ("attempts", count(attempts)),
        ("checks", checks(fit)),
        ("error_rate", error_rate(fit)),
        ("rate_limit", rate_limit(fit)),
        ("reason", Value::from(reason(fit))),
        ("runs", count(fit.runs.len())),
        ("source", Value::from("flakelab fit")),
        ("starts", count(fit.starts.starts.len())),
        ("traces", Value::from(traces)),
        ("warnings", Value::from(fit.warnings.clone())),
    ];
    if let Some(latency) = &fit.latency {
        let mut parts = vec![("attempts_or_successes", of_latency(&latency.success))];
        parts.extend(latency.failure.as_ref().map(|f| ("failures", of_latency(f))));
        entries.push(("latency", table(parts)));
    }
    if fit.group.config.is_none() {
        entries.push(("servers", Value::from(fit.group.servers.clone())));
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
        entries.insert("family".to_owned(), Value::from(family.family.name()));
        entries.insert("log_evidence".to_owned(), number(family.log_evidence));
        entries.insert("probability".to_owned(), number(family.probability));
        // Of fixed rates each port's would stand here; they are no population.
        for parameter in family.hyperparameters.iter().filter(|p| p.name != "rate") {
            entries.insert(parameter.name.to_owned(), number(parameter.estimate));
            let Interval { low, high } = parameter.interval;
            let ends = Value::Array(vec![number(low), number(high)]);
            entries.insert(format!("{}_95", parameter.name), ends);
        }
        Value::Table(entries)
    };
    table([
        (
            "estimate",
            Value::from("posterior means of the hyperparameters; _95: credible intervals"),
        ),
        ("families", Value::Array(fit.rates.families.iter().map(family).collect())),
        ("fitted_on", Value::from(format!("group {}", fit.rates_fitted_on))),
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
    table([
        ("assumptions_adjusted_p", Value::Table(assumptions)),
        ("calibration_p", number(goodness.calibration_test.p_value)),
        ("pit_ks_p", number(goodness.pit_ks_p_value)),
    ])
}

fn of_latency(fit: &OutcomeLatency) -> Value {
    let chosen = &fit.families[fit.chosen];
    table([
        ("attempts", count(fit.attempts)),
        ("bic", number(chosen.bic)),
        ("family", Value::from(chosen.name())),
        ("ks", number(chosen.ks_distance)),
        ("p", number(fit.p_value)),
    ])
}

fn rate_limit(fit: &ConfigFit) -> Value {
    let inference = &fit.rate_limit.inference;
    let conclusion = match inference.conclusion {
        Conclusion::Found => "found",
        Conclusion::FoundFamilyOpen => "found, family open",
        Conclusion::Unexplained => "found, unexplained",
        Conclusion::Abstained => "abstained",
    };
    let family = |family: &LimitFamily| {
        table([
            ("kind", Value::from(family.kind.to_string())),
            ("log_bayes_factor_against_none", number(family.log_bayes_factor_against_none)),
            ("probability", number(family.probability)),
        ])
    };
    table([
        ("advice", Value::from(inference.advice.clone())),
        ("assumed", Value::from(fit.rate_limit.assumed)),
        ("conclusion", Value::from(conclusion)),
        ("families", Value::Array(inference.families.iter().map(family).collect())),
        ("log_bayes_factor_against_none", number(inference.log_bayes_factor)),
        ("reason", Value::from(fit.rate_limit.reason.clone())),
        ("refusals", count(fit.runs.iter().map(|run| run.refusals).sum())),
    ])
}

/// Significant digits of the numbers in a model.
const MODEL_DIGITS: usize = 5;

/// A number to so many significant digits, as a decimal would be written.
fn rounded(x: f64, digits: usize) -> f64 {
    // Through the decimal text, which is exact; a float that is not finite stays as it is.
    format!("{x:.*e}", digits.saturating_sub(1)).parse().unwrap_or(x)
}

pub(crate) fn round(x: f64) -> f64 {
    rounded(x, MODEL_DIGITS)
}

/// A population or a rate limit for a model, within what models allow: few servers leave the shapes
/// of betas open to all sides. Rounding keeps order, so what must be below another number stays so.
pub(crate) fn for_model<F: Families>(fitted: &F) -> F {
    fitted.mapped(round)
}

pub(crate) fn rounded_latency(latency: &Latency) -> Latency {
    Latency {
        success: latency.success.rounded(round),
        failure: latency.failure.map(|family| family.rounded(round)),
        rate_limited_ms: latency.rate_limited_ms.map(round),
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
