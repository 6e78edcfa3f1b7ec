//! Which servers would refuse now: what refusals (429) and acceptances taught of rate limits.
//!
//! Nothing is assumed of the kind of limit. What counts is a gap, sorted into half octaves: since
//! the server last accepted an attempt ("fresh"), or since it last refused one if it has not
//! accepted since ("spent"). Limits are monotone in the gap: a refusal after a gap counts for that
//! gap and all shorter ones, an acceptance for it and all longer ones. The chance of acceptance is
//! (accepted + m) / (accepted + refused + 1), where m is the same ratio over all servers (servers
//! tend to be configured alike); before anything is known of a gap, the time to recover is taken as
//! log-uniform between the longest gap refused and the shortest accepted. Thirty outcomes a cell are
//! remembered, so that limits may drift. A refusal never touches the belief in a server's
//! success rate.
//!
//! Limits: a limiter with a burst is seen as one that accepts sometimes; the attempt that finds it
//! empty is lost. With many requests in flight only the last acceptance counts.

use super::gaps::{BINS, Table, bin, lower_edge};
use crate::domain::{Attempt, Span, Timestamp};

/// Chance of acceptance after gaps that have been accepted before, on the first occasion.
const HOPE: f32 = 0.9;
/// Share of the newest duration in the mean duration of a failed attempt.
const NEWEST: f64 = 0.05;
/// Acceptance this likely is worth waiting for.
const WORTH_WAITING: f64 = 0.5;

#[derive(Debug, Clone)]
struct Server {
    last_accepted: Option<Timestamp>,
    last_sent: Timestamp,
    in_flight: u32,
    /// When it refused last, if it has not accepted since.
    refused_at: Option<Timestamp>,
    when_fresh: Table,
    when_spent: Table,
}

/// What is known of every server's rate limit.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    servers: Vec<Server>,
    /// Of all servers when fresh.
    fresh_pool: Table,
    /// One above the longest gap after which a fresh server ever refused, and the shortest after
    /// which one accepted.
    refused_below: usize,
    accepted_from: usize,
    /// Of all servers when spent.
    spent_pool: Table,
    refusals: u64,
    in_flight: u32,
    /// Mean duration of a failed attempt in nanoseconds: the gap that a retry would have.
    failure_ns: f64,
}

impl Recovery {
    /// Nothing known of `servers` servers.
    pub(super) fn new(servers: usize) -> Self {
        let server = Server {
            last_accepted: None,
            last_sent: Timestamp::ZERO,
            in_flight: 0,
            refused_at: None,
            when_fresh: Table::EMPTY,
            when_spent: Table::EMPTY,
        };
        Self {
            servers: vec![server; servers],
            fresh_pool: Table::EMPTY,
            refused_below: 0,
            accepted_from: BINS - 1,
            spent_pool: Table::EMPTY,
            refusals: 0,
            in_flight: 0,
            failure_ns: 1e6,
        }
    }

    /// Whether any server has ever refused.
    #[inline]
    pub(super) fn limits_seen(&self) -> bool {
        self.refusals > 0
    }

    /// Attempts in flight, to all servers.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Attempts in flight to one server.
    #[inline]
    pub(super) fn in_flight_to(&self, i: usize) -> u32 {
        self.servers[i].in_flight
    }

    /// The chance of acceptance by a fresh server before any outcome in this cell: the time to
    /// recover is log-uniform between the longest gap refused and the shortest accepted.
    #[inline]
    fn hope(&self, b: usize) -> f32 {
        if b >= self.accepted_from || self.refused_below == 0 {
            return HOPE;
        }
        let known = b.saturating_sub(self.refused_below) as f32;
        let open = self.accepted_from.saturating_sub(self.refused_below) as f32;
        HOPE * (known + 0.5) / (open + 1.0)
    }

    #[inline]
    fn pooled(&self, b: usize) -> f32 {
        self.fresh_pool.chance(b, self.hope(b))
    }

    #[inline]
    fn when_fresh(&self, server: &Server, b: usize) -> f32 {
        server.when_fresh.chance(b, self.pooled(b))
    }

    #[inline]
    fn when_spent(&self, server: &Server, b: usize) -> f32 {
        server.when_spent.chance(b, self.spent_pool.chance(b, self.pooled(b)))
    }

    /// When the server accepted last, attempts in flight taken as accepted.
    #[inline]
    fn last(server: &Server) -> Option<Timestamp> {
        let sent = (server.in_flight > 0).then_some(server.last_sent);
        server.last_accepted.max(sent)
    }

    /// The chance that the server accepts an attempt now.
    #[inline]
    pub(super) fn accepts(&self, i: usize, now: Timestamp) -> f64 {
        let server = &self.servers[i];
        let chance = if let Some(at) = server.refused_at {
            self.when_spent(server, bin(now.since(at)))
        } else {
            let b = Self::last(server).map_or(BINS - 1, |at| bin(now.since(at)));
            self.when_fresh(server, b)
        };
        f64::from(chance)
    }

    /// The chance that it accepts a retry after an attempt that is sent now and fails.
    #[inline]
    pub(super) fn accepts_retry(&self, i: usize) -> f64 {
        f64::from(self.when_fresh(&self.servers[i], bin(Span::from_nanos(self.failure_ns as u64))))
    }

    /// From when on the server is more likely to accept than not.
    pub(super) fn ready_at(&self, i: usize, now: Timestamp) -> Timestamp {
        let server = &self.servers[i];
        let since = match (server.refused_at, Self::last(server)) {
            (Some(at), _) | (None, Some(at)) => at,
            (None, None) => return now,
        };
        let likely = |b: &usize| {
            let spent = server.refused_at.is_some();
            let chance =
                if spent { self.when_spent(server, *b) } else { self.when_fresh(server, *b) };
            f64::from(chance) >= WORTH_WAITING
        };
        let current = bin(now.since(since));
        if likely(&current) {
            return now;
        }
        let ready = (current + 1..BINS).find(likely);
        ready.map_or(Timestamp::NEVER, |b| since + lower_edge(b))
    }

    /// An attempt leaves.
    pub(super) fn on_sent(&mut self, attempt: &Attempt) {
        let server = &mut self.servers[attempt.server.index()];
        server.in_flight += 1;
        server.last_sent = attempt.sent_at;
        self.in_flight += 1;
    }

    /// An attempt was accepted, whatever became of it.
    pub(super) fn on_accepted(&mut self, now: Timestamp, attempt: &Attempt, success: bool) {
        if !success {
            let ns = now.since(attempt.sent_at).as_nanos() as f64;
            self.failure_ns += NEWEST * (ns - self.failure_ns);
        }
        let Some(gap) = self.on_end(attempt) else { return };
        let server = &mut self.servers[attempt.server.index()];
        server.last_accepted = Some(attempt.sent_at);
        if let Some(at) = server.refused_at.take() {
            let b = bin(attempt.sent_at.since(at));
            server.when_spent.accept(b);
            self.spent_pool.accept(b);
        }
        // A fresh server would have accepted all the more.
        server.when_fresh.accept(gap);
        self.fresh_pool.accept(gap);
        self.accepted_from = self.accepted_from.min(gap);
    }

    /// An attempt was refused.
    pub(super) fn on_refused(&mut self, attempt: &Attempt) {
        self.refusals += 1;
        let Some(gap) = self.on_end(attempt) else { return };
        let server = &mut self.servers[attempt.server.index()];
        if let Some(at) = server.refused_at {
            let b = bin(attempt.sent_at.since(at));
            server.when_spent.refuse(b);
            self.spent_pool.refuse(b);
        } else {
            server.when_fresh.refuse(gap);
            self.fresh_pool.refuse(gap);
            self.refused_below = self.refused_below.max(gap + 1);
        }
        server.refused_at = Some(attempt.sent_at);
    }

    /// The half octave of the gap before an attempt that ended; none if a later attempt's
    /// acceptance is known already.
    fn on_end(&mut self, attempt: &Attempt) -> Option<usize> {
        let server = &mut self.servers[attempt.server.index()];
        server.in_flight = server.in_flight.saturating_sub(1);
        self.in_flight = self.in_flight.saturating_sub(1);
        match server.last_accepted {
            None => Some(BINS - 1),
            Some(at) if at <= attempt.sent_at => Some(bin(attempt.sent_at.since(at))),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::parts::testing::attempt;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    fn send(recovery: &mut Recovery, server: u16, ms: u64, accepted: bool) {
        let attempt = attempt(server, at(ms));
        recovery.on_sent(&attempt);
        if accepted {
            recovery.on_accepted(at(ms + 1), &attempt, false);
        } else {
            recovery.on_refused(&attempt);
        }
    }

    #[test]
    fn learns_that_a_retry_is_refused_and_the_next_request_is_not() {
        let mut r = Recovery::new(2);
        assert!(!r.limits_seen());
        for k in 0..5 {
            send(&mut r, 0, 100 * k, true);
            send(&mut r, 0, 100 * k + 2, false);
        }
        assert!(r.limits_seen());
        assert!(r.accepts(0, at(500)) > 0.8, "the limit is over");
        send(&mut r, 0, 500, true);
        assert!(r.accepts(0, at(502)) < 0.2 && r.accepts_retry(0) < 0.2);
        assert!(r.accepts(1, at(502)) > 0.8, "a server that was never asked is not suspected");
        send(&mut r, 1, 500, true);
        assert!(r.accepts(1, at(502)) < 0.3, "but servers tend to be configured alike");
    }

    #[test]
    fn a_server_that_accepts_retries_is_told_from_one_that_refuses_them() {
        let mut r = Recovery::new(2);
        for k in 0..10 {
            send(&mut r, 0, 100 * k, true);
            send(&mut r, 0, 100 * k + 2, false);
            send(&mut r, 1, 100 * k, true);
            send(&mut r, 1, 100 * k + 2, true);
        }
        send(&mut r, 0, 1000, true);
        send(&mut r, 1, 1000, true);
        assert!(r.accepts(0, at(1002)) < 0.15 && r.accepts(1, at(1002)) > 0.85);
    }

    #[test]
    fn between_refused_and_accepted_gaps_hope_rises_with_the_octaves() {
        let mut r = Recovery::new(1);
        for ms in [0, 100] {
            send(&mut r, 0, ms, true);
        }
        assert_eq!(r.hope(0), HOPE, "nobody has refused");
        send(&mut r, 0, 102, false);
        let (low, high) = (bin(Span::from_nanos(2 * MS)), bin(Span::from_nanos(100 * MS)));
        assert_eq!((r.refused_below, r.accepted_from), (low + 1, high));
        assert!(r.hope(low) < 0.1 && r.hope(high) == HOPE);
        let middle = r.hope((low + 1 + high) / 2);
        assert!((middle / HOPE - 0.5).abs() < 0.06, "{middle}");
        assert!((1..BINS).all(|b| r.hope(b) >= r.hope(b - 1)));
    }

    #[test]
    fn knows_when_a_server_will_be_ready() {
        let mut r = Recovery::new(1);
        assert_eq!(r.ready_at(0, at(7)), at(7));
        for k in 0..8 {
            send(&mut r, 0, 100 * k, true);
            send(&mut r, 0, 100 * k + 30, false);
            send(&mut r, 0, 100 * k + 60, false);
        }
        let ready = r.ready_at(0, at(761));
        assert!(ready > at(761) && ready <= at(800), "{ready:?}");
    }

    #[test]
    fn attempts_in_flight_count_as_accepted_and_outcomes_may_cross() {
        let mut r = Recovery::new(1);
        send(&mut r, 0, 0, true);
        send(&mut r, 0, 2, false);
        let attempt = |ms: u64| attempt(0, at(ms));
        r.on_sent(&attempt(100));
        r.on_sent(&attempt(300));
        assert_eq!((r.in_flight(), r.in_flight_to(0)), (2, 2));
        r.on_accepted(at(301), &attempt(300), true);
        r.on_accepted(at(302), &attempt(100), true);
        assert_eq!(r.servers[0].last_accepted, Some(at(300)));
        assert_eq!(r.in_flight(), 0);
    }
}
