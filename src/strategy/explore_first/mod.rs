//! Explore first: attempt 1 learns, later attempts use what was learned. Made for free attempts.
//!
//! To tell a colleague: "A request has three free attempts, and the third is made only when two
//! have failed. So a gamble in the first attempt is nearly free, while a gamble in the third loses
//! the request. This rule tries servers out in first attempts, and sends second and third attempts
//! to the best server it knows, the same one again if that is the best. When servers refuse
//! retries (429) it remembers how long each needs and goes to the next best meanwhile."
//!
//! **Derivation.** A request is lost for the score with L = D (1 - s_1) (1 - s_2) (1 - s_3), where
//! D is what a request costs whose free attempts have failed. L does not depend on the order, but
//! attempt k is made only after k - 1 failures: sending it to a server worse by d costs
//! d D (1 - s*)^(3 - k), so the prices of exploring stand as (1 - s*)^2 : (1 - s*) : 1. A server
//! found better by e saves about e D (1 - s*)^2 in each of the N requests to come. The ratio of
//! that gain to the price of attempt k is the horizon that its optimism may count on,
//! h_k = N (1 - s*)^(k - 1), from which D has dropped out; `optimism` turns it into a number of
//! standard deviations (an optimistic Gittins index). N is not known: as many requests again as
//! have been seen, and `first_horizon` more. Hence with s* = 0.9 and N = 500 attempt 1 is worth
//! 2.2 standard deviations, attempt 2 1.5 and attempt 3 0.7; paid attempts count as a fourth.
//!
//! Means are shrunk towards the population of servers, which is estimated as the run goes
//! (`prior`). Failures of a server are independent over attempts, so tried servers are not
//! excluded; a failure moves the belief before the next attempt, which diversifies by itself.
//! `belief` tells outages from bad luck, `recovery` learns rate limits, `load` what attempts in
//! flight do. With limits, attempt k minimises (1 - a_i x_i) V_(k+1)(i) over servers, where a_i is
//! the chance of acceptance, x_i the optimistic rate and V_(k+1)(i) the best that can be done in
//! the free attempts left when i has been used. A good server that refuses retries is thus not
//! spent in attempt 1 if the attempts after it need it: poor first, good last.
//!
//! The rule draws no random numbers. Time per attempt and memory grow with the number of servers.
//!
//! Sources: Gutin and Farias (2016) for the index; the prices of attempts and the lookahead over
//! the attempts of a request are our own derivation, not proved optimal. Exact dynamic programming
//! on two and three servers with the prior given (Beta(3.8, 2.2), 8 to 24 requests, attempts capped
//! at 6) found its regret to the optimum 5 to 7 % of the optimum's own regret to the oracle, and
//! under a flat prior 13 to 19 %, of which most is not knowing that the run is that short.
//!
//! Limits: with many requests in service it spreads them until it has seen what servers can take:
//! where servers take everything, that costs some points of a thousand. Rates are taken as constant
//! while a server is up, so a server that merely becomes worse is noticed slowly. A token saved for
//! later requests has no price (only those of the same request count). Limiters with a burst are
//! tested by refusals. It waits only if told to.

mod belief;
mod gaps;
mod load;
mod optimism;
mod plan;
mod prior;
mod recovery;
#[cfg(test)]
mod tests;

use super::declared::{Range, declared};
use super::{Decision, ServerEstimate, Strategy};
use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Span, Timestamp};
use belief::{Beliefs, power};
use load::Crowding;
use plan::{DEPTH, Lookahead};
use prior::Population;
use recovery::Recovery;

/// With limits, a chance of success below this share of the best server's rate is reason to wait.
const RELUCTANCE: f64 = 0.5;
/// Attempts from this one on (from 0) are priced alike.
const PAID: u64 = 3;

declared! {
    name: "explore-first", group: Champion,
    idea: "explores in attempt 1, where it is nearly free; exploits in later ones",
    build: |spec, fleet, _| ExploreFirst::new(spec, fleet.servers()),
    pub struct ExploreFirstSpec {
        /// requests that exploring may count on from the start
        first_horizon: f64 = 80.0, Range::number(1.0, 1e9, (5.0, 500.0));
        /// odds of an outage that every attempt adds; 0: no watch for outages
        outage_hazard: f64 = 1e-6, Range::number(0.0, 0.999, (1e-9, 1e-3));
        /// attempts of a server that are remembered
        memory: f64 = 500.0, Range::number(10.0, 1e12, (50.0, 10_000.0));
        /// milliseconds after arrival until which to wait for a good server; 0: never
        ///
        /// It waits while all good servers are expected to refuse, rather than sending elsewhere.
        /// That costs latency, and 500s where requests queue.
        patience_ms: f64 = 0.0, Range::number(0.0, 3.6e6, (0.0, 80.0));
        /// successes of the population's Beta, if known; 0: estimated
        ///
        /// It takes both of its numbers for the prior to be given.
        prior_successes: f64 = 0.0, PRIOR;
        /// failures of the population's Beta, if known; 0: estimated
        prior_failures: f64 = 0.0, PRIOR;
    }
}

/// What is known of the servers is no matter for a search.
const PRIOR: Range = Range::Number { least: 0.0, most: 1e6, searched: None };

/// Explores in first attempts, exploits in later ones.
#[derive(Debug)]
pub struct ExploreFirst {
    spec: ExploreFirstSpec,
    beliefs: Beliefs,
    recovery: Recovery,
    crowding: Crowding,
    /// Requests that have come into service.
    requests: u64,
    /// The chance that an attempt now meets a server that is up, accepts and has room; scratch.
    chance: Vec<f64>,
}

impl ExploreFirst {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: ExploreFirstSpec, servers: usize) -> Self {
        let (successes, failures) = (spec.prior_successes, spec.prior_failures);
        let population = if successes > 0.0 && failures > 0.0 {
            Population::given(successes, failures)
        } else {
            Population::unknown()
        };
        Self {
            beliefs: Beliefs::new(servers, population, spec.outage_hazard, spec.memory),
            spec,
            recovery: Recovery::new(servers),
            crowding: Crowding::unknown(),
            requests: 0,
            chance: vec![1.0; servers],
        }
    }

    /// Standard deviations of optimism in attempt `attempt` (from 0) when the best server succeeds
    /// with probability `best`.
    #[inline]
    fn optimism(&self, attempt: u32, best: f64) -> f64 {
        let requests = self.requests as f64 + self.spec.first_horizon;
        optimism::of_horizon(requests * power(1.0 - best, u64::from(attempt).min(PAID)))
    }

    /// The server with the highest optimistic log odds: the rule where all servers accept.
    fn highest_index(&self, attempt: u32) -> usize {
        let best = self.beliefs.means().iter().fold(0.0, |best: f64, mean| best.max(*mean));
        let z = self.optimism(attempt, best);
        let mut top = (f64::NEG_INFINITY, 0);
        for (i, log_odds) in self.beliefs.log_odds(attempt).iter().enumerate() {
            let index = log_odds.optimistic(z);
            if index > top.0 {
                top = (index, i);
            }
        }
        top.1
    }

    /// The server that minimises the chance that the request fails in this and all free attempts
    /// that follow: the rule with limits, outages or attempts in flight.
    fn least_loss(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        let limited = self.recovery.limits_seen();
        let mut best = 0.0_f64;
        let mut ahead = Lookahead::EMPTY;
        for i in 0..self.beliefs.servers() {
            let others = self.recovery.in_flight_to(i);
            let up = self.beliefs.up(i, self.requests) * self.crowding.factor(others);
            let mean = self.beliefs.means()[i];
            best = best.max(mean * up);
            self.chance[i] = if limited { up * self.recovery.accepts(i, now) } else { up };
            ahead.offer(mean * self.chance[i], i);
        }
        if limited
            && ahead.best() < RELUCTANCE * best
            && let Some(at) = self.when_good(now, request, best)
        {
            return Decision::WaitUntil(at);
        }
        let z = self.optimism(request.attempts, best);
        let left = request.free_attempts.saturating_sub(request.attempts + 1).min(DEPTH);
        // Without limits every server leaves the same to the attempts that follow.
        let looks_ahead = limited && left > 0;
        let again = |i: usize| {
            let up = self.beliefs.up(i, self.requests);
            self.beliefs.means()[i] * up * self.recovery.accepts_retry(i)
        };
        if looks_ahead {
            ahead.second_uses(again);
        }
        let mut chosen = (f64::INFINITY, 0);
        for (i, log_odds) in self.beliefs.log_odds(request.attempts).iter().enumerate() {
            let rate = 1.0 / (1.0 + libm::exp(-log_odds.optimistic(z)));
            let rest = if looks_ahead { ahead.loss_after(i, again(i), left) } else { 1.0 };
            let loss = (1.0 - self.chance[i] * rate) * rest;
            if loss < chosen.0 {
                chosen = (loss, i);
            }
        }
        Decision::Send(ServerId(chosen.1 as u16))
    }

    /// When the first good server is expected to accept, if that is within patience.
    fn when_good(&self, now: Timestamp, request: &PendingRequest, best: f64) -> Option<Timestamp> {
        let deadline = request.arrived_at + Span::from_millis_f64(self.spec.patience_ms);
        if now >= deadline {
            return None;
        }
        let is_good = |i: &usize| {
            self.beliefs.means()[*i] * self.beliefs.up(*i, self.requests) >= RELUCTANCE * best
        };
        (0..self.beliefs.servers())
            .filter(is_good)
            .map(|i| self.recovery.ready_at(i, now))
            .min()
            .filter(|at| *at > now && *at <= deadline)
    }
}

impl Strategy for ExploreFirst {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        // Requests are numbered in order of arrival, from 0.
        self.requests = self.requests.max(request.id.0 + 1);
        let undisturbed = !self.recovery.limits_seen()
            && !self.beliefs.any_doubt()
            && self.recovery.in_flight() == 0;
        if undisturbed {
            return Decision::Send(ServerId(self.highest_index(request.attempts) as u16));
        }
        self.least_loss(now, request)
    }

    fn on_sent(&mut self, _now: Timestamp, attempt: &Attempt) {
        self.recovery.on_sent(attempt);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if outcome == Outcome::RateLimited {
            self.recovery.on_refused(attempt);
            return;
        }
        let success = outcome.is_success();
        self.recovery.on_accepted(now, attempt, success);
        let i = attempt.server.index();
        let others = self.recovery.in_flight_to(i);
        let factor = self.crowding.factor(others);
        self.crowding.observe(others, self.beliefs.means()[i], success);
        self.beliefs.observe(i, self.requests, success, factor);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        let estimate = |server: ServerId| {
            let (successes, failures) = self.beliefs.tally(server.index());
            ServerEstimate {
                server,
                attempts: (successes + failures) as u64,
                successes: successes as u64,
                success_rate: self.beliefs.means()[server.index()],
            }
        };
        ServerId::all(self.beliefs.servers()).map(estimate).collect()
    }
}
