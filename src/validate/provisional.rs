//! A training made of the fit's public pieces, until the fit hands one over itself. TO BE REPLACED.
//!
//! Population: hyperparameters integrated on a coarse grid, uniform and beta, over the starts of
//! the groups without a limit. Rate limit: none for config 0, a one-token bucket of unknown refill
//! against none elsewhere, weighted by the likelihood of the other runs.
//!
//! When not to use it: for anything but a first look.

use super::beliefs::accepted;
use super::{Gap, Rates, Training};
use crate::domain::{Purpose, Streams};
use crate::fit::{Population, RatePrior, Tally, segment};
use crate::stats::sample::uniform_open;
use crate::stats::special::log_sum_exp;
use crate::trace::{Group, Recording};
use crate::world::{Latency, LatencyFamily, LogNormal, RateLimit};

/// Draws of populations and limits.
const DRAWS: usize = 64;
/// Steps along each hyperparameter.
const STEPS: usize = 24;

/// Learns from `others` for the servers of `group`.
#[must_use]
pub fn provisional_training(others: &[&Recording], group: &Group) -> Training {
    let mut groups: Vec<&Group> = others.iter().map(|other| &other.group).collect();
    groups.sort();
    groups.dedup();
    let mut gaps = Vec::new();
    let mut unlimited: Vec<Tally> = Vec::new();
    let mut all: Vec<Tally> = Vec::new();
    for of in groups {
        let mut runs: Vec<&Recording> =
            others.iter().copied().filter(|other| other.group == *of).collect();
        runs.sort_by(|a, b| a.started_at_s().total_cmp(&b.started_at_s()));
        let limit = guess(of);
        let tallies: Vec<Vec<Tally>> =
            runs.iter().map(|run| accepted(run, &limit, &flat(), || 0.5)).collect();
        let found = segment(&tallies, &Population::FLAT);
        for (pair, boundary) in runs.windows(2).zip(&found.boundaries) {
            gaps.push(Gap {
                from_s: pair[0].started_at_s(),
                to_s: pair[1].started_at_s(),
                restart_probability: boundary.probability,
            });
        }
        let servers = of.servers.len();
        let mut pooled = vec![Tally::default(); found.starts() * servers];
        for (start, run) in found.start_of_run.iter().zip(&tallies) {
            pooled[start * servers..].iter_mut().zip(run).for_each(|(sum, t)| sum.add(*t));
        }
        if limit.is_none() {
            unlimited.extend(&pooled);
        }
        all.extend(pooled);
    }
    let tallies = if unlimited.is_empty() { &all } else { &unlimited };
    let populations = populations(tallies);
    let prior = RatePrior::average(&populations);
    let mut rng = Streams::new(11).stream(Purpose::Analysis, 0, 0);
    let weights: Vec<f64> = populations.iter().map(|(_, weight)| *weight).collect();
    let draws = draw(&weights, DRAWS, &mut || uniform_open(&mut rng));
    let populations = draws.iter().map(|i| RatePrior::of(&populations[*i].0)).collect();
    let rates = Rates::Drawn { prior, populations };
    let limits = limits(others, group, &rates);
    Training { rates, limits, latency: latency(), gaps }
}

fn flat() -> Rates {
    Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() }
}

/// The limit that tallies of a group are cleaned with, before anything is learned.
fn guess(group: &Group) -> RateLimit {
    match group.config.map(|config| config.number()) {
        None | Some(0) => RateLimit::None,
        Some(_) => RateLimit::TokenBucket { per_second: 20.0, burst: 1.0 },
    }
}

fn populations(tallies: &[Tally]) -> Vec<(Population, f64)> {
    let mut found = Vec::new();
    for i in 0..STEPS {
        for j in 0..STEPS {
            let (x, y) = ((i as f64 + 0.5) / STEPS as f64, (j as f64 + 0.5) / STEPS as f64);
            found.push(Population::Uniform { low: 0.4 * x, high: 0.4 + 0.6 * y });
            let concentration = 1.0 / (0.5 * y) - 1.0;
            let mean = 0.1 + 0.6 * x;
            let (alpha, beta) = (mean * concentration, (1.0 - mean) * concentration);
            found.push(Population::Beta { alpha, beta });
        }
    }
    let log_weights: Vec<f64> =
        found.iter().map(|p| tallies.iter().map(|t| p.log_marginal(*t)).sum()).collect();
    let total = log_sum_exp(&log_weights);
    found
        .into_iter()
        .zip(log_weights)
        .map(|(population, log_weight)| (population, libm::exp(log_weight - total)))
        .filter(|(_, weight)| *weight > 1e-9)
        .collect()
}

fn limits(others: &[&Recording], group: &Group, rates: &Rates) -> Vec<RateLimit> {
    if group.config.is_none_or(|config| config.number() == 0) {
        return vec![RateLimit::None];
    }
    let mut candidates = vec![(RateLimit::None, 0.5)];
    let refills: Vec<f64> = (0..40).map(|i| libm::pow(10.0, f64::from(i) * 0.075)).collect();
    let share = 0.5 / refills.len() as f64;
    candidates.extend(
        refills.iter().map(|per_second| {
            (RateLimit::TokenBucket { per_second: *per_second, burst: 1.0 }, share)
        }),
    );
    let log_likelihood = |limit: &RateLimit| -> f64 {
        let runs = others.iter().filter(|other| other.group == *group);
        let mut pooled = vec![Tally::default(); group.servers.len()];
        let mut slips = 0.0;
        for run in runs {
            for (sum, tally) in pooled.iter_mut().zip(accepted(run, limit, rates, || 0.5)) {
                sum.add(tally);
            }
            slips += contradictions(run, limit);
        }
        let of_servers = pooled.iter().enumerate();
        of_servers.map(|(s, t)| rates.log_marginal(s, *t)).sum::<f64>() + slips * libm::log(1e-3)
    };
    let log_weights: Vec<f64> =
        candidates.iter().map(|(limit, prior)| log_likelihood(limit) + libm::log(*prior)).collect();
    let total = log_sum_exp(&log_weights);
    let weights: Vec<f64> = log_weights.iter().map(|w| libm::exp(w - total)).collect();
    let mut rng = Streams::new(11).stream(Purpose::Analysis, 1, 0);
    let drawn = draw(&weights, DRAWS, &mut || uniform_open(&mut rng));
    drawn.into_iter().map(|i| candidates[i].0).collect()
}

/// Successes that the limit would have refused.
fn contradictions(run: &Recording, limit: &RateLimit) -> f64 {
    let mut limiters = vec![limit.limiter(0.0); run.group.servers.len()];
    let refused_success = |a: &&crate::trace::Observed| {
        let now = super::beliefs::since_start(run, a);
        !limiters[usize::from(a.server)].accept(now) && !a.failed()
    };
    run.attempts.iter().filter(refused_success).count() as f64
}

/// `n` positions, each with its weight, by systematic resampling.
fn draw(weights: &[f64], n: usize, word: &mut impl FnMut() -> f64) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    let offset = word();
    let (mut found, mut below) = (Vec::with_capacity(n), 0.0);
    for (i, weight) in weights.iter().enumerate() {
        below += weight / total * n as f64;
        while found.len() < n && found.len() as f64 + offset < below {
            found.push(i);
        }
    }
    found
}

fn latency() -> Latency {
    let (body, tail) =
        (LogNormal { median_ms: 1.09, sigma: 0.156 }, LogNormal { median_ms: 2.48, sigma: 0.907 });
    Latency {
        success: LatencyFamily::LogNormalMixture { body, tail_weight: 0.16, tail },
        failure: None,
        rate_limited_ms: Some(0.78),
    }
}
