//! What the path from load generator to server adds, from a run against a server whose latency
//! is known.
//!
//! An attempt lasts, as in the simulator, from the balancer's decision to send it until the
//! balancer hears of its outcome: threads and connections between are part of it, because requests
//! are given up by that clock. What a request takes beside its attempts is the rest. A request that
//! was due before the one before it was answered has waited for it; that is no part of the path,
//! and simulations have queues of their own.
//!
//! When not to use it: from runs against servers whose latency is not constant; what they take
//! and what the path adds cannot be told apart there. Nor from runs with several requests in
//! service.

use std::collections::BTreeMap;

use crate::proxy::Step;
use flakelab_core::balancer::{Command, Event};
use flakelab_core::domain::{Attempt, AttemptId, RequestId};
use flakelab_sim::world::{Overhead, RequestOverhead};

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
        if let Event::Finished(id, ..) = step.event
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
    use flakelab_core::domain::{Cause, Outcome, Request, ServerId, Timestamp};

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
        let finished = |id| Event::Finished(AttemptId(id), Outcome::Failure, Cause::Status);
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
