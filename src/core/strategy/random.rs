//! The reference row `random`: every attempt goes to a server drawn uniformly.
//!
//! The least that a strategy must beat; it learns nothing and excludes nothing.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use crate::stats::sample;
use crate::strategy::declared::declared;
use crate::strategy::{Decision, Strategy};

declared! {
    name: "random", group: Reference,
    idea: "a server drawn uniformly, whatever happened",
    build: |_, fleet, rng| Random::new(fleet.servers(), rng),
    pub struct RandomSpec {}
}

/// Uniform choice.
#[derive(Debug)]
pub struct Random {
    servers: usize,
    rng: ChaCha8Rng,
}

impl Random {
    /// Draws among `servers` servers.
    pub fn new(servers: usize, rng: ChaCha8Rng) -> Self {
        Self { servers, rng }
    }
}

impl Strategy for Random {
    fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
        Decision::Send(ServerId(sample::index_below(&mut self.rng, self.servers) as u16))
    }

    fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{decide, rng};

    /// Each share of 40,000 draws within 4.5 standard errors: false alarm 7e-5 for ten
    /// servers together, and the seed is fixed.
    #[test]
    fn every_server_gets_its_share() {
        let mut random = Random::new(10, rng());
        let mut counts = [0_u32; 10];
        for _ in 0..40_000 {
            counts[usize::from(decide(&mut random, 0, &[]))] += 1;
        }
        let tolerance = 4.5 * (40_000.0_f64 * 0.09).sqrt();
        assert!(counts.iter().all(|c| (f64::from(*c) - 4_000.0).abs() < tolerance), "{counts:?}");
    }
}
