//! Is a trace the complete record of one run?
//!
//! A fit believes that every attempt was recorded once, in order, at the server it names. What
//! contradicts that is found here: errors for what makes counts wrong, warnings for what merely
//! looks odd. It cannot find attempts that nobody recorded.

use std::collections::BTreeMap;

use super::{Row, Trace};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Odd, but counts of successes and failures still hold.
    Warning,
    /// Counts would be wrong: the trace should not be used as it is.
    Error,
}

/// Something wrong with a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong, as a clause: `attempt 2 of request 7 stands here and on line 12`.
    pub problem: String,
}

/// One request of one recording.
type RequestKey<'a> = (Option<&'a str>, u8, u64, &'a str);

/// What has been seen of a request.
struct Seen {
    /// Line of each attempt, by its number.
    attempts: BTreeMap<u32, u64>,
    last: u32,
    answered: bool,
}

/// Everything that is wrong with a trace, in the order of its lines.
#[must_use]
pub fn check(trace: &Trace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut requests: BTreeMap<RequestKey<'_>, Seen> = BTreeMap::new();
    let mut latest = f64::NEG_INFINITY;
    for (i, row) in trace.rows.iter().enumerate() {
        let line = trace.line(i);
        let mut found = |severity, problem| findings.push(Finding { severity, line, problem });
        let (number, request) = (row.attempt_number, row.request_number);
        if row.server_index().is_none() {
            let problem = format!("port {} is not of config {}", row.server_port, row.config);
            found(Severity::Error, problem);
        }
        if row.timestamp < latest {
            let early = latest - row.timestamp;
            found(Severity::Warning, format!("sent {early:.6} s before an attempt further up"));
        }
        latest = latest.max(row.timestamp);
        if !is_identifier(&row.request_id) {
            let problem = format!("request_id {:?} is not 24 letters and digits", row.request_id);
            found(Severity::Warning, problem);
        }
        if row.request_success && !(row.success && row.request_complete) {
            let problem = "request_success without success and request_complete".to_owned();
            found(Severity::Warning, problem);
        }
        let seen = requests.entry(key(row)).or_insert(Seen {
            attempts: BTreeMap::new(),
            last: 0,
            answered: false,
        });
        match seen.attempts.insert(number, line) {
            Some(other) => found(
                Severity::Error,
                format!("attempt {number} of request {request} stands here and on line {other}"),
            ),
            None if number != seen.last + 1 => found(
                Severity::Warning,
                format!("attempt {number} of request {request} follows attempt {}", seen.last),
            ),
            None if seen.answered => found(
                Severity::Warning,
                format!("attempt {number} of request {request} comes after its answer"),
            ),
            None => {}
        }
        seen.last = number;
        seen.answered |= row.request_complete;
    }
    findings
}

fn key(row: &Row) -> RequestKey<'_> {
    (row.session_id.as_deref(), row.config.number(), row.request_number, &row.request_id)
}

/// Whether this is an identifier of the game: 24 ASCII letters and digits.
fn is_identifier(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Config;

    fn row(request: u64, attempt: u32, success: bool) -> Row {
        Row {
            session_id: None,
            config: Config::ALL[0],
            request_number: request,
            attempt_number: attempt,
            request_id: format!("{request:024}"),
            strategy: "v1".to_owned(),
            timestamp: request as f64 + 0.001 * f64::from(attempt),
            server_port: 4000,
            success,
            latency_ms: 1.0,
            request_complete: success,
            request_success: success,
            rate_limited: None,
            start: None,
        }
    }

    /// The one finding of a sound trace that was changed in one place.
    fn finding(change: impl FnOnce(&mut Vec<Row>)) -> Finding {
        let mut rows = vec![row(1, 1, true), row(2, 1, false), row(2, 2, true), row(3, 1, true)];
        change(&mut rows);
        let mut findings = check(&Trace::new("made", rows));
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.remove(0)
    }

    #[test]
    fn a_sound_trace_has_no_findings() {
        assert!(check(&Trace::new("made", vec![row(1, 1, false), row(1, 2, true)])).is_empty());
    }

    #[test]
    fn what_makes_counts_wrong_is_an_error() {
        let twice = finding(|rows| rows.insert(1, rows[0].clone()));
        assert_eq!((twice.severity, twice.line), (Severity::Error, 3));
        assert_eq!(twice.problem, "attempt 1 of request 1 stands here and on line 2");
        let port = finding(|rows| rows[2].server_port = 5000);
        assert_eq!(port.severity, Severity::Error);
        assert_eq!(port.problem, "port 5000 is not of config 0");
    }

    #[test]
    fn what_looks_odd_is_a_warning() {
        type Change = fn(&mut Vec<Row>);
        let changes: [(&str, Change); 5] = [
            ("before an attempt further up", |rows| rows[3].timestamp = 1.5),
            ("follows attempt 0", |rows| {
                rows.remove(1);
            }),
            ("comes after its answer", |rows| rows[1].request_complete = true),
            ("not 24 letters and digits", |rows| rows[3].request_id = "short".to_owned()),
            ("request_success without", |rows| rows[1].request_success = true),
        ];
        for (problem, change) in changes {
            let found = finding(change);
            assert_eq!(found.severity, Severity::Warning);
            assert!(found.problem.contains(problem), "{found:?}");
        }
    }
}
