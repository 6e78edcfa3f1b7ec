//! The trace of a run: a row for every attempt, written when it is known whether it was the last
//! of its request.
//!
//! That is at once: the balancer either answers or sends again when an attempt has ended. Only a
//! strategy that waits before it sends again leaves the row of the last attempt unwritten so long.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Settings;
use super::notes::Note;
use crate::balancer::Answer;
use crate::domain::{Attempt, Identifier, Outcome, RequestId};
use crate::live::calendar::Clock;
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

impl Labels {
    pub(super) fn of(settings: &Settings) -> Self {
        let strategy = settings.strategy;
        Self {
            session: settings.session.clone(),
            strategy: strategy.alias().unwrap_or(strategy.name()).to_owned(),
            ports: settings.ports.clone(),
        }
    }
}

/// Turns notes into rows.
#[derive(Debug)]
pub(super) struct AttemptLog<W: Write> {
    out: RowWriter<W>,
    clock: Clock,
    labels: Labels,
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
        Ok(Self { out: RowWriter::new(out)?, clock, labels, open: BTreeMap::new() })
    }

    pub(super) fn take(&mut self, note: &Note) -> io::Result<()> {
        match note {
            Note::Arrived { request, identifier, .. } => {
                self.open.insert(request.id, Open { identifier: *identifier, held: None });
            }
            Note::Sent(attempt) => {
                let held = self.open.get_mut(&attempt.request).and_then(|open| open.held.take());
                return held.map_or(Ok(()), |row| self.out.write(&row));
            }
            Note::Finished { attempt, outcome, began, ended, .. } => {
                let timestamp = self.clock.unix_s(*began);
                let latency_ms = ended.since(*began).as_millis_f64();
                if let Some(open) = self.open.get_mut(&attempt.request) {
                    let row = row(&self.labels, open.identifier, attempt, *outcome);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{AttemptId, Request, ServerId, Span, Timestamp};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn arrived(id: u64) -> Note {
        let request = Request { id: RequestId(id), arrived_at: at(0) };
        let identifier = "abcdefghijklmnopqrstuvWX".parse().unwrap();
        Note::Arrived { at: at(1), request, identifier }
    }

    fn attempt(request: u64, number: u32) -> Attempt {
        let (id, request) = (AttemptId(0), RequestId(request));
        Attempt { id, request, number, server: ServerId(1), sent_at: at(2) }
    }

    fn sent(request: u64, number: u32) -> Note {
        Note::Sent(attempt(request, number))
    }

    fn finished(request: u64, number: u32, outcome: Outcome) -> Note {
        let (began, ended, attempt) = (at(10), at(13), attempt(request, number));
        Note::Finished { at: at(14), attempt, outcome, began, ended }
    }

    fn answered(request: u64, ok: bool) -> Note {
        Note::Answered(RequestId(request), Answer { ok, attempts: 1, latency: Span::ZERO })
    }

    fn log(notes: &[Note]) -> String {
        let labels = Labels {
            session: Some("s".to_owned()),
            strategy: "v4".to_owned(),
            ports: vec![5000, 5001],
        };
        let mut out = Vec::new();
        let mut log = AttemptLog::new(&mut out, Clock::start_in(Duration::ZERO), labels).unwrap();
        notes.iter().for_each(|note| log.take(note).unwrap());
        log.end().unwrap();
        drop(log);
        // Without the header; the time of the calendar is left out.
        let text = String::from_utf8(out).unwrap();
        let row = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.remove(6);
            cells.join(",") + "\n"
        };
        text.lines().skip(1).map(row).collect()
    }

    #[test]
    fn only_the_last_attempt_of_a_request_completes_it() {
        let notes = [
            arrived(0),
            sent(0, 0),
            arrived(1),
            finished(0, 0, Outcome::RateLimited),
            sent(0, 1),
            sent(1, 0),
            finished(0, 1, Outcome::Success),
            answered(0, true),
            finished(1, 0, Outcome::TimedOut),
            answered(1, false),
        ];
        let id = "abcdefghijklmnopqrstuvWX";
        assert_eq!(
            log(&notes),
            format!(
                "s,T2,1,1,{id},v4,5001,False,3,False,False,True\n\
                 s,T2,1,2,{id},v4,5001,True,3,True,True,False\n\
                 s,T2,2,1,{id},v4,5001,False,3,True,False,False\n"
            )
        );
    }

    #[test]
    fn an_attempt_is_the_last_one_even_if_giving_up_comes_later() {
        let waits = [Note::AlarmSet(at(20)), Note::WokeUp { at: at(21) }];
        let mut notes = vec![arrived(0), sent(0, 0), finished(0, 0, Outcome::Failure)];
        notes.extend(waits);
        assert!(log(&notes).ends_with("False,3,False,False,False\n"), "nobody was answered");
        notes.push(answered(0, false));
        assert!(log(&notes).ends_with("False,3,True,False,False\n"));
    }

    #[test]
    fn an_attempt_whose_end_nobody_saw_is_no_row() {
        assert_eq!(log(&[arrived(0), sent(0, 0)]), "");
    }
}
