//! The `[error_rate]` table.

use serde::{Deserialize, Serialize};

use super::{need, only, raw_table, unknown};
use crate::world::{Draw, ErrorFamily, ErrorRate, Violation};

raw_table!(RawErrorRate {
    draw: String, family: String;
    low: f64, high: f64, alpha: f64, beta: f64, values: Vec<f64>
});

impl RawErrorRate {
    pub(super) fn into_error_rate(self) -> Result<ErrorRate, Violation> {
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
