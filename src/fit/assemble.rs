//! The fit as a whole: runs in, one model a config out.
//!
//! Config 0 is fitted alone, alternating between starts and population until neither changes.
//! Configs 1 and 2 are "the same and a rate limit": refusals hide among their failures, so they
//! take config 0's population; their own servers only check it.
//!
//! When not to use it: with traces of configs 1 or 2 alone the population is fitted to their own
//! failures, refusals included, which the report says.

use super::checks::{Homogeneity, Outcomes, day, homogeneity, judge};
use super::error_rates::{FamilyFit, Population, Tally, fit_families};
use super::latency::{LatencyFits, fit_latencies};
use super::limits::{self, LimitEvidence, evidence, refusals};
use super::old_runs::{Run, collect};
use super::provenance::{provenance, rounded, warnings};
use super::report::{ConfigFit, FitError, FitReport, LimitFit, PopulationFit, RunSummary};
use super::starts::{Segmentation, segment};
use crate::stats::quantile::quantile;
use crate::trace::{Config, Trace};
use crate::world::{Draw, ErrorRate, Latency, Model, Ports};

/// Rounds of starts and population; on real data two or three suffice.
const MOST_ROUNDS: usize = 20;
/// Fewer refusals than this do not tell how long a refusal takes.
const LEAST_REFUSALS: usize = 5;
/// Significant digits of the numbers in a model.
const MODEL_DIGITS: usize = 5;

/// Fits one model to each config that the traces hold.
///
/// The order of the traces does not matter. Takes about a second for twenty runs of a hundred
/// requests.
///
/// # Errors
/// No attempts, a trace whose counts would be wrong, the same run given twice, or attempts that
/// were all refused: see [`FitError`].
pub fn fit(traces: &[Trace]) -> Result<FitReport, FitError> {
    let (runs, warnings) = collect(traces)?;
    let mut configs: Vec<ConfigFit> = Vec::with_capacity(runs.len());
    let mut of_config_0: Option<PopulationFit> = None;
    for (config, runs) in &runs {
        let borrowed = of_config_0.clone();
        let fitted = fit_config(*config, runs, borrowed)?;
        if config.number() == 0 {
            of_config_0 = Some(fitted.population.clone());
        }
        configs.push(fitted);
    }
    Ok(FitReport { configs, warnings })
}

fn fit_config(
    config: Config,
    runs: &[Run],
    borrowed: Option<PopulationFit>,
) -> Result<ConfigFit, FitError> {
    let tallies: Vec<Vec<Tally>> = runs.iter().map(Run::tallies).collect();
    if tallies.iter().flatten().all(|tally| tally.attempts() == 0) {
        return Err(FitError::OnlyRefusals { config });
    }
    let (segmentation, fitted) = match borrowed {
        Some(borrowed) => (segment(&tallies, &best(&borrowed.families)), borrowed),
        None => starts_and_population(config, &tallies),
    };
    let population = best(&fitted.families);
    let starts = by_start(&segmentation, runs);
    let rate_limit = limit_fit(config, &starts, &population);
    let refused: Vec<Vec<bool>> = runs.iter().map(|run| refusals(&rate_limit.limit, run)).collect();
    let goodness = judge(
        &population,
        &accepted_outcomes(&segmentation, runs, &refused),
        u16::from(config.number()),
    );
    let latency = latencies(config, runs, &refused).ok_or(FitError::OnlyRefusals { config })?;
    let mut fit = ConfigFit {
        config,
        model: Model {
            name: format!("config-{config}"),
            ports: Ports { first: config.first_port(), count: config.servers() },
            error_rate: ErrorRate { draw: Draw::PerReplication, family: population.into() },
            rate_limit: rate_limit.limit,
            latency: rounded_latency(&latency),
            provenance: toml::Table::new(),
        },
        runs: summaries(runs, &segmentation, &refused),
        boundaries: segmentation.boundaries.clone(),
        homogeneity: homogeneities(runs, &tallies, &segmentation),
        population: fitted,
        goodness,
        latency,
        rate_limit,
        warnings: Vec::new(),
    };
    fit.model.validate().map_err(|violation| FitError::OutOfRange { config, violation })?;
    fit.warnings = warnings(&fit);
    fit.model.provenance = provenance(&fit);
    Ok(fit)
}

/// The population of the best family, as it stands in the model file.
fn best(families: &[FamilyFit]) -> Population {
    match families.first().map(|fit| fit.population) {
        Some(Population::Uniform { low, high }) => Population::Uniform {
            low: rounded(low, MODEL_DIGITS),
            high: rounded(high, MODEL_DIGITS),
        },
        Some(Population::Beta { alpha, beta }) => Population::Beta {
            alpha: rounded(alpha, MODEL_DIGITS),
            beta: rounded(beta, MODEL_DIGITS),
        },
        None => Population::FLAT,
    }
}

/// Starts given a population, a population given starts, and again, until nothing changes.
fn starts_and_population(config: Config, tallies: &[Vec<Tally>]) -> (Segmentation, PopulationFit) {
    let mut segmentation = segment(tallies, &Population::FLAT);
    let mut rounds = 1;
    loop {
        let families = fit_families(&pooled_by_start(&segmentation, tallies));
        let again = segment(tallies, &best(&families));
        let settled = again.start_of_run == segmentation.start_of_run;
        segmentation = again;
        if settled || rounds == MOST_ROUNDS {
            let log_bayes_factor = match families.as_slice() {
                [first, second, ..] => first.log_evidence - second.log_evidence,
                _ => 0.0,
            };
            let fitted =
                PopulationFit { fitted_on: config, families, log_bayes_factor, rounds, settled };
            return (segmentation, fitted);
        }
        rounds += 1;
    }
}

/// One tally for each server of each start.
fn pooled_by_start(segmentation: &Segmentation, tallies: &[Vec<Tally>]) -> Vec<Tally> {
    let servers = tallies.iter().map(Vec::len).max().unwrap_or(0);
    let mut pooled = vec![Tally::default(); segmentation.starts() * servers];
    for (start, run) in segmentation.start_of_run.iter().zip(tallies) {
        let of_start = &mut pooled[start * servers..];
        of_start.iter_mut().zip(run).for_each(|(sum, tally)| sum.add(*tally));
    }
    pooled
}

fn by_start<'a>(segmentation: &Segmentation, runs: &'a [Run]) -> Vec<Vec<&'a Run>> {
    let mut starts = vec![Vec::new(); segmentation.starts()];
    segmentation.start_of_run.iter().zip(runs).for_each(|(start, run)| starts[*start].push(run));
    starts
}

/// Outcomes of each start without attempts that were refused, known or taken to be.
fn accepted_outcomes(
    segmentation: &Segmentation,
    runs: &[Run],
    refused: &[Vec<bool>],
) -> Vec<Outcomes> {
    let mut starts = vec![Outcomes::new(); segmentation.starts()];
    for ((start, run), refused) in segmentation.start_of_run.iter().zip(runs).zip(refused) {
        for (attempt, refused) in run.attempts.iter().zip(refused) {
            if !is_refusal(attempt.failed, *refused) {
                starts[*start].push((attempt.server, attempt.failed));
            }
        }
    }
    starts
}

/// A limit that would have refused a success was wrong about it.
const fn is_refusal(failed: bool, refused: bool) -> bool {
    failed && refused
}

fn limit_fit(config: Config, starts: &[Vec<&Run>], population: &Population) -> LimitFit {
    let (limit, reason) = limits::assumed(config);
    let in_question = if limit.is_none() { limits::CONFIG_1 } else { limit };
    let evidence: LimitEvidence = evidence(in_question, starts, population);
    LimitFit { limit, assumed: !limit.is_none(), reason: reason.to_owned(), evidence }
}

fn latencies(config: Config, runs: &[Run], refused: &[Vec<bool>]) -> Option<LatencyFits> {
    let (mut success, mut failure, mut refusal) = (Vec::new(), Vec::new(), Vec::new());
    let (mut first, mut retry) = (Vec::new(), Vec::new());
    for (run, refused) in runs.iter().zip(refused) {
        for (attempt, refused) in run.attempts.iter().zip(refused) {
            let ms = attempt.latency_ms;
            if is_refusal(attempt.failed, *refused) {
                refusal.push(ms);
                continue;
            }
            if attempt.failed { &mut failure } else { &mut success }.push(ms);
            if attempt.retry { &mut retry } else { &mut first }.push(ms);
        }
    }
    let mut fits = fit_latencies(&success, &failure, u16::from(config.number()))?;
    fits.rate_limited_ms = median(refusal, LEAST_REFUSALS).filter(|ms| *ms > 0.0);
    fits.first_median_ms = median(first, 1);
    fits.retry_median_ms = median(retry, 1);
    Some(fits)
}

/// The median, if there are at least so many values.
fn median(mut values: Vec<f64>, least: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (values.len() >= least).then(|| quantile(&values, 0.5))
}

fn rounded_latency(fits: &LatencyFits) -> Latency {
    let round = |x: f64| rounded(x, MODEL_DIGITS);
    let latency = fits.to_latency();
    Latency {
        success: latency.success.rounded(round),
        failure: latency.failure.map(|family| family.rounded(round)),
        rate_limited_ms: latency.rate_limited_ms.map(round),
    }
}

fn summaries(runs: &[Run], segmentation: &Segmentation, refused: &[Vec<bool>]) -> Vec<RunSummary> {
    let summary = |((run, start), refused): ((&Run, &usize), &Vec<bool>)| RunSummary {
        file: run.file.clone(),
        strategies: run.strategies.clone(),
        started_at_s: run.started_at_s(),
        start: start + 1,
        attempts: run.attempts.len(),
        failures: run.attempts.iter().filter(|a| a.failed).count(),
        taken_for_refusals: run
            .attempts
            .iter()
            .zip(refused)
            .filter(|(attempt, refused)| is_refusal(attempt.failed, **refused))
            .count(),
    };
    runs.iter().zip(&segmentation.start_of_run).zip(refused).map(summary).collect()
}

fn homogeneities(runs: &[Run], tallies: &[Vec<Tally>], found: &Segmentation) -> Vec<Homogeneity> {
    let all: Vec<&[Tally]> = tallies.iter().map(Vec::as_slice).collect();
    let mut tests = vec![homogeneity("all runs".to_owned(), &all)];
    let mut add_groups = |labels: Vec<String>| {
        let mut names = labels.clone();
        names.dedup();
        for name in names {
            let group: Vec<&[Tally]> =
                all.iter().zip(&labels).filter(|(_, l)| **l == name).map(|(run, _)| *run).collect();
            if group.len() > 1 {
                tests.push(homogeneity(name, &group));
            }
        }
    };
    add_groups(runs.iter().map(|run| format!("runs of {}", day(run.started_at_s()))).collect());
    add_groups(found.start_of_run.iter().map(|start| format!("start {}", start + 1)).collect());
    tests
}
