//! A retry budget: first attempts go at once, retries must be earned.
//!
//! A bucket of tokens, full at first (`capacity`). Every success adds `per_success`, time adds
//! `per_second`; a retry takes one token. M. Brooker, "Fixing retries with token buckets and
//! circuit breakers" (2022, +0.1 for a success, -1 for a retry), and the budgets of Finagle, which
//! also have the trickle over time so that retries never stop for good. When everything fails,
//! retries are limited to that trickle instead of multiplying the load. The trickle of 1 and the
//! capacity of 10 are ours, for a game of ten requests a second.
//!
//! In both sources a retry without a token is dropped and its request fails. Giving up is not a
//! strategy's to decide in this game, so an empty budget means waiting instead: the retry waits
//! until the next token has trickled in, or until its request is `patience_ms` old, and then goes
//! without a token. So no request is kept waiting beyond that age, and where requests are late
//! already, the budget holds nothing back.
//!
//! Servers are chosen by Thompson sampling as in `thompson`, without leaving any out, for first
//! attempts and retries alike, because a budget says how much to retry and not where.
//!
//! Limits: a retry that waits holds up those behind it where requests are served one at a time. It
//! spares servers that suffer under load. In this game a retry that costs and waits is given up
//! with its request, which saves the penalties: it scores by answering 500, so mind its success
//! rate.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, Span, Timestamp};
use crate::stats::UNIFORM_PRIOR;
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{NOBODY, Tallies};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Sums of tenths must not withhold a token that is there.
const TOKEN_SLACK: f64 = 1e-9;

declared! {
    name: "retry-budget", group: Literature,
    idea: "Thompson whose retries take tokens that successes and time earn, or wait",
    build: |spec, fleet, rng| RetryBudget::new(spec, fleet.servers(), rng),
    pub struct RetryBudgetSpec {
        /// tokens that a success adds; a retry takes one
        per_success: f64 = 0.1, Range::number(0.0, 1e6, (0.01, 1.0));
        /// tokens that a second adds
        per_second: f64 = 1.0, Range::number(0.0, 1e6, (0.1, 10.0));
        /// tokens that the bucket holds
        capacity: f64 = 10.0, Range::number(1.0, 1e9, (1.0, 100.0));
        /// age of a request whose retries need no token, in milliseconds
        patience_ms: f64 = 1000.0, Range::number(0.0, 1e9, (10.0, 2000.0));
    }
}

/// Thompson sampling with a retry budget.
#[derive(Debug)]
pub struct RetryBudget {
    spec: RetryBudgetSpec,
    /// Tokens at `counted_at`.
    tokens: f64,
    counted_at: Timestamp,
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl RetryBudget {
    /// A full bucket and a fresh memory of `servers` servers.
    pub fn new(spec: RetryBudgetSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self {
            spec,
            tokens: spec.capacity,
            counted_at: Timestamp::ZERO,
            tallies: Tallies::new(servers),
            rng,
        }
    }

    fn tokens_at(&self, now: Timestamp) -> f64 {
        let earned = now.since(self.counted_at).as_secs_f64() * self.spec.per_second;
        (self.tokens + earned).min(self.spec.capacity)
    }

    fn set_tokens(&mut self, now: Timestamp, tokens: f64) {
        self.tokens = tokens.clamp(0.0, self.spec.capacity);
        self.counted_at = now;
    }

    /// Until when a retry has to wait; none if it may go now.
    fn wait(&self, now: Timestamp, request: &PendingRequest) -> Option<Timestamp> {
        let missing = 1.0 - self.tokens_at(now);
        let out_of_patience = request.arrived_at + Span::from_millis_f64(self.spec.patience_ms);
        if request.attempts == 0 || missing <= TOKEN_SLACK || now >= out_of_patience {
            return None;
        }
        // Without a trickle the quotient is infinite, which saturates to the end of time.
        let trickle = Span::from_millis_f64(missing / self.spec.per_second * 1e3);
        Some((now + trickle).min(out_of_patience))
    }
}

impl Strategy for RetryBudget {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        if let Some(until) = self.wait(now, request) {
            return Decision::WaitUntil(until);
        }
        let Self { tallies, rng, .. } = self;
        Decision::Send(tallies.largest_draw(&NOBODY, rng, &UNIFORM_PRIOR))
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        let tokens = self.tokens_at(now);
        // A retry out of patience finds no token and takes none.
        if attempt.number > 0 && tokens >= 1.0 - TOKEN_SLACK {
            self.set_tokens(now, tokens - 1.0);
        }
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if outcome.is_success() {
            self.set_tokens(now, self.tokens_at(now) + self.spec.per_success);
        }
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Request, RequestId, ServerId};
    use crate::strategy::testing::{attempt, rng};

    fn budget(spec: RetryBudgetSpec) -> RetryBudget {
        RetryBudget::new(spec, 2, rng())
    }

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_secs_f64(seconds)
    }

    /// A request that arrived at `arrived_s` and has been attempted `attempts` times.
    fn pending(arrived_s: f64, attempts: u32) -> PendingRequest {
        let request = Request { id: RequestId(0), arrived_at: at(arrived_s) };
        let mut pending = PendingRequest::new(request, 3);
        (0..attempts).for_each(|_| pending.record_attempt(ServerId(0)));
        pending
    }

    fn send(strategy: &mut RetryBudget, at_s: f64, number: u32, outcome: Outcome) {
        let attempt = Attempt { number, ..attempt(0, at(at_s)) };
        strategy.on_sent(at(at_s), &attempt);
        strategy.on_outcome(at(at_s), &attempt, outcome);
    }

    #[test]
    fn retries_take_tokens_and_successes_and_time_bring_them() {
        let mut strategy = budget(RetryBudgetSpec::default());
        for number in 0..=10 {
            assert_eq!(strategy.wait(at(0.0), &pending(0.0, number)), None, "{number}");
            send(&mut strategy, 0.0, number, Outcome::Failure);
        }
        assert_eq!(strategy.wait(at(0.0), &pending(0.0, 0)), None, "first attempts need none");
        assert_eq!(strategy.wait(at(0.0), &pending(0.0, 1)), Some(at(1.0)), "empty");
        (0..4).for_each(|_| send(&mut strategy, 0.25, 0, Outcome::Success));
        let until = strategy.wait(at(0.25), &pending(0.2, 1)).unwrap();
        assert!((until.as_secs_f64() - 0.6).abs() < 1e-6, "0.25 + 0.4 are there: {until:?}");
        (0..6).for_each(|_| send(&mut strategy, 0.25, 0, Outcome::Success));
        assert_eq!(strategy.wait(at(0.25), &pending(0.2, 1)), None);
        (0..1000).for_each(|_| send(&mut strategy, 0.25, 0, Outcome::Success));
        assert_eq!(strategy.tokens_at(at(100.0)), 10.0, "the bucket holds no more");
    }

    #[test]
    fn nobody_waits_beyond_the_age_of_patience() {
        let spec = RetryBudgetSpec { per_second: 0.0, capacity: 1.0, ..RetryBudgetSpec::default() };
        let mut strategy = budget(spec);
        send(&mut strategy, 0.0, 1, Outcome::Failure);
        assert_eq!(strategy.wait(at(2.0), &pending(1.5, 2)), Some(at(2.5)), "no trickle");
        assert_eq!(strategy.wait(at(2.5), &pending(1.5, 2)), None);
        send(&mut strategy, 2.5, 2, Outcome::Failure);
        assert_eq!(strategy.tokens_at(at(2.5)), 0.0, "no debt");
    }
}
