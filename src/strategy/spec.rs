//! Strategies by name and parameters, as the command line and experiment files give them.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Strategy;
use super::explore_first::{ExploreFirst, ExploreFirstSpec};
use super::larkin::{Larkin, LarkinSpec};
use super::random::Random;
use super::thompson::{Thompson, ThompsonSpec};
use super::thompson_scaled::{ThompsonScaled, ThompsonScaledSpec};
use super::ucb_free::{UcbFree, UcbFreeSpec};
use super::ucb1::{Ucb1, Ucb1Spec};
use crate::domain::closest_name;

/// A strategy with its parameters; serialised as a table with the key `name`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum StrategySpec {
    /// V1.
    Larkin(LarkinSpec),
    /// V2.
    Ucb1(Ucb1Spec),
    /// V3.
    UcbFree(UcbFreeSpec),
    /// V4.
    Thompson(ThompsonSpec),
    /// V5.
    ThompsonScaled(ThompsonScaledSpec),
    /// The champion: explores in first attempts, exploits in later ones.
    ExploreFirst(ExploreFirstSpec),
    /// The reference that knows nothing.
    Random,
}

/// The five strategies of the game, V1 to V5; the meaning of `all`.
pub const FIVE: [&str; 5] = ["larkin", "ucb1", "ucb-free", "thompson", "thompson-scaled"];

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{key}` expects {expected}, got {got}")]
pub struct SpecError {
    /// The parameter.
    pub key: &'static str,
    /// What it may hold.
    pub expected: &'static str,
    /// What it held.
    pub got: f64,
}

impl SpecError {
    /// An error unless `valid`.
    pub fn unless(
        valid: bool,
        key: &'static str,
        expected: &'static str,
        got: f64,
    ) -> Result<(), Self> {
        if valid { Ok(()) } else { Err(Self { key, expected, got }) }
    }
}

/// A name that no strategy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy `{name}`")]
pub struct UnknownStrategy {
    /// The name as given.
    pub name: String,
    /// The known name that is most like it, if one is like it at all.
    pub suggestion: Option<String>,
}

impl StrategySpec {
    /// The strategy with that name or alias (`v1` to `v5`), with default parameters.
    pub fn from_name(name: &str) -> Result<Self, UnknownStrategy> {
        let wanted = name.to_ascii_lowercase();
        let known = Self::all_with_defaults();
        if let Some(found) =
            known.iter().find(|s| s.name() == wanted || s.alias().is_some_and(|a| a == wanted))
        {
            return Ok(*found);
        }
        let suggestion = closest_name(&wanted, Self::known_names()).map(str::to_owned);
        Err(UnknownStrategy { name: name.to_owned(), suggestion })
    }

    /// Every name that a user may write, `oracle` and `all` included.
    pub fn known_names() -> Vec<&'static str> {
        let mut names: Vec<&str> = Self::all_with_defaults()
            .iter()
            .flat_map(|s| [Some(s.name()), s.alias()])
            .flatten()
            .collect();
        names.extend(["oracle", "all"]);
        names
    }

    fn all_with_defaults() -> [Self; 7] {
        [
            Self::Larkin(LarkinSpec::default()),
            Self::Ucb1(Ucb1Spec::default()),
            Self::UcbFree(UcbFreeSpec::default()),
            Self::Thompson(ThompsonSpec::default()),
            Self::ThompsonScaled(ThompsonScaledSpec::default()),
            Self::ExploreFirst(ExploreFirstSpec::default()),
            Self::Random,
        ]
    }

    /// The name that says the idea.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Larkin(_) => "larkin",
            Self::Ucb1(_) => "ucb1",
            Self::UcbFree(_) => "ucb-free",
            Self::Thompson(_) => "thompson",
            Self::ThompsonScaled(_) => "thompson-scaled",
            Self::ExploreFirst(_) => "explore-first",
            Self::Random => "random",
        }
    }

    /// The version number, an alias only.
    pub const fn alias(&self) -> Option<&'static str> {
        match self {
            Self::Larkin(_) => Some("v1"),
            Self::Ucb1(_) => Some("v2"),
            Self::UcbFree(_) => Some("v3"),
            Self::Thompson(_) => Some("v4"),
            Self::ThompsonScaled(_) => Some("v5"),
            Self::ExploreFirst(_) | Self::Random => None,
        }
    }

    /// The name in tables, for example `V4 thompson`.
    pub fn label(&self) -> String {
        match self.alias() {
            Some(alias) => format!("{} {}", alias.to_uppercase(), self.name()),
            None => self.name().to_owned(),
        }
    }

    /// Checks every parameter's range; the first violation is the error.
    pub fn validate(&self) -> Result<(), SpecError> {
        match self {
            Self::Larkin(_) | Self::Ucb1(_) | Self::Random => Ok(()),
            Self::UcbFree(spec) => spec.validate(),
            Self::ExploreFirst(spec) => spec.validate(),
            Self::Thompson(spec) => spec.validate(),
            Self::ThompsonScaled(spec) => spec.validate(),
        }
    }

    /// A fresh strategy for `servers` servers; `rng` is all the randomness it will ever have.
    pub fn build(&self, servers: usize, rng: ChaCha8Rng) -> Box<dyn Strategy> {
        match *self {
            Self::Larkin(spec) => Box::new(Larkin::new(spec, servers)),
            Self::Ucb1(spec) => Box::new(Ucb1::new(spec, servers)),
            Self::UcbFree(spec) => Box::new(UcbFree::new(spec, servers)),
            Self::Thompson(spec) => Box::new(Thompson::new(spec, servers, rng)),
            Self::ThompsonScaled(spec) => Box::new(ThompsonScaled::new(spec, servers, rng)),
            Self::ExploreFirst(spec) => Box::new(ExploreFirst::new(spec, servers)),
            Self::Random => Box::new(Random::new(servers, rng)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_version_numbers_are_equal() {
        for (alias, name) in ["v1", "v2", "v3", "v4", "v5"].iter().zip(FIVE) {
            assert_eq!(StrategySpec::from_name(alias), StrategySpec::from_name(name));
        }
        assert_eq!(StrategySpec::from_name("V4").unwrap().label(), "V4 thompson");
    }

    #[test]
    fn a_typo_gets_a_suggestion_and_nonsense_gets_none() {
        let typo = StrategySpec::from_name("tompson").unwrap_err();
        assert_eq!(typo.suggestion.as_deref(), Some("thompson"));
        assert_eq!(StrategySpec::from_name("qqq").unwrap_err().suggestion, None);
    }
}
