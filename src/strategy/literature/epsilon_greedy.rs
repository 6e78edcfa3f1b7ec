//! Epsilon-greedy: a server drawn uniformly with chance epsilon, otherwise the highest s/n.
//!
//! C. Watkins, "Learning from Delayed Rewards" (1989); R. Sutton and A. Barto, "Reinforcement
//! Learning" (2nd edition, 2018), section 2.2. An untried server counts 0.
//!
//! Limits: it explores for ever, the good and the bad alike, which costs epsilon times the gap to
//! the average server in every attempt; and until exploration meets a success elsewhere it stays
//! with the first server that had one.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, Timestamp};
use crate::stats::sample;
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::parts::Tallies;
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of `epsilon-greedy`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EpsilonGreedySpec {
    /// Chance of a server drawn uniformly (default 0.1, 0 to 1).
    pub epsilon: f64,
}

impl Default for EpsilonGreedySpec {
    fn default() -> Self {
        Self { epsilon: 0.1 }
    }
}

impl Declared for EpsilonGreedySpec {
    const ENTRY: Entry = Entry {
        name: "epsilon-greedy",
        alias: None,
        group: Group::Literature,
        idea: "the highest success rate so far, but one attempt in ten anywhere",
        parameters: &[Parameter {
            key: "epsilon",
            meaning: "chance that an attempt goes to a server drawn uniformly",
            range: Range::number(0.0, 1.0, (0.005, 0.5)),
        }],
    };

    fn build(self, fleet: &Fleet, rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(EpsilonGreedy::new(self, fleet.servers(), rng))
    }
}

/// Mostly the best, sometimes any.
#[derive(Debug)]
pub struct EpsilonGreedy {
    spec: EpsilonGreedySpec,
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl EpsilonGreedy {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: EpsilonGreedySpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self { spec, tallies: Tallies::new(servers), rng }
    }
}

impl Strategy for EpsilonGreedy {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        Decision::Send(if sample::uniform01(&mut self.rng) < self.spec.epsilon {
            ServerId(sample::index_below(&mut self.rng, self.tallies.servers()) as u16)
        } else {
            self.tallies.best()
        })
    }

    fn on_outcome(&mut self, _now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::strategy::parts::testing::{decide, observe};

    /// The best of four gets 1 - 3/4 epsilon, the others epsilon/4 each. 4.5 standard errors of
    /// 40,000 decisions: false alarm below 3e-5 for the four together, fixed seed.
    #[test]
    fn the_best_gets_what_exploration_leaves() {
        let rng = Streams::new(1).stream(Purpose::Strategy, 0, 0);
        let mut strategy = EpsilonGreedy::new(EpsilonGreedySpec { epsilon: 0.2 }, 4, rng);
        observe(&mut strategy, 2, Outcome::Success);
        let mut counts = [0_u32; 4];
        (0..40_000).for_each(|_| counts[usize::from(decide(&mut strategy, 0, &[]))] += 1);
        for (server, count) in counts.iter().enumerate() {
            let share: f64 = if server == 2 { 0.85 } else { 0.05 };
            let tolerance = 4.5 * (40_000.0 * share * (1.0 - share)).sqrt();
            assert!((f64::from(*count) - 40_000.0 * share).abs() < tolerance, "{counts:?}");
        }
    }
}
