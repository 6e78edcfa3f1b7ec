//! Shorthand for the strategies' own tests: ask for a decision, tell an outcome.

use crate::domain::{
    Attempt, AttemptId, Outcome, PendingRequest, Request, RequestId, ServerId, Timestamp,
};
use crate::strategy::{Decision, Strategy};

/// The server chosen for request number `request` that has been sent to `tried` so far.
pub fn decide(strategy: &mut dyn Strategy, request: u64, tried: &[u16]) -> u16 {
    let request = Request { id: RequestId(request), arrived_at: Timestamp::ZERO };
    let mut pending = PendingRequest::new(request, 3);
    for server in tried {
        pending.record_attempt(ServerId(*server));
    }
    match strategy.decide(Timestamp::ZERO, &pending) {
        Decision::Send(server) => server.0,
        Decision::WaitUntil(at) => panic!("waits until {at:?}"),
    }
}

/// Tells the strategy that an attempt at `server` ended with `outcome`.
pub fn observe(strategy: &mut dyn Strategy, server: u16, outcome: Outcome) {
    let attempt = Attempt {
        id: AttemptId(0),
        request: RequestId(0),
        number: 0,
        server: ServerId(server),
        sent_at: Timestamp::ZERO,
    };
    strategy.on_sent(Timestamp::ZERO, &attempt);
    strategy.on_outcome(Timestamp::ZERO, &attempt, outcome);
}
