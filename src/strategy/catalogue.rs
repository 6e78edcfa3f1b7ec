//! Every strategy there is, as one list: what `StrategySpec` may hold, and what a name means.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::declared::{Declared, Entry, Group};
use super::explore_first::ExploreFirstSpec;
use super::five::{LarkinSpec, ThompsonScaledSpec, ThompsonSpec, Ucb1Spec, UcbFreeSpec};
use super::literature::{
    BayesUcbSpec, DiscountedThompsonSpec, EpsilonGreedySpec, GreedySpec, IrsFhSpec, KlUcbSpec,
    P2cPeakEwmaSpec, RetryBudgetSpec, RoundRobinSpec, SlidingWindowUcbSpec,
};
use super::mesh::{AdaptiveSpec, LeastConnectionsSpec, PowerOfTwoSpec, WeightedRoundRobinSpec};
use super::random::RandomSpec;
use super::rate_limit::{BlockingSpec, ThompsonMaskedSpec, ThompsonWindowSpec};
use super::{SpecError, Strategy};
use crate::domain::Fleet;

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
    Larkin(LarkinSpec),
    /// V2.
    Ucb1(Ucb1Spec),
    /// V3.
    UcbFree(UcbFreeSpec),
    /// V4.
    Thompson(ThompsonSpec),
    /// V5.
    ThompsonScaled(ThompsonScaledSpec),
    /// Made for free attempts.
    ExploreFirst(ExploreFirstSpec),
    /// In turns, by weight and health.
    WeightedRoundRobin(WeightedRoundRobinSpec),
    /// The fewest requests in flight.
    LeastConnections(LeastConnectionsSpec),
    /// The less loaded of two.
    PowerOfTwo(PowerOfTwoSpec),
    /// Whichever of these three suits.
    Adaptive(AdaptiveSpec),
    /// Thompson; a refusal masks the server for a second.
    ThompsonMasked(ThompsonMaskedSpec),
    /// The same, with beliefs from the last outcomes.
    ThompsonWindow(ThompsonWindowSpec),
    /// Thompson; refusals in a row block the server for longer and longer.
    Blocking(BlockingSpec),
    /// One after the other.
    RoundRobin(RoundRobinSpec),
    /// The highest posterior mean.
    Greedy(GreedySpec),
    /// Mostly the best, sometimes any.
    EpsilonGreedy(EpsilonGreedySpec),
    /// The bound of UCB1, made tight.
    KlUcb(KlUcbSpec),
    /// The highest quantile of the belief.
    BayesUcb(BayesUcbSpec),
    /// Thompson that forgets at a steady rate.
    DiscountedThompson(DiscountedThompsonSpec),
    /// UCB over the last attempts.
    SlidingWindowUcb(SlidingWindowUcbSpec),
    /// Thompson that knows how many attempts are left to learn from.
    IrsFh(IrsFhSpec),
    /// The better of two by latency and load.
    P2cPeakEwma(P2cPeakEwmaSpec),
    /// Retries that must be earned.
    RetryBudget(RetryBudgetSpec),
    /// The reference that knows nothing.
    Random(RandomSpec),
}

/// The five strategies of the game, V1 to V5; the meaning of `all`.
pub const FIVE: [&str; 5] = ["larkin", "ucb1", "ucb-free", "thompson", "thompson-scaled"];

/// All ranked strategies at once.
pub const EVERYTHING: &str = "everything";

/// The reference row that is shown the truth; no strategy, but a name that people write.
pub(super) const ORACLE: &str = "oracle";

impl StrategySpec {
    /// The strategy with that name or alias (`v1` to `v5`), with default parameters.
    ///
    /// # Errors
    /// [`SpecError::Unknown`].
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::strategy::parts::testing::{decide, observe};

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
}
