//! Thompson sampling with a mask that believes the last outcomes of each server only.
//!
//! As `thompson-masked`, but s and f count the last `window` outcomes of each server, refusals
//! (429) left out: what was true long ago is forgotten server by server, as fast as a server is
//! used. F. Trovò et al. (2020), "Sliding-Window Thompson Sampling for Non-Stationary Settings",
//! JAIR 68, keep one window over all servers instead; with a window each, a server that is left
//! alone keeps its belief.
//!
//! Limits: with fixed rates forgetting only costs, and a server that went bad and came back is
//! found again only by the chance that a belief from `window` outcomes leaves.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Span, Timestamp};
use crate::strategy::blocking::Closures;
use crate::strategy::declared::{Range, declared};
use crate::strategy::{Decision, ServerEstimate, Strategy};

declared! {
    name: "thompson-window", group: RateLimit,
    idea: "thompson-masked that believes the last 30 outcomes of each server only",
    build: |spec, fleet, rng| ThompsonWindow::new(spec, fleet.servers(), rng),
    pub struct ThompsonWindowSpec {
        /// outcomes of each server that are remembered
        window: u32 = 30, Range::whole(1, 1_000_000, (5, 500));
        /// how long a refusal (429) masks its server, in seconds
        cooldown_s: f64 = 1.0, Range::number(0.0, 3600.0, (0.05, 10.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
    }
}

/// Thompson sampling with a mask and a window.
#[derive(Debug)]
pub struct ThompsonWindow {
    window: usize,
    exclude_tried: bool,
    cooldown: Span,
    masks: Closures,
    /// One per server; they grow with its outcomes, up to the window.
    recent: Vec<Recent>,
    rng: ChaCha8Rng,
}

/// The last outcomes of one server.
#[derive(Debug, Clone, Default)]
struct Recent {
    /// Whether each was a success, oldest first.
    outcomes: VecDeque<bool>,
    /// Successes among them.
    successes: u32,
}

impl Recent {
    fn push(&mut self, success: bool, window: usize) {
        if self.outcomes.len() == window
            && let Some(oldest) = self.outcomes.pop_front()
        {
            self.successes -= u32::from(oldest);
        }
        self.outcomes.push_back(success);
        self.successes += u32::from(success);
    }

    /// Successes and failures.
    fn counts(&self) -> (f64, f64) {
        let successes = f64::from(self.successes);
        (successes, self.outcomes.len() as f64 - successes)
    }
}

impl ThompsonWindow {
    pub fn new(spec: ThompsonWindowSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self {
            window: spec.window.max(1) as usize,
            exclude_tried: spec.exclude_tried,
            cooldown: Span::from_millis_f64(spec.cooldown_s * 1e3),
            masks: Closures::new(servers),
            recent: vec![Recent::default(); servers],
            rng,
        }
    }
}

impl Strategy for ThompsonWindow {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        let Self { masks, recent, rng, .. } = self;
        Decision::Send(masks.thompson(now, request, self.exclude_tried, rng, |server| {
            recent[server.index()].counts()
        }))
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if outcome == Outcome::RateLimited {
            self.masks.close(attempt.server, now, self.cooldown);
        } else {
            self.recent[attempt.server.index()].push(outcome.is_success(), self.window);
        }
    }

    /// Of the outcomes that are remembered.
    fn estimates(&self) -> Vec<ServerEstimate> {
        let of = |(server, recent): (ServerId, &Recent)| {
            let (successes, failures) = recent.counts();
            let attempts = successes + failures;
            ServerEstimate {
                server,
                attempts: attempts as u64,
                successes: successes as u64,
                success_rate: if attempts == 0.0 { 0.0 } else { successes / attempts },
            }
        };
        ServerId::all(self.recent.len()).zip(&self.recent).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{observe_at, rng};

    fn windowed(window: u32) -> ThompsonWindow {
        let spec = ThompsonWindowSpec { window, ..ThompsonWindowSpec::default() };
        ThompsonWindow::new(spec, 2, rng())
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut strategy = windowed(30);
        for _ in 0..1000 {
            observe_at(&mut strategy, 0.0, 0, Outcome::Success);
        }
        for _ in 0..29 {
            observe_at(&mut strategy, 0.0, 0, Outcome::Failure);
            observe_at(&mut strategy, 0.0, 0, Outcome::RateLimited);
        }
        let of_first = strategy.estimates()[0];
        assert_eq!((of_first.attempts, of_first.successes), (30, 1), "refusals are no outcomes");
        observe_at(&mut strategy, 0.0, 0, Outcome::TimedOut);
        assert_eq!(strategy.estimates()[0].successes, 0);
    }
}
