//! What the path from load generator to server adds, from a run against a server whose latency is
//! known.
//!
//! When not to use it: from runs against servers whose latency is not constant; what they take
//! and what the path adds cannot be told apart there.

use std::collections::BTreeMap;

use crate::trace::Row;
use crate::world::Overhead;

/// The additions of a run: `rows` is its trace, `latencies_ms` holds the latency of each answered
/// request by identifier, as the load generator saw it, `known_ms` is what the server takes.
///
/// Attempts that took less than is known, and requests without a latency, are left out.
#[must_use]
pub fn measured_overhead(
    rows: &[Row],
    latencies_ms: &BTreeMap<String, f64>,
    known_ms: f64,
) -> Overhead {
    let mut overhead = Overhead::default();
    let mut attempts_ms: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows {
        *attempts_ms.entry(&row.request_id).or_default() += row.latency_ms;
        let list = match row.attempt_number {
            1 => &mut overhead.first_attempt_ms,
            _ => &mut overhead.retry_ms,
        };
        list.extend(Some(row.latency_ms - known_ms).filter(|added| *added >= 0.0));
    }
    let beside = |(id, attempts): (&&str, &f64)| Some(latencies_ms.get(*id)? - attempts);
    overhead.request_ms = attempts_ms.iter().filter_map(beside).filter(|ms| *ms >= 0.0).collect();
    for list in [&mut overhead.first_attempt_ms, &mut overhead.retry_ms, &mut overhead.request_ms] {
        list.sort_by(f64::total_cmp);
    }
    overhead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Config;

    fn row(request_id: &str, attempt_number: u32, latency_ms: f64) -> Row {
        Row {
            session_id: None,
            config: Config::ALL[0],
            request_number: 1,
            attempt_number,
            request_id: request_id.to_owned(),
            strategy: "random".to_owned(),
            timestamp: 0.0,
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
    fn what_is_added_to_attempts_and_beside_them_is_told_apart() {
        let rows = [row("a", 1, 1.5), row("a", 2, 1.25), row("b", 1, 1.75), row("c", 1, 0.5)];
        let latencies = BTreeMap::from([("a".to_owned(), 3.0), ("b".to_owned(), 2.0)]);
        let found = measured_overhead(&rows, &latencies, 1.0);
        assert_eq!(found.first_attempt_ms, [0.5, 0.75]);
        assert_eq!(found.retry_ms, [0.25]);
        assert_eq!(found.request_ms, [0.25, 0.25]);
    }
}
