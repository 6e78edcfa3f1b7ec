//! The truth of one replication: each server's error rate and its limiter.

use super::{Draw, ErrorFamily, Limiter, Model};
use crate::domain::{Purpose, Streams};
use crate::stats::{sample, special};

/// One draw of the servers that a model describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Probability that an accepted attempt fails, per server.
    pub error_rates: Vec<f64>,
    /// Limiters as they are at the start of a run, per server.
    pub limiters: Vec<Limiter>,
}

impl Instance {
    /// The servers of one replication. Each server owns two words of the stream, error rate
    /// first, then limiter phase, whatever the model's families are.
    pub fn draw(model: &Model, streams: &Streams, replication: u64) -> Self {
        let per_replication = streams.stream(Purpose::Instance, 0, replication);
        let mut rates_rng = match model.error_rate.draw {
            Draw::PerReplication => per_replication.clone(),
            Draw::Fixed => streams.stream(Purpose::Instance, 0, 0),
        };
        let mut phases_rng = per_replication;
        let mut error_rates = Vec::with_capacity(model.servers());
        let mut limiters = Vec::with_capacity(model.servers());
        for server in 0..model.servers() {
            error_rates.push(error_rate(
                &model.error_rate.family,
                server,
                sample::uniform_open(&mut rates_rng),
            ));
            sample::uniform01(&mut rates_rng);
            sample::uniform01(&mut phases_rng);
            limiters.push(model.rate_limit.limiter(sample::uniform01(&mut phases_rng)));
        }
        Self { error_rates, limiters }
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.error_rates.len()
    }
}

/// The error rate that the word `u` in (0, 1) stands for, by inversion.
fn error_rate(family: &ErrorFamily, server: usize, u: f64) -> f64 {
    match family {
        ErrorFamily::Uniform { low, high } => low + (high - low) * u,
        ErrorFamily::Beta { alpha, beta } => special::inv_inc_beta(*alpha, *beta, u),
        ErrorFamily::Fixed { values } => values[server],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Latency, LatencyFamily, Ports, RateLimit};

    fn model(draw: Draw, family: ErrorFamily) -> Model {
        Model {
            name: "test".into(),
            ports: Ports { first: 4000, count: 10 },
            error_rate: crate::world::ErrorRate { draw, family },
            rate_limit: RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None },
            latency: Latency {
                success: LatencyFamily::Constant { ms: 1.0 },
                failure: None,
                rate_limited_ms: None,
            },
            provenance: toml::Table::new(),
        }
    }

    const UNIFORM: ErrorFamily = ErrorFamily::Uniform { low: 0.02, high: 0.75 };

    #[test]
    fn fixed_rates_are_shared_by_replications_while_phases_are_not() {
        let streams = Streams::new(1);
        let fixed = model(Draw::Fixed, UNIFORM);
        let (a, b) = (Instance::draw(&fixed, &streams, 0), Instance::draw(&fixed, &streams, 1));
        assert_eq!(a.error_rates, b.error_rates);
        assert_ne!(a.limiters, b.limiters);
        let fresh = Instance::draw(&model(Draw::PerReplication, UNIFORM), &streams, 1);
        assert_ne!(a.error_rates, fresh.error_rates);
        assert_eq!(b.limiters, fresh.limiters);
    }

    /// Mean of 4,000 draws within 4.5 standard errors (false alarm 7e-6), fixed seed.
    #[test]
    fn beta_rates_have_the_mean_of_their_population() {
        let streams = Streams::new(1);
        let beta = model(Draw::PerReplication, ErrorFamily::Beta { alpha: 2.0, beta: 3.0 });
        let sum: f64 = (0..400).flat_map(|r| Instance::draw(&beta, &streams, r).error_rates).sum();
        let standard_error = (0.04_f64 / 4_000.0).sqrt();
        assert!((sum / 4_000.0 - 0.4).abs() < 4.5 * standard_error, "{}", sum / 4_000.0);
    }
}
