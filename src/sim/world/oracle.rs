//! The reference row `oracle`: knows every error rate, every limiter and every outage, not the
//! coins.
//!
//! It takes the server with the lowest error rate among those that would accept now and are not
//! dark, and waits for the first to accept when none would. Without rate limits and conditions
//! this is optimal and bounds every strategy; with them it is greedy and can be beaten.
//!
//! Of servers with slots it prefers the best that has a free one, as far as its own attempts tell:
//! it counts those that have not ended. When all slots are taken, it chooses the server with the
//! fewest attempts for each slot. An attempt that timed out it takes for ended, although a server
//! goes on with it; nor does it mind that one server answers more slowly than another.

use crate::world::conditions::Outages;
use crate::world::instance::Instance;
use crate::world::limiter::Limiter;
use flakelab_core::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use flakelab_core::strategy::{Decision, ServerEstimate, Strategy};

/// The strategy that is shown the truth.
///
/// It keeps its own copy of the limiters and asks them what the real ones are asked, so their
/// states never differ.
#[derive(Debug)]
pub struct Oracle {
    /// Servers from the lowest error rate to the highest, ties in order of index.
    by_rate: Vec<ServerId>,
    error_rates: Vec<f64>,
    limiters: Vec<Limiter>,
    outages: Outages,
    /// By server; empty where servers work on all attempts at once.
    slots: Vec<Slots>,
}

/// What it knows of a server's slots.
#[derive(Debug, Clone, Copy)]
struct Slots {
    /// How many there are; infinitely many without a capacity.
    count: f64,
    /// Attempts sent that have not ended.
    in_flight: f64,
}

impl Oracle {
    /// Knows the truth of `instance`.
    pub fn new(instance: &Instance) -> Self {
        let mut by_rate: Vec<ServerId> = ServerId::all(instance.servers()).collect();
        let rates = &instance.error_rates;
        by_rate.sort_by(|a, b| rates[a.index()].total_cmp(&rates[b.index()]));
        let conditions = &instance.conditions;
        let slots = || {
            let count = conditions.capacities(instance.servers());
            let count = count.map(|c| c.map_or(f64::INFINITY, |c| f64::from(c.slots)));
            count.map(|count| Slots { count, in_flight: 0.0 }).collect()
        };
        Self {
            by_rate,
            error_rates: rates.clone(),
            limiters: instance.limiters_if_any(),
            outages: Outages::new(&conditions.outages),
            slots: if conditions.has_capacity() { slots() } else { Vec::new() },
        }
    }

    /// The first time from `now` on at which a server would accept and is not dark.
    fn accepts_at(&self, server: ServerId, now: Timestamp) -> Timestamp {
        let accepts = |at| self.limiters.get(server.index()).map_or(at, |of| of.next_accept(at));
        let mut at = accepts(now);
        // Every step leaves an outage behind.
        while let Some(dark) = self.outages.at(server, at) {
            at = accepts(dark.until);
        }
        at
    }

    /// Attempts for each slot: below 1, one is free.
    fn load(&self, server: ServerId) -> f64 {
        self.slots.get(server.index()).map_or(0.0, |of| of.in_flight / of.count)
    }

    fn change_in_flight(&mut self, server: ServerId, by: f64) {
        if let Some(slots) = self.slots.get_mut(server.index()) {
            slots.in_flight += by;
        }
    }
}

impl Strategy for Oracle {
    fn decide(&mut self, now: Timestamp, _request: &PendingRequest) -> Decision {
        let mut earliest = Timestamp::NEVER;
        let mut least_full: Option<(f64, ServerId)> = None;
        for server in &self.by_rate {
            let accepts_at = self.accepts_at(*server, now);
            if accepts_at > now {
                earliest = earliest.min(accepts_at);
                continue;
            }
            let load = self.load(*server);
            if load < 1.0 {
                return Decision::Send(*server);
            }
            if least_full.is_none_or(|(least, _)| load < least) {
                least_full = Some((load, *server));
            }
        }
        least_full.map_or(Decision::WaitUntil(earliest), |(_, server)| Decision::Send(server))
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        if let Some(limiter) = self.limiters.get_mut(attempt.server.index()) {
            limiter.accept(now);
        }
        self.change_in_flight(attempt.server, 1.0);
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, _outcome: Outcome) {
        self.change_in_flight(attempt.server, -1.0);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        let truth = |server: ServerId| 1.0 - self.error_rates[server.index()];
        ServerId::all(self.error_rates.len())
            .map(|server| ServerEstimate {
                server,
                attempts: 0,
                successes: 0,
                success_rate: truth(server),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::conditions::{Capacity, Conditions, Outage, OutageKind};
    use crate::world::limiter::RateLimit;
    use flakelab_core::domain::{Request, RequestId};
    use flakelab_core::strategy::testing::{attempt, decide, observe};

    fn oracle_under(limit: RateLimit, conditions: Conditions) -> Oracle {
        let error_rates = vec![0.5, 0.1, 0.3];
        let limiters = vec![limit.limiter(0.0); 3];
        Oracle::new(&Instance { error_rates, limiters, conditions })
    }

    fn oracle(limit: RateLimit) -> Oracle {
        oracle_under(limit, Conditions::default())
    }

    fn decide_at(oracle: &mut Oracle, seconds: f64) -> Decision {
        let at = Timestamp::from_secs_f64(seconds);
        let request = Request { id: RequestId(0), arrived_at: at };
        oracle.decide(at, &PendingRequest::new(request, 3))
    }

    #[test]
    fn takes_the_best_server_whatever_happened() {
        let mut oracle = oracle(RateLimit::None);
        for _ in 0..5 {
            assert_eq!(decide(&mut oracle, 0, &[1]), 1);
            observe(&mut oracle, 1, Outcome::Failure);
        }
    }

    #[test]
    fn moves_on_to_the_next_best_when_the_best_would_refuse_and_waits_when_all_would() {
        let mut oracle =
            oracle(RateLimit::FixedWindow { limit: 1, window_s: 1.0, phase_s: Some(0.0) });
        for expected in [1, 2, 0] {
            assert_eq!(decide(&mut oracle, 0, &[]), expected);
            observe(&mut oracle, expected, Outcome::Success);
        }
        let decision = decide_at(&mut oracle, 0.0);
        assert_eq!(decision, Decision::WaitUntil(Timestamp::from_secs_f64(1.0)));
    }

    #[test]
    fn passes_dark_servers_over_and_waits_for_the_first_light_when_all_are_dark() {
        let outage =
            |from_s, until_s, servers| Outage { from_s, until_s, servers, kind: OutageKind::Hang };
        let outages = vec![outage(1.0, 3.0, Some(vec![1])), outage(2.0, 5.0, Some(vec![0, 2]))];
        let mut oracle =
            oracle_under(RateLimit::None, Conditions { outages, ..Conditions::default() });
        let send = |server| Decision::Send(ServerId(server));
        assert_eq!(decide_at(&mut oracle, 0.0), send(1));
        assert_eq!(decide_at(&mut oracle, 1.5), send(2));
        let light = Decision::WaitUntil(Timestamp::from_secs_f64(3.0));
        assert_eq!(decide_at(&mut oracle, 2.5), light);
        assert_eq!(decide_at(&mut oracle, 3.0), send(1));
    }

    #[test]
    fn prefers_free_slots_and_then_the_fewest_attempts_for_each_slot() {
        let capacity = Some(Capacity { slots: 1, queue: None, overload_ms: None });
        let mut oracle =
            oracle_under(RateLimit::None, Conditions { capacity, ..Conditions::default() });
        let mut sent = Vec::new();
        for _ in 0..4 {
            let Decision::Send(server) = decide_at(&mut oracle, 0.0) else { panic!() };
            let attempt = attempt(server.0, Timestamp::ZERO);
            oracle.on_sent(Timestamp::ZERO, &attempt);
            sent.push(attempt);
        }
        assert_eq!(sent.iter().map(|a| a.server.0).collect::<Vec<u16>>(), [1, 2, 0, 1]);
        oracle.on_outcome(Timestamp::ZERO, &sent[1], Outcome::Failure);
        assert_eq!(decide_at(&mut oracle, 0.0), Decision::Send(ServerId(2)));
    }
}
