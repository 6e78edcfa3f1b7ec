//! Thompson sampling with blocks that grow while refusals go on.
//!
//! Beliefs are Beta(s+1, f+1) as in `thompson`; a 429 does not touch them and blocks the server for
//! `block_s` times a multiplier: 1 at the first 429, doubled by each further one up to
//! `most_multiplier`, and 1 again after a success. (Failures and timeouts change nothing: they say
//! nothing of the limiter.) The newest 429 decides until when. When all are blocked, the one that
//! frees first is taken. Free attempts, attempts that cost and tried servers: see [`Closures`].
//!
//! The doubling is the exponential backoff of Ethernet: R. M. Metcalfe and D. R. Boggs (1976),
//! Communications of the ACM 19, here a server at a time and without its coin flips.
//!
//! Limits: five seconds are long where a bucket gives a token several times a second; capacity goes
//! unused. Where all servers are limited, it settles on asking the one blocked least.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Span, Timestamp};
use crate::stats::{Belief, UNIFORM_PRIOR, largest_draw};
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Tallies, first_max_where};
use crate::strategy::{Decision, ServerEstimate, Strategy};

declared! {
    name: "blocking", group: RateLimit,
    idea: "Thompson; refusals in a row block the server for longer and longer",
    build: |spec, fleet, rng| Blocking::new(spec, fleet.servers(), rng),
    pub struct BlockingSpec {
        /// how long the first refusal (429) blocks its server, in seconds
        block_s: f64 = 5.0, Range::number(0.0, 3600.0, (0.1, 20.0));
        /// the largest multiple of block_s that refusals in a row lead to
        most_multiplier: f64 = 4.0, Range::number(1.0, 1e6, (1.0, 16.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
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
            tallies.counts(tallies.class(server))
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

/// Which servers are left alone for a while, and Thompson sampling among the others.
///
/// The rule for attempts is V4's: free ones draw Beta(s+1, f+1) for each candidate and take the
/// largest, those that cost go to the highest s/n. Closed servers are left out first. Exclusions are
/// dropped in this order:
/// 1. When the request has tried every open server, tried ones are candidates again: an open
///    server may well succeed at the second attempt, a closed one is expected to refuse.
/// 2. When every server is closed, the one that opens first is taken, tried or not.
#[derive(Debug, Clone)]
pub(crate) struct Closures {
    /// The first moment at which the server is open again.
    until: Vec<Timestamp>,
}

impl Closures {
    /// All of `servers` servers are open.
    pub(crate) fn new(servers: usize) -> Self {
        Self { until: vec![Timestamp::ZERO; servers] }
    }

    /// Leaves `server` alone from `now` on.
    pub(crate) fn close(&mut self, server: ServerId, now: Timestamp, span: Span) {
        self.until[server.index()] = now + span;
    }

    fn is_open(&self, server: ServerId, now: Timestamp) -> bool {
        self.until[server.index()] <= now
    }

    /// The server whose closure ends first, the first on a tie.
    fn first_to_open(&self) -> ServerId {
        let all = ServerId::all(self.until.len());
        all.min_by_key(|server| self.until[server.index()]).unwrap_or(ServerId(0))
    }

    /// The server for the next attempt; `counts` gives a server's successes and failures.
    pub(crate) fn thompson(
        &self,
        now: Timestamp,
        request: &PendingRequest,
        exclude_tried: bool,
        rng: &mut ChaCha8Rng,
        counts: impl Fn(ServerId) -> (f64, f64),
    ) -> ServerId {
        let servers = self.until.len();
        let is_open = |server| self.is_open(server, now);
        if !request.is_free() {
            let best = first_max_where(servers, is_open, |server| success_rate(counts(server)));
            return best.unwrap_or_else(|| self.first_to_open());
        }
        let new = |server| is_open(server) && !(exclude_tried && request.tried.contains(server));
        let any_new = ServerId::all(servers).any(new);
        let is_candidate =
            |server: &ServerId| if any_new { new(*server) } else { is_open(*server) };
        let mut candidates = ServerId::all(servers).filter(is_candidate).peekable();
        if candidates.peek().is_none() {
            return self.first_to_open();
        }
        let counts = |server: usize| counts(ServerId(server as u16));
        let belief = |server| Belief::new(counts(server).0, counts(server).1);
        let candidates = candidates.map(|server| (server.index(), 1));
        let winner = largest_draw(rng, &UNIFORM_PRIOR, candidates, belief, counts);
        ServerId(winner.unwrap_or(0) as u16)
    }
}

/// s/n, an untried server counting 0.
fn success_rate((successes, failures): (f64, f64)) -> f64 {
    let attempts = successes + failures;
    if attempts == 0.0 { 0.0 } else { successes / attempts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::{decide_at, observe_at, rng};

    fn blocking(servers: usize) -> Blocking {
        Blocking::new(BlockingSpec::default(), servers, rng())
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
