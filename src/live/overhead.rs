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

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::proxy::Step;
use crate::target::{Client, Target};
use crate::unix_seconds;
use flakelab_core::balancer::{Command, Event};
use flakelab_core::domain::{Attempt, AttemptId, Identifier, Outcome, RequestId};
use flakelab_sim::trace::{Config, PROBE, Row};
use flakelab_sim::world::{Overhead, RequestOverhead};

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
pub struct PlannedAttempt {
    /// When it is due, in seconds after the start of its part.
    pub at_s: f64,
    /// Whether it carries the identifier of the attempt before it.
    pub repeats: bool,
}

impl Ladder {
    /// The parts of the plan, in order: each begins when the one before has ended.
    ///
    /// At most `most_attempts` attempts in all; the last part is cut short.
    #[must_use]
    pub fn parts(&self) -> Vec<Vec<PlannedAttempt>> {
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
            let (outcome, took) = client.attempt(&probe.target, &request_id);
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

// ---- What the path from load generator to server adds, from a run against a server whose latency is
// known.
//
// An attempt lasts, as in the simulator, from the balancer's decision to send it until the
// balancer hears of its outcome: threads and connections between are part of it, because requests
// are given up by that clock. What a request takes beside its attempts is the rest. A request that
// was due before the one before it was answered has waited for it; that is no part of the path,
// and simulations have queues of their own.
//
// When not to use it: from runs against servers whose latency is not constant; what they take
// and what the path adds cannot be told apart there. Nor from runs with several requests in
// service.

/// An answered request, as the load generator saw it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnsweredAt {
    /// When it was due.
    pub due_ms: f64,
    /// From then until its answer was there.
    pub latency_ms: f64,
}

/// The additions of a run: `steps` are the proxy's events, `answered` holds the answered requests,
/// `known_ms` is what the server takes. Additions below zero are left out.
#[must_use]
pub fn measured_overhead(
    steps: &[Step],
    answered: &BTreeMap<RequestId, AnsweredAt>,
    known_ms: f64,
) -> Overhead {
    let mut overhead = Overhead::default();
    let mut sent: BTreeMap<AttemptId, Attempt> = BTreeMap::new();
    // What was added to the first attempt, and what all attempts took.
    let mut requests: BTreeMap<RequestId, (f64, f64)> = BTreeMap::new();
    for step in steps {
        if let Event::Finished(id, _) = step.event
            && let Some(attempt) = sent.remove(&id)
        {
            let took_ms = step.at.since(attempt.sent_at).as_millis_f64();
            let (first_attempt_ms, in_attempts_ms) = requests.entry(attempt.request).or_default();
            *in_attempts_ms += took_ms;
            match attempt.number {
                0 => *first_attempt_ms = took_ms - known_ms,
                _ => overhead.retry_ms.push(took_ms - known_ms),
            }
        }
        for command in &step.commands {
            if let Command::Send(attempt) = command {
                sent.insert(attempt.id, *attempt);
            }
        }
    }
    let mut beside: Vec<(AnsweredAt, RequestOverhead)> = Vec::new();
    for (id, (first_attempt_ms, in_attempts_ms)) in requests {
        if let Some(answer) = answered.get(&id) {
            let beside_ms = answer.latency_ms - in_attempts_ms;
            beside.push((*answer, RequestOverhead { first_attempt_ms, beside_ms }));
        }
    }
    beside.sort_by(|(a, _), (b, _)| a.due_ms.total_cmp(&b.due_ms));
    let mut free_ms = f64::NEG_INFINITY;
    for (answer, added) in beside {
        if answer.due_ms >= free_ms && added.first_attempt_ms >= 0.0 && added.beside_ms >= 0.0 {
            overhead.requests.push(added);
        }
        free_ms = free_ms.max(answer.due_ms + answer.latency_ms);
    }
    overhead.retry_ms.retain(|added| *added >= 0.0);
    overhead
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_core::domain::{Outcome, Request, ServerId, Timestamp};

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
    fn bursts_come_with_new_identifiers_and_with_one() {
        let parts = Ladder::default().parts();
        let (own, same) = parts[..2 * PAUSES_S.len()].split_at(PAUSES_S.len());
        assert!(own.iter().flatten().all(|attempt| !attempt.repeats));
        for burst in same {
            assert!(!burst[0].repeats && burst[1..].iter().all(|attempt| attempt.repeats));
        }
    }

    #[test]
    fn parts_are_in_order_of_time() {
        for part in Ladder::default().parts() {
            assert!(part.is_sorted_by(|a, b| a.at_s < b.at_s));
        }
    }

    fn at(ms: f64) -> Timestamp {
        Timestamp::from_secs_f64(ms / 1e3)
    }

    fn attempt(id: u64, request: u64, number: u32, sent_ms: f64) -> Command {
        let sent_at = at(sent_ms);
        let (id, request, server) = (AttemptId(id), RequestId(request), ServerId(0));
        Command::Send(Attempt { id, request, number, server, sent_at })
    }

    fn step(at_ms: f64, event: Event, commands: Vec<Command>) -> Step {
        Step { at: at(at_ms), event, commands }
    }

    fn arrived(id: u64, ms: f64) -> Event {
        Event::Arrived(Request { id: RequestId(id), arrived_at: at(ms) })
    }

    #[test]
    fn the_parts_are_told_apart_and_waiting_is_none_of_them() {
        let finished = |id| Event::Finished(AttemptId(id), Outcome::Failure);
        let steps = [
            step(0.25, arrived(0, 0.2), vec![attempt(0, 0, 0, 0.25)]),
            step(1.75, finished(0), vec![attempt(1, 0, 1, 1.75)]),
            step(3.125, finished(1), Vec::new()),
            step(100.0, arrived(1, 99.9), vec![attempt(2, 1, 0, 100.0)]),
            step(101.5, arrived(2, 101.4), Vec::new()),
            step(101.75, finished(2), vec![attempt(3, 2, 0, 101.75)]),
            step(103.25, finished(3), Vec::new()),
        ];
        let answer = |id, due_ms, latency_ms| (RequestId(id), AnsweredAt { due_ms, latency_ms });
        let answered =
            BTreeMap::from([answer(0, 0.0, 3.375), answer(1, 99.5, 2.5), answer(2, 101.0, 3.0)]);
        let found = measured_overhead(&steps, &answered, 1.0);
        let request = |first_attempt_ms, beside_ms| RequestOverhead { first_attempt_ms, beside_ms };
        let expected = [request(0.5, 0.5), request(0.75, 0.75)];
        assert_eq!(found.requests, expected, "the last was due before the one before was answered");
        assert_eq!(found.retry_ms, [0.375]);
    }
}
