//! The table of a family, whichever: `[error_rate]`, `[rate_limit]`, `[latency]`.
//!
//! Keys and what may stand there come from the declaration beside each enum (see `family`), so
//! that serde can name an unknown key with its place in the file and the one it was meant to be.
//!
//! When not to use it: for tables without families; serde derives those.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::posterior::RawPosterior;
use crate::world::family::{Families, Family, Holds, Key, Values};
use crate::world::{Posterior, Violation};

/// A table as it stands in a file.
#[derive(Debug)]
pub(super) struct Table<F> {
    family: String,
    /// What stands under the keys of all families.
    values: Values,
    pub(super) draw: Option<String>,
    posterior: Option<RawPosterior<F>>,
    pub(super) rate_limited_ms: Option<f64>,
    pub(super) failure: Option<Box<Self>>,
}

impl<F: Families> Table<F> {
    /// The table of these parameters, without anything beside them.
    pub(super) fn new(of: &F) -> Self {
        Self { family: of.family().name.to_owned(), values: of.values(), ..Self::default() }
    }

    /// The parameters; what stands beside them must have been taken out.
    pub(super) fn read(&self) -> Result<F, Violation> {
        let read = F::of(&self.family, &self.values);
        let Some(family) = F::ALL.iter().find(|family| family.name == self.family) else {
            return read;
        };
        let beside = [
            ("rate_limited_ms", self.rate_limited_ms.is_some()),
            ("failure", self.failure.is_some()),
        ];
        let present = keys_of::<F>().map(|key| key.name);
        let present = present.filter(|name| self.values.iter().any(|(given, _)| given == name));
        let beside = beside.into_iter().filter(|(_, there)| *there).map(|(name, _)| name);
        let allowed: Vec<&str> = family.keys().map(|key| key.name).collect();
        only(present.chain(beside), family.name, &allowed)?;
        read
    }

    /// The posterior, which is taken out.
    pub(super) fn take_posterior(&mut self) -> Result<Posterior<F>, Violation> {
        match self.posterior.take() {
            Some(raw) => raw.read().map_err(|v| v.within("posterior")),
            None => Ok(Posterior::default()),
        }
    }
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            family: String::new(),
            values: Values::new(),
            draw: None,
            posterior: None,
            rate_limited_ms: None,
            failure: None,
        }
    }
}

/// Refuses keys that belong to another family.
pub(super) fn only<'a>(
    mut present: impl Iterator<Item = &'a str>,
    family: &str,
    allowed: &[&str],
) -> Result<(), Violation> {
    let Some(key) = present.find(|key| !allowed.contains(key)) else { return Ok(()) };
    let expected = if allowed.is_empty() { "no further keys".into() } else { allowed.join(", ") };
    Err(Violation::new(key, format!("does not belong to \"{family}\""), &expected))
}

/// The keys of all families, each once, in the order in which they are listed and written.
fn keys_of<F: Families>() -> impl Iterator<Item = &'static Key> {
    let mut keys: Vec<&Key> = Vec::new();
    for key in F::ALL.iter().flat_map(Family::keys) {
        if keys.iter().all(|known| known.name != key.name) {
            keys.push(key);
        }
    }
    keys.into_iter()
}

/// One of some known keys.
pub(super) struct Known(pub(super) Vec<&'static str>);

impl<'de> DeserializeSeed<'de> for &Known {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for &Known {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        self.0.iter().find(|known| **known == key).copied().ok_or_else(|| {
            let known = self.0.join("`, `");
            E::custom(format_args!("unknown field `{key}`, expected one of `{known}`"))
        })
    }
}

struct TableVisitor<F>(PhantomData<F>);

impl<'de, F: Families> Deserialize<'de> for Table<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

impl<'de, F: Families> Visitor<'de> for TableVisitor<F> {
    type Value = Table<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table with `{}`", F::KEY)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<F>, A::Error> {
        let keys: Vec<&Key> = keys_of::<F>().collect();
        let names = keys.iter().map(|key| key.name).chain(F::BESIDE.iter().copied());
        let known = Known(std::iter::once(F::KEY).chain(names).collect());
        let mut table = Table::default();
        let mut family = None;
        while let Some(name) = map.next_key_seed(&known)? {
            if let Some(key) = keys.iter().find(|key| key.name == name) {
                let numbers = match key.holds {
                    Holds::Number => vec![map.next_value()?],
                    Holds::Whole => vec![f64::from(map.next_value::<u32>()?)],
                    Holds::Numbers => map.next_value()?,
                };
                table.values.push((name, numbers));
                continue;
            }
            match name {
                "draw" => table.draw = Some(map.next_value()?),
                "posterior" => table.posterior = Some(map.next_value()?),
                "rate_limited_ms" => table.rate_limited_ms = Some(map.next_value()?),
                "failure" => table.failure = Some(map.next_value()?),
                _ => family = Some(map.next_value()?),
            }
        }
        table.family = family.ok_or_else(|| A::Error::missing_field(F::KEY))?;
        if table.draw.is_none() && F::BESIDE.contains(&"draw") {
            return Err(A::Error::missing_field("draw"));
        }
        Ok(table)
    }
}

/// Everything but the posterior, which [`super::posterior::write`] writes.
impl<F: Families> Serialize for Table<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(draw) = &self.draw {
            map.serialize_entry("draw", draw)?;
        }
        map.serialize_entry(F::KEY, &self.family)?;
        for key in keys_of::<F>() {
            let Some((_, numbers)) = self.values.iter().find(|(name, _)| *name == key.name) else {
                continue;
            };
            match key.holds {
                Holds::Number => map.serialize_entry(key.name, &numbers[0])?,
                Holds::Whole => map.serialize_entry(key.name, &(numbers[0] as u32))?,
                Holds::Numbers => map.serialize_entry(key.name, numbers)?,
            }
        }
        if let Some(ms) = self.rate_limited_ms {
            map.serialize_entry("rate_limited_ms", &ms)?;
        }
        if let Some(failure) = &self.failure {
            map.serialize_entry("failure", failure)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::LatencyFamily;

    fn read(text: &str) -> Result<LatencyFamily, Violation> {
        toml::from_str::<Table<LatencyFamily>>(text).unwrap().read()
    }

    #[test]
    fn every_family_reads_back_as_it_was_written() {
        for text in [
            "family = \"lognormals\"\nweights = [0.6, 0.3, 0.1]\nmedians_ms = [1, 2.0, 9.0]\n\
             sigmas = [0.1, 0.2, 1.0]",
            "family = \"log_logistic\"\nmedian_ms = 1.1\nshape = 7.0",
            "family = \"lognormal_pareto\"\nmedian_ms = 1.1\nsigma = 0.2\nthreshold_ms = 1.5\n\
             tail_weight = 0.1\ntail_index = 1.5",
        ] {
            let latency = read(text).unwrap();
            latency.validate().unwrap();
            let again = toml::to_string(&Table::new(&latency)).unwrap();
            assert_eq!(read(&again).unwrap(), latency, "{again}");
        }
    }

    #[test]
    fn lists_of_different_lengths_and_keys_of_other_families_are_refused() {
        for wrong in [
            "family = \"lognormals\"\nweights = [0.6, 0.4]\nmedians_ms = [1.0]\nsigmas = [0.1, 0.2]",
            "family = \"lognormals\"\nweights = []\nmedians_ms = []\nsigmas = []",
            "family = \"lognormals\"\nmedians_ms = [1.0]\nsigmas = [0.1]",
            "family = \"log_logistic\"\nmedian_ms = 1.1\nsigma = 7.0",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
