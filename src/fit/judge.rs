//! A fit held against its own recordings: assumptions, and second halves of starts.
//!
//! When not to use it: as a test on unseen runs; that is `validate`. Population, starts and limit
//! are those of the whole recordings here, only the latency is fitted to first halves.

use super::checks::{AssumptionTest, HeldOut, assumptions, held_out};
use super::error_rates::RatePrior;
use super::latency::fit_latency;
use super::runs::Start;
use crate::trace::Observed;

/// The assumptions tested on what was recorded; where a rejection vanishes without the failures
/// that the rate limit found explains, that is what follows from it.
pub(super) fn tested(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
) -> Vec<AssumptionTest> {
    let recorded: Vec<Vec<bool>> =
        starts.iter().map(|start| start.attempts().map(Observed::refused).collect()).collect();
    let mut tests = assumptions(starts, &recorded, prior);
    if recorded != refused {
        let explained = assumptions(starts, refused, prior);
        let pairs = tests.iter_mut().zip(explained);
        for (test, _) in pairs.filter(|(test, other)| test.is_rejected() && !other.is_rejected()) {
            test.consequence = "The rate limit found explains it: without the failures that it \
                                explains, the assumption is not rejected."
                .to_owned();
        }
    }
    tests
}

/// The second half of every start predicted from the first.
pub(super) fn halves(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
    servers: usize,
    tells_latency: bool,
    stream: u16,
) -> HeldOut {
    let latency = if tells_latency {
        let (firsts, refused): (Vec<Start<'_>>, Vec<Vec<bool>>) =
            starts.iter().zip(refused).map(|(start, refused)| first_half(start, refused)).unzip();
        fit_latency(&firsts, &refused, servers, stream)
    } else {
        None
    };
    held_out(starts, refused, prior, |attempt: &Observed| {
        let Some(latency) = &latency else { return f64::NAN };
        let own = if attempt.failed() { latency.failure.as_ref() } else { None };
        own.unwrap_or(&latency.success).family().cdf(f64::from(attempt.latency_ms))
    })
}

/// The attempts of a start up to half of those that were not refused.
fn first_half<'a>(start: &Start<'a>, refused: &[bool]) -> (Start<'a>, Vec<bool>) {
    let coins = refused.iter().filter(|refused| !**refused).count();
    let mut before = 0;
    let in_half = |refused: &&bool| {
        let first = 2 * before < coins;
        before += usize::from(!**refused);
        first
    };
    let mut left = refused.iter().take_while(in_half).count();
    let refused = refused[..left].to_vec();
    let mut half = Start::default();
    for stretch in &start.stretches {
        let taken = left.min(stretch.len());
        half.stretches.push(&stretch[..taken]);
        left -= taken;
    }
    half.stretches.retain(|stretch| !stretch.is_empty());
    (half, refused)
}
