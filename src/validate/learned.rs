//! The training that the fit gives, from other recordings than the one to be predicted.
//!
//! When not to use it: with a recording to be predicted among `others`; it would then know its
//! own outcomes.

use super::{Gap, Rates, Training};
use crate::fit::{ErrorRateFit, Learned, Place, RatePrior, borrows_rates, learn};
use crate::stats::quantile::quantile;
use crate::trace::{Group, Recording};
use crate::world::{Latency, LatencyFamily, RateLimit};

/// Draws of the population, and at most so many of the limit.
const DRAWS: usize = 64;

/// Learns from `others` for the servers of `group`.
#[must_use]
pub fn learned_training(others: &[&Recording], group: &Group) -> Training {
    let config_0 = of_group(others, |own| own.config.is_some_and(|config| config.number() == 0));
    let own = of_group(others, |other| other.name == group.name);
    let of_config_0 = learn(&config_0, None);
    let borrowed = of_config_0.as_ref().map(|learned| &learned.rates);
    let is_config_0 = group.config.is_some_and(|config| config.number() == 0);
    let of_group = if is_config_0 {
        of_config_0.clone()
    } else {
        learn(&own, borrowed.filter(|_| borrows_rates(&own)))
    };
    let mut gaps = of_config_0.as_ref().map_or_else(Vec::new, |learned| gaps(&config_0, learned));
    if !is_config_0 && let Some(learned) = &of_group {
        gaps.extend(self::gaps(&own, learned));
    }
    let rates = match (&of_group, borrowed) {
        (Some(learned), _) => drawn(&learned.rates),
        (None, Some(rates)) => drawn(rates),
        (None, None) => Rates::Drawn { prior: RatePrior::flat(), populations: Vec::new() },
    };
    let limits = match of_group.as_ref().filter(|learned| learned.found_limit().is_some()) {
        Some(learned) => thinned(&learned.limit.draws),
        None => vec![RateLimit::None],
    };
    Training { rates, limits, latency: latency(others), gaps }
}

/// The recordings of the groups that are meant, in order of time.
fn of_group<'a>(others: &[&'a Recording], meant: impl Fn(&Group) -> bool) -> Vec<&'a Recording> {
    let mut runs: Vec<&Recording> =
        others.iter().copied().filter(|other| meant(&other.group)).collect();
    runs.sort_by(|a, b| {
        a.started_at_s().total_cmp(&b.started_at_s()).then_with(|| a.file().cmp(&b.file()))
    });
    runs
}

fn gaps(runs: &[&Recording], learned: &Learned) -> Vec<Gap> {
    let between = |boundary: &crate::fit::StartBoundary| match boundary.place {
        Place::Between { before, after } => Some(Gap {
            from_s: runs[before].started_at_s(),
            to_s: runs[after].started_at_s(),
            restart_probability: boundary.probability,
        }),
        Place::Inside { .. } => None,
    };
    learned.starts.boundaries.iter().filter_map(between).collect()
}

fn drawn(rates: &ErrorRateFit) -> Rates {
    Rates::Drawn {
        prior: rates.prior(),
        populations: rates.draws(DRAWS).iter().map(RatePrior::of).collect(),
    }
}

/// Every n-th draw: draws stand evenly through the posterior, in order of family.
fn thinned(draws: &[RateLimit]) -> Vec<RateLimit> {
    let every = draws.len().div_ceil(DRAWS).max(1);
    draws.iter().skip(every / 2).step_by(every).copied().collect()
}

/// Only the pace of retries hangs on it, so the median will do.
fn latency(others: &[&Recording]) -> Latency {
    let mut ms: Vec<f64> = others
        .iter()
        .flat_map(|run| run.attempts.iter().map(|attempt| f64::from(attempt.latency_ms)))
        .collect();
    ms.sort_by(f64::total_cmp);
    let median = if ms.is_empty() { 1.0 } else { quantile(&ms, 0.5).max(0.001) };
    LatencyFamily::Constant { ms: median }.into()
}
