//! Shorthand for the strategies' own tests: ask for a decision, tell an outcome.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::domain::{
    Attempt, AttemptId, Endpoint, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId,
    ServerId, Span, Streams, Timestamp,
};
use crate::strategy::declared::Declared;
use crate::strategy::tallied::{Rule, Tallied};
use crate::strategy::{Decision, Strategy};

/// The randomness that tests play with.
pub fn rng() -> ChaCha8Rng {
    Streams::new(1).stream(Purpose::Strategy, 0, 0)
}

/// A rule with a fresh memory of `servers` servers.
pub fn tallied<R: Rule>(rule: R, servers: usize) -> Tallied<R> {
    Tallied::new(rule, servers, rng())
}

/// The first attempt of request 0, at `server`.
pub fn attempt(server: u16, sent_at: Timestamp) -> Attempt {
    Attempt {
        id: AttemptId(0),
        request: RequestId(0),
        number: 0,
        server: ServerId(server),
        sent_at,
    }
}

/// The server chosen at `now` for a request that has just arrived and been sent to `tried`.
fn choose(strategy: &mut dyn Strategy, now: Timestamp, id: RequestId, tried: &[u16]) -> u16 {
    let mut pending = PendingRequest::new(Request { id, arrived_at: now }, 3);
    tried.iter().for_each(|server| pending.record_attempt(ServerId(*server)));
    match strategy.decide(now, &pending) {
        Decision::Send(server) => server.0,
        Decision::WaitUntil(at) => panic!("waits until {at:?}"),
    }
}

/// The server chosen for request number `request` that has been sent to `tried` so far.
pub fn decide(strategy: &mut dyn Strategy, request: u64, tried: &[u16]) -> u16 {
    choose(strategy, Timestamp::ZERO, RequestId(request), tried)
}

/// The server chosen `at_s` seconds after the start for a request that has been to `tried`.
pub fn decide_at(strategy: &mut dyn Strategy, at_s: f64, tried: &[u16]) -> u16 {
    choose(strategy, Timestamp::from_secs_f64(at_s), RequestId(0), tried)
}

/// Tells the strategy that an attempt at `server` ended with `outcome`.
pub fn observe(strategy: &mut dyn Strategy, server: u16, outcome: Outcome) {
    observe_at(strategy, 0.0, server, outcome);
}

/// The same `at_s` seconds after the start.
pub fn observe_at(strategy: &mut dyn Strategy, at_s: f64, server: u16, outcome: Outcome) {
    let at = Timestamp::from_secs_f64(at_s);
    let attempt = attempt(server, at);
    strategy.on_sent(at, &attempt);
    strategy.on_outcome(at, &attempt, outcome);
}

/// Servers with these weights, of which nothing else is declared.
pub fn fleet(weights: &[f64]) -> Fleet {
    let declared = |weight: &f64| Endpoint { weight: *weight, ..Endpoint::default() };
    Fleet::new(weights.iter().map(declared).collect()).unwrap()
}

/// A strategy and the time.
pub struct Bench {
    /// Who decides.
    pub strategy: Box<dyn Strategy>,
    /// The time on the clock.
    pub now: Timestamp,
}

impl Bench {
    /// A fresh strategy at time 0.
    pub fn new(spec: impl Declared, fleet: &Fleet) -> Self {
        let strategy = spec.build(fleet, ChaCha8Rng::seed_from_u64(17));
        Self { strategy, now: Timestamp::ZERO }
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: f64) {
        self.now = self.now + Span::from_millis_f64(ms);
    }

    /// The choice for a request that was sent to `tried` before.
    pub fn decide(&mut self, tried: &[u16]) -> u16 {
        choose(self.strategy.as_mut(), self.now, RequestId(0), tried)
    }

    /// The same, and the attempt leaves.
    pub fn send(&mut self, tried: &[u16]) -> u16 {
        let server = self.decide(tried);
        self.sent(server);
        server
    }

    /// An attempt leaves.
    pub fn sent(&mut self, server: u16) {
        self.strategy.on_sent(self.now, &attempt(server, self.now));
    }

    /// An attempt in flight at `server`, sent `ms` ago, ends.
    pub fn finish(&mut self, server: u16, ms: f64, outcome: Outcome) {
        let attempt = attempt(server, self.now - Span::from_millis_f64(ms));
        self.strategy.on_outcome(self.now, &attempt, outcome);
    }

    /// An attempt at `server` that takes no time.
    pub fn observe(&mut self, server: u16, outcome: Outcome) {
        self.sent(server);
        self.finish(server, 0.0, outcome);
    }

    /// The success rate that the strategy would bet on; health, for one that watches it.
    pub fn health(&self, server: u16) -> f64 {
        self.strategy.estimates()[usize::from(server)].success_rate
    }
}
