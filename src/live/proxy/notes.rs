//! What the decision thread tells the recorder: every event, every effect, and now and then the
//! state.
//!
//! Notes come in the order in which things were decided; the effects of an event follow it.

use crate::balancer::{Answer, Ledger};
use crate::domain::{Attempt, Identifier, Outcome, Request, RequestId, Timestamp};
use crate::strategy;

/// Something to write down.
#[derive(Debug)]
pub(super) enum Note {
    /// Event: a request arrived and was handed to the balancer at `at`.
    Arrived { at: Timestamp, request: Request, identifier: Identifier },
    /// Event: an attempt ended. It was really sent at `began`, its outcome known at `ended`, and
    /// the balancer was told at `at`.
    Finished {
        at: Timestamp,
        attempt: Attempt,
        outcome: Outcome,
        began: Timestamp,
        ended: Timestamp,
    },
    /// Event: an alarm went off.
    WokeUp { at: Timestamp },
    /// Effect: an attempt was handed to a sender.
    Sent(Attempt),
    /// Effect: a request was answered.
    Answered(RequestId, Answer),
    /// Effect: an alarm was set.
    AlarmSet(Timestamp),
    /// The state after all of that.
    State(Box<State>),
}

/// The balancer's state at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) at: Timestamp,
    pub(super) ledger: Ledger,
    /// The success rates that the strategy would bet on, one a server, where it has such a belief.
    pub(super) beliefs: Vec<Option<f64>>,
    pub(super) waiting: usize,
    pub(super) in_service: usize,
    /// What the strategy has to tell of load and health.
    pub(super) of_strategy: Option<strategy::Notes>,
}

impl State {
    /// That of a proxy with so many servers that has not been asked for anything.
    pub(super) fn before_all(servers: usize) -> Self {
        Self {
            at: Timestamp::ZERO,
            ledger: Ledger::new(servers),
            beliefs: vec![None; servers],
            waiting: 0,
            in_service: 0,
            of_strategy: None,
        }
    }
}
