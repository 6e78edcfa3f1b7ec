//! The load that tells rate limits apart: pauses, bursts and steady rates, bounded and polite.
//!
//! A server is driven through
//! 1. bursts after growing pauses, with identifiers of their own: how many attempts a full bucket
//!    or a fresh window takes, and how it fills again;
//! 2. the same with one identifier for the whole burst: is it the pace that is refused, or the
//!    identifier?
//! 3. rising steady rates: from which one on refusals come, and at which rate attempts pass.
//!
//! The ladder ends at the first rate of which more than half is not answered with success, since
//! faster ones would tell nothing new. Attempts never overlap, so a slow server is never given
//! more than it answers. What is sent depends on recorded outcomes only, so a fit may use it.
//!
//! When not to use it: on servers that carry somebody's traffic.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::target::{Client, Target};
use crate::unix_seconds;
use flakelab_core::domain::{Cause, Identifier, Outcome};
use flakelab_sim::trace::{Config, PROBE, Row};

/// How hard a probe drives a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ladder {
    /// Attempts in a burst.
    pub burst: u32,
    /// Seconds at each steady rate.
    pub rung_s: f64,
    /// Highest steady rate, attempts per second.
    pub most_per_second: f64,
    /// Attempts at a server altogether.
    pub most_attempts: u32,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { burst: 20, rung_s: 2.0, most_per_second: 100.0, most_attempts: 600 }
    }
}

/// Pauses before the bursts, in seconds.
const PAUSES_S: [f64; 4] = [1.0, 0.1, 0.5, 2.0];

/// Steady rates, attempts per second.
const RATES: [f64; 7] = [2.0, 5.0, 10.0, 20.0, 40.0, 70.0, 100.0];

/// Time between the attempts of a burst, in seconds: as fast as a loopback server answers.
const BURST_GAP_S: f64 = 0.002;

/// An attempt of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PlannedAttempt {
    /// When it is due, in seconds after the start of its part.
    at_s: f64,
    /// Whether it carries the identifier of the attempt before it.
    repeats: bool,
}

impl Ladder {
    /// The parts of the plan, in order: each begins when the one before has ended.
    ///
    /// At most `most_attempts` attempts in all; the last part is cut short.
    fn parts(&self) -> Vec<Vec<PlannedAttempt>> {
        let mut parts = Vec::new();
        for same_identifier in [false, true] {
            for pause_s in PAUSES_S {
                let attempt = |i: u32| PlannedAttempt {
                    at_s: pause_s + f64::from(i) * BURST_GAP_S,
                    repeats: same_identifier && i > 0,
                };
                parts.push((0..self.burst).map(attempt).collect::<Vec<_>>());
            }
        }
        for rate in RATES.into_iter().filter(|rate| *rate <= self.most_per_second) {
            let attempt = |i: u32| PlannedAttempt { at_s: f64::from(i + 1) / rate, repeats: false };
            let attempts = (rate * self.rung_s).max(1.0) as u32;
            parts.push((0..attempts).map(attempt).collect());
        }
        let mut left = self.most_attempts as usize;
        for part in &mut parts {
            part.truncate(left);
            left -= part.len();
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Whether a part is a rung of the ladder of steady rates rather than a burst.
    fn is_rung(part: usize) -> bool {
        part >= 2 * PAUSES_S.len()
    }
}

/// What a probe sends to: a server, and what the trace calls it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The server.
    pub target: Target,
    /// Its config, which the trace names.
    pub config: Config,
    /// The requests sent to servers before it, so that numbers go on.
    pub requests_before: u64,
}

/// Drives one server through the plan and returns its rows, in order.
///
/// `tick` is called after every attempt and ends the probe by returning false.
pub fn probe_server(
    probe: &Probe,
    ladder: &Ladder,
    client: &Client,
    rng: &mut impl Rng,
    mut tick: impl FnMut(Outcome) -> bool,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut request_number = probe.requests_before;
    // One reading of the calendar; everything after it by the steady clock.
    let epoch_s = unix_seconds();
    let epoch = Instant::now();
    for (part, attempts) in ladder.parts().iter().enumerate() {
        let begin = Instant::now();
        let mut successes = 0;
        for planned in attempts {
            sleep_until(begin + Duration::from_secs_f64(planned.at_s));
            let (request_id, attempt_number) = match rows.last() {
                Some(row) if planned.repeats => (row.request_id.clone(), row.attempt_number + 1),
                _ => {
                    request_number += 1;
                    (Identifier::random(rng).to_string(), 1)
                }
            };
            let timestamp = epoch_s + epoch.elapsed().as_secs_f64();
            let (outcome, cause, took) = client.attempt(&probe.target, &request_id);
            let success = outcome == Outcome::Success;
            successes += usize::from(success);
            rows.push(Row {
                session_id: None,
                config: probe.config,
                request_number,
                attempt_number,
                request_id,
                strategy: PROBE.to_owned(),
                timestamp,
                server_port: probe.target.address.port(),
                success,
                latency_ms: took.as_secs_f64() * 1e3,
                // A probe sends on whatever the answer; no answer completes a request.
                request_complete: false,
                request_success: false,
                rate_limited: Some(outcome == Outcome::RateLimited),
                refused: Some(cause == Cause::Refused),
                start: None,
            });
            if !tick(outcome) {
                return rows;
            }
        }
        if Ladder::is_rung(part) && 2 * successes < attempts.len() {
            break;
        }
    }
    rows
}

fn sleep_until(due: Instant) {
    let now = Instant::now();
    if due > now {
        sleep(due - now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_never_sends_more_than_it_may() {
        for most_attempts in [1, 19, 100, 600, 10_000] {
            let ladder = Ladder { most_attempts, ..Ladder::default() };
            let sent: usize = ladder.parts().iter().map(Vec::len).sum();
            assert!(sent <= most_attempts as usize, "{sent} of {most_attempts}");
        }
        let slow = Ladder { most_per_second: 10.0, ..Ladder::default() };
        let rungs = &slow.parts()[2 * PAUSES_S.len()..];
        assert_eq!(rungs.iter().map(Vec::len).collect::<Vec<_>>(), [4, 10, 20]);
    }

    #[test]
    fn parts_are_in_order_of_time_and_bursts_come_with_new_identifiers_and_with_one() {
        let parts = Ladder::default().parts();
        assert!(parts.iter().all(|part| part.is_sorted_by(|a, b| a.at_s < b.at_s)));
        let (own, same) = parts[..2 * PAUSES_S.len()].split_at(PAUSES_S.len());
        assert!(own.iter().flatten().all(|attempt| !attempt.repeats));
        for burst in same {
            assert!(!burst[0].repeats && burst[1..].iter().all(|attempt| attempt.repeats));
        }
    }
}
