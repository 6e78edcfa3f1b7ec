//! The events log: every event handed to the balancer and every effect it asked for, in order,
//! to the nanosecond. A fresh balancer that is fed the events must ask for the same effects, one by
//! one; [`Step::read`] reads a log for that.
//!
//! A CSV file. An event's line is followed by those of its effects:
//!
//! | kind | what it says |
//! |---|---|
//! | `arrived` | at `at_ns` request `request` was handed in; it had arrived at `time_ns` |
//! | `finished` | attempt `attempt` ended with `outcome` |
//! | `woke_up` | an alarm went off |
//! | `send` | attempt `attempt`, the `number`-th of `request` from 0, goes to `server`, from 0 |
//! | `answer` | `request` is answered with `outcome`, after `number` attempts and `time_ns` |
//! | `wake_at` | an alarm is set for `time_ns` |
//!
//! When not to use it: to fit models; that is what the trace is for.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::notes::Note;
use crate::balancer::{Answer, Command, Event};
use crate::domain::{Attempt, AttemptId, Outcome, Request, RequestId, ServerId, Span, Timestamp};

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

/// Writes a log.
#[derive(Debug)]
pub(super) struct EventWriter<W: Write> {
    out: csv::Writer<W>,
    now: Timestamp,
}

impl<W: Write> EventWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: csv::Writer::from_writer(out), now: Timestamp::ZERO }
    }

    pub(super) fn write(&mut self, note: &Note) -> io::Result<()> {
        if let Note::Arrived { at, .. } | Note::Finished { at, .. } | Note::WokeUp { at } = note {
            self.now = *at;
        }
        match line(self.now.as_nanos(), note) {
            Some(line) => self.out.serialize(line).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
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
        Note::Finished { attempt, outcome, .. } => {
            Line { attempt: Some(attempt.id.0), outcome: Some(*outcome), ..of(Kind::Finished) }
        }
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
    /// A line that cannot be read.
    #[error("this is no events log of a proxy: {0}")]
    Line(#[from] csv::Error),
    /// A line that lacks what its kind must say, or an effect before all events.
    #[error("line {line} of the events log: {problem}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A line as what it stands for.
enum Entry {
    Event(Event),
    Command(Command),
}

impl Step {
    /// Reads a log.
    ///
    /// # Errors
    /// See [`EventsError`].
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
        Kind::Finished => Entry::Event(Event::Finished(AttemptId(line.attempt?), line.outcome?)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_to_the_nanosecond() {
        let at = Timestamp::from_nanos;
        let request = Request { id: RequestId(7), arrived_at: at(u64::MAX - 1) };
        let attempt = Attempt {
            id: AttemptId(3),
            request: RequestId(7),
            number: 2,
            server: ServerId(9),
            sent_at: at(11),
        };
        let answer = Answer { ok: false, attempts: 3, latency: Span::from_nanos(123) };
        let identifier = "abcdefghijklmnopqrstuvWX".parse().unwrap();
        let mut file = Vec::new();
        let mut writer = EventWriter::new(&mut file);
        let outcome = Outcome::TimedOut;
        let (began, ended) = (at(4), at(5));
        for note in [
            Note::Arrived { at: at(11), request, identifier },
            Note::Sent(attempt),
            Note::Finished { at: at(12), attempt, outcome, began, ended },
            Note::Answered(RequestId(7), answer),
            Note::AlarmSet(at(99)),
            Note::WokeUp { at: at(100) },
        ] {
            writer.write(&note).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        let answered = vec![Command::Answer(RequestId(7), answer), Command::WakeAt(at(99))];
        let steps = [
            (at(11), Event::Arrived(request), vec![Command::Send(attempt)]),
            (at(12), Event::Finished(AttemptId(3), Outcome::TimedOut), answered),
            (at(100), Event::WakeUp, vec![]),
        ];
        let steps = steps.map(|(at, event, commands)| Step { at, event, commands });
        assert_eq!(Step::read(file.as_slice()).unwrap(), steps);
    }

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
}
