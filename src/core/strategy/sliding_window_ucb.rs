//! Sliding-window UCB: UCB over the last `window` attempts.
//!
//! index = s/n + sqrt(xi ln(min(t, window)) / n), where s and n count a server's outcomes among the
//! last `window` of all servers, and t all outcomes so far. A server without any comes first. A.
//! Garivier and E. Moulines (2008), "On Upper-Confidence Bound Policies for Non-Stationary Bandit
//! Problems", arXiv 0805.3415 (SW-UCB), with rewards bounded by B = 1. Their theorem
//! needs xi > 1/2; 0.6 stands here.
//!
//! Limits: with fixed rates forgetting only costs. With more servers than `window` some server is
//! always unknown, and it goes round them like round robin.

use std::collections::VecDeque;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::first_max_by;
use crate::strategy::{Decision, ServerEstimate, Strategy};

declared! {
    name: "sliding-window-ucb", group: Literature,
    idea: "UCB over the last 1000 attempts only",
    build: |spec, fleet, _| SlidingWindowUcb::new(spec, fleet.servers()),
    pub struct SlidingWindowUcbSpec {
        /// outcomes that are remembered, over all servers
        window: u32 = 1000, Range::whole(1, 10_000_000, (50, 5000));
        /// weight of exploration; above 0.5 in the proof, 2 in UCB1
        xi: f64 = 0.6, Range::number(0.0, 1000.0, (0.0, 2.0));
    }
}

/// UCB over a window.
#[derive(Debug)]
pub struct SlidingWindowUcb {
    spec: SlidingWindowUcbSpec,
    /// Server and success of the last outcomes, oldest first; grows up to the window.
    recent: VecDeque<(ServerId, bool)>,
    /// Outcomes in the window, per server.
    attempts: Vec<u32>,
    /// Successes in the window, per server.
    successes: Vec<u32>,
    /// Servers without an outcome in the window.
    unknown: usize,
}

impl SlidingWindowUcb {
    pub fn new(spec: SlidingWindowUcbSpec, servers: usize) -> Self {
        Self {
            spec,
            recent: VecDeque::new(),
            attempts: vec![0; servers],
            successes: vec![0; servers],
            unknown: servers,
        }
    }

    fn rate(&self, i: usize) -> f64 {
        if self.attempts[i] == 0 {
            return 0.0;
        }
        f64::from(self.successes[i]) / f64::from(self.attempts[i])
    }
}

impl Strategy for SlidingWindowUcb {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        if self.unknown > 0 {
            let unknown = self.attempts.iter().position(|n| *n == 0);
            return Decision::Send(ServerId(unknown.unwrap_or(0) as u16));
        }
        // What is remembered is min(t, window) outcomes.
        let numerator = self.spec.xi * libm::log(self.recent.len() as f64);
        Decision::Send(first_max_by(self.attempts.len(), &ServerSet::EMPTY, |server| {
            let i = server.index();
            self.rate(i) + (numerator / f64::from(self.attempts[i])).sqrt()
        }))
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if self.recent.len() >= self.spec.window as usize
            && let Some((oldest, success)) = self.recent.pop_front()
        {
            let i = oldest.index();
            self.attempts[i] -= 1;
            self.successes[i] -= u32::from(success);
            self.unknown += usize::from(self.attempts[i] == 0);
        }
        let i = attempt.server.index();
        self.recent.push_back((attempt.server, outcome.is_success()));
        self.unknown -= usize::from(self.attempts[i] == 0);
        self.attempts[i] += 1;
        self.successes[i] += u32::from(outcome.is_success());
    }

    /// Of the outcomes that are remembered.
    fn estimates(&self) -> Vec<ServerEstimate> {
        let of = |server: ServerId| ServerEstimate {
            server,
            attempts: u64::from(self.attempts[server.index()]),
            successes: u64::from(self.successes[server.index()]),
            success_rate: self.rate(server.index()),
        };
        ServerId::all(self.attempts.len()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{decide, observe};

    #[test]
    fn a_server_that_left_the_window_is_unknown_again() {
        let spec = SlidingWindowUcbSpec { window: 4, ..SlidingWindowUcbSpec::default() };
        let mut strategy = SlidingWindowUcb::new(spec, 2);
        observe(&mut strategy, 0, Outcome::Failure);
        for _ in 0..3 {
            observe(&mut strategy, 1, Outcome::Success);
        }
        assert_eq!(decide(&mut strategy, 0, &[]), 1, "0 + 0.91 against 1 + 0.53");
        observe(&mut strategy, 1, Outcome::Success);
        assert_eq!(strategy.estimates()[0].attempts, 0);
        assert_eq!(decide(&mut strategy, 0, &[]), 0);
    }
}
