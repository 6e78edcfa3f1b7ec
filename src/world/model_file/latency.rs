//! The `[latency]` table and its `[latency.failure]`.

use serde::{Deserialize, Serialize};

use super::{need, only, raw_table, unknown};
use crate::world::{Latency, LatencyFamily, LogNormal, Violation};

raw_table!(RawLatency {
    family: String;
    ms: f64, median_ms: f64, sigma: f64, tail_weight: f64, tail_median_ms: f64, tail_sigma: f64,
    rate_limited_ms: f64, failure: Box<RawLatency>
});

impl RawLatency {
    pub(super) fn into_latency(mut self) -> Result<Latency, Violation> {
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
                Ok(LatencyFamily::LogNormal(self.body()?))
            }
            "lognormal_mixture" => {
                let keys = ["median_ms", "sigma", "tail_weight", "tail_median_ms", "tail_sigma"];
                only(&present, "lognormal_mixture", &keys)?;
                Ok(LatencyFamily::LogNormalMixture {
                    body: self.body()?,
                    tail_weight: need(self.tail_weight, "tail_weight")?,
                    tail: LogNormal {
                        median_ms: need(self.tail_median_ms, "tail_median_ms")?,
                        sigma: need(self.tail_sigma, "tail_sigma")?,
                    },
                })
            }
            other => Err(unknown("family", other, &FAMILIES)),
        }
    }

    fn body(&self) -> Result<LogNormal, Violation> {
        Ok(LogNormal {
            median_ms: need(self.median_ms, "median_ms")?,
            sigma: need(self.sigma, "sigma")?,
        })
    }

    pub(super) fn from_latency(latency: &Latency) -> Self {
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
            LatencyFamily::LogNormal(one) => {
                (raw.median_ms, raw.sigma) = (Some(one.median_ms), Some(one.sigma));
                "lognormal"
            }
            LatencyFamily::LogNormalMixture { body, tail_weight, tail } => {
                (raw.median_ms, raw.sigma) = (Some(body.median_ms), Some(body.sigma));
                raw.tail_weight = Some(tail_weight);
                (raw.tail_median_ms, raw.tail_sigma) = (Some(tail.median_ms), Some(tail.sigma));
                "lognormal_mixture"
            }
        };
        name.clone_into(&mut raw.family);
        raw
    }
}
