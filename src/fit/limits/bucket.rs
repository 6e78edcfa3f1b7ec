//! Buckets: the `ln` likelihood of a token bucket, plain or sinusoidal.
//!
//! Where 429 is marked, what the bucket lacks of being full follows the observed acceptances: it
//! falls with the refill, not below 0, and grows by 1 with each accepted attempt. That does not depend on the
//! burst b; the law refuses exactly when b - 1 is less than what lacks. And it never grows
//! with the refill rate: [`Misfits`] of both kinds are monotone in the rate, which bounds the
//! likelihood between any two rates from both sides (`integral`). An attempt that was accepted
//! without a token leaves a debt.
//!
//! When not to use it: for buckets that wait for tokens instead of refusing.

use super::lane::{Answer, Counts, Lane};

/// Rounding must not refuse a token that is there, as in `world::Limiter`.
const SLACK: f64 = 1e-9;

/// Attempts answered against buckets of one rate and of bursts 1, 2, ..
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Misfits {
    /// Accepted without a token; falls with the rate.
    pub(super) accepted: Vec<u32>,
    /// Refused with a token; grows with the rate.
    pub(super) refused: Vec<u32>,
}

/// The misfits of all lanes where 429 is marked, for bursts 1, 2, .., `most`.
pub(super) fn misfits(lanes: &[Lane], per_second: f64, most: usize) -> Misfits {
    // By the whole part, rounded up, of what lacked when the attempt came.
    let mut accepted = vec![0_u32; most + 1];
    let mut refused = vec![0_u32; most + 1];
    let per_us = per_second * 1e-6;
    for lane in lanes {
        let mut lacks = 0.0_f64;
        let mut last = 0;
        for attempt in &lane.asked {
            lacks = (lacks - per_us * (attempt.at_us - last) as f64).max(0.0);
            last = attempt.at_us;
            let whole = (libm::ceil(lacks - SLACK) as usize).min(most);
            if attempt.answer == Answer::Refused {
                refused[whole] += 1;
            } else {
                accepted[whole] += 1;
                lacks += 1.0;
            }
        }
    }
    // A burst b refuses when what lacks is above b - 1, that is when `whole` is at least b.
    for i in (1..most).rev() {
        accepted[i] += accepted[i + 1];
    }
    for i in 1..most {
        refused[i] += refused[i - 1];
    }
    accepted.remove(0);
    refused.pop();
    Misfits { accepted, refused }
}

/// Time since the attempt before, in seconds, for each attempt of a lane.
pub(super) fn pauses_s(lane: &Lane) -> Vec<f64> {
    let before = std::iter::once(0).chain(lane.asked.iter().map(|a| a.at_us));
    lane.asked.iter().zip(before).map(|(a, before)| (a.at_us - before) as f64 * 1e-6).collect()
}

/// What replaying one bucket comes to: the tokens refilled before each attempt are `refills` times
/// `scale`. Gives up, with what it has, above `most_slips`.
#[inline]
pub(super) fn replay(
    lane: &Lane,
    refills: &[f64],
    scale: f64,
    burst: f64,
    most_slips: i64,
) -> Counts {
    let mut counts = Counts::default();
    let mut tokens = burst;
    for (attempt, refill) in lane.asked.iter().zip(refills) {
        tokens = (tokens + refill * scale).min(burst);
        let free = tokens >= 1.0 - SLACK;
        match attempt.answer {
            Answer::Refused => counts.slips += i64::from(free),
            Answer::Success => {
                counts.slips += i64::from(!free);
                tokens = (tokens - 1.0).max(0.0);
            }
            Answer::Failure if free || lane.marked => {
                counts.slips += i64::from(!free);
                tokens = (tokens - 1.0).max(0.0);
            }
            Answer::Failure => counts.taken += 1,
        }
        if counts.slips > most_slips {
            break;
        }
    }
    counts
}
