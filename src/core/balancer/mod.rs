//! The life of a request, without I/O.
//!
//! A [`Balancer`] takes events (a request arrived, an attempt finished, the alarm went off)
//! and asks a driver for effects (send this attempt, answer that request, set an alarm). The
//! simulator and the live proxy are two such drivers; nothing about retries, giving up or
//! scores lives in either of them.

mod ledger;
mod state;

use crate::domain::{Attempt, AttemptId, Outcome, Request, RequestId, Span, Timestamp};

pub use self::ledger::{Ledger, ServerCounts};
pub use self::state::Balancer;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request arrived.
    Arrived(Request),
    /// An attempt that was sent earlier ended. Unknown or finished attempts are ignored.
    Finished(AttemptId, Outcome),
    /// An alarm asked for with [`Effects::wake_at`] went off. Spurious ones are harmless.
    WakeUp,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// 200 if true, else 500.
    pub ok: bool,
    /// Attempts that it took.
    pub attempts: u32,
    /// From arrival to answer.
    pub latency: Span,
}

/// What the balancer asks its driver to do, at once.
pub trait Effects {
    /// Send this attempt; its end comes back as [`Event::Finished`], later than this call.
    fn send(&mut self, attempt: &Attempt);
    /// Answer this request.
    fn answer(&mut self, request: RequestId, answer: Answer);
    /// Deliver an [`Event::WakeUp`] at this time.
    fn wake_at(&mut self, at: Timestamp);
}

/// An effect as a value, for tests and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// See [`Effects::send`].
    Send(Attempt),
    /// See [`Effects::answer`].
    Answer(RequestId, Answer),
    /// See [`Effects::wake_at`].
    WakeAt(Timestamp),
}

impl Effects for Vec<Command> {
    fn send(&mut self, attempt: &Attempt) {
        self.push(Command::Send(*attempt));
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        self.push(Command::Answer(request, answer));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.push(Command::WakeAt(at));
    }
}
