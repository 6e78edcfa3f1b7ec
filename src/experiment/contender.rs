//! Who plays: a strategy or the oracle, under a label, with a random stream of its own.
//!
//! A contender holds a factory, as a strategy is made afresh for every replication. Those of the
//! catalogue come with one; a strategy of your own needs no more than
//! [`Contender::from_factory`].

use std::fmt;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};

use crate::domain::{Fleet, Purpose, Streams};
use crate::strategy::random::RandomSpec;
use crate::strategy::{Strategy, StrategySpec};
use crate::world::{Instance, Oracle};

/// One row of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Player {
    /// The oracle, which is shown the truth.
    Oracle,
    /// A strategy, which is not.
    Strategy(Factory),
}

/// Makes a strategy, fresh for every replication.
///
/// One of the catalogue is written and compared as its spec. Of any other nothing is known but the
/// contender's label: it is written as `own`, and equal to its clones alone.
#[derive(Clone)]
pub struct Factory {
    spec: Option<StrategySpec>,
    build: Arc<dyn Fn(&Fleet, ChaCha8Rng) -> Box<dyn Strategy> + Send + Sync>,
}

impl From<StrategySpec> for Factory {
    fn from(spec: StrategySpec) -> Self {
        Self { spec: Some(spec), build: Arc::new(move |fleet, rng| spec.build(fleet, rng)) }
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Factory").field(&self.spec).finish()
    }
}

impl PartialEq for Factory {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && (self.spec.is_some() || Arc::ptr_eq(&self.build, &other.build))
    }
}

impl Serialize for Factory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.spec {
            Some(spec) => spec.serialize(serializer),
            None => serializer.serialize_str("own"),
        }
    }
}

impl Contender {
    /// A strategy of the catalogue under its own name.
    pub fn new(spec: StrategySpec) -> Self {
        Self::ranked(spec.label(), spec.into())
    }

    /// Whatever strategy `build` makes of the servers in front of it and all the randomness that
    /// it will ever have.
    ///
    /// A plan's hash knows it by its label alone: give it another one when you change it, or old
    /// results pass for new ones.
    pub fn from_factory(
        label: impl Into<String>,
        build: impl Fn(&Fleet, ChaCha8Rng) -> Box<dyn Strategy> + Send + Sync + 'static,
    ) -> Self {
        Self::ranked(label.into(), Factory { spec: None, build: Arc::new(build) })
    }

    fn ranked(label: String, factory: Factory) -> Self {
        Self { label, player: Player::Strategy(factory), strategy_stream: 0, reference: false }
    }

    /// The two reference rows. The oracle comes first, because others are measured against it.
    pub fn references() -> [Self; 2] {
        let random =
            Self { reference: true, ..Self::new(StrategySpec::Random(RandomSpec::default())) };
        let (label, player) = ("oracle".to_owned(), Player::Oracle);
        [Self { label, player, ..random.clone() }, random]
    }

    /// The strategy of the catalogue that it plays, if it does.
    pub fn spec(&self) -> Option<StrategySpec> {
        match &self.player {
            Player::Oracle => None,
            Player::Strategy(factory) => factory.spec,
        }
    }

    /// Whether its strategy watches load and health and has something to tell of them.
    pub fn has_notes(&self) -> bool {
        match &self.player {
            Player::Oracle => false,
            Player::Strategy(factory) => {
                let rng = Streams::new(0).stream(Purpose::Strategy, 0, 0);
                (factory.build)(&Fleet::uniform(1), rng).notes().is_some()
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
        match &self.player {
            Player::Oracle => Box::new(Oracle::new(instance)),
            Player::Strategy(factory) => {
                let rng = streams.stream(Purpose::Strategy, self.strategy_stream, replication);
                (factory.build)(fleet, rng)
            }
        }
    }
}
