//! The fit as a whole: recordings in, one model a group of servers out.
//!
//! Config 0 is fitted alone. Configs 1 and 2 are "the same and a rate limit": where refusals hide
//! among their failures they take config 0's population, and their own servers only check it.
//!
//! When not to use it: with recordings of configs 1 or 2 alone that do not mark refusals, the
//! population is fitted to their own failures; refusals that nobody recognised are among them.

use super::checks::{Homogeneity, goodness, homogeneity};
use super::error_rates::ErrorRateFit;
use super::judge::{halves, tested};
use super::latency::{LatencyAnalysis, fit_latency};
use super::learn::{Learned, learn};
use super::limits::{Conclusion, assumed};
use super::provenance::provenance;
use super::report::{
    ConfigFit, FitError, FitReport, LimitFit, RunSummary, ServerSummary, group_name,
};
use super::rounding::{for_model, rounded_latency};
use super::runs::{collect, tallies};
use super::warnings::warnings;
use crate::domain::day;
use crate::trace::{Group, Observed, Recording};
use crate::world::{
    Conditions, Draw, ErrorFamily, ErrorRate, Latency, LatencyFamily, Model, Ports, Posterior,
    RateLimit,
};

/// Rows of each posterior in a model.
pub const MODEL_DRAWS: usize = 256;
/// What attempts are assumed to take where recordings do not tell, in milliseconds.
const UNTOLD_LATENCY_MS: f64 = 1.0;

/// Fits one model to each group of servers in the recordings.
///
/// The order of the recordings does not matter. Takes a few seconds for twenty runs of a hundred
/// requests.
///
/// # Errors
/// No attempts, the same run given twice, or attempts that were all refused: see [`FitError`].
pub fn fit(recordings: &[Recording]) -> Result<FitReport, FitError> {
    let runs = collect(recordings)?;
    let mut configs: Vec<ConfigFit> = Vec::with_capacity(runs.len());
    let mut of_config_0: Option<ErrorRateFit> = None;
    for runs in runs.values() {
        let borrowed = of_config_0.as_ref().filter(|_| borrows_rates(runs));
        let fitted = fit_group(runs, borrowed)?;
        if is_config(&fitted.group, 0) {
            of_config_0 = Some(fitted.rates.clone());
        }
        configs.push(fitted);
    }
    let mut warnings: Vec<String> =
        recordings.iter().flat_map(|recording| recording.warnings.clone()).collect();
    warnings.sort();
    warnings.dedup();
    Ok(FitReport { configs, warnings })
}

/// Whether runs must borrow config 0's population: those of config 1 or 2 in which refusals hide.
#[must_use]
pub fn borrows_rates(runs: &[&Recording]) -> bool {
    runs.iter().any(|run| {
        !run.tells_refusals && run.group.config.is_some_and(|config| config.number() > 0)
    })
}

fn is_config(group: &Group, number: u8) -> bool {
    group.config.is_some_and(|config| config.number() == number)
}

fn fit_group(runs: &[&Recording], borrowed: Option<&ErrorRateFit>) -> Result<ConfigFit, FitError> {
    let Some(group) = runs.first().map(|run| run.group.clone()) else {
        return Err(FitError::NoTraces);
    };
    let only_refusals = || FitError::OnlyRefusals { group: group_name(&group) };
    if runs.iter().all(|run| run.attempts.iter().all(Observed::refused)) {
        return Err(only_refusals());
    }
    let learned = learn(runs, borrowed).ok_or_else(only_refusals)?;
    let starts = learned.starts_of(runs);
    let (refused, prior) = (&learned.refused, learned.rates.prior());
    let stream = u16::from(group.config.map_or(3, |config| config.number()));
    let tells_latency = runs.iter().all(|run| run.tells_latency);
    let servers = group.servers.len();
    let latency = if tells_latency { fit_latency(&starts, refused, servers, stream) } else { None };
    let limit = limit_fit(&group, &learned);
    // Each walks over all attempts.
    let (goodness, (assumptions, held_out)) = rayon::join(
        || goodness(&starts, refused, &prior, stream),
        || {
            rayon::join(
                || tested(&starts, refused, &prior),
                || halves(&starts, refused, &prior, servers, tells_latency, stream),
            )
        },
    );
    let mut fit = ConfigFit {
        model: model(&group, &learned, &limit, latency.as_ref()),
        runs: summaries(runs, &learned),
        homogeneity: homogeneities(runs, &learned),
        servers: server_summaries(runs, &learned),
        goodness,
        assumptions,
        held_out,
        starts: learned.starts.clone(),
        rounds: learned.rounds,
        settled: learned.settled,
        rates_fitted_on: if learned.borrowed { "0".to_owned() } else { group.name.clone() },
        rates: learned.rates,
        prior,
        latency,
        rate_limit: limit,
        warnings: Vec::new(),
        group,
    };
    fit.model
        .validate()
        .map_err(|violation| FitError::OutOfRange { group: group_name(&fit.group), violation })?;
    fit.warnings = warnings(&fit);
    fit.model.provenance = provenance(&fit);
    Ok(fit)
}

fn limit_fit(group: &Group, learned: &Learned) -> LimitFit {
    let inference = learned.limit.clone();
    let by_definition = group.config.and_then(assumed);
    let (limit, assumed, reason) = match (&inference.conclusion, by_definition) {
        (Conclusion::Found { limit, reason }, _)
        | (Conclusion::FoundFamilyOpen { best: limit, reason }, _) => {
            (*limit, false, reason.clone())
        }
        (Conclusion::Unexplained { best, reason }, _) => (*best, true, reason.clone()),
        (Conclusion::Abstained { reason }, None) => (RateLimit::None, false, reason.clone()),
        (Conclusion::Abstained { reason }, Some((limit, why))) => {
            (limit, true, format!("{why} The fit abstains: {reason}"))
        }
    };
    LimitFit { limit: for_model(&limit), assumed, reason, inference }
}

fn model(
    group: &Group,
    learned: &Learned,
    limit: &LimitFit,
    latency: Option<&LatencyAnalysis>,
) -> Model {
    let best = learned.rates.best_redrawn().map_or(&ErrorFamily::FLAT, |best| &best.population);
    let rows = learned.rates.draws(MODEL_DRAWS);
    let limit_rows = match limit.inference.conclusion {
        Conclusion::Abstained { .. } | Conclusion::Unexplained { .. } => Vec::new(),
        _ => limit.inference.draws.iter().map(for_model).collect(),
    };
    let untold = LatencyFamily::Constant { ms: UNTOLD_LATENCY_MS };
    Model {
        name: match group.config {
            Some(config) => format!("config-{config}"),
            None => group.name.clone(),
        },
        ports: Ports { first: group.first_port, count: group.servers.len() as u16 },
        declared: crate::world::Declared::default(),
        error_rate: ErrorRate {
            draw: Draw::PerReplication,
            family: for_model(best),
            posterior: Posterior::from(rows.iter().map(for_model).collect::<Vec<_>>()),
        },
        rate_limit: limit.limit,
        rate_limit_posterior: Posterior::from(limit_rows),
        latency: latency
            .map_or(Latency { success: untold, failure: None, rate_limited_ms: None }, |latency| {
                rounded_latency(&latency.to_latency())
            }),
        conditions: Conditions::default(),
        provenance: toml::Table::new(),
    }
}

fn summaries(runs: &[&Recording], learned: &Learned) -> Vec<RunSummary> {
    let mut summaries: Vec<RunSummary> = runs
        .iter()
        .map(|run| RunSummary {
            file: run.file(),
            strategies: run.strategies.clone(),
            started_at_s: run.started_at_s(),
            seconds: run.attempts.last().map_or(0.0, |last| last.at_s - run.started_at_s()),
            starts: Vec::new(),
            attempts: run.attempts.len(),
            failures: run.attempts.iter().filter(|a| a.failed() || a.refused()).count(),
            refusals: 0,
        })
        .collect();
    for (number, (span, refused)) in (1..).zip(learned.starts.starts.iter().zip(&learned.refused)) {
        let mut refused = refused.iter();
        for stretch in &span.stretches {
            let run = &mut summaries[stretch.recording];
            run.refusals += (&mut refused).take(stretch.attempts.len()).filter(|r| **r).count();
            // A jump of the clock begins a stretch, but no start.
            if run.starts.last().is_none_or(|(_, last)| *last != number) {
                let first = runs[stretch.recording].attempts[stretch.attempts.start].at_s;
                run.starts.push((first - run.started_at_s, number));
            }
        }
    }
    summaries
}

fn server_summaries(runs: &[&Recording], learned: &Learned) -> Vec<ServerSummary> {
    let mut servers = Vec::new();
    for (start, tallies) in (1..).zip(learned.tallies(runs)) {
        for (server, tally) in tallies.into_iter().enumerate() {
            let rate = learned.rates.server(tally);
            let (mean, interval) = (rate.mean, rate.interval_95);
            servers.push(ServerSummary { start, server, tally, mean, interval });
        }
    }
    servers
}

/// Chi-squares over runs, refusals as recorded left out.
fn homogeneities(runs: &[&Recording], learned: &Learned) -> Vec<Homogeneity> {
    let servers = runs.iter().map(|run| run.group.servers.len()).max().unwrap_or(0);
    let all: Vec<_> = runs.iter().map(|run| tallies(&run.attempts, servers)).collect();
    let slices: Vec<_> = all.iter().map(Vec::as_slice).collect();
    let mut tests = vec![homogeneity("all runs".to_owned(), &slices)];
    let mut add_groups = |labels: &[String]| {
        let mut names = labels.to_vec();
        names.dedup();
        for name in names {
            let group: Vec<_> = slices
                .iter()
                .zip(labels)
                .filter(|(_, l)| **l == name)
                .map(|(run, _)| *run)
                .collect();
            if group.len() > 1 {
                tests.push(homogeneity(name, &group));
            }
        }
    };
    let days: Vec<String> =
        runs.iter().map(|run| format!("runs of {}", day(run.started_at_s()))).collect();
    add_groups(&days);
    let starts: Vec<String> = summaries(runs, learned)
        .iter()
        .map(|run| format!("start {}", run.starts.first().map_or(0, |(_, start)| *start)))
        .collect();
    add_groups(&starts);
    tests
}
