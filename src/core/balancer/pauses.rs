//! Servers that refuse connections are left alone for a while.
//!
//! A refused connection costs next to no time, so a balancer that tries again at once makes
//! thousands of attempts in the second in which a server is started anew. A server that refused one
//! gets nothing until a pause has passed. With each further refusal in a row the pause is twice as
//! long, up to [`LONGEST`] times the first; any answer ends the row. Attempts that were under way
//! when a pause began say nothing new when they are refused too.
//!
//! It is the exponential backoff of RFC 9293 (3.8.1) and of gRPC ("Connection Backoff Protocol")
//! with times for servers on the same network. No chance is added to the pauses: one balancer has
//! nobody to fall into step with.
//!
//! When not to use it: for servers that fail, refuse with 429 or hang. That costs time of itself,
//! and strategies learn from it.

use std::collections::BTreeMap;

use crate::domain::{Attempt, Cause, Outcome, ServerId, Span, Timestamp};

/// The longest pause is so many times the first.
const LONGEST: u64 = 10;

/// Servers whose last connection was refused.
#[derive(Debug)]
pub(crate) struct Pauses {
    /// Zero: there are no pauses.
    first: Span,
    /// Empty as long as nobody refuses, which is all that most runs ask.
    servers: BTreeMap<ServerId, Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Span,
    until: Timestamp,
}

impl Pauses {
    pub(crate) const fn new(first: Span) -> Self {
        Self { first, servers: BTreeMap::new() }
    }

    /// An attempt ended.
    #[inline]
    pub(crate) fn record(
        &mut self,
        now: Timestamp,
        attempt: &Attempt,
        outcome: Outcome,
        cause: Cause,
    ) {
        match cause {
            Cause::Refused => self.refused(now, attempt),
            // Silence is no answer.
            _ if self.servers.is_empty() || outcome == Outcome::TimedOut => {}
            Cause::Status | Cause::NoHttp => {
                self.servers.remove(&attempt.server);
            }
        }
    }

    fn refused(&mut self, now: Timestamp, attempt: &Attempt) {
        let (first, longest) = (self.first, Span::from_nanos(LONGEST * self.first.as_nanos()));
        let pause = self
            .servers
            .entry(attempt.server)
            .or_insert(Pause { length: Span::ZERO, until: Timestamp::ZERO });
        if attempt.sent_at >= pause.until {
            let twice = Span::from_nanos(2 * pause.length.as_nanos());
            pause.length = twice.clamp(first, longest);
            pause.until = now + pause.length;
        }
    }

    /// Until when a server gets nothing; none if it may have an attempt now.
    #[inline]
    pub(crate) fn until(&self, server: ServerId, now: Timestamp) -> Option<Timestamp> {
        if self.servers.is_empty() {
            return None;
        }
        self.servers.get(&server).map(|pause| pause.until).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptId, RequestId};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn attempt(sent_ms: u64) -> Attempt {
        let (id, request, server) = (AttemptId(0), RequestId(0), ServerId(3));
        Attempt { id, request, number: 0, server, sent_at: at(sent_ms) }
    }

    fn pauses() -> Pauses {
        Pauses::new(Span::from_millis_f64(25.0))
    }

    fn refused(pauses: &mut Pauses, sent_ms: u64, ended_ms: u64) {
        pauses.record(at(ended_ms), &attempt(sent_ms), Outcome::Failure, Cause::Refused);
    }

    #[test]
    fn pauses_double_up_to_ten_times_the_first_and_an_answer_ends_the_row() {
        let mut pauses = pauses();
        let mut now = 0;
        for length in [25, 50, 100, 200, 250, 250] {
            assert_eq!(pauses.until(ServerId(3), at(now)), None);
            refused(&mut pauses, now, now);
            assert_eq!(pauses.until(ServerId(3), at(now)), Some(at(now + length)));
            assert_eq!(pauses.until(ServerId(2), at(now)), None, "others are not held up");
            now += length;
        }
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::RateLimited] {
            pauses.record(at(now), &attempt(now), outcome, Cause::Status);
            refused(&mut pauses, now, now);
            assert_eq!(pauses.until(ServerId(3), at(now)), Some(at(now + 25)), "{outcome:?}");
        }
        pauses.record(at(now), &attempt(now), Outcome::TimedOut, Cause::Status);
        assert_eq!(pauses.until(ServerId(3), at(now)), Some(at(now + 25)), "no answer");
        pauses.record(at(now), &attempt(now), Outcome::Failure, Cause::NoHttp);
        assert_eq!(pauses.until(ServerId(3), at(now)), None, "it took the connection");
    }

    #[test]
    fn attempts_that_were_under_way_do_not_lengthen_a_pause() {
        let mut pauses = pauses();
        refused(&mut pauses, 0, 10);
        refused(&mut pauses, 5, 12);
        refused(&mut pauses, 9, 13);
        assert_eq!(pauses.until(ServerId(3), at(13)), Some(at(35)));
        refused(&mut pauses, 35, 36);
        refused(&mut pauses, 35, 37);
        assert_eq!(pauses.until(ServerId(3), at(37)), Some(at(86)));
    }

    #[test]
    fn a_first_pause_of_nothing_is_none() {
        let mut pauses = Pauses::new(Span::ZERO);
        refused(&mut pauses, 7, 7);
        assert_eq!(pauses.until(ServerId(3), at(7)), None);
    }
}
