//! What to run: scenarios, contenders, replications, master seed; and where the parameters of the
//! servers come from.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::world::{Instance, Model, Oracle, REPLICATIONS_PER_DRAW, Scenario, Violation};
use flakelab_core::domain::{Fleet, Purpose, Streams};
use flakelab_core::stats::{Interval, VarianceComponents};
use flakelab_core::strategy::{RandomSpec, Strategy, StrategySpec};

/// Moves when the same plan would give other numbers or other files than before.
const RESULT_VERSION: u32 = 5;

/// A complete experiment. Build it with [`Plan::new`], which checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the experiment; the results folder is called after it.
    pub name: String,
    /// Scenarios, each with a name of its own.
    pub scenarios: Vec<Scenario>,
    /// The oracle, `random`, then the ranked contenders in the order they were named.
    pub contenders: Vec<Contender>,
    /// Replications of every scenario.
    pub replications: u64,
    /// The only source of randomness.
    pub master_seed: u64,
    /// Whether parameters are drawn from the models' posteriors, where they have one.
    pub parameter_uncertainty: bool,
}

/// A plan that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nobody to rank.
    #[error(
        "no strategy to rank: name at least one besides the references `oracle` and `random`, \
         or `all`"
    )]
    NoContender,
    /// Nothing to run in.
    #[error("no scenario to run: name at least one config or model")]
    NoScenario,
    /// Too few or too many replications.
    #[error("{0} replications are not possible: `--seeds` expects a whole number from 1 to 10^9")]
    Replications(u64),
    /// A name that tables cannot show.
    #[error("{0:?} cannot be a label: expected some text without control characters")]
    Label(String),
    /// Two contenders of one name.
    #[error(
        "two strategies are called `{0}`: give one of them another `label` in an experiment file"
    )]
    SameLabel(String),
    /// Two scenarios of one name.
    #[error(
        "two scenarios are called `{0}`: give one of them another `label` in an experiment file"
    )]
    SameScenario(String),
    /// A scenario with a value out of range.
    #[error("scenario `{scenario}`: {}: {}; expected {}{}", .violation.key, .violation.problem,
        .violation.expected, help(.violation))]
    Scenario {
        /// The scenario's name.
        scenario: String,
        /// What is wrong.
        violation: Violation,
    },
}

fn help(violation: &Violation) -> String {
    violation.help.as_ref().map_or_else(String::new, |h| format!(" ({h})"))
}

impl Plan {
    /// How many replications are possible.
    pub const REPLICATIONS: RangeInclusive<u64> = 1..=1_000_000_000;

    /// A plan with the reference rows added; every range checked. Parameters are drawn from
    /// posteriors unless [`with_parameter_uncertainty`](Self::with_parameter_uncertainty) says no.
    pub fn new(
        name: impl Into<String>,
        scenarios: Vec<Scenario>,
        ranked: Vec<Contender>,
        replications: u64,
        master_seed: u64,
    ) -> Result<Self, PlanError> {
        if ranked.is_empty() {
            return Err(PlanError::NoContender);
        }
        if scenarios.is_empty() {
            return Err(PlanError::NoScenario);
        }
        if !Self::REPLICATIONS.contains(&replications) {
            return Err(PlanError::Replications(replications));
        }
        let contenders: Vec<Contender> =
            Contender::references().into_iter().chain(ranked).collect();
        let names = contenders.iter().map(|c| &c.label).chain(scenarios.iter().map(|s| &s.name));
        for name in names {
            if !Self::is_label(name) {
                return Err(PlanError::Label(name.clone()));
            }
        }
        if let Some(label) = first_repeated(contenders.iter().map(|c| c.label.as_str())) {
            return Err(PlanError::SameLabel(label));
        }
        if let Some(name) = first_repeated(scenarios.iter().map(|s| s.name.as_str())) {
            return Err(PlanError::SameScenario(name));
        }
        for scenario in &scenarios {
            scenario.validate().map_err(|violation| PlanError::Scenario {
                scenario: scenario.name.clone(),
                violation,
            })?;
        }
        Ok(Self {
            name: name.into(),
            scenarios,
            contenders,
            replications,
            master_seed,
            parameter_uncertainty: true,
        })
    }

    /// The same with parameters drawn from posteriors, or with the models' point parameters.
    #[must_use]
    pub fn with_parameter_uncertainty(self, parameter_uncertainty: bool) -> Self {
        Self { parameter_uncertainty, ..self }
    }

    /// A scenario as it is played: without its posterior where that is not to be used.
    pub(crate) fn played(&self, scenario: usize) -> Cow<'_, Scenario> {
        let scenario = &self.scenarios[scenario];
        if self.parameter_uncertainty {
            return Cow::Borrowed(scenario);
        }
        let model = scenario.model.clone().without_posterior();
        Cow::Owned(Scenario { model, ..scenario.clone() })
    }

    /// Whether tables can show this name.
    pub fn is_label(name: &str) -> bool {
        !name.trim().is_empty() && !name.chars().any(char::is_control)
    }

    /// SHA-256 of everything that the results depend on, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut text = format!(
            "flakelab results {RESULT_VERSION}\nname {:?}\nreplications {}\nmaster_seed {}\n\
             parameter_uncertainty {}\n",
            self.name, self.replications, self.master_seed, self.parameter_uncertainty
        );
        // Writing to a string cannot fail.
        for s in &self.scenarios {
            let _ = writeln!(
                text,
                "scenario {:?} {:?} {} {}\n{}",
                s.name,
                s.traffic,
                s.requests_per_second,
                s.requests,
                s.model.to_toml()
            );
            let _ = writeln!(text, "{}", serde_json::to_string(&s.rules).unwrap_or_default());
        }
        for contender in &self.contenders {
            let json = serde_json::to_string(contender).unwrap_or_default();
            let _ = writeln!(text, "contender {json}");
        }
        sha256_hex(&text)
    }

    /// The name of the results folder: the experiment's name and the start of the hash.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, &self.hash()[..8])
    }
}

/// SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first_repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    names.find(|name| !seen.insert(*name)).map(str::to_owned)
}

/// One row of a comparison: a strategy or the oracle, under a label, with a random stream of its
/// own.
///
/// It holds a factory, as a strategy is made afresh for every replication. Those of the catalogue
/// come with one; a strategy of your own needs no more than [`Contender::from_factory`].
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
    build: Arc<Build>,
}

type Build = dyn Fn(&Fleet, ChaCha8Rng) -> Box<dyn Strategy> + Send + Sync;

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

// ---- What the traces leave open about the servers, and what it does to the scores. Replications
// that share a draw of the parameters form a group; the spread of the groups' true means is the
// spread of the true mean score over the posterior ([`VarianceComponents`]). It does not shrink
// with more replications: only more traces make it smaller. Replications do sharpen the estimate of
// it, which is as uncertain as any estimate: a spread that cannot be told from none is not the same
// as none.

/// The normal quantile of two-sided 95 % intervals.
const Z_95: f64 = 1.959_963_984_540_054;

/// The normal quantile of 0.95, for limits that hold with 95 % each.
const Z_95_ONE_SIDED: f64 = 1.644_853_626_951_472_7;

/// A spread between fewer draws is hardly known: the relative standard error of a variance is at
/// least sqrt(2 / draws), 28 % here.
const FEWEST_DRAWS: u64 = 25;

/// Where the parameters of the servers came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// Drawn from the model's posterior for every few replications.
    Drawn,
    /// Drawn from the model's posterior once, because its servers are drawn once.
    DrawnOnce,
    /// The model's point values; its posterior was not asked for.
    Off,
    /// The model's point values; it has no posterior.
    NoPosterior,
}

impl Parameters {
    /// Where a sweep gets the parameters of a model from.
    pub fn of(model: &Model, parameter_uncertainty: bool) -> Self {
        match parameter_uncertainty {
            _ if !model.has_posterior() => Self::NoPosterior,
            false => Self::Off,
            true if model.draws_parameters() => Self::Drawn,
            true => Self::DrawnOnce,
        }
    }
}

/// Standard deviation of a true mean over the posterior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ParameterSd {
    /// The estimate; 0 where the estimated variance is negative.
    pub sd: f64,
    /// It is higher with 95 %; 0 means that it cannot be told from none.
    pub low: f64,
    /// It is lower with 95 %.
    pub high: f64,
}

/// Spread of scores between draws of the parameters, for every contender and every pair.
#[derive(Debug)]
pub(crate) struct ParameterSpread {
    scores: Vec<VarianceComponents>,
    /// Of the differences of contenders i < j, row by row: (0, 1), (0, 2), ..., (1, 2), ...
    differences: Vec<VarianceComponents>,
}

impl ParameterSpread {
    pub(crate) fn new(contenders: usize) -> Self {
        let pairs = contenders * contenders.saturating_sub(1) / 2;
        Self {
            scores: vec![VarianceComponents::new(REPLICATIONS_PER_DRAW); contenders],
            differences: vec![VarianceComponents::new(REPLICATIONS_PER_DRAW); pairs],
        }
    }

    /// Takes in the scores of all contenders in the next replication, from the first on.
    pub(crate) fn push(&mut self, scores: &[f64]) {
        self.scores.iter_mut().zip(scores).for_each(|(sums, score)| sums.push(*score));
        let pairs =
            scores.iter().enumerate().flat_map(|(i, a)| scores[i + 1..].iter().map(move |b| a - b));
        self.differences.iter_mut().zip(pairs).for_each(|(sums, d)| sums.push(d));
    }

    /// Standard deviation of a contender's true mean score over the posterior.
    pub(crate) fn score_sd(&self, i: usize) -> Option<ParameterSd> {
        sd(&self.scores[i])
    }

    /// Standard deviation of the true difference of two contenders over the posterior.
    pub(crate) fn difference_sd(&self, i: usize, j: usize) -> Option<ParameterSd> {
        let (i, j) = (i.min(j), i.max(j));
        if i == j {
            let none = ParameterSd { sd: 0.0, low: 0.0, high: 0.0 };
            return self.score_sd(i).map(|_| none);
        }
        let before = i * (2 * self.scores.len() - i - 1) / 2;
        sd(&self.differences[before + j - i - 1])
    }
}

/// The standard deviation between draws; none if there are too few of them to tell.
fn sd(components: &VarianceComponents) -> Option<ParameterSd> {
    let between = components.between().filter(|_| components.groups() >= FEWEST_DRAWS)?;
    // No variance is negative: an estimate that is must not lower the upper limit.
    let (variance, error) = (between.variance.max(0.0), Z_95_ONE_SIDED * between.std_error);
    let low = (variance - error).max(0.0).sqrt();
    Some(ParameterSd { sd: variance.sqrt(), low, high: (variance + error).sqrt() })
}

/// Where the true difference lies with 95 %, given a mean difference, its Monte-Carlo standard
/// error and its standard deviation over the posterior.
pub(crate) fn interval(delta: f64, std_error: f64, parameter_sd: f64) -> Interval {
    let sd = (parameter_sd * parameter_sd + std_error * std_error).sqrt();
    Interval::around(delta, Z_95 * sd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_spread_of_its_own() {
        let mut spread = ParameterSpread::new(4);
        for replication in 0..160_u64 {
            let noise = (replication % 2) as f64;
            let draw = ((replication / REPLICATIONS_PER_DRAW) % 2) as f64;
            let scores = [0.0, 1.0, 2.0, 4.0].map(|effect| effect * draw + noise);
            spread.push(&scores);
        }
        // Forty draws, half of them 0, half 1: sample variance 10 / 39 of the effect's square.
        let sd = (10.0_f64 / 39.0).sqrt();
        for (i, a) in [0.0, 1.0, 2.0, 4.0_f64].into_iter().enumerate() {
            for (j, b) in [0.0, 1.0, 2.0, 4.0_f64].into_iter().enumerate() {
                let got = spread.difference_sd(i, j).unwrap();
                assert!((got.sd - sd * (a - b).abs()).abs() < 1e-12, "{i} {j}: {got:?}");
                assert!(got.low <= got.sd && got.sd <= got.high, "{got:?}");
            }
        }
        // No draw changes the first one's score; its noise must not be taken for that.
        let first = spread.score_sd(0).unwrap();
        assert_eq!((first.sd, first.low), (0.0, 0.0));
        assert_eq!(first.high, 0.0, "all groups have the same noise");
        // The noise within groups is taken off: 1/3 within, over groups of 4.
        let expected = (16.0 * sd * sd - 1.0 / 12.0).sqrt();
        assert!((spread.score_sd(3).unwrap().sd - expected).abs() < 1e-12);
    }
}
