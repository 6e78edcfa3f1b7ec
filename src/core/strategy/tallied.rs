//! How often each server was attempted and how often it succeeded, and strategies to which that is
//! all there is to remember.
//!
//! Counts are kept as `f64` (exact up to 2^53), one array a quantity, so that index formulas
//! run over them without conversions. A rate-limited or timed-out attempt counts as a failure.
//!
//! A [`Rule`] that tells refusals from failures, forgets, or waits does not fit: it needs memory of
//! its own.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// How to choose by tallies; the parameters are all that it consists of.
pub trait Rule: Send {
    /// The server for the next attempt of `request`. All randomness is drawn from `rng`.
    fn choose(&self, tallies: &Tallies, request: &PendingRequest, rng: &mut ChaCha8Rng)
    -> ServerId;

    /// The success rate of a server that the rule would bet on, for reports; s/n unless it knows
    /// better.
    fn success_rate(&self, tallies: &Tallies, server: ServerId) -> f64 {
        tallies.success_rates()[server.index()]
    }
}

/// The strategy that a rule becomes with tallies of every outcome.
#[derive(Debug)]
pub struct Tallied<R> {
    rule: R,
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl<R> Tallied<R> {
    /// A fresh memory of `servers` servers.
    pub fn new(rule: R, servers: usize, rng: ChaCha8Rng) -> Self {
        Self { rule, tallies: Tallies::new(servers), rng }
    }
}

impl<R: Rule> Strategy for Tallied<R> {
    fn decide(&mut self, _now: Timestamp, request: &PendingRequest) -> Decision {
        Decision::Send(self.rule.choose(&self.tallies, request, &mut self.rng))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        let mut estimates = self.tallies.estimates();
        for estimate in &mut estimates {
            estimate.success_rate = self.rule.success_rate(&self.tallies, estimate.server);
        }
        estimates
    }
}

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

    /// Successes and failures of one server.
    #[inline]
    pub fn counts(&self, server: ServerId) -> (f64, f64) {
        let (attempts, successes) = (self.attempts[server.index()], self.successes[server.index()]);
        (successes, attempts - successes)
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
        first_max(&self.success_rates)
    }

    /// The tallies as a report.
    pub fn estimates(&self) -> Vec<ServerEstimate> {
        ServerId::all(self.servers())
            .map(|server| ServerEstimate {
                server,
                attempts: self.attempts[server.index()] as u64,
                successes: self.successes[server.index()] as u64,
                success_rate: self.success_rates[server.index()],
            })
            .collect()
    }
}

/// The position of the largest value, the first on a tie; server 0 for an empty slice.
#[inline]
pub fn first_max(values: &[f64]) -> ServerId {
    first_max_by(values.len(), &ServerSet::EMPTY, |server| values[server.index()])
}

/// The server with the largest value among those not in `excluded`, the first on a tie.
///
/// `value` is called once for each candidate, in order. When every server is excluded, server
/// 0 is returned; [`candidates`] prevents that.
#[inline]
pub fn first_max_by(
    servers: usize,
    excluded: &ServerSet,
    mut value: impl FnMut(ServerId) -> f64,
) -> ServerId {
    let mut best = ServerId(0);
    let mut best_value = f64::NEG_INFINITY;
    for server in ServerId::all(servers) {
        if excluded.contains(server) {
            continue;
        }
        let candidate = value(server);
        if candidate > best_value {
            best = server;
            best_value = candidate;
        }
    }
    best
}

/// The server with the largest value among those `allowed`, the first on a tie; none if none is.
///
/// `value` is called once for each server that is allowed, in order.
#[inline]
pub fn first_max_where(
    servers: usize,
    mut allowed: impl FnMut(ServerId) -> bool,
    mut value: impl FnMut(ServerId) -> f64,
) -> Option<ServerId> {
    let mut best = None;
    let mut best_value = f64::NEG_INFINITY;
    for server in ServerId::all(servers).filter(|server| allowed(*server)) {
        let candidate = value(server);
        if best.is_none() || candidate > best_value {
            best = Some(server);
            best_value = candidate;
        }
    }
    best
}

/// No server.
pub static NOBODY: ServerSet = ServerSet::EMPTY;

/// The servers to leave out for this attempt: those that the request has tried, if
/// `exclude_tried` and not all of them are; when every server is excluded, exclusion is dropped.
#[inline]
pub fn candidates(servers: usize, exclude_tried: bool, request: &PendingRequest) -> &ServerSet {
    if exclude_tried && request.tried.len() < servers { &request.tried } else { &NOBODY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Request, RequestId, Timestamp};
    use crate::strategy::testing::attempt;

    fn record(tallies: &mut Tallies, server: u16, outcome: Outcome) {
        tallies.record(&attempt(server, Timestamp::ZERO), outcome);
    }

    #[test]
    fn counts_everything_but_success_as_failure() {
        let mut tallies = Tallies::new(2);
        let outcomes =
            [Outcome::Success, Outcome::Failure, Outcome::RateLimited, Outcome::TimedOut];
        for outcome in outcomes {
            record(&mut tallies, 1, outcome);
        }
        assert_eq!(tallies.counts(ServerId(1)), (1.0, 3.0));
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

    #[test]
    fn ties_go_to_the_first_candidate() {
        assert_eq!(first_max(&[1.0, 3.0, 3.0]), ServerId(1));
        let mut excluded = ServerSet::EMPTY;
        excluded.insert(ServerId(1));
        assert_eq!(first_max_by(3, &excluded, |_| 0.5), ServerId(0));
    }

    #[test]
    fn nobody_is_chosen_among_nobody() {
        assert_eq!(first_max_where(3, |_| false, |_| 1.0), None);
        assert_eq!(first_max_where(3, |s| s.0 > 0, |_| 1.0), Some(ServerId(1)));
        let value = |s: ServerId| [3.0, 1.0, 2.0][s.index()];
        assert_eq!(first_max_where(3, |s| s.0 > 0, value), Some(ServerId(2)));
        assert_eq!(first_max_where(1, |_| true, |_| f64::NAN), Some(ServerId(0)));
    }

    #[test]
    fn exclusion_is_dropped_when_it_would_leave_nobody() {
        let request = Request { id: RequestId(0), arrived_at: Timestamp::ZERO };
        let mut pending = PendingRequest::new(request, 3);
        pending.record_attempt(ServerId(0));
        assert_eq!(candidates(2, true, &pending).len(), 1);
        assert!(candidates(2, false, &pending).is_empty());
        pending.record_attempt(ServerId(1));
        assert!(candidates(2, true, &pending).is_empty());
    }
}
