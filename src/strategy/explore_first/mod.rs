//! Explore first.
//! stub
#![allow(missing_docs)]
mod belief;
mod load;
mod prior;
mod recovery;
mod optimism;

use serde::{Deserialize, Serialize};
use super::{Decision, ServerEstimate, SpecError, Strategy};
use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Span, Timestamp};
use belief::Beliefs;
use load::Load;
use prior::Population;
use recovery::Recovery;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExploreFirstSpec {
    pub first_horizon: f64,
    pub outage_hazard: f64,
    pub memory: f64,
    pub patience_ms: f64,
    pub prior_successes: Option<f64>,
    pub prior_failures: Option<f64>,
}
impl Default for ExploreFirstSpec {
    fn default() -> Self { Self { first_horizon: 50.0, outage_hazard: 1e-6, memory: 500.0, patience_ms: 0.0, prior_successes: None, prior_failures: None } }
}
impl ExploreFirstSpec { pub fn validate(&self) -> Result<(), SpecError> { Ok(()) } }

#[derive(Debug)]
pub struct ExploreFirst {
    spec: ExploreFirstSpec,
    beliefs: Beliefs,
    recovery: Recovery,
    load: Load,
    /// Requests that a first attempt was decided for.
    requests: u64,
    /// Chance that an attempt now meets a server that is up and accepts, per server.
    chance: Vec<f64>,
}

impl ExploreFirst {
    pub fn new(spec: ExploreFirstSpec, servers: usize) -> Self {
        let population = match (spec.prior_successes, spec.prior_failures) {
            (Some(s), Some(f)) => Population::given(s, f),
            _ => Population::unknown(),
        };
        Self {
            beliefs: Beliefs::new(servers, population, spec.outage_hazard, spec.memory),
            spec,
            recovery: Recovery::new(servers),
            load: Load::HARMLESS,
            requests: 0,
            chance: vec![1.0; servers],
        }
    }

    /// Standard deviations of optimism for an attempt, when the best server succeeds with `best`.
    fn optimism(&self, attempt: u32, best: f64) -> f64 {
        let horizon = self.requests as f64 + self.spec.first_horizon;
        let price = libm::pow(1.0 - best, f64::from(attempt.min(3)));
        optimism::of_horizon(horizon * price)
    }

    /// The rule where every server accepts: the highest optimistic log odds.
    fn highest(&self, attempt: u32) -> usize {
        let best = self.beliefs.means().iter().fold(0.0, |a: f64, b| a.max(*b));
        let z = self.optimism(attempt, best);
        let mut top = (f64::NEG_INFINITY, 0);
        for i in 0..self.beliefs.servers() {
            let index = self.beliefs.optimistic(i, z);
            if index > top.0 {
                top = (index, i);
            }
        }
        top.1
    }

    /// The rule with limits, outages or load.
    fn least_loss(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        let limited = self.recovery.limits_seen();
        let mut best = 0.0_f64;
        let mut plan = Plan::default();
        for i in 0..self.beliefs.servers() {
            let others = self.recovery.in_flight_to(i);
            let mut chance = self.beliefs.up(i, self.requests) * self.load.factor(others);
            let up = self.beliefs.means()[i] * chance;
            best = best.max(up);
            if limited {
                chance *= self.recovery.accepts(i, now);
            }
            self.chance[i] = chance;
            plan.offer(self.beliefs.means()[i] * chance, i);
        }
        if limited && plan.best() < RELUCTANCE * best {
            if let Some(at) = self.wait(now, request, best) {
                return Decision::WaitUntil(at);
            }
        }
        let z = self.optimism(request.attempts, best);
        let left = request.free_attempts.saturating_sub(request.attempts + 1).min(2);
        let again = |i: usize| {
            let retry = if limited { self.recovery.accepts_retry(i) } else { 1.0 };
            self.beliefs.means()[i] * self.beliefs.up(i, self.requests) * retry
        };
        if limited && left > 0 {
            plan.again = plan.server.map(|i| if i == usize::MAX { 0.0 } else { again(i) });
        }
        let mut chosen = (f64::INFINITY, 0);
        for i in 0..self.beliefs.servers() {
            let index = self.chance[i] / (1.0 + libm::exp(-self.beliefs.optimistic(i, z)));
            let rest = if left == 0 || !limited { 1.0 } else { plan.loss_without(i, again(i), left) };
            let loss = (1.0 - index) * rest;
            if loss < chosen.0 {
                chosen = (loss, i);
            }
        }
        Decision::Send(ServerId(chosen.1 as u16))
    }

    /// When a good server will accept, if that is soon enough.
    fn wait(&self, now: Timestamp, request: &PendingRequest, best: f64) -> Option<Timestamp> {
        let patience = Span::from_millis_f64(self.spec.patience_ms);
        let deadline = request.arrived_at + patience;
        if now >= deadline {
            return None;
        }
        let good = |i: &usize| self.beliefs.means()[*i] * self.beliefs.up(*i, self.requests) >= RELUCTANCE * best;
        let ready = (0..self.beliefs.servers()).filter(good).map(|i| self.recovery.ready_at(i, now));
        ready.min().filter(|at| *at > now && *at <= deadline)
    }
}

/// Waits rather than sends where the chance of success now is below this share of the best rate.
const RELUCTANCE: f64 = 0.5;

/// The three best servers for the free attempts that follow.
#[derive(Debug)]
struct Plan { value: [f64; 3], server: [usize; 3], again: [f64; 3] }
impl Default for Plan { fn default() -> Self { Self { value: [0.0; 3], server: [usize::MAX; 3], again: [0.0; 3] } } }
impl Plan {
    fn best(&self) -> f64 { self.value[0] }
    #[inline]
    fn offer(&mut self, value: f64, server: usize) {
        if value <= self.value[2] { return; }
        let rank = if value > self.value[0] { 0 } else if value > self.value[1] { 1 } else { 2 };
        for r in (rank..2).rev() { self.value[r + 1] = self.value[r]; self.server[r + 1] = self.server[r]; }
        self.value[rank] = value; self.server[rank] = server;
    }
    #[inline]
    fn loss_without(&self, used: usize, again: f64, left: u32) -> f64 {
        let mut repeat = again;
        let mut rank = 0;
        let mut loss = 1.0;
        for _ in 0..left {
            if rank < 3 && self.server[rank] == used { rank += 1; }
            let fresh = if rank < 3 { self.value[rank] } else { 0.0 };
            if repeat >= fresh { loss *= 1.0 - repeat; } else { loss *= 1.0 - fresh; repeat = repeat.max(self.again[rank]); rank += 1; }
        }
        loss
    }
}

impl Strategy for ExploreFirst {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        if request.attempts == 0 { self.requests += 1; }
        let simple = !self.recovery.limits_seen() && !self.beliefs.any_doubt() && self.recovery.in_flight() == 0;
        if simple { return Decision::Send(ServerId(self.highest(request.attempts) as u16)); }
        self.least_loss(now, request)
    }
    fn on_sent(&mut self, _now: Timestamp, attempt: &Attempt) { self.recovery.on_sent(attempt); }
    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if outcome == Outcome::RateLimited { self.recovery.on_refused(attempt); return; }
        let success = outcome.is_success();
        self.recovery.on_accepted(now, attempt, success);
        let i = attempt.server.index();
        let others = self.recovery.in_flight_to(i);
        let factor = self.load.factor(others);
        self.load.observe(others, self.beliefs.means()[i], success);
        self.beliefs.observe(i, self.requests, success, factor);
    }
    fn estimates(&self) -> Vec<ServerEstimate> {
        ServerId::all(self.beliefs.servers()).map(|server| { let (s, f) = self.beliefs.tally(server.index()); ServerEstimate { server, attempts: (s + f) as u64, successes: s as u64, success_rate: self.beliefs.means()[server.index()] } }).collect()
    }
}
