//! The reference row `oracle`: knows every error rate and every limiter, not the coins.
//!
//! It takes the server with the lowest error rate among those that would accept now, and waits
//! for the first to accept when none would. Without rate limits this is optimal and bounds
//! every strategy; with limits it is greedy and can be beaten.

use super::{Instance, Limiter};
use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use crate::strategy::{Decision, ServerEstimate, Strategy};

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
}

impl Oracle {
    /// Knows the truth of `instance`.
    pub fn new(instance: &Instance) -> Self {
        let mut by_rate: Vec<ServerId> = ServerId::all(instance.servers()).collect();
        let rates = &instance.error_rates;
        by_rate.sort_by(|a, b| rates[a.index()].total_cmp(&rates[b.index()]));
        Self { by_rate, error_rates: rates.clone(), limiters: instance.limiters.clone() }
    }
}

impl Strategy for Oracle {
    fn decide(&mut self, now: Timestamp, _request: &PendingRequest) -> Decision {
        let mut earliest = Timestamp::NEVER;
        for server in &self.by_rate {
            let accepts_at = self.limiters[server.index()].next_accept(now);
            if accepts_at <= now {
                return Decision::Send(*server);
            }
            earliest = earliest.min(accepts_at);
        }
        Decision::WaitUntil(earliest)
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        self.limiters[attempt.server.index()].accept(now);
    }

    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}

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
    use crate::strategy::parts::testing::{decide, observe};
    use crate::world::RateLimit;

    fn oracle(limit: RateLimit) -> Oracle {
        let error_rates = vec![0.5, 0.1, 0.3];
        let limiters = vec![limit.limiter(0.0); 3];
        Oracle::new(&Instance { error_rates, limiters })
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
        let request =
            crate::domain::Request { id: crate::domain::RequestId(0), arrived_at: Timestamp::ZERO };
        let decision = oracle.decide(Timestamp::ZERO, &PendingRequest::new(request, 3));
        assert_eq!(decision, Decision::WaitUntil(Timestamp::from_secs_f64(1.0)));
    }
}
