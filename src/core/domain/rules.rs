//! The rules of the game: what is free, what costs, when the proxy gives up; and what a run is
//! worth.
//!
//! Rules belong to the scenario, never to a strategy, so that strategies are compared under
//! the same rules.

use serde::{Deserialize, Serialize};

use crate::domain::time::Span;

/// The rules of one scenario. The defaults are the game as it was set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Attempts of a request that cost nothing (default 3, at least 1).
    pub free_attempts: u32,
    /// Points that every further attempt costs (default 1, at least 0).
    pub penalty_per_extra_attempt: f64,
    /// Once its free attempts are used up, a request is given up when this many others wait
    /// (default 1, at least 1).
    pub give_up_backlog: usize,
    /// Once its free attempts are used up, a request is given up when it has been in service
    /// for this long, in milliseconds (default: 1000 / requests per second).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_up_after_ms: Option<f64>,
    /// Hard cap on the attempts of a request (default: none; at least 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// An attempt without an answer ends after this long, in milliseconds (default 1000).
    pub attempt_timeout_ms: f64,
    /// Requests served at the same time (default 1, at least 1).
    pub max_requests_in_service: usize,
    /// A server that refused a connection gets nothing for so long, in milliseconds (default 25);
    /// with each further refusal in a row for twice as long, up to ten times this. 0: no pause.
    // Left out where it is the default: plans in which nobody refuses keep the hash they had.
    #[serde(skip_serializing_if = "is_default_pause")]
    pub pause_after_refused_ms: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            free_attempts: 3,
            penalty_per_extra_attempt: 1.0,
            give_up_backlog: 1,
            give_up_after_ms: None,
            max_attempts: None,
            attempt_timeout_ms: 1000.0,
            max_requests_in_service: 1,
            pause_after_refused_ms: PAUSE_AFTER_REFUSED_MS,
        }
    }
}

/// Long enough that a server which is being started anew is asked some ten times, short enough that
/// nobody waits for one that is back.
const PAUSE_AFTER_REFUSED_MS: f64 = 25.0;

fn is_default_pause(ms: &f64) -> bool {
    *ms == PAUSE_AFTER_REFUSED_MS
}

/// A rule outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
pub struct RulesError {
    /// The key in the `[rules]` table.
    pub key: &'static str,
    /// What the key may hold.
    pub expected: &'static str,
    /// What it held.
    pub got: String,
}

impl Rules {
    /// Checks every range; the first violation is the error.
    pub fn validate(&self) -> Result<(), RulesError> {
        const COUNT: &str = "a whole number of at least 1";
        const SPAN: &str = "milliseconds from 0.001 to 3,600,000";
        const PAUSE: &str = "milliseconds from 0.001 to 3,600,000, or 0 for no pause";
        let penalty = self.penalty_per_extra_attempt;
        let (give_up, timeout) = (self.give_up_after_ms.unwrap_or(1.0), self.attempt_timeout_ms);
        let in_range = |ms: f64| (0.001..=3_600_000.0).contains(&ms);
        let pause = self.pause_after_refused_ms;
        let payable = penalty.is_finite() && penalty >= 0.0;
        let checks = [
            (self.free_attempts > 0, "free_attempts", COUNT, 0.0),
            (payable, "penalty_per_extra_attempt", "a number of at least 0", penalty),
            (self.give_up_backlog > 0, "give_up_backlog", COUNT, 0.0),
            (in_range(give_up), "give_up_after_ms", SPAN, give_up),
            (self.max_attempts != Some(0), "max_attempts", COUNT, 0.0),
            (in_range(timeout), "attempt_timeout_ms", SPAN, timeout),
            (self.max_requests_in_service > 0, "max_requests_in_service", COUNT, 0.0),
            (pause == 0.0 || in_range(pause), "pause_after_refused_ms", PAUSE, pause),
        ];
        match checks.into_iter().find(|(valid, ..)| !valid) {
            Some((_, key, expected, got)) => {
                Err(RulesError { key, expected, got: got.to_string() })
            }
            None => Ok(()),
        }
    }

    /// How long a request may be in service before it can be given up, at `requests_per_second`.
    pub fn give_up_after(&self, requests_per_second: f64) -> Span {
        Span::from_millis_f64(self.give_up_after_ms.unwrap_or(1000.0 / requests_per_second))
    }

    /// The attempt timeout.
    pub fn attempt_timeout(&self) -> Span {
        Span::from_millis_f64(self.attempt_timeout_ms)
    }

    /// The first pause of a server that refused a connection.
    pub fn pause_after_refused(&self) -> Span {
        Span::from_millis_f64(self.pause_after_refused_ms)
    }

    /// Points that `extra` attempts beyond the free ones cost.
    #[inline]
    pub fn penalty(&self, extra: u64) -> f64 {
        extra as f64 * self.penalty_per_extra_attempt
    }
}

/// The result of one run, in the words of the game.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests answered 200.
    pub answered_ok: u64,
    /// Points lost to attempts beyond the free ones.
    pub penalty: f64,
}

impl Score {
    /// Requests answered 200 minus penalties.
    pub fn score(&self) -> f64 {
        self.answered_ok as f64 - self.penalty
    }

    /// Requests not answered 200.
    pub fn regret(&self) -> u64 {
        self.requests - self.answered_ok
    }

    /// Requests minus score: what a perfect run would have had more.
    pub fn loss(&self) -> f64 {
        self.requests as f64 - self.score()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_regret_plus_penalty() {
        let score = Score { requests: 100, answered_ok: 97, penalty: 4.0 };
        assert_eq!(score.score(), 93.0);
        assert_eq!(score.regret(), 3);
        assert_eq!(score.loss(), score.regret() as f64 + score.penalty);
    }
}
