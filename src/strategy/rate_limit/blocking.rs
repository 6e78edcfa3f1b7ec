//! Thompson sampling with blocks that grow while refusals go on.
//!
//! Beliefs are Beta(s+1, f+1) as in `thompson`; a 429 does not touch them and blocks the server for
//! `block_s` times a multiplier: 1 at the first 429, doubled by each further one up to
//! `most_multiplier`, and 1 again after a success. (Failures and timeouts change nothing: they say
//! nothing of the limiter.) The newest 429 decides until when. When all are blocked, the one that
//! frees first is taken. Free attempts, attempts that cost and tried servers: see `closures.rs`.
//!
//! The doubling is the exponential backoff of Ethernet: R. M. Metcalfe and D. R. Boggs (1976),
//! Communications of the ACM 19, here a server at a time and without its coin flips.
//!
//! Limits: five seconds are long where a bucket gives a token several times a second; capacity goes
//! unused. Where all servers are limited, it settles on asking the one blocked least.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::closures::Closures;
use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, Span, Timestamp};
use crate::strategy::declared::{Declared, Entry, Group, Parameter, Range};
use crate::strategy::five::EXCLUDE_TRIED;
use crate::strategy::parts::Tallies;
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// Parameters of `blocking`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockingSpec {
    /// How long the first refusal blocks its server, in seconds (default 5, at least 0).
    pub block_s: f64,
    /// The largest multiple of it that further refusals lead to (default 4, at least 1).
    pub most_multiplier: f64,
    /// Leave out servers that the request has tried, in free attempts (default true).
    pub exclude_tried: bool,
}

impl Default for BlockingSpec {
    fn default() -> Self {
        Self { block_s: 5.0, most_multiplier: 4.0, exclude_tried: true }
    }
}

impl Declared for BlockingSpec {
    const ENTRY: Entry = Entry {
        name: "blocking",
        alias: None,
        group: Group::RateLimit,
        idea: "Thompson; refusals in a row block the server for longer and longer",
        parameters: &[
            Parameter {
                key: "block_s",
                meaning: "how long the first refusal (429) blocks its server, in seconds",
                range: Range::number(0.0, 3600.0, (0.1, 20.0)),
            },
            Parameter {
                key: "most_multiplier",
                meaning: "the largest multiple of block_s that refusals in a row lead to",
                range: Range::number(1.0, 1e6, (1.0, 16.0)),
            },
            EXCLUDE_TRIED,
        ],
    };

    fn build(self, fleet: &Fleet, rng: ChaCha8Rng) -> Box<dyn Strategy> {
        Box::new(Blocking::new(self, fleet.servers(), rng))
    }
}

/// Thompson sampling with blocks.
#[derive(Debug)]
pub struct Blocking {
    spec: BlockingSpec,
    blocks: Closures,
    /// The multiplier that the next refusal of each server gets.
    multipliers: Vec<f64>,
    /// Successes and failures; refusals are not counted.
    tallies: Tallies,
    rng: ChaCha8Rng,
}

impl Blocking {
    /// A fresh memory of `servers` servers.
    pub fn new(spec: BlockingSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self {
            spec,
            blocks: Closures::new(servers),
            multipliers: vec![1.0; servers],
            tallies: Tallies::new(servers),
            rng,
        }
    }
}

impl Strategy for Blocking {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        let Self { spec, blocks, tallies, rng, .. } = self;
        Decision::Send(blocks.thompson(now, request, spec.exclude_tried, rng, |server| {
            (tallies.successes_of(server), tallies.failures_of(server))
        }))
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let multiplier = &mut self.multipliers[attempt.server.index()];
        if outcome == Outcome::RateLimited {
            let span = Span::from_millis_f64(self.spec.block_s * *multiplier * 1e3);
            self.blocks.close(attempt.server, now, span);
            *multiplier = (*multiplier * 2.0).min(self.spec.most_multiplier);
            return;
        }
        if outcome.is_success() {
            *multiplier = 1.0;
        }
        self.tallies.record(attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.tallies.estimates()
    }
}

#[cfg(test)]
mod tests {
    use super::super::closures::testing::{decide_at, observe_at};
    use super::*;
    use crate::domain::{Purpose, Streams};

    fn blocking(servers: usize) -> Blocking {
        let rng = Streams::new(1).stream(Purpose::Strategy, 0, 0);
        Blocking::new(BlockingSpec::default(), servers, rng)
    }

    /// Whether server 0 is taken at some of many decisions.
    fn is_open(strategy: &mut Blocking, at_s: f64) -> bool {
        (0..50).any(|_| decide_at(strategy, at_s, &[]) == 0)
    }

    /// Refused at the end of each block: 5, 10, 20 and again 20 seconds; a failure changes
    /// nothing, a success starts anew at 5.
    #[test]
    fn blocks_double_up_to_four_times_and_start_anew_after_a_success() {
        let mut strategy = blocking(2);
        let mut at_s = 100.0;
        for length_s in [5.0, 10.0, 20.0, 20.0] {
            observe_at(&mut strategy, at_s, 0, Outcome::RateLimited);
            assert!(!is_open(&mut strategy, at_s + length_s - 0.001), "{length_s}");
            at_s += length_s;
            assert!(is_open(&mut strategy, at_s), "{length_s}");
            observe_at(&mut strategy, at_s, 0, Outcome::Failure);
        }
        observe_at(&mut strategy, at_s, 0, Outcome::Success);
        observe_at(&mut strategy, at_s, 0, Outcome::RateLimited);
        assert!(!is_open(&mut strategy, at_s + 4.999) && is_open(&mut strategy, at_s + 5.0));
        let known = strategy.estimates()[0];
        assert_eq!((known.attempts, known.successes), (5, 1), "refusals are not counted");
    }

    #[test]
    fn when_all_are_blocked_the_one_that_frees_first_is_taken() {
        let mut strategy = blocking(3);
        // Server 0 was refused first, but twice: it is blocked until 11, the others until 7 and 8.
        for (at_s, server) in [(0.5, 0), (1.0, 0), (3.0, 2), (2.0, 1)] {
            observe_at(&mut strategy, at_s, server, Outcome::RateLimited);
        }
        assert_eq!(decide_at(&mut strategy, 4.0, &[]), 1);
        assert_eq!(decide_at(&mut strategy, 4.0, &[1, 1, 1]), 1);
        assert_eq!(decide_at(&mut strategy, 7.5, &[1]), 1, "open again, tried or not");
    }
}
