//! How often each server was attempted, and how often it succeeded.
//!
//! Counts are kept as `f64` (exact up to 2^53), one array a quantity, so that index formulas
//! run over them without conversions. A rate-limited or timed-out attempt counts as a failure.

use crate::domain::{Attempt, Outcome, ServerId};
use crate::strategy::ServerEstimate;

/// Attempts and successes of every server since the start of the run.
#[derive(Debug, Clone)]
pub struct Tallies {
    /// Attempts with a known outcome, per server.
    attempts: Vec<f64>,
    /// Successes, per server.
    successes: Vec<f64>,
    /// successes / attempts, per server; 0 while untried.
    success_rates: Vec<f64>,
    /// Attempts with a known outcome, all servers.
    total: u64,
    /// Servers without any attempt.
    untried: usize,
}

impl Tallies {
    /// Nothing known of `servers` servers.
    pub fn new(servers: usize) -> Self {
        Self {
            attempts: vec![0.0; servers],
            successes: vec![0.0; servers],
            success_rates: vec![0.0; servers],
            total: 0,
            untried: servers,
        }
    }

    /// Counts one outcome.
    #[inline]
    pub fn record(&mut self, attempt: &Attempt, outcome: Outcome) {
        let i = attempt.server.index();
        if self.attempts[i] == 0.0 {
            self.untried -= 1;
        }
        self.attempts[i] += 1.0;
        self.successes[i] += f64::from(u8::from(outcome.is_success()));
        self.success_rates[i] = self.successes[i] / self.attempts[i];
        self.total += 1;
    }

    /// Number of servers.
    #[inline]
    pub fn servers(&self) -> usize {
        self.attempts.len()
    }

    /// Attempts of each server.
    #[inline]
    pub fn attempts(&self) -> &[f64] {
        &self.attempts
    }

    /// Attempts of one server.
    #[inline]
    pub fn attempts_of(&self, server: ServerId) -> f64 {
        self.attempts[server.index()]
    }

    /// Successes of one server.
    #[inline]
    pub fn successes_of(&self, server: ServerId) -> f64 {
        self.successes[server.index()]
    }

    /// Failures of one server.
    #[inline]
    pub fn failures_of(&self, server: ServerId) -> f64 {
        self.attempts[server.index()] - self.successes[server.index()]
    }

    /// Observed success rate of each server, an untried one counting 0.
    #[inline]
    pub fn success_rates(&self) -> &[f64] {
        &self.success_rates
    }

    /// Attempts over all servers.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every server has been tried.
    #[inline]
    pub fn all_tried(&self) -> bool {
        self.untried == 0
    }

    /// The server with the highest observed success rate over all servers, the first on a tie.
    #[inline]
    pub fn best(&self) -> ServerId {
        super::first_max(&self.success_rates)
    }

    /// The tallies as a report.
    pub fn estimates(&self) -> Vec<ServerEstimate> {
        ServerId::all(self.servers())
            .map(|server| ServerEstimate {
                server,
                attempts: self.attempts_of(server) as u64,
                successes: self.successes_of(server) as u64,
                success_rate: self.success_rates[server.index()],
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptId, RequestId, Timestamp};

    fn record(tallies: &mut Tallies, server: u16, outcome: Outcome) {
        let attempt = Attempt {
            id: AttemptId(0),
            request: RequestId(0),
            number: 0,
            server: ServerId(server),
            sent_at: Timestamp::ZERO,
        };
        tallies.record(&attempt, outcome);
    }

    #[test]
    fn counts_everything_but_success_as_failure() {
        let mut tallies = Tallies::new(2);
        let outcomes =
            [Outcome::Success, Outcome::Failure, Outcome::RateLimited, Outcome::TimedOut];
        for outcome in outcomes {
            record(&mut tallies, 1, outcome);
        }
        assert_eq!(tallies.successes_of(ServerId(1)), 1.0);
        assert_eq!(tallies.failures_of(ServerId(1)), 3.0);
        assert_eq!(tallies.total(), 4);
        assert!(!tallies.all_tried());
    }

    #[test]
    fn an_untried_server_counts_zero_and_ties_go_to_the_first() {
        let mut tallies = Tallies::new(3);
        assert_eq!(tallies.best(), ServerId(0));
        record(&mut tallies, 2, Outcome::Success);
        record(&mut tallies, 1, Outcome::Success);
        assert_eq!(tallies.best(), ServerId(1));
    }
}
