//! Strategies as text: `v1`, `mesh`, `v5:initial_scale=2:decay=0.7`, or a table of a file.

use super::StrategySpec;
use super::catalogue::{EVERYTHING, ORACLE};
use super::declared::{Group, Parameter};
use crate::domain::closest_name;

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
    pub(super) fn unknown(name: &str) -> Self {
        let wanted = name.to_ascii_lowercase();
        let suggestion = closest_name(&wanted, StrategySpec::known_names()).map(str::to_owned);
        Self::Unknown { name: name.to_owned(), suggestion }
    }

    /// What would mend it, for people.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { suggestion: Some(close), .. } => {
                format!(
                    "did you mean `{close}`? (known: {})",
                    StrategySpec::known_names().join(", ")
                )
            }
            Self::Unknown { .. } => {
                format!("expected one of {}", StrategySpec::known_names().join(", "))
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
    ///
    /// # Errors
    /// See [`SpecError`].
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
    ///
    /// # Errors
    /// See [`SpecError`].
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
    ///
    /// # Errors
    /// See [`SpecError`].
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
    use super::*;

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
        assert_eq!(names("all"), super::super::FIVE);
        assert!(names("oracle").is_empty() && names("random").is_empty());
        let everything = names("everything");
        let ranked = StrategySpec::all_with_defaults().len() - names_of(Group::Reference);
        assert_eq!(everything.len(), ranked);
    }

    fn names_of(group: Group) -> usize {
        StrategySpec::of_group(group).count()
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
