//! Which servers would refuse now: what refusals (429) and acceptances taught of rate limits; and
//! what attempts in flight do.
//!
//! Nothing is assumed of the kind of limit. What counts is a gap, sorted into half octaves: since
//! the server last accepted an attempt ("fresh"), or since it last refused one if it has not
//! accepted since ("spent"). Limits are monotone in the gap: a refusal after a gap counts for that
//! gap and all shorter ones, an acceptance for it and all longer ones. The chance of acceptance is
//! (accepted + m) / (accepted + refused + 1), where m is the same ratio over all servers (servers
//! tend to be configured alike); before anything is known of a gap, the time to recover is taken as
//! log-uniform between the longest gap refused and the shortest accepted. Thirty outcomes a cell
//! are remembered, so that limits may drift. A refusal never touches the belief in a server's
//! success rate.
//!
//! Limits: a limiter with a burst is seen as one that accepts sometimes; the attempt that finds it
//! empty is lost. With many requests in flight only the last acceptance counts.

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
pub(crate) struct Recovery {
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
    pub(crate) fn new(servers: usize) -> Self {
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
    pub(crate) fn limits_seen(&self) -> bool {
        self.refusals > 0
    }

    /// Attempts in flight, to all servers.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Attempts in flight to one server.
    #[inline]
    pub(crate) fn in_flight_to(&self, i: usize) -> u32 {
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
    pub(crate) fn accepts(&self, i: usize, now: Timestamp) -> f64 {
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
    pub(crate) fn accepts_retry(&self, i: usize) -> f64 {
        f64::from(self.when_fresh(&self.servers[i], bin(Span::from_nanos(self.failure_ns as u64))))
    }

    /// From when on the server is more likely to accept than not.
    pub(crate) fn ready_at(&self, i: usize, now: Timestamp) -> Timestamp {
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
    pub(crate) fn on_sent(&mut self, attempt: &Attempt) {
        let server = &mut self.servers[attempt.server.index()];
        server.in_flight += 1;
        server.last_sent = attempt.sent_at;
        self.in_flight += 1;
    }

    /// An attempt was accepted, whatever became of it.
    pub(crate) fn on_accepted(&mut self, now: Timestamp, attempt: &Attempt, success: bool) {
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
    pub(crate) fn on_refused(&mut self, attempt: &Attempt) {
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

// ---- Acceptances and refusals by the length of a gap, in half octaves, monotone in the gap.
//
// Limits: gaps that differ by less than a half octave (up to 50 %) are not told apart.

/// Half octaves from 2^16 ns (66 microseconds) to 2^34 ns (17 seconds).
const BINS: usize = 36;
const FIRST_OCTAVE: u32 = 16;

/// Most outcomes that a cell remembers.
const MEMORY: f32 = 30.0;

/// Acceptances and refusals by gap.
#[derive(Debug, Clone, Copy)]
struct Table {
    accepted: [f32; BINS],
    refused: [f32; BINS],
}

impl Table {
    /// Nothing seen.
    const EMPTY: Self = Self { accepted: [0.0; BINS], refused: [0.0; BINS] };

    /// An acceptance after the gap `bin`; after longer ones it would have been accepted, too.
    fn accept(&mut self, bin: usize) {
        for b in bin..BINS {
            self.accepted[b] += 1.0;
            self.forget(b);
        }
    }

    /// A refusal after the gap `bin`; after shorter ones it would have been refused, too.
    fn refuse(&mut self, bin: usize) {
        for b in 0..=bin {
            self.refused[b] += 1.0;
            self.forget(b);
        }
    }

    #[inline]
    fn forget(&mut self, b: usize) {
        if self.accepted[b] + self.refused[b] > MEMORY {
            self.accepted[b] *= MEMORY / (MEMORY + 1.0);
            self.refused[b] *= MEMORY / (MEMORY + 1.0);
        }
    }

    /// The chance of acceptance, `prior` counting as one outcome.
    #[inline]
    fn chance(&self, b: usize, prior: f32) -> f32 {
        (self.accepted[b] + prior) / (self.accepted[b] + self.refused[b] + 1.0)
    }
}

/// The half octave of a gap.
#[inline]
fn bin(gap: Span) -> usize {
    let ns = gap.as_nanos() | 1;
    let octave = ns.ilog2();
    if octave < FIRST_OCTAVE {
        return 0;
    }
    let half = (ns >> (octave - 1) & 1) as usize;
    (2 * (octave - FIRST_OCTAVE) as usize + half).min(BINS - 1)
}

/// The shortest gap of a half octave.
fn lower_edge(bin: usize) -> Span {
    let octave = 1_u64 << (FIRST_OCTAVE as usize + bin / 2);
    Span::from_nanos(if bin.is_multiple_of(2) { octave } else { octave + octave / 2 })
}

// ---- How much attempts in flight to a server lower its chance of success.
//
// Servers with few slots fail when many requests are in service. The ratio of successes seen to
// successes that beliefs expected, by the number of other attempts in flight to the same server,
// over all servers; never above 1, 1 where nothing else is in flight, and never higher under more
// load than under less: what was well under a load is well under every smaller one.
//
// Limits: capacity is taken as equal over servers. The load is that at the end of an attempt, a
// proxy for the load that it met. Where load does no harm, learning that costs some attempts at
// servers that are not the best.

/// Loads told apart; the last stands for all higher ones.
const LEVELS: usize = 16;

/// Expected successes that the first belief counts for.
const INERTIA: f64 = 3.0;

/// Most expected successes that a level remembers.
const LOAD_MEMORY: f64 = 300.0;

/// The factor before anything was seen. Until the first answers are back nothing tells what a
/// server can take; half of what it takes alone with four others in flight keeps requests from
/// piling up at the best one meanwhile.
fn at_first(others: usize) -> f64 {
    4.0 / (4.0 + others as f64)
}

/// The effect of load.
#[derive(Debug, Clone)]
pub(crate) struct Crowding {
    seen: [f64; LEVELS],
    expected: [f64; LEVELS],
    factor: [f64; LEVELS],
}

impl Crowding {
    /// Nothing seen.
    pub(crate) fn unknown() -> Self {
        let zeros = [0.0; LEVELS];
        Self { seen: zeros, expected: zeros, factor: std::array::from_fn(at_first) }
    }

    /// The factor on the chance of success with `others` attempts in flight to the same server.
    #[inline]
    pub(crate) fn factor(&self, others: u32) -> f64 {
        self.factor[(others as usize).min(LEVELS - 1)]
    }

    /// Takes in an outcome of a server with success rate `rate`.
    pub(crate) fn observe(&mut self, others: u32, rate: f64, success: bool) {
        if others == 0 {
            return;
        }
        let level = (others as usize).min(LEVELS - 1);
        self.seen[level] += f64::from(u8::from(success));
        self.expected[level] += rate;
        if self.expected[level] > LOAD_MEMORY {
            let keep = LOAD_MEMORY / self.expected[level];
            self.seen[level] *= keep;
            self.expected[level] *= keep;
        }
        let mut above = 0.0_f64;
        for level in (1..LEVELS).rev() {
            let seen = self.seen[level] + INERTIA * at_first(level);
            above = above.max(seen / (self.expected[level] + INERTIA)).min(1.0);
            self.factor[level] = above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing::attempt;

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

    const PRIOR: f32 = 0.9;

    #[test]
    fn half_octaves_tile_the_gaps() {
        for b in 0..BINS {
            let edge = lower_edge(b).as_nanos();
            assert_eq!(bin(Span::from_nanos(edge)), b);
            if b > 0 {
                assert_eq!(bin(Span::from_nanos(edge - 1)), b - 1);
            }
        }
        assert_eq!((bin(Span::ZERO), bin(Span::from_nanos(u64::MAX))), (0, BINS - 1));
    }

    /// Evidence by a slow version: cells over all pairs of observation and cell.
    #[test]
    fn evidence_is_monotone_in_the_gap() {
        let mut table = Table::EMPTY;
        let seen = [(5, true), (3, false), (9, true), (4, false), (7, true)];
        for (b, accepted) in seen {
            if accepted { table.accept(b) } else { table.refuse(b) }
        }
        for b in 0..BINS {
            let accepted = seen.iter().filter(|(at, ok)| *ok && *at <= b).count();
            let refused = seen.iter().filter(|(at, ok)| !*ok && *at >= b).count();
            let expected = (accepted as f32 + PRIOR) / ((accepted + refused) as f32 + 1.0);
            assert_eq!(table.chance(b, PRIOR), expected);
            assert!(b == 0 || table.chance(b, PRIOR) >= table.chance(b - 1, PRIOR));
        }
    }

    #[test]
    fn one_attempt_at_a_time_is_never_discounted() {
        let mut load = Crowding::unknown();
        (0..1000).for_each(|_| load.observe(0, 0.9, false));
        assert_eq!(load.factor(0), 1.0);
        assert_eq!(load.factor(4), 0.5, "nothing was seen of load");
    }

    #[test]
    fn the_factor_is_successes_seen_over_successes_expected() {
        let mut load = Crowding::unknown();
        for k in 0..200 {
            load.observe(15, 0.8, k % 5 < 2);
        }
        let expected = (80.0 + 3.0 * 4.0 / 19.0) / (160.0 + 3.0);
        assert!((load.factor(15) - expected).abs() < 1e-9);
        assert_eq!(load.factor(99), load.factor(15));
    }

    #[test]
    fn what_goes_well_under_a_load_goes_well_under_less_and_says_nothing_of_more() {
        let mut load = Crowding::unknown();
        (0..100).for_each(|_| load.observe(6, 0.5, true));
        assert_eq!(load.factor(6), 1.0, "more successes than expected are no reason to pile up");
        assert_eq!(load.factor(2), 1.0);
        assert!((load.factor(7) - 4.0 / 11.0).abs() < 1e-12);
        (0..100).for_each(|_| load.observe(2, 0.5, false));
        assert_eq!(load.factor(2), 1.0);
    }
}
