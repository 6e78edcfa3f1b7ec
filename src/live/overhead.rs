//! What the path from load generator to server adds, from a run against a server whose latency is
//! known.
//!
//! Three parts: to first attempts, to further ones (with the time between the outcome before
//! and the sending, which is the balancer's), and to requests beside all that. A request that was
//! due before the one before it was answered has waited for it; that is no part of the path, and
//! simulations have queues of their own.
//!
//! When not to use it: from runs against servers whose latency is not constant; what they take
//! and what the path adds cannot be told apart there. Nor from runs with several requests in
//! service.

use std::collections::BTreeMap;

use crate::trace::Row;
use crate::world::{Overhead, RequestOverhead};

/// An answered request, as the load generator saw it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnsweredAt {
    /// When it was due.
    pub due_ms: f64,
    /// From then until its answer was there.
    pub latency_ms: f64,
}

/// The additions of a run: `rows` is its trace, `answered` holds the answered requests by
/// identifier, `known_ms` is what the server takes. Additions below zero are left out.
#[must_use]
pub fn measured_overhead(
    rows: &[Row],
    answered: &BTreeMap<String, AnsweredAt>,
    known_ms: f64,
) -> Overhead {
    let mut overhead = Overhead::default();
    let mut requests: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        requests.entry(&row.request_id).or_default().push(row);
    }
    let mut beside: Vec<(AnsweredAt, RequestOverhead)> = Vec::new();
    for (id, attempts) in &mut requests {
        attempts.sort_by_key(|row| row.attempt_number);
        let (mut in_attempts, mut first_attempt_ms) = (0.0, 0.0);
        let mut ended: Option<f64> = None;
        for row in attempts {
            let began = row.timestamp * 1e3;
            let gap = ended.map_or(0.0, |ended| (began - ended).max(0.0));
            let took = gap + row.latency_ms;
            in_attempts += took;
            match ended {
                None => first_attempt_ms = took - known_ms,
                Some(_) => overhead.retry_ms.push(took - known_ms),
            }
            ended = Some(began + row.latency_ms);
        }
        if let Some(answer) = answered.get(*id) {
            let beside_ms = answer.latency_ms - in_attempts;
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
    use crate::trace::Config;

    fn row(request_id: &str, attempt_number: u32, at_ms: f64, latency_ms: f64) -> Row {
        Row {
            session_id: None,
            config: Config::ALL[0],
            request_number: 1,
            attempt_number,
            request_id: request_id.to_owned(),
            strategy: "random".to_owned(),
            timestamp: at_ms / 1e3,
            server_port: 4000,
            success: true,
            latency_ms,
            request_complete: true,
            request_success: true,
            rate_limited: Some(false),
            start: None,
        }
    }

    #[test]
    fn the_three_parts_are_told_apart_and_waiting_is_none_of_them() {
        let rows = [
            row("a", 1, 0.25, 1.5),
            row("a", 2, 1.875, 1.25),
            row("b", 1, 100.0, 1.75),
            row("c", 1, 101.75, 1.5),
        ];
        let answer =
            |id: &str, due_ms, latency_ms| (id.to_owned(), AnsweredAt { due_ms, latency_ms });
        let answered = BTreeMap::from([
            answer("a", 0.0, 3.375),
            answer("b", 99.5, 2.5),
            answer("c", 101.0, 3.0),
        ]);
        let found = measured_overhead(&rows, &answered, 1.0);
        let request = |first_attempt_ms, beside_ms| RequestOverhead { first_attempt_ms, beside_ms };
        let expected = [request(0.5, 0.5), request(0.75, 0.75)];
        assert_eq!(found.requests, expected, "c was due before b was answered");
        assert_eq!(found.retry_ms, [0.375], "its own 0.25 and 0.125 between");
    }
}
