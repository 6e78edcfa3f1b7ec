//! Random streams: one ChaCha8 stream for each (purpose, server, replication).
//!
//! The key comes from the master seed alone. Neither scenario nor strategy enters the
//! world's streams, so all strategies meet the same servers and the same luck (common random
//! numbers; Law, "Simulation Modeling and Analysis", chapter 11), and no result depends on
//! which thread did what.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// The servers' error rates and limiter phases of a replication.
    Instance = 0,
    /// The luck of each server's attempts.
    World = 1,
    /// A strategy's own coin flips; the "server" is then the `strategy_stream`.
    Strategy = 2,
    /// Arrival times.
    Traffic = 3,
    /// Resampling and simulation inside an analysis (bootstrap, Monte-Carlo tests).
    Analysis = 4,
    /// The order in which strategies see the servers.
    Order = 5,
}

/// The source of every random number of a run.
#[derive(Debug, Clone)]
pub struct Streams {
    root: ChaCha8Rng,
}

impl Streams {
    /// All streams that belong to a master seed.
    pub fn new(master_seed: u64) -> Self {
        Self { root: ChaCha8Rng::seed_from_u64(master_seed) }
    }

    /// The stream for one purpose, server and replication, at its beginning.
    ///
    /// The 64-bit ChaCha stream number is purpose (8 bits), server (16 bits), replication
    /// (40 bits; higher bits are dropped, 10^12 replications are told apart).
    #[inline]
    pub fn stream(&self, purpose: Purpose, server: u16, replication: u64) -> ChaCha8Rng {
        let mut rng = self.root.clone();
        let number =
            (purpose as u64) << 56 | u64::from(server) << 40 | replication & ((1 << 40) - 1);
        rng.set_stream(number);
        rng
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_stream_is_the_same_whenever_it_is_asked_for() {
        let streams = Streams::new(42);
        let first = streams.stream(Purpose::World, 3, 7).next_u64();
        streams.stream(Purpose::World, 4, 7).next_u64();
        assert_eq!(streams.stream(Purpose::World, 3, 7).next_u64(), first);
    }

    #[test]
    fn streams_differ_by_purpose_server_replication_and_seed() {
        let words = [
            Streams::new(42).stream(Purpose::World, 3, 7).next_u64(),
            Streams::new(42).stream(Purpose::Strategy, 3, 7).next_u64(),
            Streams::new(42).stream(Purpose::World, 4, 7).next_u64(),
            Streams::new(42).stream(Purpose::World, 3, 8).next_u64(),
            Streams::new(43).stream(Purpose::World, 3, 7).next_u64(),
        ];
        for (i, a) in words.iter().enumerate() {
            assert!(words[i + 1..].iter().all(|b| a != b));
        }
    }
}
