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
    streams: Streams,
    replication: u64,
    servers: Vec<Track>,
}

#[derive(Debug)]
struct Track {
    error_rate: f64,
    /// Begun with the first attempt: of thousands of servers, most are never asked.
    stream: Option<Box<LuckStream>>,
    written: Vec<Luck>,
}

/// The luck of one server's accepted attempts, in order: what a tape writes down.
///
/// For a server that nobody replays, such as one that runs for days.
#[derive(Debug)]
pub struct LuckStream {
    error_rate: f64,
    rng: ChaCha8Rng,
}

impl LuckStream {
    /// The luck of `server` in a replication, from its first accepted attempt on.
    pub fn new(error_rate: f64, server: ServerId, streams: &Streams, replication: u64) -> Self {
        Self { error_rate, rng: streams.stream(Purpose::World, server.0, replication) }
    }

    /// The luck of the next accepted attempt.
    ///
    /// Each attempt owns two words of its server's stream, outcome first, then latency.
    #[inline]
    pub fn draw(&mut self, latency: &Latency) -> Luck {
        let fails = sample::uniform01(&mut self.rng) < self.error_rate;
        let latency = latency.draw(fails, &mut self.rng);
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        Luck { outcome, latency }
    }
}

impl LuckTape {
    /// An empty tape for the servers of `instance`.
    pub fn new(
        instance: &Instance,
        latency: &Latency,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let track =
            |error_rate: &f64| Track { error_rate: *error_rate, stream: None, written: Vec::new() };
        let servers = instance.error_rates.iter().map(track).collect();
        Self { latency: latency.clone(), streams: streams.clone(), replication, servers }
    }

    /// The luck of the `k`-th accepted attempt (from 0) at `server`.
    #[inline]
    pub fn luck(&mut self, server: ServerId, k: usize) -> Luck {
        let track = &mut self.servers[server.index()];
        if track.written.len() <= k {
            let (error_rate, replication) = (track.error_rate, self.replication);
            let begin = || LuckStream::new(error_rate, server, &self.streams, replication);
            let stream = track.stream.get_or_insert_with(|| Box::new(begin()));
            while track.written.len() <= k {
                track.written.push(stream.draw(&self.latency));
            }
        }
        track.written[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Conditions, LatencyFamily, LogNormal};

    #[test]
    fn of_ten_thousand_servers_only_those_that_are_asked_begin_a_stream() {
        let instance = Instance {
            error_rates: vec![0.3; 10_000],
            limiters: Vec::new(),
            conditions: Conditions::default(),
        };
        let latency: Latency = LatencyFamily::Constant { ms: 1.0 }.into();
        let mut tape = LuckTape::new(&instance, &latency, &Streams::new(3), 8);
        for server in [17, 9_999, 17] {
            tape.luck(ServerId(server), 0);
        }
        assert_eq!(tape.servers.iter().filter(|track| track.stream.is_some()).count(), 2);
    }

    #[test]
    fn the_order_of_asking_does_not_change_the_luck() {
        let instance = Instance {
            error_rates: vec![0.3, 0.6],
            limiters: Vec::new(),
            conditions: Conditions::default(),
        };
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
