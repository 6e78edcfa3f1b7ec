//! What refusals and acceptances teach, gap by gap.

use super::*;
use crate::domain::{AttemptId, RequestId, ServerId};

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * MS)
}

fn send(recovery: &mut Recovery, server: u16, ms: u64, accepted: bool) {
    let attempt = Attempt {
        id: AttemptId(0),
        request: RequestId(0),
        number: 0,
        server: ServerId(server),
        sent_at: at(ms),
    };
    recovery.on_sent(&attempt);
    if accepted {
        recovery.on_accepted(at(ms + 1), &attempt, false);
    } else {
        recovery.on_refused(&attempt);
    }
}

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
        let expected = (accepted as f32 + HOPE) / ((accepted + refused) as f32 + 1.0);
        assert_eq!(table.chance(b, HOPE), expected);
        assert!(b == 0 || table.chance(b, HOPE) >= table.chance(b - 1, HOPE));
    }
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
    let attempt = |ms: u64| Attempt {
        id: AttemptId(0),
        request: RequestId(0),
        number: 0,
        server: ServerId(0),
        sent_at: at(ms),
    };
    r.on_sent(&attempt(100));
    r.on_sent(&attempt(300));
    assert_eq!((r.in_flight(), r.in_flight_to(0)), (2, 2));
    r.on_accepted(at(301), &attempt(300), true);
    r.on_accepted(at(302), &attempt(100), true);
    assert_eq!(r.servers[0].last_accepted, Some(at(300)));
    assert_eq!(r.in_flight(), 0);
}
