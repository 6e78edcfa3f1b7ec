//! The trace of a run: a row for every attempt, written when it is known whether it was the last
//! of its request.
//!
//! That is at once: the balancer either answers or sends again when an attempt has ended. Only a
//! strategy that waits before it sends again leaves the row of the last attempt unwritten so long.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::clock::Clock;
use super::notes::Note;
use crate::balancer::Answer;
use crate::domain::{Attempt, AttemptId, Identifier, Outcome, RequestId};
use crate::trace::{Config, Row, RowWriter};

/// What every row of a run says.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    pub(super) session: Option<String>,
    /// `v4` where there is such an alias, else the name.
    pub(super) strategy: String,
    /// The model's port of each server.
    pub(super) ports: Vec<u16>,
}

/// Turns notes into rows.
#[derive(Debug)]
pub(super) struct AttemptLog<W: Write> {
    out: RowWriter<W>,
    clock: Clock,
    labels: Labels,
    in_flight: BTreeMap<AttemptId, Attempt>,
    open: BTreeMap<RequestId, Open>,
}

#[derive(Debug)]
struct Open {
    identifier: Identifier,
    /// An attempt that may have been the last.
    held: Option<Row>,
}

impl<W: Write> AttemptLog<W> {
    pub(super) fn new(out: W, clock: Clock, labels: Labels) -> io::Result<Self> {
        let (in_flight, open) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { out: RowWriter::new(out)?, clock, labels, in_flight, open })
    }

    pub(super) fn take(&mut self, note: &Note) -> io::Result<()> {
        match note {
            Note::Arrived { request, identifier, .. } => {
                self.open.insert(request.id, Open { identifier: *identifier, held: None });
            }
            Note::Sent(attempt) => {
                self.in_flight.insert(attempt.id, *attempt);
                let held = self.open.get_mut(&attempt.request).and_then(|open| open.held.take());
                return held.map_or(Ok(()), |row| self.out.write(&row));
            }
            Note::Finished { attempt, outcome, began, ended, .. } => {
                let Some(attempt) = self.in_flight.remove(attempt) else { return Ok(()) };
                let timestamp = self.clock.unix_s(*began);
                let latency_ms = ended.since(*began).as_millis_f64();
                if let Some(open) = self.open.get_mut(&attempt.request) {
                    let row = row(&self.labels, open.identifier, &attempt, *outcome);
                    open.held = Some(Row { timestamp, latency_ms, ..row });
                }
            }
            Note::Answered(request, Answer { ok, .. }) => {
                if let Some(row) = self.open.remove(request).and_then(|open| open.held) {
                    let row = Row { request_complete: true, request_success: *ok, ..row };
                    return self.out.write(&row);
                }
            }
            Note::WokeUp { .. } | Note::AlarmSet(_) | Note::State(_) => {}
        }
        Ok(())
    }

    /// Writes what was held back: attempts of requests that nobody will answer any more.
    pub(super) fn end(&mut self) -> io::Result<()> {
        for row in std::mem::take(&mut self.open).into_values().filter_map(|open| open.held) {
            self.out.write(&row)?;
        }
        Ok(())
    }
}

fn row(labels: &Labels, identifier: Identifier, attempt: &Attempt, outcome: Outcome) -> Row {
    let port = labels.ports.get(attempt.server.index()).copied().unwrap_or_default();
    Row {
        session_id: labels.session.clone(),
        // The cell stays empty for ports that are of no config.
        config: Config::from_port(port).unwrap_or(Config::ALL[0]),
        request_number: attempt.request.0 + 1,
        attempt_number: attempt.number + 1,
        request_id: identifier.to_string(),
        strategy: labels.strategy.clone(),
        timestamp: 0.0,
        server_port: port,
        success: outcome.is_success(),
        latency_ms: 0.0,
        request_complete: false,
        request_success: false,
        rate_limited: Some(outcome == Outcome::RateLimited),
        start: None,
    }
}
