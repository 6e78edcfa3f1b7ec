//! Two logs of a run: the events log, and the trace.
//!
//! The events log holds every event handed to the balancer and every effect it asked for, in order,
//! to the nanosecond. A fresh balancer that is fed the events must ask for the same effects, one by
//! one; [`Step::read`] reads a log for that.
//!
//! A CSV file, in which an event's line is followed by those of its effects; results/README.md
//! explains its kinds of lines.
//!
//! The trace has a row for every attempt, written when it is known whether it was the last of its
//! request. That is at once: the balancer either answers or sends again when an attempt has ended.
//! Only a wait before it sends again, of a strategy or for a server that refuses connections, leaves
//! the row of the last attempt unwritten so long. Models are fitted to the trace, not to the events log.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::Clock;
use crate::proxy::messages::{Note, Settings};
use flakelab_core::balancer::{Answer, Command, Event};
use flakelab_core::domain::{
    Attempt, AttemptId, Cause, Identifier, Outcome, Request, RequestId, ServerId, Span, Timestamp,
};
use flakelab_sim::trace::{Config, Row, RowWriter};

/// One line. What a kind does not say is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ns: u64,
    kind: Kind,
    request: Option<u64>,
    attempt: Option<u64>,
    number: Option<u32>,
    server: Option<u16>,
    outcome: Option<Outcome>,
    time_ns: Option<u64>,
    /// Logs that are older than the column say nothing.
    #[serde(default)]
    cause: Option<Cause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Arrived,
    Finished,
    #[default]
    WokeUp,
    Send,
    Answer,
    WakeAt,
}

#[derive(Debug)]
pub(crate) struct EventWriter<W: Write> {
    out: csv::Writer<W>,
    now: Timestamp,
}

impl<W: Write> EventWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out: csv::Writer::from_writer(out), now: Timestamp::ZERO }
    }

    pub(crate) fn write(&mut self, note: &Note) -> io::Result<()> {
        if let Note::Arrived { at, .. } | Note::Finished { at, .. } | Note::WokeUp { at } = note {
            self.now = *at;
        }
        match line(self.now.as_nanos(), note) {
            Some(line) => self.out.serialize(line).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A note as a line; the state is none.
fn line(at_ns: u64, note: &Note) -> Option<Line> {
    let of = |kind| Line { at_ns, kind, ..Line::default() };
    Some(match note {
        Note::Arrived { request, .. } => Line {
            request: Some(request.id.0),
            time_ns: Some(request.arrived_at.as_nanos()),
            ..of(Kind::Arrived)
        },
        Note::Finished { attempt, outcome, cause, .. } => Line {
            attempt: Some(attempt.id.0),
            outcome: Some(*outcome),
            cause: Some(*cause),
            ..of(Kind::Finished)
        },
        Note::WokeUp { .. } => of(Kind::WokeUp),
        Note::Sent(attempt) => Line {
            request: Some(attempt.request.0),
            attempt: Some(attempt.id.0),
            number: Some(attempt.number),
            server: Some(attempt.server.0),
            ..of(Kind::Send)
        },
        Note::Answered(request, answer) => Line {
            request: Some(request.0),
            number: Some(answer.attempts),
            outcome: Some(if answer.ok { Outcome::Success } else { Outcome::Failure }),
            time_ns: Some(answer.latency.as_nanos()),
            ..of(Kind::Answer)
        },
        Note::AlarmSet(at) => Line { time_ns: Some(at.as_nanos()), ..of(Kind::WakeAt) },
        Note::State(_) => return None,
    })
}

/// An event, and what the balancer asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When the event was handed to the balancer.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
    /// The effects, in order.
    pub commands: Vec<Command>,
}

/// A log that is not one.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    #[error("this is no events log of a proxy: {0}")]
    Line(#[from] csv::Error),
    /// A line that lacks what its kind must say, or an effect before all events.
    #[error("line {line} of the events log: {problem}")]
    Form { line: usize, problem: &'static str },
}

/// A line as what it stands for.
enum Entry {
    Event(Event),
    Command(Command),
}

impl Step {
    /// Reads a log.
    pub fn read(input: impl Read) -> Result<Vec<Self>, EventsError> {
        let mut steps: Vec<Self> = Vec::new();
        for (i, row) in csv::Reader::from_reader(input).deserialize().enumerate() {
            let row: Line = row?;
            let fault = |problem| EventsError::Form { line: i + 2, problem };
            let at = Timestamp::from_nanos(row.at_ns);
            match entry(&row).ok_or_else(|| fault("a cell that this kind needs is empty"))? {
                Entry::Event(event) => steps.push(Self { at, event, commands: Vec::new() }),
                Entry::Command(command) => steps
                    .last_mut()
                    .ok_or_else(|| fault("an effect without an event before it"))?
                    .commands
                    .push(command),
            }
        }
        Ok(steps)
    }
}

fn entry(line: &Line) -> Option<Entry> {
    let at = Timestamp::from_nanos(line.at_ns);
    let request = || line.request.map(RequestId);
    let time = || line.time_ns.map(Timestamp::from_nanos);
    Some(match line.kind {
        Kind::Arrived => {
            Entry::Event(Event::Arrived(Request { id: request()?, arrived_at: time()? }))
        }
        Kind::Finished => {
            let (attempt, cause) = (AttemptId(line.attempt?), line.cause.unwrap_or_default());
            Entry::Event(Event::Finished(attempt, line.outcome?, cause))
        }
        Kind::WokeUp => Entry::Event(Event::WakeUp),
        Kind::Send => Entry::Command(Command::Send(Attempt {
            id: AttemptId(line.attempt?),
            request: request()?,
            number: line.number?,
            server: ServerId(line.server?),
            sent_at: at,
        })),
        Kind::Answer => {
            let answer = Answer {
                ok: line.outcome?.is_success(),
                attempts: line.number?,
                latency: Span::from_nanos(line.time_ns?),
            };
            Entry::Command(Command::Answer(request()?, answer))
        }
        Kind::WakeAt => Entry::Command(Command::WakeAt(time()?)),
    })
}

/// Writes the trace.
#[derive(Debug)]
pub(crate) struct AttemptLog<W: Write> {
    out: RowWriter<W>,
    clock: Clock,
    settings: Settings,
    open: BTreeMap<RequestId, Open>,
}

#[derive(Debug)]
struct Open {
    identifier: Identifier,
    /// An attempt that may have been the last.
    held: Option<Row>,
}

impl<W: Write> AttemptLog<W> {
    pub(crate) fn new(out: W, clock: Clock, settings: Settings) -> io::Result<Self> {
        Ok(Self { out: RowWriter::new(out)?, clock, settings, open: BTreeMap::new() })
    }

    pub(crate) fn take(&mut self, note: &Note) -> io::Result<()> {
        match note {
            Note::Arrived { request, identifier, .. } => {
                self.open.insert(request.id, Open { identifier: *identifier, held: None });
            }
            Note::Sent(attempt) => {
                let held = self.open.get_mut(&attempt.request).and_then(|open| open.held.take());
                return held.map_or(Ok(()), |row| self.out.write(&row));
            }
            Note::Finished { attempt, outcome, cause, began, ended, .. } => {
                let timestamp = self.clock.unix_s(*began);
                let latency_ms = ended.since(*began).as_millis_f64();
                if let Some(open) = self.open.get_mut(&attempt.request) {
                    let row = row(&self.settings, open.identifier, attempt, *outcome);
                    let refused = Some(*cause == Cause::Refused);
                    open.held = Some(Row { timestamp, latency_ms, refused, ..row });
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
    pub(crate) fn end(&mut self) -> io::Result<()> {
        for row in std::mem::take(&mut self.open).into_values().filter_map(|open| open.held) {
            self.out.write(&row)?;
        }
        Ok(())
    }
}

fn row(of: &Settings, identifier: Identifier, attempt: &Attempt, outcome: Outcome) -> Row {
    let port = of.ports.get(attempt.server.index()).copied().unwrap_or_default();
    Row {
        session_id: of.session.clone(),
        // The cell stays empty for ports that are of no config.
        config: Config::from_port(port).unwrap_or(Config::ALL[0]),
        request_number: attempt.request.0 + 1,
        attempt_number: attempt.number + 1,
        request_id: identifier.to_string(),
        strategy: of.strategy.alias().unwrap_or(of.strategy.name()).to_owned(),
        timestamp: 0.0,
        server_port: port,
        success: outcome.is_success(),
        latency_ms: 0.0,
        request_complete: false,
        request_success: false,
        rate_limited: Some(outcome == Outcome::RateLimited),
        refused: None,
        start: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn other_files_are_told_so() {
        let header = "at_ns,kind,request,attempt,number,server,outcome,time_ns\n";
        let message = |lines: &str| {
            Step::read(format!("{header}{lines}").as_bytes()).unwrap_err().to_string()
        };
        assert!(message("1,send,0,0,0,0,,\n").contains("line 2 of the events log: an effect"));
        assert!(message("1,woke_up,,,,,,\n1,send,0,,0,0,,\n").contains("line 3"));
        assert!(message("1,danced,,,,,,\n").contains("no events log"));
        assert!(Step::read("a,b\n1,2\n".as_bytes()).is_err());
    }

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
        finished_by(request, number, outcome, Cause::Status)
    }

    fn finished_by(request: u64, number: u32, outcome: Outcome, cause: Cause) -> Note {
        let (began, ended, attempt) = (at(10), at(13), attempt(request, number));
        Note::Finished { at: at(14), attempt, outcome, cause, began, ended }
    }

    fn answered(request: u64, ok: bool) -> Note {
        Note::Answered(RequestId(request), Answer { ok, attempts: 1, latency: Span::ZERO })
    }

    fn log(notes: &[Note]) -> String {
        let ports = vec![5000, 5001];
        let settings = Settings { session: Some("s".to_owned()), ports, ..Settings::of_two() };
        let mut out = Vec::new();
        let mut log = AttemptLog::new(&mut out, Clock::start_in(Duration::ZERO), settings).unwrap();
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
            finished_by(1, 0, Outcome::Failure, Cause::Refused),
            answered(1, false),
        ];
        let id = "abcdefghijklmnopqrstuvWX";
        assert_eq!(
            log(&notes),
            format!(
                "s,T2,1,1,{id},v4,5001,False,3,False,False,True,False\n\
                 s,T2,1,2,{id},v4,5001,True,3,True,True,False,False\n\
                 s,T2,2,1,{id},v4,5001,False,3,True,False,False,True\n"
            )
        );
    }

    #[test]
    fn an_attempt_is_the_last_one_even_if_giving_up_comes_later() {
        let waits = [Note::AlarmSet(at(20)), Note::WokeUp { at: at(21) }];
        let mut notes = vec![arrived(0), sent(0, 0)];
        assert_eq!(log(&notes), "", "nobody saw its end");
        notes.push(finished(0, 0, Outcome::Failure));
        notes.extend(waits);
        assert!(log(&notes).ends_with("False,3,False,False,False,False\n"), "nobody was answered");
        notes.push(answered(0, false));
        assert!(log(&notes).ends_with("False,3,True,False,False,False\n"));
    }
}
