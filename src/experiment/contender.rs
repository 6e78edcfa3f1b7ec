//! Who plays: a strategy or the oracle, under a label, with a random stream of its own.

use serde::{Deserialize, Serialize};

use crate::domain::{Fleet, Purpose, Streams};
use crate::strategy::random::RandomSpec;
use crate::strategy::{Strategy, StrategySpec};
use crate::world::{Instance, Oracle};

/// One row of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Name in tables, unique within a plan.
    pub label: String,
    /// Who decides.
    pub player: Player,
    /// Tells copies of one strategy apart: copies with the same stream flip the same coins.
    pub strategy_stream: u16,
    /// Reference rows are shown outside the ranking.
    pub reference: bool,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Player {
    /// The oracle, which is shown the truth.
    Oracle,
    /// A strategy, which is not.
    Strategy(StrategySpec),
}

impl Contender {
    /// A strategy under its own name.
    pub fn new(spec: StrategySpec) -> Self {
        Self {
            label: spec.label(),
            player: Player::Strategy(spec),
            strategy_stream: 0,
            reference: false,
        }
    }

    /// The two reference rows. The oracle comes first, because others are measured against it.
    pub fn references() -> [Self; 2] {
        let oracle = Self {
            label: "oracle".to_owned(),
            player: Player::Oracle,
            strategy_stream: 0,
            reference: true,
        };
        [oracle, Self { reference: true, ..Self::new(StrategySpec::Random(RandomSpec::default())) }]
    }

    /// Whether its strategy watches load and health and has something to tell of them.
    pub fn has_notes(&self) -> bool {
        match self.player {
            Player::Oracle => false,
            Player::Strategy(spec) => {
                let rng = Streams::new(0).stream(Purpose::Strategy, 0, 0);
                spec.build(&Fleet::uniform(1), rng).notes().is_some()
            }
        }
    }

    /// A fresh player for one replication in front of `fleet`.
    pub fn build(
        &self,
        fleet: &Fleet,
        instance: &Instance,
        streams: &Streams,
        replication: u64,
    ) -> Box<dyn Strategy> {
        match self.player {
            Player::Oracle => Box::new(Oracle::new(instance)),
            Player::Strategy(spec) => {
                let rng = streams.stream(Purpose::Strategy, self.strategy_stream, replication);
                spec.build(fleet, rng)
            }
        }
    }
}
