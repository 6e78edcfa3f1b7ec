//! The life of a request, without I/O.
//!
//! A [`Balancer`] takes events (a request arrived, an attempt finished, the alarm went off)
//! and asks a driver for effects (send this attempt, answer that request, set an alarm). The
//! simulator and the live proxy are two such drivers; nothing about retries, giving up or
//! scores lives in either of them.

mod ledger;
mod pauses;
mod state;

use crate::domain::{
    Attempt, AttemptId, Cause, Outcome, Request, RequestId, ServerOrder, Span, Timestamp,
};
use crate::strategy::Strategy;

pub use self::ledger::{Ledger, ServerCounts};
pub use self::state::Balancer;

/// A strategy in front of servers, and the order in which it sees them; the fleet that it was made
/// for is that [seen in](crate::domain::Fleet::seen_in) this order.
pub struct Seat {
    /// Who decides.
    pub strategy: Box<dyn Strategy>,
    /// Whom it means by which number.
    pub order: ServerOrder,
}

impl Seat {
    /// A strategy that sees `servers` servers in the order of the model: the oracle, who knows which
    /// is which, and whoever has order for its rule (first the primary, then the backups).
    pub fn as_given(strategy: Box<dyn Strategy>, servers: usize) -> Self {
        Self { strategy, order: ServerOrder::as_given(servers) }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request arrived.
    Arrived(Request),
    /// An attempt that was sent earlier ended, and why. Unknown or finished attempts are ignored.
    Finished(AttemptId, Outcome, Cause),
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
