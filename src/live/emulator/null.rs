//! A server of which everything is known: it measures the path to it.

use crate::world::{
    Conditions, Draw, ErrorFamily, ErrorRate, Latency, LatencyFamily, Model, Ports, Posterior,
    RateLimit,
};

/// One server on port 4000 in the model. It answers after exactly 1 ms, fails every second attempt
/// on average, so that retries are measured too, and never refuses.
#[must_use]
pub fn null_model() -> Model {
    Model {
        name: "null".to_owned(),
        ports: Ports { first: 4000, count: 1 },
        declared: crate::world::Declared::default(),
        error_rate: ErrorRate {
            draw: Draw::Fixed,
            family: ErrorFamily::Fixed { values: vec![0.5] },
            posterior: Posterior::default(),
        },
        rate_limit: RateLimit::None,
        rate_limit_posterior: Posterior::default(),
        latency: Latency {
            success: LatencyFamily::Constant { ms: 1.0 },
            failure: None,
            rate_limited_ms: None,
        },
        conditions: Conditions::default(),
        provenance: toml::Table::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_model_like_others() {
        null_model().validate().unwrap();
    }
}
