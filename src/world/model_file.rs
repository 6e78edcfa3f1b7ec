//! Models as TOML: the raw tables, what belongs to which family, reading and writing.
//!
//! The raw structs list every key there is, so that serde finds unknown ones with their place
//! in the file; which keys a family needs is checked here, one by one, by name.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    Document, DocumentError, Draw, ErrorFamily, ErrorRate, Latency, LatencyFamily, Model, Ports,
    RateLimit, Violation,
};
use crate::domain::closest_name;

/// The version of the model format that this program reads and writes.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    schema: u32,
    ports: RawPorts,
    error_rate: RawErrorRate,
    rate_limit: RawRateLimit,
    latency: RawLatency,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    provenance: toml::Table,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPorts {
    first: u16,
    count: u16,
}

/// Optional keys with a `Default` in one line each.
macro_rules! raw_table {
    ($name:ident { $($required:ident: $rtype:ty),* ; $($optional:ident: $otype:ty),* $(,)? }) => {
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($required: $rtype,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")]
            $optional: Option<$otype>,)*
        }

        impl $name {
            /// Keys that are present, besides the required ones.
            fn present(&self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(if self.$optional.is_some() { keys.push(stringify!($optional)); })*
                keys
            }
        }
    };
}

raw_table!(RawErrorRate {
    draw: String, family: String;
    low: f64, high: f64, alpha: f64, beta: f64, values: Vec<f64>
});

raw_table!(RawRateLimit {
    kind: String;
    per_second: f64, burst: f64, limit: u32, window_s: f64, phase_s: f64, mean_per_second: f64,
    amplitude_per_second: f64, period_s: f64, phase: f64
});

raw_table!(RawLatency {
    family: String;
    ms: f64, median_ms: f64, sigma: f64, tail_weight: f64, tail_median_ms: f64, tail_sigma: f64,
    rate_limited_ms: f64, failure: Box<RawLatency>
});

impl Model {
    /// Reads a model; its name is the file's stem.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Self::parse(&name, &Document::read(path)?)
    }

    /// The model in a document.
    pub fn parse(name: &str, document: &Document) -> Result<Self, DocumentError> {
        let raw: RawModel = document.parse()?;
        let model = raw.into_model(name).map_err(|v| document.violation(&v))?;
        model.validate().map_err(|v| document.violation(&v))?;
        Ok(model)
    }

    /// The model as a TOML document that [`Model::parse`] reads back.
    pub fn to_toml(&self) -> String {
        // Serialising plain numbers, strings and tables to a string cannot fail.
        toml::to_string(&RawModel::from_model(self)).unwrap_or_default()
    }
}

impl RawModel {
    fn into_model(self, name: &str) -> Result<Model, Violation> {
        if self.schema != SCHEMA {
            let problem = format!("schema {} is not known", self.schema);
            return Err(Violation::new("schema", problem, "1"));
        }
        Ok(Model {
            name: name.to_owned(),
            ports: Ports { first: self.ports.first, count: self.ports.count },
            error_rate: self.error_rate.into_error_rate().map_err(|v| v.within("error_rate"))?,
            rate_limit: self.rate_limit.into_rate_limit().map_err(|v| v.within("rate_limit"))?,
            latency: self.latency.into_latency().map_err(|v| v.within("latency"))?,
            provenance: self.provenance,
        })
    }

    fn from_model(model: &Model) -> Self {
        Self {
            schema: SCHEMA,
            ports: RawPorts { first: model.ports.first, count: model.ports.count },
            error_rate: RawErrorRate::from_error_rate(&model.error_rate),
            rate_limit: RawRateLimit::from_rate_limit(&model.rate_limit),
            latency: RawLatency::from_latency(&model.latency),
            provenance: model.provenance.clone(),
        }
    }
}

impl RawErrorRate {
    fn into_error_rate(self) -> Result<ErrorRate, Violation> {
        let draw = match self.draw.as_str() {
            "per_replication" => Draw::PerReplication,
            "fixed" => Draw::Fixed,
            other => return Err(unknown("draw", other, &["per_replication", "fixed"])),
        };
        let present = self.present();
        let family = match self.family.as_str() {
            "uniform" => {
                only(&present, "uniform", &["low", "high"])?;
                let (low, high) = (need(self.low, "low")?, need(self.high, "high")?);
                ErrorFamily::Uniform { low, high }
            }
            "beta" => {
                only(&present, "beta", &["alpha", "beta"])?;
                let (alpha, beta) = (need(self.alpha, "alpha")?, need(self.beta, "beta")?);
                ErrorFamily::Beta { alpha, beta }
            }
            "fixed" => {
                only(&present, "fixed", &["values"])?;
                ErrorFamily::Fixed { values: need(self.values, "values")? }
            }
            other => return Err(unknown("family", other, &["uniform", "beta", "fixed"])),
        };
        Ok(ErrorRate { draw, family })
    }

    fn from_error_rate(rate: &ErrorRate) -> Self {
        let draw = match rate.draw {
            Draw::PerReplication => "per_replication",
            Draw::Fixed => "fixed",
        };
        let mut raw = Self {
            draw: draw.to_owned(),
            family: String::new(),
            low: None,
            high: None,
            alpha: None,
            beta: None,
            values: None,
        };
        let family = match &rate.family {
            ErrorFamily::Uniform { low, high } => {
                (raw.low, raw.high) = (Some(*low), Some(*high));
                "uniform"
            }
            ErrorFamily::Beta { alpha, beta } => {
                (raw.alpha, raw.beta) = (Some(*alpha), Some(*beta));
                "beta"
            }
            ErrorFamily::Fixed { values } => {
                raw.values = Some(values.clone());
                "fixed"
            }
        };
        family.clone_into(&mut raw.family);
        raw
    }
}

impl RawRateLimit {
    fn into_rate_limit(self) -> Result<RateLimit, Violation> {
        const KINDS: [&str; 5] =
            ["none", "fixed_window", "sliding_window", "token_bucket", "sinusoidal"];
        let present = self.present();
        match self.kind.as_str() {
            "none" => {
                only(&present, "none", &[])?;
                Ok(RateLimit::None)
            }
            "fixed_window" => {
                only(&present, "fixed_window", &["limit", "window_s", "phase_s"])?;
                Ok(RateLimit::FixedWindow {
                    limit: need(self.limit, "limit")?,
                    window_s: need(self.window_s, "window_s")?,
                    phase_s: self.phase_s,
                })
            }
            "sliding_window" => {
                only(&present, "sliding_window", &["limit", "window_s"])?;
                Ok(RateLimit::SlidingWindow {
                    limit: need(self.limit, "limit")?,
                    window_s: need(self.window_s, "window_s")?,
                })
            }
            "token_bucket" => {
                only(&present, "token_bucket", &["per_second", "burst"])?;
                Ok(RateLimit::TokenBucket {
                    per_second: need(self.per_second, "per_second")?,
                    burst: need(self.burst, "burst")?,
                })
            }
            "sinusoidal" => {
                let keys =
                    ["mean_per_second", "amplitude_per_second", "period_s", "burst", "phase"];
                only(&present, "sinusoidal", &keys)?;
                Ok(RateLimit::Sinusoidal {
                    mean_per_second: need(self.mean_per_second, "mean_per_second")?,
                    amplitude_per_second: need(self.amplitude_per_second, "amplitude_per_second")?,
                    period_s: need(self.period_s, "period_s")?,
                    burst: need(self.burst, "burst")?,
                    phase: self.phase,
                })
            }
            other => Err(unknown("kind", other, &KINDS)),
        }
    }

    fn from_rate_limit(limit: &RateLimit) -> Self {
        let mut raw = Self {
            kind: String::new(),
            per_second: None,
            burst: None,
            limit: None,
            window_s: None,
            phase_s: None,
            mean_per_second: None,
            amplitude_per_second: None,
            period_s: None,
            phase: None,
        };
        let kind = match *limit {
            RateLimit::None => "none",
            RateLimit::FixedWindow { limit, window_s, phase_s } => {
                (raw.limit, raw.window_s, raw.phase_s) = (Some(limit), Some(window_s), phase_s);
                "fixed_window"
            }
            RateLimit::SlidingWindow { limit, window_s } => {
                (raw.limit, raw.window_s) = (Some(limit), Some(window_s));
                "sliding_window"
            }
            RateLimit::TokenBucket { per_second, burst } => {
                (raw.per_second, raw.burst) = (Some(per_second), Some(burst));
                "token_bucket"
            }
            RateLimit::Sinusoidal {
                mean_per_second,
                amplitude_per_second,
                period_s,
                burst,
                phase,
            } => {
                raw.mean_per_second = Some(mean_per_second);
                raw.amplitude_per_second = Some(amplitude_per_second);
                (raw.period_s, raw.burst, raw.phase) = (Some(period_s), Some(burst), phase);
                "sinusoidal"
            }
        };
        kind.clone_into(&mut raw.kind);
        raw
    }
}

impl RawLatency {
    fn into_latency(mut self) -> Result<Latency, Violation> {
        let rate_limited_ms = self.rate_limited_ms.take();
        let failure = match self.failure.take() {
            Some(failure) => Some(failure.into_family().map_err(|v| v.within("failure"))?),
            None => None,
        };
        Ok(Latency { success: self.into_family()?, failure, rate_limited_ms })
    }

    fn into_family(self) -> Result<LatencyFamily, Violation> {
        const FAMILIES: [&str; 3] = ["constant", "lognormal", "lognormal_mixture"];
        let present = self.present();
        match self.family.as_str() {
            "constant" => {
                only(&present, "constant", &["ms"])?;
                Ok(LatencyFamily::Constant { ms: need(self.ms, "ms")? })
            }
            "lognormal" => {
                only(&present, "lognormal", &["median_ms", "sigma"])?;
                Ok(LatencyFamily::LogNormal {
                    median_ms: need(self.median_ms, "median_ms")?,
                    sigma: need(self.sigma, "sigma")?,
                })
            }
            "lognormal_mixture" => {
                let keys = ["median_ms", "sigma", "tail_weight", "tail_median_ms", "tail_sigma"];
                only(&present, "lognormal_mixture", &keys)?;
                Ok(LatencyFamily::LogNormalMixture {
                    median_ms: need(self.median_ms, "median_ms")?,
                    sigma: need(self.sigma, "sigma")?,
                    tail_weight: need(self.tail_weight, "tail_weight")?,
                    tail_median_ms: need(self.tail_median_ms, "tail_median_ms")?,
                    tail_sigma: need(self.tail_sigma, "tail_sigma")?,
                })
            }
            other => Err(unknown("family", other, &FAMILIES)),
        }
    }

    fn from_latency(latency: &Latency) -> Self {
        let mut raw = Self::from_family(latency.success);
        raw.rate_limited_ms = latency.rate_limited_ms;
        raw.failure = latency.failure.map(|family| Box::new(Self::from_family(family)));
        raw
    }

    fn from_family(family: LatencyFamily) -> Self {
        let mut raw = Self {
            family: String::new(),
            ms: None,
            median_ms: None,
            sigma: None,
            tail_weight: None,
            tail_median_ms: None,
            tail_sigma: None,
            rate_limited_ms: None,
            failure: None,
        };
        let name = match family {
            LatencyFamily::Constant { ms } => {
                raw.ms = Some(ms);
                "constant"
            }
            LatencyFamily::LogNormal { median_ms, sigma } => {
                (raw.median_ms, raw.sigma) = (Some(median_ms), Some(sigma));
                "lognormal"
            }
            LatencyFamily::LogNormalMixture {
                median_ms,
                sigma,
                tail_weight,
                tail_median_ms,
                tail_sigma,
            } => {
                (raw.median_ms, raw.sigma) = (Some(median_ms), Some(sigma));
                raw.tail_weight = Some(tail_weight);
                (raw.tail_median_ms, raw.tail_sigma) = (Some(tail_median_ms), Some(tail_sigma));
                "lognormal_mixture"
            }
        };
        name.clone_into(&mut raw.family);
        raw
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
            ("count = 10", "count = 200", "m.toml:3:33", "1 to 128"),
            ("tail_weight = 0.05", "tail_weight = 2", "m.toml:22:15", "0..1"),
            ("schema = 1", "schema = 2", "m.toml:2:10", "expected 1"),
        ];
        for (from, to, place, mend) in cases {
            let message = error(from, to);
            assert!(message.contains(place) && message.contains(mend), "{to}:\n{message}");
        }
    }
}
