//! Shorthand for the family's tests: servers by weight, and a strategy with a clock.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::domain::{
    Attempt, AttemptId, Endpoint, Fleet, Outcome, PendingRequest, Request, RequestId, ServerId,
    Span, Timestamp,
};
use crate::strategy::declared::Declared;
use crate::strategy::{Decision, Strategy};

/// Servers with these weights, of which nothing else is declared.
pub(super) fn fleet(weights: &[f64]) -> Fleet {
    let declared = |weight: &f64| Endpoint { weight: *weight, ..Endpoint::default() };
    Fleet::new(weights.iter().map(declared).collect()).unwrap()
}

/// A strategy and the time.
pub(super) struct Bench {
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new(spec: impl Declared, fleet: &Fleet) -> Self {
        let strategy = spec.build(fleet, ChaCha8Rng::seed_from_u64(17));
        Self { strategy, now: Timestamp::ZERO }
    }

    pub(super) fn wait(&mut self, ms: f64) {
        self.now = self.now + Span::from_millis_f64(ms);
    }

    /// The choice for a request that was sent to `tried` before.
    pub(super) fn decide(&mut self, tried: &[u16]) -> u16 {
        let request = Request { id: RequestId(0), arrived_at: self.now };
        let mut pending = PendingRequest::new(request, 3);
        tried.iter().for_each(|server| pending.record_attempt(ServerId(*server)));
        match self.strategy.decide(self.now, &pending) {
            Decision::Send(server) => server.0,
            Decision::WaitUntil(at) => panic!("waits until {at:?}"),
        }
    }

    /// The same, and the attempt leaves.
    pub(super) fn send(&mut self, tried: &[u16]) -> u16 {
        let server = self.decide(tried);
        self.sent(server);
        server
    }

    pub(super) fn sent(&mut self, server: u16) {
        let attempt = self.attempt(server, self.now);
        self.strategy.on_sent(self.now, &attempt);
    }

    /// An attempt in flight at `server`, sent `ms` ago, ends.
    pub(super) fn finish(&mut self, server: u16, ms: f64, outcome: Outcome) {
        let attempt = self.attempt(server, self.now - Span::from_millis_f64(ms));
        self.strategy.on_outcome(self.now, &attempt, outcome);
    }

    /// An attempt at `server` that takes no time.
    pub(super) fn observe(&mut self, server: u16, outcome: Outcome) {
        self.sent(server);
        self.finish(server, 0.0, outcome);
    }

    pub(super) fn health(&self, server: u16) -> f64 {
        self.strategy.estimates()[usize::from(server)].success_rate
    }

    fn attempt(&self, server: u16, sent_at: Timestamp) -> Attempt {
        Attempt {
            id: AttemptId(0),
            request: RequestId(0),
            number: 0,
            server: ServerId(server),
            sent_at,
        }
    }
}
