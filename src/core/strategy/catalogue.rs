//! Every strategy there is, as one list: what `StrategySpec` may hold, and what a text (`v1`,
//! `mesh`, `v5:initial_scale=2:decay=0.7`) or a table of a file means.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::domain::{Fleet, closest_name};
use crate::strategy::Strategy;
use crate::strategy::declared::{Declared, Entry, Group, Parameter};

/// Declares the enum of all strategies and what is the same for each of them.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident($spec:ty),)*) => {
        /// A strategy with its parameters; serialised as a table with the key `name`.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "kebab-case")]
        pub enum StrategySpec {
            $($(#[$doc])* $variant($spec),)*
        }

        impl StrategySpec {
            /// Every strategy with default parameters, in the order of lists.
            pub fn all_with_defaults() -> Vec<Self> {
                vec![$(Self::$variant(<$spec>::default())),*]
            }

            /// What the strategy says of itself.
            pub const fn entry(&self) -> &'static Entry {
                match self {
                    $(Self::$variant(_) => const { &<$spec as Declared>::ENTRY },)*
                }
            }

            /// A fresh strategy in front of `fleet`; `rng` is all the randomness it will ever have.
            pub fn build(&self, fleet: &Fleet, rng: ChaCha8Rng) -> Box<dyn Strategy> {
                match self {
                    $(Self::$variant(spec) => spec.build(fleet, rng),)*
                }
            }
        }
    };
}

catalogue! {
    /// V1.
    Larkin(super::larkin::LarkinSpec),
    /// V2.
    Ucb1(super::ucb1::Ucb1Spec),
    /// V3.
    UcbFree(super::ucb_free::UcbFreeSpec),
    /// V4.
    Thompson(super::thompson::ThompsonSpec),
    /// V5.
    ThompsonScaled(super::thompson_scaled::ThompsonScaledSpec),
    /// Made for free attempts.
    ExploreFirst(super::explore_first::ExploreFirstSpec),
    /// In turns, by weight and health.
    WeightedRoundRobin(super::mesh::WeightedRoundRobinSpec),
    /// The fewest requests in flight.
    LeastConnections(super::mesh::LeastConnectionsSpec),
    /// The less loaded of two.
    PowerOfTwo(super::mesh::PowerOfTwoSpec),
    /// Whichever of these three suits.
    Adaptive(super::mesh::AdaptiveSpec),
    /// Thompson; a refusal masks the server for a second.
    ThompsonMasked(super::thompson_masked::ThompsonMaskedSpec),
    /// The same, with beliefs from the last outcomes.
    ThompsonWindow(super::thompson_window::ThompsonWindowSpec),
    /// Thompson; refusals in a row block the server for longer and longer.
    Blocking(super::blocking::BlockingSpec),
    /// One after the other.
    RoundRobin(super::round_robin::RoundRobinSpec),
    /// The highest posterior mean.
    Greedy(super::greedy::GreedySpec),
    /// Mostly the best, sometimes any.
    EpsilonGreedy(super::epsilon_greedy::EpsilonGreedySpec),
    /// The bound of UCB1, made tight.
    KlUcb(super::kl_ucb::KlUcbSpec),
    /// The highest quantile of the belief.
    BayesUcb(super::bayes_ucb::BayesUcbSpec),
    /// Thompson that forgets at a steady rate.
    DiscountedThompson(super::discounted_thompson::DiscountedThompsonSpec),
    /// UCB over the last attempts.
    SlidingWindowUcb(super::sliding_window_ucb::SlidingWindowUcbSpec),
    /// Thompson that knows how many attempts are left to learn from.
    IrsFh(super::irs_fh::IrsFhSpec),
    /// The better of two by latency and load.
    P2cPeakEwma(super::p2c_peak_ewma::P2cPeakEwmaSpec),
    /// Retries that must be earned.
    RetryBudget(super::retry_budget::RetryBudgetSpec),
    /// The reference that knows nothing.
    Random(super::random::RandomSpec),
}

/// The five strategies of the game, V1 to V5; the meaning of `all`.
pub const FIVE: [&str; 5] = ["larkin", "ucb1", "ucb-free", "thompson", "thompson-scaled"];

/// All ranked strategies at once.
const EVERYTHING: &str = "everything";

/// The reference row that is shown the truth; no strategy, but a name that people write.
const ORACLE: &str = "oracle";

impl StrategySpec {
    /// The strategy with that name or alias (`v1` to `v5`), with default parameters.
    pub fn from_name(name: &str) -> Result<Self, SpecError> {
        let wanted = name.to_ascii_lowercase();
        let is_wanted = |s: &Self| s.name() == wanted || s.alias().is_some_and(|a| a == wanted);
        let found = Self::all_with_defaults().into_iter().find(is_wanted);
        found.ok_or_else(|| SpecError::unknown(name))
    }

    /// Every name that a user may write: of strategies, references and groups.
    pub fn known_names() -> Vec<&'static str> {
        let strategies = Self::all_with_defaults();
        let of_strategies = strategies.iter().flat_map(|s| [Some(s.name()), s.alias()]).flatten();
        of_strategies
            .chain([ORACLE])
            .chain(Group::RANKED.map(Group::name))
            .chain([EVERYTHING])
            .collect()
    }

    /// The strategies of a group, with default parameters.
    pub fn of_group(group: Group) -> impl Iterator<Item = Self> {
        Self::all_with_defaults().into_iter().filter(move |s| s.entry().group == group)
    }

    /// The name that says the idea.
    pub const fn name(&self) -> &'static str {
        self.entry().name
    }

    /// The version number, an alias only.
    pub const fn alias(&self) -> Option<&'static str> {
        self.entry().alias
    }
}

/// Text that names no strategy, or one that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A name that no strategy has.
    #[error("unknown strategy `{name}`")]
    Unknown {
        /// The name as given.
        name: String,
        /// The known name that is most like it, if one is like it at all.
        suggestion: Option<String>,
    },
    /// Something that is not one strategy with parameters.
    #[error("`{name}` is not one strategy with parameters")]
    NotOne {
        /// The group or reference.
        name: String,
    },
    /// A parameter that the strategy does not have.
    #[error("{strategy} has no parameter `{key}`")]
    NoParameter {
        /// The strategy's name.
        strategy: &'static str,
        /// The parameter as given.
        key: String,
        /// The ones that it has, for people.
        known: String,
    },
    /// A value out of range, or of the wrong type.
    #[error("{strategy}: `{key}` cannot be {got}")]
    Value {
        /// The strategy's name.
        strategy: &'static str,
        /// The parameter.
        key: String,
        /// What it held.
        got: String,
        /// What it may hold.
        expected: String,
    },
    /// No `key=value`.
    #[error("`{text}` is no parameter")]
    NoValue {
        /// The text as given.
        text: String,
    },
}

impl SpecError {
    pub(crate) fn unknown(name: &str) -> Self {
        let wanted = name.to_ascii_lowercase();
        let suggestion = closest_name(&wanted, StrategySpec::known_names()).map(str::to_owned);
        Self::Unknown { name: name.to_owned(), suggestion }
    }

    /// What would mend it, for people.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { suggestion, .. } => {
                let known = StrategySpec::known_names().join(", ");
                match suggestion {
                    Some(close) => format!("did you mean `{close}`? (known: {known})"),
                    None => format!("expected one of {known}"),
                }
            }
            Self::NotOne { name } if name == ORACLE => "the oracle is always shown".to_owned(),
            Self::NotOne { .. } => "name one of its strategies".to_owned(),
            Self::NoParameter { known, .. } if known.is_empty() => "it has none".to_owned(),
            Self::NoParameter { known, .. } => format!("it has {known}"),
            Self::Value { expected, .. } => format!("expected {expected}"),
            Self::NoValue { .. } => {
                "expected key=value after each colon, as in v1:discover_limit=30".to_owned()
            }
        }
    }
}

impl StrategySpec {
    /// The strategies that a text names: a name or alias, with parameters behind colons or
    /// without, or a group (`all` for the five, `everything` for all that are ranked). The
    /// references `oracle` and `random`, which are always shown, stand for none.
    pub fn named_by(text: &str) -> Result<Vec<Self>, SpecError> {
        let wanted = text.to_ascii_lowercase();
        if wanted == EVERYTHING {
            return Ok(Group::RANKED.into_iter().flat_map(Self::of_group).collect());
        }
        if let Some(group) = Group::RANKED.into_iter().find(|group| group.name() == wanted) {
            return Ok(Self::of_group(group).collect());
        }
        if wanted == ORACLE {
            return Ok(Vec::new());
        }
        let one = Self::from_text(text)?;
        let reference = one.entry().group == Group::Reference;
        Ok(if reference { Vec::new() } else { vec![one] })
    }

    /// One strategy: `thompson`, `v1:discover_limit=30`, `v5:initial_scale=2:decay=0.7`.
    pub fn from_text(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().trim();
        let mut table = toml::Table::new();
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return Err(SpecError::NoValue { text: part.to_owned() });
            };
            table.insert(key.trim().to_owned(), value_of(value.trim()));
        }
        Self::from_table(name, &table)
    }

    /// The strategy of that name with the parameters of a table, defaults where it has none.
    pub fn from_table(name: &str, parameters: &toml::Table) -> Result<Self, SpecError> {
        let lower = name.to_ascii_lowercase();
        let is_group = Group::RANKED.into_iter().any(|group| group.name() == lower);
        if is_group || lower == EVERYTHING || lower == ORACLE {
            return Err(SpecError::NotOne { name: lower });
        }
        let spec = Self::from_name(name)?;
        let mut table = spec.to_table();
        for (key, value) in parameters {
            let parameter = spec.parameter(key)?;
            if !parameter.range.holds(value) {
                return Err(spec.refusal(parameter, value));
            }
            table.insert(key.clone(), value.clone());
        }
        // Every key is known and every value in its range, so only a range that promises more than
        // its field can hold would fail here.
        table.clone().try_into().map_err(|_| {
            let parameter = spec.entry().parameters.iter().find(|p| parameters.contains_key(p.key));
            match parameter {
                Some(parameter) => spec.refusal(parameter, &table[parameter.key]),
                None => SpecError::unknown(name),
            }
        })
    }

    /// Checks every parameter's range.
    ///
    /// # Errors
    /// [`SpecError::Value`], of the first parameter that is out of range.
    pub fn validate(&self) -> Result<(), SpecError> {
        let table = self.to_table();
        self.entry().parameters.iter().try_for_each(|parameter| match table.get(parameter.key) {
            Some(value) if !parameter.range.holds(value) => Err(self.refusal(parameter, value)),
            _ => Ok(()),
        })
    }

    /// The name in tables: `V4 thompson`, `V1 larkin discover_limit=30`.
    pub fn label(&self) -> String {
        let name = match self.alias() {
            Some(alias) => format!("{} {}", alias.to_uppercase(), self.name()),
            None => self.name().to_owned(),
        };
        let changed = self.changed();
        if changed.is_empty() { name } else { format!("{name} {}", changed.join(" ")) }
    }

    /// The text that [`from_text`](Self::from_text) reads back.
    pub fn text(&self) -> String {
        let mut parts = vec![self.name().to_owned()];
        parts.extend(self.changed());
        parts.join(":")
    }

    /// Parameters that differ from their defaults, as `key=value`.
    fn changed(&self) -> Vec<String> {
        let (own, defaults) = (self.to_table(), Self::from_name(self.name()).map(|s| s.to_table()));
        let differs = |key: &str| defaults.as_ref().is_ok_and(|d| d.get(key) != own.get(key));
        let keys = self.entry().parameters.iter().map(|p| p.key).filter(|key| differs(key));
        keys.map(|key| format!("{key}={}", plain(&own[key]))).collect()
    }

    /// Name and parameters as a table.
    pub fn to_table(&self) -> toml::Table {
        // Plain numbers and switches always serialise.
        toml::Table::try_from(self).unwrap_or_default()
    }

    fn parameter(&self, key: &str) -> Result<&'static Parameter, SpecError> {
        let parameters = self.entry().parameters;
        parameters.iter().find(|p| p.key == key).ok_or_else(|| {
            let known: Vec<&str> = parameters.iter().map(|p| p.key).collect();
            SpecError::NoParameter {
                strategy: self.name(),
                key: key.to_owned(),
                known: known.join(", "),
            }
        })
    }

    fn refusal(&self, parameter: &Parameter, value: &toml::Value) -> SpecError {
        SpecError::Value {
            strategy: self.name(),
            key: parameter.key.to_owned(),
            got: value.to_string(),
            expected: parameter.range.to_string(),
        }
    }
}

/// The value of a parameter on the command line; what is no number and no switch stays text, which
/// no range holds.
fn value_of(text: &str) -> toml::Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    if let Ok(switch) = text.parse::<bool>() {
        return switch.into();
    }
    match text.parse::<f64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

/// A value as people write it: `2`, not `2.0`.
fn plain(value: &toml::Value) -> String {
    value.as_float().map_or_else(|| value.to_string(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::strategy::testing::{decide, observe};

    #[test]
    fn names_and_version_numbers_are_equal() {
        for (alias, name) in ["v1", "v2", "v3", "v4", "v5"].iter().zip(FIVE) {
            assert_eq!(StrategySpec::from_name(alias), StrategySpec::from_name(name));
        }
        assert_eq!(StrategySpec::from_name("V4").unwrap().label(), "V4 thompson");
        let five: Vec<&str> = StrategySpec::of_group(Group::Five).map(|s| s.name()).collect();
        assert_eq!(five, FIVE);
    }

    #[test]
    fn a_typo_gets_a_suggestion_and_nonsense_gets_none() {
        let suggestion = |name| match StrategySpec::from_name(name) {
            Err(SpecError::Unknown { suggestion, .. }) => suggestion,
            other => panic!("{other:?}"),
        };
        assert_eq!(suggestion("tompson"), Some("thompson".to_owned()));
        assert_eq!(suggestion("qqq"), None);
    }

    #[test]
    fn no_name_means_two_things() {
        let names = StrategySpec::known_names();
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }

    /// The serialised name and parameters are what the entry says, in its order, and every default
    /// lies in its range.
    #[test]
    fn what_strategies_declare_is_what_they_are() {
        for spec in StrategySpec::all_with_defaults() {
            let Entry { name, idea, parameters, .. } = spec.entry();
            let table = spec.to_table();
            assert_eq!(table["name"].as_str(), Some(*name));
            let mut keys: Vec<&str> = parameters.iter().map(|p| p.key).collect();
            for parameter in *parameters {
                let value = &table[parameter.key];
                assert!(parameter.range.holds(value), "{name}: {} = {value}", parameter.key);
                assert!(!parameter.meaning.ends_with('.'), "{name}: {}", parameter.key);
            }
            keys.push("name");
            keys.sort_unstable();
            let held: Vec<&str> = table.keys().map(String::as_str).collect();
            assert_eq!(held, keys, "{name}");
            assert!(!idea.is_empty() && idea.len() <= 90 && !idea.ends_with('.'), "{name}: {idea}");
            assert_eq!(spec.validate(), Ok(()), "{name}");
        }
    }

    /// At any number of servers, whatever happens, a strategy chooses a server that is there.
    #[test]
    fn every_strategy_copes_with_one_server_and_with_a_thousand() {
        use crate::domain::Outcome::{Failure, RateLimited, Success, TimedOut};
        for spec in StrategySpec::all_with_defaults() {
            for servers in [1, 2, 1000] {
                let rng = Streams::new(1).stream(Purpose::Strategy, 0, 0);
                let mut strategy = spec.build(&Fleet::uniform(servers), rng);
                let mut tried = Vec::new();
                for (request, outcome) in
                    (0..).zip([Failure, RateLimited, TimedOut, Failure, Success].repeat(8))
                {
                    let server = decide(strategy.as_mut(), request / 5, &tried);
                    assert!(usize::from(server) < servers, "{}", spec.name());
                    observe(strategy.as_mut(), server, outcome);
                    tried.push(server);
                    if outcome == Success {
                        tried.clear();
                    }
                }
            }
        }
    }

    #[test]
    fn parameters_stand_behind_colons() {
        let spec = StrategySpec::from_text("V5:initial_scale=2:decay=0.7").unwrap();
        assert_eq!(spec.label(), "V5 thompson-scaled initial_scale=2 decay=0.7");
        assert_eq!(spec.text(), "thompson-scaled:initial_scale=2:decay=0.7");
        assert_eq!(StrategySpec::from_text(&spec.text()), Ok(spec));
        let plain = StrategySpec::from_text("v1:discover_limit=50").unwrap();
        assert_eq!(plain.label(), "V1 larkin", "a default is not worth a word");
    }

    #[test]
    fn every_default_reads_back_from_its_text() {
        for spec in StrategySpec::all_with_defaults() {
            assert_eq!(StrategySpec::from_text(&spec.text()), Ok(spec));
        }
    }

    #[test]
    fn groups_stand_for_their_strategies_and_references_for_none() {
        let names = |text: &str| {
            let named = StrategySpec::named_by(text).unwrap();
            named.iter().map(StrategySpec::name).collect::<Vec<&str>>()
        };
        assert_eq!(names("all"), super::FIVE);
        assert!(names("oracle").is_empty() && names("random").is_empty());
        let references = StrategySpec::of_group(Group::Reference).count();
        assert_eq!(names("everything").len() + references, StrategySpec::all_with_defaults().len());
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, problem, help) in [
            ("tompson", "unknown strategy `tompson`", "did you mean `thompson`?"),
            (
                "v1:discover=3",
                "larkin has no parameter `discover`",
                "discover_limit, exclude_tried",
            ),
            ("v1:discover_limit", "`discover_limit` is no parameter", "key=value"),
            ("v1:discover_limit=1.5", "`discover_limit` cannot be 1.5", "a whole number from 0"),
            ("v1:exclude_tried=2", "`exclude_tried` cannot be 2", "true or false"),
            ("v5:decay=-1", "`decay` cannot be -1", "a number from"),
            ("v5:decay=nan", "`decay` cannot be nan", "a number from"),
            ("v5:decay=fast", "`decay` cannot be \"fast\"", "a number from"),
            ("random:x=1", "random has no parameter `x`", "it has none"),
            ("all:x=1", "`all` is not one strategy", "name one of its"),
            ("oracle:x=1", "`oracle` is not one strategy", "always shown"),
        ] {
            let error = StrategySpec::from_text(text).unwrap_err();
            assert!(error.to_string().contains(problem), "{text}: {error}");
            assert!(error.help().contains(help), "{text}: {}", error.help());
        }
    }
}
