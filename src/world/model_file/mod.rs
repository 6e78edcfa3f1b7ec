//! Models as TOML: the raw tables, what belongs to which family, reading and writing.
//!
//! The raw structs list every key there is, so that serde finds unknown ones with their place
//! in the file; which keys a family needs is checked here, one by one, by name.

mod conditions;
mod error_rate;
mod latency;
mod posterior;
mod rate_limit;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::conditions::{RawCapacity, RawOutage, RawServer};
use self::error_rate::RawErrorRate;
use self::latency::RawLatency;
use self::rate_limit::RawRateLimit;
use super::{Declared, Document, DocumentError, Model, Ports, Violation};
use crate::domain::closest_name;

/// The version of the model format that this program reads and writes.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    schema: u32,
    ports: RawPorts,
    #[serde(default, skip_serializing_if = "Declared::is_empty")]
    servers: Declared,
    error_rate: RawErrorRate,
    rate_limit: RawRateLimit,
    latency: RawLatency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<RawCapacity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    server: Vec<RawServer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outage: Vec<RawOutage>,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    provenance: toml::Table,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPorts {
    first: u16,
    count: u16,
}

/// A table of required and optional keys, with a list of the optional ones that are there.
macro_rules! raw_table {
    ($name:ident { $($required:ident: $rtype:ty),* ; $($optional:ident: $otype:ty),* $(,)? }) => {
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($required: $rtype,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")]
            $optional: Option<$otype>,)*
        }

        impl $name {
            /// Keys that are present, besides the required ones.
            pub(super) fn present(&self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(if self.$optional.is_some() { keys.push(stringify!($optional)); })*
                keys
            }
        }
    };
}

use raw_table;

impl Model {
    /// Reads a model; its name is the file's stem.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Self::parse(&name, &Document::read(path)?)
    }

    /// The model in a document.
    pub fn parse(name: &str, document: &Document) -> Result<Self, DocumentError> {
        let tables: ModelTables = document.parse()?;
        tables.into_model(name).map_err(|v| document.violation(&v))
    }

    /// The model as a TOML document that [`Model::parse`] reads back.
    pub fn to_toml(&self) -> String {
        // Serialising plain numbers, strings and tables to a string cannot fail.
        let mut text = toml::to_string(&RawModel::from_model(self)).unwrap_or_default();
        posterior::write(&mut text, "error_rate.posterior", &self.error_rate.posterior);
        posterior::write(&mut text, "rate_limit.posterior", &self.rate_limit_posterior);
        text
    }
}

/// The tables of a model inside another file; [`ModelTables::into_model`] makes the model.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ModelTables(RawModel);

impl ModelTables {
    /// The model, checked; keys of errors are relative to its tables.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn into_model(self, name: &str) -> Result<Model, Violation> {
        let model = self.0.into_model(name)?;
        model.validate()?;
        Ok(model)
    }
}

impl RawModel {
    fn into_model(mut self, name: &str) -> Result<Model, Violation> {
        if self.schema != SCHEMA {
            let problem = format!("schema {} is not known", self.schema);
            return Err(Violation::new("schema", problem, "1"));
        }
        let limits = self.rate_limit.take_posterior().map_err(|v| v.within("rate_limit"))?;
        Ok(Model {
            name: name.to_owned(),
            ports: Ports { first: self.ports.first, count: self.ports.count },
            declared: self.servers,
            error_rate: self.error_rate.into_error_rate().map_err(|v| v.within("error_rate"))?,
            rate_limit: self.rate_limit.into_rate_limit().map_err(|v| v.within("rate_limit"))?,
            rate_limit_posterior: limits,
            latency: self.latency.into_latency().map_err(|v| v.within("latency"))?,
            conditions: conditions::read(self.capacity, self.server, self.outage)?,
            provenance: self.provenance,
        })
    }

    fn from_model(model: &Model) -> Self {
        let (capacity, server, outage) = conditions::write(&model.conditions);
        Self {
            schema: SCHEMA,
            ports: RawPorts { first: model.ports.first, count: model.ports.count },
            servers: model.declared.clone(),
            error_rate: RawErrorRate::from_error_rate(&model.error_rate),
            rate_limit: RawRateLimit::from_rate_limit(&model.rate_limit),
            latency: RawLatency::from_latency(&model.latency),
            capacity,
            server,
            outage,
            provenance: model.provenance.clone(),
        }
    }
}

/// The value of a key that the chosen family needs.
fn need<T>(value: Option<T>, key: &str) -> Result<T, Violation> {
    value.ok_or_else(|| Violation::new(key, "this key is missing", &format!("`{key} = ...`")))
}

/// Refuses keys that belong to another family.
fn only(present: &[&str], family: &str, allowed: &[&str]) -> Result<(), Violation> {
    match present.iter().find(|key| !allowed.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let expected = match allowed {
                [] => "no further keys".to_owned(),
                keys => keys.join(", "),
            };
            Err(Violation::new(*key, format!("does not belong to \"{family}\""), &expected))
        }
    }
}

/// A name that is not one of the known ones.
fn unknown(key: &str, got: &str, known: &[&str]) -> Violation {
    let violation = Violation::new(key, format!("unknown value \"{got}\""), &known.join(", "));
    match closest_name(got, known.iter().copied()) {
        Some(name) => violation.with_help(format!("did you mean \"{name}\"?")),
        None => violation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
schema = 1
ports = { first = 4000, count = 10 }
[error_rate]
draw = "per_replication"
family = "uniform"
low = 0.02
high = 0.75
[rate_limit]
kind = "token_bucket"
per_second = 5.0
burst = 10
[latency]
family = "lognormal"
median_ms = 1.1
sigma = 0.3
[latency.failure]
family = "lognormal_mixture"
median_ms = 1.2
sigma = 0.3
tail_weight = 0.05
tail_median_ms = 9.0
tail_sigma = 1.0
[provenance]
assumed = true
"#;

    fn error(from: &str, to: &str) -> String {
        assert!(TEXT.contains(from));
        let document = Document::from_text("m.toml", TEXT.replacen(from, to, 1));
        Model::parse("m", &document).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let model = Model::parse("m", &Document::from_text("m.toml", TEXT)).unwrap();
        let again = Document::from_text("again.toml", model.to_toml());
        assert_eq!(Model::parse("m", &again).unwrap(), model);
    }

    #[test]
    fn every_mistake_names_its_place_and_how_to_mend_it() {
        let cases = [
            ("high = 0.75", "high = 1.3", "m.toml:8:8", "1.3 % is written 0.013"),
            ("low = 0.02", "lwo = 0.02", "m.toml:7:1", "did you mean `low`?"),
            ("low = 0.02\n", "", "error_rate.low", "`low = ...`"),
            ("\"token_bucket\"", "\"tokenbucket\"", "m.toml:10:8", "\"token_bucket\"?"),
            ("burst = 10", "burst = 0.5", "m.toml:12:9", "at least 1"),
            ("burst = 10", "burst = 10\nlimit = 3", "m.toml:13:9", "per_second, burst"),
            ("count = 10", "count = 20000", "m.toml:3:33", "1 to 16,384"),
            ("tail_weight = 0.05", "tail_weight = 2", "m.toml:21:15", "0..1"),
            ("schema = 1", "schema = 2", "m.toml:2:10", "expected 1"),
        ];
        for (from, to, place, mend) in cases {
            let message = error(from, to);
            assert!(message.contains(place) && message.contains(mend), "{to}:\n{message}");
        }
    }
}
