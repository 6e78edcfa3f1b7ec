//! What a mesh knows of all its servers, and which of them it considers.
//!
//! Cost: O(1) a decision and O(1) an outcome, at any number of servers. Health fades with time,
//! so membership of the servers considered would have to be looked at all the time; instead a hand
//! goes round as in a clock, and each decision looks at the next eight servers: their health is
//! brought up to date and compared with the threshold. Up to eight servers everything is therefore
//! exact at every decision; with n servers a threshold is noticed n/8 decisions late at worst when
//! it is crossed by time (at once when it is crossed by an outcome).
//!
//! The same hand keeps the maximum for relative thresholds: the best health met in its last whole
//! round, raised at once by outcomes. Where health fell everywhere within a round, the old maximum
//! may leave nobody; then all are considered, as always.

use super::considered::Passing;
use super::health::{Health, HealthRule};
use super::load::Load;
use super::server::Server;
use super::spec::Watch;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::parts::NOBODY;
use crate::strategy::{Notes, ServerEstimate};

/// Servers that a decision looks at in passing.
const HAND: usize = 8;

/// Health is brought up to date when this share of the recovery time has passed: what is held
/// against a server is then off by 1 % at most, and most looks cost no exponential.
const TICKS_PER_RECOVERY: f64 = 64.0;

/// The common eyes of the family.
#[derive(Debug, Clone)]
pub struct View {
    servers: Vec<Server>,
    watch: Watch,
    rule: HealthRule,
    /// Nanoseconds between two updates of a server's health for the time passed.
    tick_ns: u64,
    passing: Passing,
    /// The server that the hand comes to next.
    hand: usize,
    /// The best health met in this round of the hand.
    best_of_round: f64,
    /// The best health met in the last one.
    best: f64,
    load: Load,
    /// Server-decisions that health kept out.
    filtered: u64,
}

impl View {
    /// Servers as declared, all of them healthy and idle.
    pub fn new(watch: Watch, fleet: &Fleet) -> Self {
        let n = fleet.servers();
        Self {
            servers: ServerId::all(n).map(|server| Server::new(fleet, server)).collect(),
            watch,
            rule: watch.rule(),
            tick_ns: (watch.recovery_s * 1e9 / TICKS_PER_RECOVERY) as u64,
            passing: Passing::all(n),
            hand: 0,
            best_of_round: 0.0,
            best: 1.0,
            load: Load::new(n),
            filtered: 0,
        }
    }

    /// To be called before each choice.
    #[inline]
    pub fn before_choice(&mut self, now: Timestamp) {
        self.turn_hand(now);
        if self.passing.len() > 0 {
            self.filtered += (self.servers.len() - self.passing.len()) as u64;
        }
    }

    /// To be called when an attempt was sent.
    #[inline]
    pub fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        let server = &mut self.servers[attempt.server.index()];
        let before = server.in_flight;
        server.take_up();
        self.load.change(now, before, server.in_flight);
    }

    /// To be called once for each outcome.
    pub fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let i = attempt.server.index();
        let latency = now.since(attempt.sent_at);
        let server = &mut self.servers[i];
        let before = server.in_flight;
        server.put_down();
        self.load.change(now, before, server.in_flight);
        server.attempts += 1;
        server.successes += u64::from(outcome.is_success());
        let Some(worth) = self.rule.worth(outcome, latency) else { return };
        if outcome.is_success() {
            self.rule.learn_latency(latency);
        }
        let faded = self.rule.faded(server.health, now.since(server.settled_at));
        server.health = self.rule.after(faded, worth);
        server.settled_at = server.settled_at.max(now);
        let health = server.health.value();
        self.best = self.best.max(health);
        self.best_of_round = self.best_of_round.max(health);
        self.judge(i);
    }

    /// Every server, in order.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// One server.
    #[inline]
    pub fn server(&self, server: ServerId) -> &Server {
        &self.servers[server.index()]
    }

    /// How many servers are considered: those that pass, or all.
    #[inline]
    pub fn considered(&self) -> usize {
        if self.passing.len() == 0 { self.servers.len() } else { self.passing.len() }
    }

    /// A server considered, by a place below [`considered`](Self::considered).
    #[inline]
    pub fn considered_at(&self, place: usize) -> ServerId {
        if self.passing.len() == 0 { ServerId(place as u16) } else { self.passing.at(place) }
    }

    /// Whether a server is considered.
    #[inline]
    pub fn is_considered(&self, server: ServerId) -> bool {
        self.passing.len() == 0 || self.passing.contains(server)
    }

    /// The servers to avoid for this attempt.
    #[inline]
    pub fn tried<'r>(&self, request: &'r PendingRequest) -> &'r ServerSet {
        if self.watch.exclude_tried { &request.tried } else { &NOBODY }
    }

    /// How unwelcome a server is, whatever its load: 0 has room and is not tried, 1 has room,
    /// 2 is not tried, 3 is neither.
    #[inline]
    pub fn tier(&self, server: ServerId, tried: &ServerSet) -> u8 {
        2 * u8::from(self.server(server).is_full()) + u8::from(tried.contains(server))
    }

    /// The least tier among the servers considered, and how many have it.
    pub fn best_tier(&self, tried: &ServerSet) -> (u8, usize) {
        let mut best = (u8::MAX, 0);
        for place in 0..self.considered() {
            let tier = self.tier(self.considered_at(place), tried);
            if tier < best.0 {
                best = (tier, 0);
            }
            best.1 += usize::from(tier == best.0);
        }
        best
    }

    /// The variance over servers of requests in flight, now.
    pub fn load_variance(&self) -> f64 {
        self.load.variance()
    }

    /// For reports; switches are those of whoever has them.
    pub fn notes(&self) -> Notes {
        Notes {
            filtered_by_health: self.filtered,
            load_variance: self.load.average(),
            ..Notes::default()
        }
    }

    /// Health as belief, for reports.
    pub fn estimates(&self) -> Vec<ServerEstimate> {
        let estimate = |(server, known): (ServerId, &Server)| ServerEstimate {
            server,
            attempts: known.attempts,
            successes: known.successes,
            success_rate: known.health.value(),
        };
        ServerId::all(self.servers.len()).zip(&self.servers).map(estimate).collect()
    }

    /// Looks at the next servers.
    fn turn_hand(&mut self, now: Timestamp) {
        let n = self.servers.len();
        let (from, steps) = (self.hand, HAND.min(n));
        for _ in 0..steps {
            let i = self.hand;
            if i == 0 {
                // Not at the end of the round before: an outcome since may have been undone.
                self.best_of_round = 0.0;
            }
            self.settle(i, now);
            self.best_of_round = self.best_of_round.max(self.servers[i].health.value());
            self.hand += 1;
            if self.hand == n {
                self.hand = 0;
                self.best = self.best_of_round;
            }
        }
        // Judged when the round is complete, so that few servers meet the newest maximum.
        let mut i = from;
        for _ in 0..steps {
            self.judge(i);
            i = if i + 1 == n { 0 } else { i + 1 };
        }
    }

    /// Lets the time passed count for a server's health.
    #[inline]
    fn settle(&mut self, i: usize, now: Timestamp) {
        let server = &mut self.servers[i];
        if server.health == Health::FULL {
            return;
        }
        let elapsed = now.since(server.settled_at);
        if elapsed.as_nanos() > self.tick_ns {
            server.health = self.rule.faded(server.health, elapsed);
            server.settled_at = now;
        }
    }

    /// Whether the server passes, by what is known of it now.
    #[inline]
    fn judge(&mut self, i: usize) {
        let server = &self.servers[i];
        let common = self.watch.health_threshold;
        let threshold = match server.threshold {
            Some(own) => own.value(),
            None if self.watch.relative_threshold => common * self.best,
            None => common,
        };
        let passes = server.health.value() >= threshold;
        self.passing.set(ServerId(i as u16), passes);
    }
}

#[cfg(test)]
mod tests;
