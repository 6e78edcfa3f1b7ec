//! Models as TOML: the raw tables, what belongs to which family, reading and writing.
//!
//! The raw structs mirror the tables of a file, so that serde finds unknown keys with their place
//! in it. What the keys of a family are, and what may stand there, is declared beside the family.

mod conditions;
mod posterior;
mod table;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::conditions::{RawOutage, RawServer};
use self::table::Table;
use super::family::{missing, unknown};
use super::{
    Capacity, Declared, Document, DocumentError, Draw, ErrorFamily, ErrorRate, Latency,
    LatencyFamily, Model, Ports, RateLimit, Violation,
};

/// The version of the model format that this program reads and writes.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    schema: u32,
    ports: Ports,
    #[serde(default, skip_serializing_if = "Declared::is_empty")]
    servers: Declared,
    error_rate: Table<ErrorFamily>,
    rate_limit: Table<RateLimit>,
    latency: Table<LatencyFamily>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<Capacity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    server: Vec<RawServer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outage: Vec<RawOutage>,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    provenance: toml::Table,
}

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
            ports: self.ports,
            declared: self.servers,
            error_rate: error_rate(self.error_rate).map_err(|v| v.within("error_rate"))?,
            rate_limit: self.rate_limit.read().map_err(|v| v.within("rate_limit"))?,
            rate_limit_posterior: limits,
            latency: latency(self.latency).map_err(|v| v.within("latency"))?,
            conditions: conditions::read(self.capacity, self.server, self.outage)?,
            provenance: self.provenance,
        })
    }

    fn from_model(model: &Model) -> Self {
        let (server, outage) = conditions::write(&model.conditions);
        let mut error_rate = Table::new(&model.error_rate.family);
        error_rate.draw = Some(name_of_draw(model.error_rate.draw).to_owned());
        let mut latency = Table::new(&model.latency.success);
        latency.rate_limited_ms = model.latency.rate_limited_ms;
        latency.failure = model.latency.failure.as_ref().map(|of| Box::new(Table::new(of)));
        Self {
            schema: SCHEMA,
            ports: model.ports,
            servers: model.declared.clone(),
            error_rate,
            rate_limit: Table::new(&model.rate_limit),
            latency,
            capacity: model.conditions.capacity,
            server,
            outage,
            provenance: model.provenance.clone(),
        }
    }
}

const fn name_of_draw(draw: Draw) -> &'static str {
    match draw {
        Draw::PerReplication => "per_replication",
        Draw::Fixed => "fixed",
    }
}

fn error_rate(mut table: Table<ErrorFamily>) -> Result<ErrorRate, Violation> {
    let draws = [Draw::PerReplication, Draw::Fixed];
    let given = table.draw.take().ok_or_else(|| missing("draw"))?;
    let draw = draws.into_iter().find(|draw| name_of_draw(*draw) == given);
    let draw = draw.ok_or_else(|| unknown("draw", &given, &draws.map(name_of_draw)))?;
    let posterior = table.take_posterior()?;
    Ok(ErrorRate { draw, family: table.read()?, posterior })
}

fn latency(mut table: Table<LatencyFamily>) -> Result<Latency, Violation> {
    let rate_limited_ms = table.rate_limited_ms.take();
    let failure = table.failure.take().map(|failure| failure.read());
    let failure = failure.transpose().map_err(|v| v.within("failure"))?;
    Ok(Latency { success: table.read()?, failure, rate_limited_ms })
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
