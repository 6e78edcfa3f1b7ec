//! The luck tape: what the k-th accepted attempt at each server meets in one replication.
//!
//! Written when first needed, replayed by every strategy of the replication, which is what
//! makes their comparison paired and fast: the world is drawn once for all of them.

use rand_chacha::ChaCha8Rng;

use super::{Instance, Latency};
use crate::domain::{Outcome, Purpose, ServerId, Span, Streams};
use crate::stats::sample;

/// What an accepted attempt meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Luck {
    /// Success or failure.
    pub outcome: Outcome,
    /// How long the answer takes.
    pub latency: Span,
}

/// The luck of one replication.
#[derive(Debug)]
pub struct LuckTape {
    latency: Latency,
    servers: Vec<Track>,
}

#[derive(Debug)]
struct Track {
    error_rate: f64,
    rng: ChaCha8Rng,
    written: Vec<Luck>,
}

impl LuckTape {
    /// An empty tape for the servers of `instance`.
    pub fn new(
        instance: &Instance,
        latency: &Latency,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let servers = ServerId::all(instance.servers())
            .map(|server| Track {
                error_rate: instance.error_rates[server.index()],
                rng: streams.stream(Purpose::World, server.0, replication),
                written: Vec::new(),
            })
            .collect();
        Self { latency: latency.clone(), servers }
    }

    /// The luck of the `k`-th accepted attempt (from 0) at `server`.
    ///
    /// Each attempt owns two words of its server's stream, outcome first, then latency.
    #[inline]
    pub fn luck(&mut self, server: ServerId, k: usize) -> Luck {
        let track = &mut self.servers[server.index()];
        while track.written.len() <= k {
            let fails = sample::uniform01(&mut track.rng) < track.error_rate;
            let latency = self.latency.draw(fails, &mut track.rng);
            let outcome = if fails { Outcome::Failure } else { Outcome::Success };
            track.written.push(Luck { outcome, latency });
        }
        track.written[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{LatencyFamily, LogNormal};

    #[test]
    fn the_order_of_asking_does_not_change_the_luck() {
        let instance = Instance { error_rates: vec![0.3, 0.6], limiters: Vec::new() };
        let latency = Latency {
            success: LatencyFamily::LogNormal(LogNormal { median_ms: 1.0, sigma: 0.5 }),
            failure: Some(LatencyFamily::Constant { ms: 9.0 }),
            rate_limited_ms: None,
        };
        let tape = || LuckTape::new(&instance, &latency, &Streams::new(3), 8);
        let (mut forwards, mut backwards) = (tape(), tape());
        let a: Vec<Luck> = (0..50).map(|k| forwards.luck(ServerId(1), k)).collect();
        backwards.luck(ServerId(0), 20);
        let b: Vec<Luck> = (0..50).rev().map(|k| backwards.luck(ServerId(1), k)).collect();
        assert!(a.iter().eq(b.iter().rev()));
        assert!(a.contains(&forwards.luck(ServerId(1), 7)));
    }
}
