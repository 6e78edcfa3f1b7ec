//! What a run was worth.

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
