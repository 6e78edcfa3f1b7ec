//! The longest run of failures at a server, against runs that the trained model makes.
//!
//! Replicates draw the outcomes of the second halves anew, each server's from its posterior after
//! the first half (drawn one by one from the updated prediction, which is the same law), at as
//! many attempts as were recorded. A rule that leaves failing servers cuts recorded runs short, so
//! this is no exact test: a run longer than the replicates' means something, a shorter one
//! nothing.
//!
//! When not to use it: as a test; the hazards in `held_out` are the tests of runs.

use super::held_out::{Halves, SEED};
use super::predictor::{Followed, Predictor};
use crate::domain::{Purpose, Streams};
use crate::fit::error_rates::RatePrior;
use crate::stats::Interval;
use crate::stats::quantile::quantile;
use crate::stats::sample::uniform01;

/// Replicates; enough for an interval that is only looked at.
const REPLICATES: u64 = 199;
/// With more held-out attempts replicates would take too long.
const MOST_ATTEMPTS: usize = 20_000;

/// The longest run of failures at a server within the second halves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongestRun {
    /// Failures in a row.
    pub observed: u64,
    /// The median of the replicates.
    pub replicated: f64,
    /// The middle 95 % of the replicates.
    pub interval: Interval,
    /// The share of replicates with a run at least as long.
    pub at_least_as_long: f64,
}

fn longest(outcomes: impl Iterator<Item = bool>) -> u64 {
    let (mut run, mut longest) = (0, 0);
    for failed in outcomes {
        run = if failed { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The longest run and its replicates; `None` for too many attempts or none.
pub(super) fn longest_run(halves: &[Halves], prior: &RatePrior) -> Option<LongestRun> {
    let attempts: usize = halves.iter().map(|half| half.outcomes.len()).sum();
    if attempts == 0 || attempts > MOST_ATTEMPTS {
        return None;
    }
    let of_all = |runs: &mut dyn Iterator<Item = u64>| runs.max().unwrap_or(0);
    let observed = of_all(&mut halves.iter().map(|half| longest(half.outcomes.iter().copied())));
    let mut predictor = Predictor::new(prior);
    let mut replicates: Vec<f64> = (0..REPLICATES)
        .map(|r| {
            let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 2, r);
            let mut runs = halves.iter().map(|half| {
                let (mut tally, mut followed) = (half.trained, Followed::default());
                longest(half.outcomes.iter().map(|_| {
                    let predicted = predictor.next_failure(tally, &mut followed);
                    let failed = uniform01(&mut rng) < predicted;
                    followed.record(failed);
                    tally.record(failed);
                    failed
                }))
            });
            of_all(&mut runs) as f64
        })
        .collect();
    replicates.sort_by(f64::total_cmp);
    let longer = replicates.iter().filter(|run| **run >= observed as f64).count();
    Some(LongestRun {
        observed,
        replicated: quantile(&replicates, 0.5),
        interval: Interval {
            low: quantile(&replicates, 0.025),
            high: quantile(&replicates, 0.975),
        },
        at_least_as_long: longer as f64 / REPLICATES as f64,
    })
}
