//! The second set of books: everything that can be known of a run from its events and commands.

use std::collections::BTreeMap;

use flakelab_core::balancer::{Answer, Command, Ledger, ServerCounts};
use flakelab_core::domain::{
    Attempt, AttemptId, Cause, Outcome, RequestId, Rules, ServerId, Span, Timestamp,
};

use super::SERVERS;

/// Kept from events and commands alone.
#[derive(Debug, Default)]
pub struct Books {
    pub arrived: BTreeMap<RequestId, Timestamp>,
    pub in_flight: Vec<Attempt>,
    pub ended: Vec<(Attempt, Outcome)>,
    pub answers: BTreeMap<RequestId, Answer>,
    sent: BTreeMap<RequestId, u32>,
    /// How often each server has refused in a row, pause by pause, and until when it pauses.
    pauses: BTreeMap<ServerId, (i32, Timestamp)>,
}

impl Books {
    /// Writes the end of an attempt down. The n-th pause in a row lasts min(2^(n-1), 10) times the
    /// first.
    pub fn end(
        &mut self,
        now: Timestamp,
        attempt: Attempt,
        outcome: Outcome,
        cause: Cause,
        rules: &Rules,
    ) {
        self.ended.push((attempt, outcome));
        let (row, until) = self.pauses.entry(attempt.server).or_default();
        if cause == Cause::Refused && attempt.sent_at >= *until {
            *row += 1;
            let times = 2_f64.powi(*row - 1).min(10.0);
            *until = now + Span::from_millis_f64(times * rules.pause_after_refused_ms);
        } else if cause == Cause::Status && outcome != Outcome::TimedOut {
            self.pauses.remove(&attempt.server);
        }
    }

    /// Writes a command down; an error if it cannot be right.
    pub fn note(&mut self, now: Timestamp, command: &Command) -> Result<(), String> {
        match command {
            Command::Send(attempt) => {
                let number = self.sent.entry(attempt.request).or_default();
                let attempts = (self.in_flight.len() + self.ended.len()) as u64;
                ensure(attempt.number == *number, "attempts of a request count from 0")?;
                ensure(attempt.id == AttemptId(attempts), "attempts of a run count from 0")?;
                ensure(attempt.sent_at == now, "attempts leave when they are decided on")?;
                ensure(!self.answers.contains_key(&attempt.request), "answered, yet sent")?;
                let pause = self.pauses.get(&attempt.server);
                ensure(pause.is_none_or(|(_, until)| now >= *until), "sent to in its pause")?;
                *number += 1;
                self.in_flight.push(*attempt);
            }
            Command::Answer(request, answer) => {
                let attempts = self.sent.get(request).copied().unwrap_or(0);
                ensure(answer.attempts == attempts, "the answer knows its attempts")?;
                let arrived = self.arrived.get(request).ok_or("answered before it arrived")?;
                ensure(answer.latency == now.since(*arrived), "latency runs from arrival")?;
                let mut newest_first = self.ended.iter().rev();
                let last = newest_first.find(|(attempt, _)| attempt.request == *request);
                let delivered = last.is_some_and(|(_, outcome)| outcome.is_success());
                ensure(answer.ok == delivered, "200 if and only if the last attempt succeeded")?;
                let before = self.answers.insert(*request, *answer);
                ensure(before.is_none(), "a request is answered once")?;
            }
            Command::WakeAt(at) => ensure(*at > now, "alarms are in the future")?,
        }
        Ok(())
    }

    fn server(&self, server: ServerId) -> ServerCounts {
        let ended = |outcome| {
            let same = |(a, o): &&(Attempt, Outcome)| a.server == server && *o == outcome;
            self.ended.iter().filter(same).count() as u64
        };
        let flying = self.in_flight.iter().filter(|a| a.server == server).count() as u64;
        let mut counts = ServerCounts {
            attempts: 0,
            successes: ended(Outcome::Success),
            failures: ended(Outcome::Failure),
            rate_limited: ended(Outcome::RateLimited),
            timed_out: ended(Outcome::TimedOut),
        };
        counts.attempts =
            flying + counts.successes + counts.failures + counts.rate_limited + counts.timed_out;
        counts
    }

    /// What the ledger must say.
    fn ledger(&self, rules: &Rules) -> Ledger {
        let answered = |ok| self.answers.values().filter(|a| a.ok == ok).count() as u64;
        let beyond =
            |free: u32| self.sent.values().map(|n| u64::from(n.saturating_sub(free))).sum();
        Ledger {
            arrived: self.arrived.len() as u64,
            answered_ok: answered(true),
            answered_error: answered(false),
            attempts: self.sent.values().map(|n| u64::from(*n)).sum(),
            retries: beyond(1),
            extra_attempts: beyond(rules.free_attempts),
            servers: ServerId::all(SERVERS).map(|server| self.server(server)).collect(),
        }
    }

    /// Whether ledger and counts are what the books say.
    pub fn check(
        &self,
        ledger: &Ledger,
        rules: &Rules,
        waiting: usize,
        in_service: usize,
    ) -> Result<(), String> {
        let expected = self.ledger(rules);
        ensure(*ledger == expected, &format!("ledger {ledger:?}, books {expected:?}"))?;
        let open = (waiting + in_service) as u64;
        let answered = ledger.answered_ok + ledger.answered_error;
        ensure(ledger.arrived == answered + open, "arrived = answered + in service + waiting")?;
        let of_servers: u64 = ledger.servers.iter().map(|s| s.attempts).sum();
        ensure(ledger.attempts == of_servers, "attempts = sum over servers")?;
        ensure(in_service <= rules.max_requests_in_service, "more in service than allowed")?;
        ensure(self.in_flight.len() <= in_service, "one attempt in flight for each in service")
    }
}

/// An error unless it `holds`.
pub fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
