//! Models as TOML: the raw tables, what belongs to which family, reading and writing.
//!
//! The raw structs mirror the tables of a file, so that serde finds unknown keys with their place
//! in it. What the keys of a family are, and what may stand there, is declared beside the family.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::world::conditions::{Capacity, Conditions, Outage, OutageKind, ServerOverride};
use crate::world::document::{Document, DocumentError, SCHEMA, Violation, check_schema};
use crate::world::error_rate::{Draw, ErrorFamily, ErrorRate};
use crate::world::family::{missing, unknown};
use crate::world::latency::{Latency, LatencyFamily};
use crate::world::limiter::RateLimit;
use crate::world::model::{Declared, Model, Ports};
use crate::world::tables;
use crate::world::tables::{Table, only};

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
        let document = Document::read(path)?;
        Self::parse(&document.stem(), &document)
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
        tables::write(&mut text, "error_rate.posterior", &self.error_rate.posterior);
        tables::write(&mut text, "rate_limit.posterior", &self.rate_limit_posterior);
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
        check_schema(self.schema)?;
        let limits = self.rate_limit.take_posterior().map_err(|v| v.within("rate_limit"))?;
        Ok(Model {
            name: name.to_owned(),
            ports: self.ports,
            declared: self.servers,
            error_rate: error_rate(self.error_rate).map_err(|v| v.within("error_rate"))?,
            rate_limit: self.rate_limit.read().map_err(|v| v.within("rate_limit"))?,
            rate_limit_posterior: limits,
            latency: latency(self.latency).map_err(|v| v.within("latency"))?,
            conditions: conditions(self.capacity, self.server, self.outage)?,
            provenance: self.provenance,
        })
    }

    fn from_model(model: &Model) -> Self {
        let Conditions { capacity, overrides, outages } = &model.conditions;
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
            capacity: *capacity,
            server: overrides.iter().map(RawServer::from_override).collect(),
            outage: outages.iter().map(RawOutage::from_outage).collect(),
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    servers: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<Table<RateLimit>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<Capacity>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutage {
    from_s: f64,
    until_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<u16>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

impl RawServer {
    fn into_override(self) -> Result<ServerOverride, Violation> {
        if self.latency_factor.is_none() && self.rate_limit.is_none() && self.capacity.is_none() {
            let problem = "nothing is said of these servers";
            let expected = "at least one of latency_factor, rate_limit, capacity";
            return Err(Violation::new("servers", problem, expected));
        }
        let rate_limit = match self.rate_limit {
            Some(mut raw) => {
                let posterior = raw.take_posterior().map_err(|v| v.within("rate_limit"))?;
                if !posterior.is_empty() {
                    let problem = "a limit of single servers is given, not left open";
                    let expected = "no posterior here";
                    return Err(Violation::new("rate_limit.posterior", problem, expected));
                }
                Some(raw.read().map_err(|v| v.within("rate_limit"))?)
            }
            None => None,
        };
        Ok(ServerOverride {
            servers: self.servers,
            latency_factor: self.latency_factor,
            rate_limit,
            capacity: self.capacity,
        })
    }

    fn from_override(of: &ServerOverride) -> Self {
        Self {
            servers: of.servers.clone(),
            latency_factor: of.latency_factor,
            rate_limit: of.rate_limit.as_ref().map(Table::new),
            capacity: of.capacity,
        }
    }
}

impl RawOutage {
    fn into_outage(self) -> Result<Outage, Violation> {
        let kind = match self.kind.as_deref().ok_or_else(|| missing("kind"))? {
            "fail" => OutageKind::Fail { latency_ms: self.latency_ms },
            name @ ("hang" | "refuse") => {
                let latency = self.latency_ms.map(|_| "latency_ms");
                only(latency.into_iter(), name, &["servers", "kind"])?;
                if name == "hang" { OutageKind::Hang } else { OutageKind::Refuse }
            }
            other => return Err(unknown("kind", other, &["fail", "hang", "refuse"])),
        };
        let Self { from_s, until_s, servers, .. } = self;
        Ok(Outage { from_s, until_s, servers, kind })
    }

    fn from_outage(outage: &Outage) -> Self {
        let (kind, latency_ms) = match outage.kind {
            OutageKind::Fail { latency_ms } => ("fail", latency_ms),
            OutageKind::Hang => ("hang", None),
            OutageKind::Refuse => ("refuse", None),
        };
        Self {
            from_s: outage.from_s,
            until_s: outage.until_s,
            servers: outage.servers.clone(),
            kind: Some(kind.to_owned()),
            latency_ms,
        }
    }
}

/// What the tables `[capacity]`, `[[server]]` and `[[outage]]` say.
fn conditions(
    capacity: Option<Capacity>,
    servers: Vec<RawServer>,
    outages: Vec<RawOutage>,
) -> Result<Conditions, Violation> {
    let mut conditions = Conditions { capacity, ..Conditions::default() };
    for (i, raw) in servers.into_iter().enumerate() {
        let of = raw.into_override().map_err(|v| v.within(&format!("server.{i}")))?;
        conditions.overrides.push(of);
    }
    for (i, raw) in outages.into_iter().enumerate() {
        let outage = raw.into_outage().map_err(|v| v.within(&format!("outage.{i}")))?;
        conditions.outages.push(outage);
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::document::assert_refused;
    use crate::world::model::parsed as parse;

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

    #[test]
    fn what_is_written_reads_back_the_same() {
        let model = parse(TEXT).unwrap();
        assert_eq!(parse(&model.to_toml()).unwrap(), model);
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
        assert_refused(TEXT, parse, &cases);
    }

    const CONDITIONS: &str = r#"
schema = 1
ports = { first = 4000, count = 10 }
[error_rate]
draw = "per_replication"
family = "uniform"
low = 0.02
high = 0.75
[error_rate.posterior]
uniform = [[0.0, 0.5], [0.1, 0.6]]
[rate_limit]
kind = "none"
[latency]
family = "constant"
ms = 30.0
[capacity]
slots = 4
queue = 16
overload_ms = 0.5
[[server]]
servers = [3, 4]
latency_factor = 20.0
capacity = { slots = 1 }
[[server]]
servers = [0]
rate_limit = { kind = "token_bucket", per_second = 2.0, burst = 3 }
[[outage]]
from_s = 20.0
until_s = 30.0
servers = [2]
kind = "hang"
[[outage]]
from_s = 40
until_s = 45
kind = "fail"
latency_ms = 0.2
[[outage]]
from_s = 50.0
until_s = 51.0
servers = [0, 9]
kind = "refuse"
"#;

    #[test]
    fn conditions_read_back_as_they_were_written() {
        let model = parse(CONDITIONS).unwrap();
        let Conditions { capacity, overrides, outages } = &model.conditions;
        let four = Capacity { slots: 4, queue: Some(16), overload_ms: Some(0.5) };
        assert_eq!(capacity, &Some(four));
        let one = Capacity { slots: 1, queue: None, overload_ms: None };
        assert_eq!(overrides[0].capacity, Some(one));
        let limit = RateLimit::TokenBucket { per_second: 2.0, burst: 3.0 };
        assert_eq!((&overrides[1].servers[..], overrides[1].rate_limit), (&[0][..], Some(limit)));
        assert_eq!(outages[1].kind, OutageKind::Fail { latency_ms: Some(0.2) });
        assert_eq!(outages[2].kind, OutageKind::Refuse);
        assert!(model.has_rate_limit());
        let text = model.to_toml();
        assert_eq!(parse(&text).unwrap(), model, "{text}");
    }

    #[test]
    fn every_mistake_in_conditions_names_its_place_and_how_to_mend_it() {
        let cases = [
            ("slots = 4", "slots = 0", "m.toml:17:9", "leave [capacity] out"),
            ("slots = 4", "slot = 4", "m.toml:17:1", "did you mean `slots`?"),
            ("overload_ms = 0.5", "overload_ms = 0.0", "m.toml:19:15", "milliseconds from"),
            ("queue = 16", "queue = 2000000", "m.toml:18:9", "if everybody may wait"),
            ("servers = [3, 4]", "servers = [3, 12]", "m.toml:21:15", "from 0 to 9"),
            ("servers = [3, 4]", "servers = [3, 3]", "m.toml:21:15", "named twice"),
            ("servers = [3, 4]", "servers = []", "m.toml:21:11", "no server is named"),
            ("servers = [0]", "servers = [4]", "m.toml:25:12", "into one table"),
            ("servers = [0]\n", "", "m.toml:24:1", "servers"),
            ("= 20.0\ncap", "= -1.0\ncap", "m.toml:22:18", "0.001..=1,000,000"),
            ("burst = 3", "burst = 0", "m.toml:26:65", "at least 1"),
            ("burst = 3", "brust = 3", "m.toml:26:57", "did you mean `burst`?"),
            ("until_s = 30.0", "until_s = 20.0", "m.toml:29:11", "above `from_s`"),
            ("until_s = 30.0", "untl_s = 30.0", "m.toml:29:1", "did you mean `until_s`?"),
            ("from_s = 40", "from_s = -1", "m.toml:33:10", "seconds after the start"),
            ("\"hang\"", "\"hangs\"", "m.toml:31:8", "did you mean \"hang\"?"),
            ("\"fail\"", "\"hang\"", "m.toml:36:14", "does not belong to \"hang\""),
            ("kind = \"fail\"\n", "", "outage.1.kind", "`kind = ...`"),
            ("\"fail\"", "\"refuse\"", "m.toml:36:14", "does not belong to \"refuse\""),
            ("latency_ms = 0.2", "latency_ms = 0.0", "m.toml:36:14", "milliseconds from"),
            (
                "latency_factor = 20.0\ncapacity = { slots = 1 }\n",
                "",
                "server.0",
                "at least one of",
            ),
        ];
        assert_refused(CONDITIONS, parse, &cases);
    }
}
