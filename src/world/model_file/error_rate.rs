//! The `[error_rate]` table.

use serde::{Deserialize, Serialize};

use super::posterior::RawErrorPosterior;
use super::{need, only, raw_table, unknown};
use crate::world::{Draw, ErrorFamily, ErrorRate, Posterior, Violation};

raw_table!(RawErrorRate {
    draw: String, family: String;
    low: f64, high: f64, weight: f64, alpha: f64, beta: f64, second_alpha: f64, second_beta: f64,
    values: Vec<f64>, posterior: RawErrorPosterior
});

impl RawErrorRate {
    pub(super) fn into_error_rate(mut self) -> Result<ErrorRate, Violation> {
        const FAMILIES: [&str; 4] = ["uniform", "beta", "beta_mixture", "fixed"];
        let draw = match self.draw.as_str() {
            "per_replication" => Draw::PerReplication,
            "fixed" => Draw::Fixed,
            other => return Err(unknown("draw", other, &["per_replication", "fixed"])),
        };
        let posterior = match self.posterior.take() {
            Some(raw) => raw.into_posterior().map_err(|v| v.within("posterior"))?,
            None => Posterior::default(),
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
            "beta_mixture" => {
                let keys = ["weight", "alpha", "beta", "second_alpha", "second_beta"];
                only(&present, "beta_mixture", &keys)?;
                ErrorFamily::BetaMixture {
                    weight: need(self.weight, "weight")?,
                    alpha: need(self.alpha, "alpha")?,
                    beta: need(self.beta, "beta")?,
                    second_alpha: need(self.second_alpha, "second_alpha")?,
                    second_beta: need(self.second_beta, "second_beta")?,
                }
            }
            "fixed" => {
                only(&present, "fixed", &["values"])?;
                ErrorFamily::Fixed { values: need(self.values, "values")? }
            }
            other => return Err(unknown("family", other, &FAMILIES)),
        };
        Ok(ErrorRate { draw, family, posterior })
    }

    /// Everything but the posterior, which [`super::posterior::write`] writes.
    pub(super) fn from_error_rate(rate: &ErrorRate) -> Self {
        let draw = match rate.draw {
            Draw::PerReplication => "per_replication",
            Draw::Fixed => "fixed",
        };
        let mut raw = Self {
            draw: draw.to_owned(),
            family: String::new(),
            low: None,
            high: None,
            weight: None,
            alpha: None,
            beta: None,
            second_alpha: None,
            second_beta: None,
            values: None,
            posterior: None,
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
            ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => {
                raw.weight = Some(*weight);
                (raw.alpha, raw.beta) = (Some(*alpha), Some(*beta));
                (raw.second_alpha, raw.second_beta) = (Some(*second_alpha), Some(*second_beta));
                "beta_mixture"
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
