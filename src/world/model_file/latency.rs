//! The `[latency]` table and its `[latency.failure]`.

use serde::{Deserialize, Serialize};

use super::{need, only, raw_table, unknown};
use crate::world::{Latency, LatencyFamily, LogNormal, LogNormals, Violation};

raw_table!(RawLatency {
    family: String;
    ms: f64, median_ms: f64, sigma: f64, tail_weight: f64, tail_median_ms: f64, tail_sigma: f64,
    weights: Vec<f64>, medians_ms: Vec<f64>, sigmas: Vec<f64>,
    shape: f64, threshold_ms: f64, tail_index: f64,
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
        const FAMILIES: [&str; 6] = [
            "constant",
            "lognormal",
            "lognormal_mixture",
            "lognormals",
            "log_logistic",
            "lognormal_pareto",
        ];
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
            "lognormals" => {
                only(&present, "lognormals", &["weights", "medians_ms", "sigmas"])?;
                Ok(LatencyFamily::LogNormals(self.parts()?))
            }
            "log_logistic" => {
                only(&present, "log_logistic", &["median_ms", "shape"])?;
                Ok(LatencyFamily::LogLogistic {
                    median_ms: need(self.median_ms, "median_ms")?,
                    shape: need(self.shape, "shape")?,
                })
            }
            "lognormal_pareto" => {
                let keys = ["median_ms", "sigma", "threshold_ms", "tail_weight", "tail_index"];
                only(&present, "lognormal_pareto", &keys)?;
                Ok(LatencyFamily::LogNormalPareto {
                    body: self.body()?,
                    threshold_ms: need(self.threshold_ms, "threshold_ms")?,
                    tail_weight: need(self.tail_weight, "tail_weight")?,
                    tail_index: need(self.tail_index, "tail_index")?,
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

    /// Lists of one length each, at most [`LogNormals::MOST`].
    fn parts(self) -> Result<LogNormals, Violation> {
        let weights = need(self.weights, "weights")?;
        let expected = |of: &str| format!("as many numbers as weights, one to five: {of}");
        if weights.is_empty() || weights.len() > LogNormals::MOST {
            let problem = format!("{} parts", weights.len());
            return Err(Violation::new("weights", problem, "one to five weights"));
        }
        let list = |values: Option<Vec<f64>>, key: &str| {
            let values = need(values, key)?;
            if values.len() == weights.len() {
                return Ok(values);
            }
            let problem = format!("{} values for {} weights", values.len(), weights.len());
            Err(Violation::new(key, problem, &expected(key)))
        };
        let medians_ms = list(self.medians_ms, "medians_ms")?;
        let sigmas = list(self.sigmas, "sigmas")?;
        let of = medians_ms.iter().zip(&sigmas);
        let of = of.map(|(median_ms, sigma)| LogNormal { median_ms: *median_ms, sigma: *sigma });
        let parts: Vec<_> = weights.iter().copied().zip(of).collect();
        Ok(LogNormals::of(&parts))
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
            weights: None,
            medians_ms: None,
            sigmas: None,
            shape: None,
            threshold_ms: None,
            tail_index: None,
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
            LatencyFamily::LogNormals(parts) => {
                raw.weights = Some(parts.iter().map(|(weight, _)| weight).collect());
                raw.medians_ms = Some(parts.iter().map(|(_, part)| part.median_ms).collect());
                raw.sigmas = Some(parts.iter().map(|(_, part)| part.sigma).collect());
                "lognormals"
            }
            LatencyFamily::LogLogistic { median_ms, shape } => {
                (raw.median_ms, raw.shape) = (Some(median_ms), Some(shape));
                "log_logistic"
            }
            LatencyFamily::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => {
                (raw.median_ms, raw.sigma) = (Some(body.median_ms), Some(body.sigma));
                (raw.threshold_ms, raw.tail_weight) = (Some(threshold_ms), Some(tail_weight));
                raw.tail_index = Some(tail_index);
                "lognormal_pareto"
            }
        };
        name.clone_into(&mut raw.family);
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Latency, Violation> {
        toml::from_str::<RawLatency>(text).unwrap().into_latency()
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
            let again = toml::to_string(&RawLatency::from_latency(&latency)).unwrap();
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
