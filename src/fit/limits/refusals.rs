//! Which failures a limit explains as refusals, so that they leave the servers' tallies.
//!
//! Where 429 is marked, those attempts and no others. Where it is not, the limit is replayed, with
//! the phase that is most likely for each server, and a failure that it would have refused is
//! taken for a refusal.
//!
//! When not to use it: as data. It is the most likely reading under one estimate.

use super::lane::{Answer, Lane};
use crate::domain::{Span, Timestamp};
use crate::fit::error_rates::RatePrior;
use crate::fit::runs::Start;
use crate::world::{Families, RateLimit};

/// Phases that are tried.
const PHASES: usize = 64;

/// For each attempt of a start, in order of time, whether it is taken for a refusal.
pub(in crate::fit) fn taken_for_refusals(
    limit: &RateLimit,
    start: &Start<'_>,
    servers: usize,
) -> Vec<bool> {
    let mut taken: Vec<bool> = start.attempts().map(|attempt| attempt.refused()).collect();
    if limit.is_none() || taken.contains(&true) {
        return taken;
    }
    for (asked, _) in Lane::asked_of(start, servers, false, usize::MAX) {
        let lane = Lane::new(asked, false, &RatePrior::flat());
        for (asked, refused) in lane.asked.iter().zip(replayed(limit, &lane)) {
            taken[asked.position] = refused;
        }
    }
    taken
}

/// The same for the attempts of a lane in which 429 is not marked.
pub(super) fn replayed(limit: &RateLimit, lane: &Lane) -> Vec<bool> {
    let phases = if limit.draws_phase() { PHASES } else { 1 };
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for phase in 0..phases {
        let (value, taken) = replay(limit, lane, phase as f64 / phases as f64);
        if value > best.0 {
            best = (value, taken);
        }
    }
    best.1
}

fn replay(limit: &RateLimit, lane: &Lane, phase: f64) -> (f64, Vec<bool>) {
    let mut limiter = limit.limiter(phase);
    let mut counts = super::lane::Counts::default();
    let taken = lane
        .asked
        .iter()
        .map(|asked| {
            let now = Timestamp::ZERO + Span::from_nanos(asked.at_us.unsigned_abs() * 1000);
            let refused = !limiter.accept(now);
            if refused {
                counts.refuse(asked.answer, 1, false);
            }
            refused && asked.answer == Answer::Failure
        })
        .collect();
    (lane.log_likelihood(counts), taken)
}
