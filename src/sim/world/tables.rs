//! The table of a family, whichever: `[error_rate]`, `[rate_limit]`, `[latency]`.
//!
//! Keys and what may stand there come from the declaration beside each enum (see `family`), so
//! that serde can name an unknown key with its place in the file and the one it was meant to be.
//!
//! When not to use it: for tables without families; serde derives those.

use std::fmt;
use std::fmt::Write;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::world::document::Violation;
use crate::world::family::{Families, Family, Holds, Key, Values, names_of_rows};
use crate::world::posterior::{MOST_ROWS, Posterior, in_row, too_many};

/// A table as it stands in a file.
#[derive(Debug)]
pub(crate) struct Table<F> {
    family: String,
    /// What stands under the keys of all families.
    values: Values,
    pub(crate) draw: Option<String>,
    posterior: Option<RawPosterior<F>>,
    pub(crate) rate_limited_ms: Option<f64>,
    pub(crate) failure: Option<Box<Self>>,
}

impl<F: Families> Table<F> {
    /// The table of these parameters, without anything beside them.
    pub(crate) fn new(of: &F) -> Self {
        Self { family: of.family().name.to_owned(), values: of.values(), ..Self::default() }
    }

    /// The parameters; what stands beside them must have been taken out.
    pub(crate) fn read(&self) -> Result<F, Violation> {
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
    pub(crate) fn take_posterior(&mut self) -> Result<Posterior<F>, Violation> {
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
pub(crate) fn only<'a>(
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
struct Known(Vec<&'static str>);

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

/// Everything but the posterior, which [`write`] writes.
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

// ---- The tables `[error_rate.posterior]` and `[rate_limit.posterior]`: rows of numbers by family.
// They are written by hand at the end of a file, many rows to a line: a serializer would give each
// of hundreds of rows three lines, or all of them one.

/// Lines are broken before they get longer, as in the source of this program.
const LINE: usize = 100;

/// What a line of rows begins with; each row adds a space before it.
const INDENT: &str = "   ";

/// Rows by family as they stand in a file; of a family without parameters so many empty ones.
#[derive(Debug)]
struct RawPosterior<F> {
    rows: Vec<(&'static Family, Rows)>,
    of: PhantomData<F>,
}

#[derive(Debug)]
enum Rows {
    Counted(usize),
    Listed(Vec<Vec<f64>>),
}

impl<'de, F: Families> Deserialize<'de> for RawPosterior<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowsVisitor(PhantomData))
    }
}

struct RowsVisitor<F>(PhantomData<F>);

impl<'de, F: Families> Visitor<'de> for RowsVisitor<F> {
    type Value = RawPosterior<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table of rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawPosterior<F>, A::Error> {
        let families: Vec<&Family> = F::ALL.iter().filter(|family| family.has_rows()).collect();
        let known = Known(families.iter().map(|family| family.name).collect());
        let mut rows = Vec::new();
        while let Some(name) = map.next_key_seed(&known)? {
            for family in families.iter().filter(|family| family.name == name) {
                rows.push((
                    *family,
                    match family.row()[..] {
                        [] => Rows::Counted(map.next_value()?),
                        _ => Rows::Listed(map.next_value()?),
                    },
                ));
            }
        }
        Ok(RawPosterior { rows, of: PhantomData })
    }
}

impl<F: Families> RawPosterior<F> {
    fn read(&self) -> Result<Posterior<F>, Violation> {
        let mut read = Vec::new();
        for (family, rows) in &self.rows {
            match rows {
                Rows::Counted(rows) if *rows > MOST_ROWS => {
                    return Err(too_many(family.name, *rows));
                }
                Rows::Counted(rows) => {
                    let row = F::of(family.name, &Vec::new())?;
                    read.extend(std::iter::repeat_n(row, *rows));
                }
                Rows::Listed(rows) => {
                    for (i, row) in rows.iter().enumerate() {
                        read.push(of_numbers(family, i, row)?);
                    }
                }
            }
        }
        if read.is_empty() {
            // The place of a missing key is its table.
            let expected = format!("rows of {}", names_of_rows::<F>());
            return Err(Violation::new("rows", "this posterior has no rows", &expected));
        }
        Ok(read.into())
    }
}

/// The row number `i` of a family: as many numbers as it has keys, or those of its list.
fn of_numbers<F: Families>(family: &Family, i: usize, row: &[f64]) -> Result<F, Violation> {
    if let Some(list) = family.list() {
        let read = F::of(family.name, &vec![(list.name, row.to_vec())]);
        return read.map_err(|violation| in_row(family, i, violation));
    }
    let names: Vec<&'static str> = family.row().iter().map(|key| key.name).collect();
    if row.len() != names.len() {
        let problem = format!("{} numbers where {} are needed", row.len(), names.len());
        let expected = format!("[{}]", names.join(", "));
        return Err(Violation::new(format!("{}.{i}", family.name), problem, &expected));
    }
    let values = names.into_iter().zip(row).map(|(name, x)| (name, vec![*x])).collect();
    F::of(family.name, &values).map_err(|violation| in_row(family, i, violation))
}

/// Appends the table of a posterior, nothing if it has no rows.
pub(crate) fn write<F: Families>(text: &mut String, table: &str, posterior: &Posterior<F>) {
    if posterior.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n[{table}]");
    for rows in posterior.rows().chunk_by(|a, b| a.family().name == b.family().name) {
        let (family, keys) = (rows[0].family().name, rows[0].family().row());
        if keys.is_empty() {
            let _ = writeln!(text, "{family} = {}", rows.len());
            continue;
        }
        let _ = writeln!(text, "{family} = [");
        let mut line = INDENT.to_owned();
        for row in rows {
            // Of a list all numbers are of its one key.
            let of_keys = keys.iter().chain(std::iter::repeat(&keys[0]));
            let numbers: Vec<String> =
                of_keys.zip(row.numbers()).map(|(key, x)| number(key, x)).collect();
            let row = format!(" [{}],", numbers.join(", "));
            if line.len() + row.len() > LINE {
                let _ = writeln!(text, "{line}");
                INDENT.clone_into(&mut line);
            }
            line += &row;
        }
        let _ = writeln!(text, "{line}\n]");
    }
}

/// A number that reads back the same: the shortest such digits.
fn number(key: &Key, x: f64) -> String {
    if key.holds == Holds::Whole { format!("{x}") } else { format!("{x:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::document::assert_refused;
    use crate::world::latency::LatencyFamily;
    use crate::world::model::parsed as parse;

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

    const TEXT: &str = r#"
schema = 1
ports = { first = 4000, count = 10 }
[error_rate]
draw = "per_replication"
family = "beta_mixture"
weight = 0.3
alpha = 2.0
beta = 9.0
second_alpha = 8.0
second_beta = 3
[rate_limit]
kind = "none"
[latency]
family = "constant"
ms = 1.0
[error_rate.posterior]
uniform = [[0.02, 0.75], [0.1, 0.3]]
beta = [[2, 3], [1e-3, 0.1]]
beta_mixture = [[0.5, 1.0, 2.0, 3.0, 4.0]]
[rate_limit.posterior]
none = 2
token_bucket = [[5.5, 10]]
fixed_window = [[3, 1.5]]
sliding_window = [[4, 0.7]]
sinusoidal = [[20.0, 8.0, 10.0, 1.0]]
"#;

    #[test]
    fn a_posterior_that_is_written_reads_back_the_same() {
        let model = parse(TEXT).unwrap();
        assert_eq!(model.error_rate.posterior.rows().len(), 5);
        assert_eq!(model.rate_limit_posterior.rows().len(), 6);
        assert!(model.has_rate_limit() && model.draws_parameters());
        assert_eq!(parse(&model.to_toml()).unwrap(), model);
        let point = model.without_posterior();
        assert!(!point.has_rate_limit() && !point.has_posterior());
        assert!(!point.to_toml().contains("posterior"));
    }

    #[test]
    fn rows_share_lines_and_numbers_keep_all_their_digits() {
        let rows: Vec<String> = (0..256)
            .map(|i| format!("[0.0{}, {:?}]", i + 100, 0.5 + f64::from(i) / 700.0))
            .collect();
        let many = format!("uniform = [{}]", rows.join(", "));
        let text = TEXT.replace("uniform = [[0.02, 0.75], [0.1, 0.3]]", &many);
        let model = parse(&text).unwrap();
        let written = model.to_toml();
        assert_eq!(parse(&written).unwrap(), model);
        assert!(written.lines().all(|line| line.len() <= 100), "{written}");
        assert!(written.lines().count() < 140, "{written}");
        assert!(written.contains("    [3, 1.5],\n"), "{written}");
    }

    #[test]
    fn every_mistake_in_a_posterior_names_its_place_and_how_to_mend_it() {
        let cases = [
            ("[0.1, 0.3]", "[0.1, 1.3]", "m.toml:18:32", "1.3 % is written 0.013"),
            ("[0.1, 0.3]", "[0.4, 0.3]", "m.toml:18:27", "at most `high`"),
            ("[0.1, 0.3]", "[0.4]", "m.toml:18:26", "expected [low, high]"),
            ("[0.1, 0.3]", "[0.4, 0.5, 0.6]", "uniform.1: 3 numbers", "expected [low, high]"),
            ("[1e-3, 0.1]", "[1e-3, 0]", "m.toml:19:24", "0.001..=1,000,000"),
            ("[[0.5, 1.0", "[[1.5, 1.0", "m.toml:20:18", "1.5 % is written 0.015"),
            ("4.0]]", "-4.0]]", "beta_mixture.0.4", "0.001..=1,000,000"),
            ("none = 2", "none = 4000000000", "m.toml:22:8", "at most 10,000"),
            ("none = 2", "nnoe = 2", "m.toml:22:1", "did you mean `none`?"),
            ("[5.5, 10]", "[5.5, 0.5]", "m.toml:23:23", "at least 1"),
            ("[[3, 1.5]]", "[[3.5, 1.5]]", "m.toml:24:18", "a whole number"),
            ("[[3, 1.5]]", "[[3, -1.5]]", "fixed_window.0.1", "seconds in"),
            ("[[4, 0.7]]", "[[0, 0.7]]", "sliding_window.0.0", "a whole number"),
            ("20.0, 8.0", "20.0, 28.0", "m.toml:26:22", "from 0 to mean_per_second"),
            ("beta = [[2", "bta = [[2", "m.toml:19:1", "did you mean `beta`?"),
            ("[[2, 3],", "[[2, \"x\"],", "m.toml:19:13", "expected f64"),
            ("weight = 0.3\n", "weight = 0.3\nlow = 0.1\n", "m.toml:8:7", "second_alpha"),
            ("weight = 0.3\n", "weight = -0.3\n", "m.toml:7:10", "a number in 0..=1"),
        ];
        assert_refused(TEXT, parse, &cases);
    }

    #[test]
    fn a_posterior_needs_rows_and_a_population_to_stand_for() {
        let (head, _) = TEXT.split_once("[error_rate.posterior]").unwrap();
        let message = parse(&format!("{head}[error_rate.posterior]\n")).unwrap_err();
        assert!(message.contains("no rows") && message.contains("m.toml:17"), "{message}");
        let (first, rest) = TEXT.split_once("family = \"beta_mixture\"").unwrap();
        let rest = rest.split_once("[rate_limit]").unwrap().1;
        let values = "family = \"fixed\"\nvalues = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n";
        let message = parse(&format!("{first}{values}[rate_limit]{rest}")).unwrap_err();
        assert!(message.contains("posterior: rows of \"beta\" do not belong"), "{message}");
        let own = |rows: &str| {
            let head = format!(
                "{first}{values}[rate_limit]{}",
                rest.split_once("[error_rate.posterior]").unwrap().0
            );
            parse(&format!("{head}[error_rate.posterior]\n{rows}\n"))
        };
        let ten = "[0.1, 0.2, 0, 0, 0, 0, 0, 0, 0, 0]";
        let model = own(&format!("fixed = [{ten}, {ten}]")).unwrap();
        assert_eq!(model.error_rate.posterior.rows().len(), 2);
        assert_eq!(parse(&model.to_toml()).unwrap(), model);
        let message = own("fixed = [[0.1, 0.2]]").unwrap_err();
        assert!(message.contains("2 rates for 10 servers"), "{message}");
        let message = own(&format!("fixed = [{}]", ten.replace("0.2", "1.2"))).unwrap_err();
        assert!(message.contains("fixed.0.1") && message.contains("0.012"), "{message}");
    }
}
