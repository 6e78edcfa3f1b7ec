//! What to keep in mind about a fit, as sentences.

use super::checks::{RECORDED_INPUTS_ONLY, unrecorded_inputs};
use super::limits::Conclusion;
use super::report::{ConfigFit, group_name};
use super::rounding::rounded;
use super::starts::Place;
use crate::world::ErrorRateKind;

/// p-values below this are called a misfit. Two are looked at so; those of assumptions and
/// held-out checks are adjusted and judged at 5 %.
const MISFIT: f64 = 0.01;
/// A family less probable than this has not won.
const CHOSEN: f64 = 0.75;
/// Restarts with a probability between this and one minus this are doubtful.
const DOUBTFUL: f64 = 0.05;
/// With fewer servers, counted at each start, the hyper-prior speaks louder than the data.
const FEW_SERVERS: usize = 20;

/// All of them.
pub(super) fn warnings(fit: &ConfigFit) -> Vec<String> {
    let mut warnings = Vec::new();
    choice_warnings(fit, &mut warnings);
    error_rate_warnings(fit, &mut warnings);
    start_warnings(fit, &mut warnings);
    let name = group_name(&fit.group);
    match fit.rate_limit.inference.conclusion {
        Conclusion::Unexplained { .. } => warnings.push(format!(
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
    warnings.extend(fit.held_out.misses().map(|miss| format!("Held-out halves: {miss}")));
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
    warnings.extend(unrecorded_inputs(&strategies, &RECORDED_INPUTS_ONLY));
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
    } else if limited && fit.rate_limit.inference.pressed.marked {
        // Refusals are marked: its own failures are errors.
    } else if limited {
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
                let mut both = a.tally;
                both.add(b.tally);
                let marginal = |tally| fit.prior.log_marginal(tally);
                marginal(a.tally) + marginal(b.tally) - marginal(both)
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

fn start_warnings(fit: &ConfigFit, warnings: &mut Vec<String>) {
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
