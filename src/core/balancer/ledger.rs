//! What is counted while requests are served.

use crate::domain::{Outcome, Rules, Score, ServerId};

/// Counts of one run. Attempts are counted when sent, outcomes when known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests answered 200.
    pub answered_ok: u64,
    /// Requests answered 500.
    pub answered_error: u64,
    /// Attempts sent.
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Attempts beyond the free ones of their request, each of which costs.
    pub extra_attempts: u64,
    /// Per server.
    pub servers: Vec<ServerCounts>,
}

/// Counts of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerCounts {
    /// Attempts sent to it.
    pub attempts: u64,
    /// Attempts that ended in success.
    pub successes: u64,
    /// Attempts that ended in failure.
    pub failures: u64,
    /// Attempts that its rate limiter refused.
    pub rate_limited: u64,
    /// Attempts that got no answer in time.
    pub timed_out: u64,
}

impl Ledger {
    /// Empty counts for `servers` servers.
    pub fn new(servers: usize) -> Self {
        Self { servers: vec![ServerCounts::default(); servers], ..Self::default() }
    }

    /// Counts an attempt, the `number`-th of its request from 0.
    #[inline]
    pub(crate) fn record_sent(&mut self, server: ServerId, number: u32, is_free: bool) {
        self.attempts += 1;
        self.retries += u64::from(number > 0);
        self.extra_attempts += u64::from(!is_free);
        self.servers[server.index()].attempts += 1;
    }

    /// Counts the end of an attempt.
    #[inline]
    pub(crate) fn record_outcome(&mut self, server: ServerId, outcome: Outcome) {
        let counts = &mut self.servers[server.index()];
        match outcome {
            Outcome::Success => counts.successes += 1,
            Outcome::Failure => counts.failures += 1,
            Outcome::RateLimited => counts.rate_limited += 1,
            Outcome::TimedOut => counts.timed_out += 1,
        }
    }

    /// Counts an answer.
    #[inline]
    pub(crate) fn record_answer(&mut self, ok: bool) {
        if ok {
            self.answered_ok += 1;
        } else {
            self.answered_error += 1;
        }
    }

    /// Attempts refused by rate limiters.
    pub fn rate_limited(&self) -> u64 {
        self.servers.iter().map(|s| s.rate_limited).sum()
    }

    /// Attempts without an answer in time.
    pub fn timed_out(&self) -> u64 {
        self.servers.iter().map(|s| s.timed_out).sum()
    }

    /// The run's worth under `rules`.
    pub fn score(&self, rules: &Rules) -> Score {
        Score {
            requests: self.arrived,
            answered_ok: self.answered_ok,
            penalty: rules.penalty(self.extra_attempts),
        }
    }
}
