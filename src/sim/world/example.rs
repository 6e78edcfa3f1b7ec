//! Small models written in code, for examples, documentation, tests and embedders.
//!
//! Whatever else a model may say is left at nothing; change it by struct update:
//!
//! ```
//! use flakelab_sim::world::{Model, RateLimit};
//!
//! let limit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
//! let model = Model { rate_limit: limit, ..Model::of_rates(&[0.1, 0.3, 0.5]) };
//! ```
//!
//! When not to use it: for real servers, whose models are fitted and stand in files.

use crate::world::conditions::Conditions;
use crate::world::error_rate::{Draw, ErrorFamily, ErrorRate};
use crate::world::latency::{Latency, LatencyFamily};
use crate::world::limiter::RateLimit;
use crate::world::model::{Declared, Model, Ports};
use crate::world::posterior::Posterior;

impl Model {
    /// Servers with these error rates, on ports from 4000 on, that answer after 1 ms and refuse
    /// nobody.
    pub fn of_rates(error_rates: &[f64]) -> Self {
        let values = error_rates.to_vec();
        Self {
            name: "example".to_owned(),
            ports: Ports { first: 4000, count: values.len() as u16 },
            declared: Declared::default(),
            error_rate: ErrorRate {
                draw: Draw::Fixed,
                family: ErrorFamily::Fixed { values },
                posterior: Posterior::default(),
            },
            rate_limit: RateLimit::None,
            rate_limit_posterior: Posterior::default(),
            latency: LatencyFamily::Constant { ms: 1.0 }.into(),
            conditions: Conditions::default(),
            provenance: toml::Table::new(),
        }
    }

    /// The same for so many servers whose error rates are drawn anew for each replication.
    pub fn of_population(servers: u16, family: ErrorFamily) -> Self {
        let error_rate =
            ErrorRate { draw: Draw::PerReplication, family, posterior: Posterior::default() };
        let ports = Ports { first: 4000, count: servers };
        Self { ports, error_rate, ..Self::of_rates(&[]) }
    }
}

impl From<LatencyFamily> for Latency {
    /// The same for failures, and no other time for refusals.
    fn from(success: LatencyFamily) -> Self {
        Self { success, failure: None, rate_limited_ms: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_models_like_others() {
        Model::of_rates(&[0.1, 0.9]).validate().unwrap();
        let uniform = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
        Model::of_population(10, uniform).validate().unwrap();
    }
}
