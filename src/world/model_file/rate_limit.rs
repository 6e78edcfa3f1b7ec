//! The `[rate_limit]` table.

use serde::{Deserialize, Serialize};

use super::posterior::RawLimitPosterior;
use super::{need, only, raw_table, unknown};
use crate::world::{Posterior, RateLimit, Violation};

raw_table!(RawRateLimit {
    kind: String;
    per_second: f64, burst: f64, limit: u32, window_s: f64, phase_s: f64, mean_per_second: f64,
    amplitude_per_second: f64, period_s: f64, phase: f64, posterior: RawLimitPosterior
});

impl RawRateLimit {
    /// The posterior, which is taken out.
    pub(super) fn take_posterior(&mut self) -> Result<Posterior<RateLimit>, Violation> {
        match self.posterior.take() {
            Some(raw) => raw.into_posterior().map_err(|v| v.within("posterior")),
            None => Ok(Posterior::default()),
        }
    }

    pub(super) fn into_rate_limit(self) -> Result<RateLimit, Violation> {
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

    /// The table without its posterior, which [`super::posterior::write`] writes.
    pub(super) fn from_rate_limit(limit: &RateLimit) -> Self {
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
            posterior: None,
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
