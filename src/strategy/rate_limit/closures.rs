//! Which servers are left alone for a while, and Thompson sampling among the others.
//!
//! The rule for attempts is V4's (see `five::thompson`): free ones draw Beta(s+1, f+1) for each
//! candidate and take the largest, those that cost go to the highest s/n. Closed servers are left
//! out first. Exclusions are dropped in this order:
//! 1. When the request has tried every open server, tried ones are candidates again: an open
//!    server may well succeed at the second attempt, a closed one is expected to refuse.
//! 2. When every server is closed, the one that opens first is taken, tried or not.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId, Span, Timestamp};
use crate::stats::sample;
use crate::strategy::parts::first_max_where;

/// Until when each server is closed.
#[derive(Debug, Clone)]
pub(super) struct Closures {
    /// The first moment at which the server is open again.
    until: Vec<Timestamp>,
}

impl Closures {
    /// All of `servers` servers are open.
    pub(super) fn new(servers: usize) -> Self {
        Self { until: vec![Timestamp::ZERO; servers] }
    }

    /// Leaves `server` alone from `now` on.
    pub(super) fn close(&mut self, server: ServerId, now: Timestamp, span: Span) {
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
    pub(super) fn thompson(
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
        let mut draw = |server| {
            let (successes, failures) = counts(server);
            sample::beta(rng, successes + 1.0, failures + 1.0)
        };
        let new = |server| is_open(server) && !(exclude_tried && request.tried.contains(server));
        first_max_where(servers, new, &mut draw)
            .or_else(|| first_max_where(servers, is_open, &mut draw))
            .unwrap_or_else(|| self.first_to_open())
    }
}

/// s/n, an untried server counting 0.
fn success_rate((successes, failures): (f64, f64)) -> f64 {
    let attempts = successes + failures;
    if attempts == 0.0 { 0.0 } else { successes / attempts }
}
