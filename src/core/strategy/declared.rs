//! What every strategy says of itself: name, idea, group, parameters with meaning and range.
//!
//! Said once, in the `declared!` of the strategy's file. The macro makes of it the struct that
//! holds the parameters (read from and written to files), their defaults, their docs, and the
//! [`Entry`] from which everything else follows: the list of strategies, the check of values from
//! files and the command line, the search for better values.
//!
//! The first line of a parameter's doc comment is its meaning, which people see in lists; further
//! lines are for readers of the code. `build` looks like a closure and becomes the function that
//! makes the strategy. Most strategies are a rule over tallies of outcomes: their struct of
//! parameters implements [`Rule`](super::tallied::Rule), which is the index and nothing else, and
//! [`Tallied`](super::tallied::Tallied) makes a strategy of it. One that remembers anything else
//! has a struct of its own that implements [`Strategy`].

use std::fmt;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Fleet;
use crate::strategy::Strategy;

/// A strategy's parameters, which know how to become the strategy.
pub trait Declared: Copy + Default + PartialEq + fmt::Debug + Serialize + DeserializeOwned {
    /// What it says of itself.
    const ENTRY: Entry;

    /// The strategy, fresh; `rng` is all the randomness it will ever have.
    fn build(self, fleet: &Fleet, rng: ChaCha8Rng) -> Box<dyn Strategy>;
}

/// Declares a strategy; see the [module](self).
///
/// ```text
/// declared! {
///     name: "greedy", group: Literature,
///     idea: "always the server with the highest posterior mean",
///     build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
///     pub struct GreedySpec {
///         /// successes that the prior counts for
///         prior_successes: f64 = 1.0, Range::number(1e-3, 1e6, (0.1, 20.0));
///     }
/// }
/// ```
macro_rules! declared {
    (
        name: $name:literal, $(alias: $alias:literal,)? group: $group:ident,
        idea: $idea:literal,
        build: |$self:tt, $fleet:tt, $rng:tt| $build:expr,
        pub struct $spec:ident {
            $(
                #[doc = $meaning:literal]
                $(#[doc = $more:literal])*
                $key:ident: $type:ty = $default:expr, $range:expr;
            )*
        }
    ) => {
        #[doc = concat!("Parameters of `", $name, "`: ", $idea, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $spec {
            $(
                #[doc = $meaning]
                $(#[doc = $more])*
                #[doc = concat!("(default ", stringify!($default), ").")]
                pub $key: $type,
            )*
        }

        impl Default for $spec {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::strategy::Declared for $spec {
            const ENTRY: $crate::strategy::Entry = $crate::strategy::Entry {
                name: $name,
                alias: $crate::strategy::declared!(@alias $($alias)?),
                group: $crate::strategy::Group::$group,
                idea: $idea,
                parameters: &[$($crate::strategy::Parameter {
                    key: stringify!($key),
                    meaning: $meaning.trim_ascii_start(),
                    range: $range,
                },)*],
            };

            fn build(
                self,
                $fleet: &$crate::domain::Fleet,
                $rng: rand_chacha::ChaCha8Rng,
            ) -> Box<dyn $crate::strategy::Strategy> {
                let $self = self;
                Box::new($build)
            }
        }
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}
pub(crate) use declared;

/// What a strategy says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The name that says the idea.
    pub name: &'static str,
    /// A shorter name.
    pub alias: Option<&'static str>,
    /// Where it belongs.
    pub group: Group,
    /// The idea in one line.
    pub idea: &'static str,
    /// Every parameter, in the order of the struct that holds them.
    pub parameters: &'static [Parameter],
}

/// Strategies that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// V1 to V5, the strategies of the game.
    Five,
    /// The strategy made for the game.
    Champion,
    /// Balancers of service meshes, which watch load and health.
    Mesh,
    /// Bandits that tell refusals from failures.
    RateLimit,
    /// References from the literature.
    Literature,
    /// Shown in every table, outside the ranking.
    Reference,
}

impl Group {
    /// Every group whose strategies are ranked, in the order of lists.
    pub const RANKED: [Self; 5] =
        [Self::Five, Self::Champion, Self::Mesh, Self::RateLimit, Self::Literature];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Five => "all",
            Self::Champion => "champion",
            Self::Mesh => "mesh",
            Self::RateLimit => "rate-limit",
            Self::Literature => "literature",
            Self::Reference => "references",
        }
    }

    /// What its strategies have in common.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Five => "the five strategies of the game",
            Self::Champion => "made for the game",
            Self::Mesh => "balancers of service meshes, which watch load and health",
            Self::RateLimit => "bandits that tell refusals (429) from failures",
            Self::Literature => "references from the literature",
            Self::Reference => "shown in every table, outside the ranking",
        }
    }
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// The key in files and on the command line.
    pub key: &'static str,
    /// What it means, with its unit, in one line.
    pub meaning: &'static str,
    /// What it may hold.
    pub range: Range,
}

/// What a parameter may hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Range {
    /// True or false.
    Switch,
    /// A whole number.
    Whole {
        /// The smallest that is possible.
        least: u64,
        /// The largest that is possible.
        most: u64,
        /// Where a search for good values looks; none where there is nothing to look for.
        searched: Option<(u64, u64)>,
    },
    /// A number.
    Number {
        /// The smallest that is possible.
        least: f64,
        /// The largest that is possible.
        most: f64,
        /// Where a search for good values looks, evenly in the logarithm if both ends are above 0
        /// and the upper is at least ten times the lower.
        searched: Option<(f64, f64)>,
    },
}

impl Range {
    /// A whole number that a search may vary.
    pub const fn whole(least: u64, most: u64, searched: (u64, u64)) -> Self {
        Self::Whole { least, most, searched: Some(searched) }
    }

    /// A number that a search may vary.
    pub const fn number(least: f64, most: f64, searched: (f64, f64)) -> Self {
        Self::Number { least, most, searched: Some(searched) }
    }

    /// Whether a parameter may hold this value.
    pub fn holds(&self, value: &toml::Value) -> bool {
        match *self {
            Self::Switch => value.is_bool(),
            Self::Whole { least, most, .. } => value
                .as_integer()
                .and_then(|n| u64::try_from(n).ok())
                .is_some_and(|n| (least..=most).contains(&n)),
            Self::Number { least, most, .. } => {
                let number = value.as_float().or(value.as_integer().map(|n| n as f64));
                number.is_some_and(|x| (least..=most).contains(&x))
            }
        }
    }
}

/// For people: `a number from 0 to 10`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => write!(f, "true or false"),
            Self::Whole { least, most, .. } => write!(f, "a whole number from {least} to {most}"),
            Self::Number { least, most, .. } => write!(f, "a number from {least} to {most}"),
        }
    }
}
