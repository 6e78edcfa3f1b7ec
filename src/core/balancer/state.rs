//! The state machine: queue, requests in service, retries, giving up.
//!
//! Requests are served in order of arrival, `max_requests_in_service` at a time. A request in
//! service either has one attempt in flight or waits for a time its strategy named. After a
//! failed attempt the next one is decided at once, unless the request is given up: its free
//! attempts are used up and either `give_up_backlog` requests wait or it has been in service
//! for `give_up_after`.
//!
//! Servers have two numbers. The strategy, its requests and its attempts know them by the place at
//! which its seat shows them; the ledger, the pauses and the driver by that of the model. An attempt
//! is translated when it is sent and when it ends, a decision when it is made, nothing elsewhere.
//!
//! A server that refused a connection gets nothing during its pause ([`Pauses`]). A request whose
//! strategy chose it nevertheless waits as if the strategy had named the end of the pause, and the
//! strategy is asked again then: much may have been learned meanwhile.

use std::collections::VecDeque;

use crate::balancer::ledger::Ledger;
use crate::balancer::pauses::Pauses;
use crate::balancer::{Answer, Effects, Event, Seat};
use crate::domain::{
    Attempt, AttemptId, Cause, Outcome, PendingRequest, Request, Rules, ServerId, Span, Timestamp,
};
use crate::strategy::{Decision, Notes, ServerEstimate};

/// A strategy that names a time to wait for which is not in the future waits this long.
const SHORTEST_WAIT: Span = Span::from_nanos(1_000_000);

/// The balancer: one strategy in its seat, the rules, the queue, and the ledger.
pub struct Balancer {
    seat: Seat,
    rules: Rules,
    give_up_after: Span,
    waiting: VecDeque<Request>,
    in_service: Vec<InService>,
    pauses: Pauses,
    ledger: Ledger,
    next_attempt: u64,
}

/// A request in service.
#[derive(Debug)]
struct InService {
    request: PendingRequest,
    since: Timestamp,
    state: State,
}

/// What a request in service waits for; the attempt as the strategy sees it.
#[derive(Debug, Clone, Copy)]
enum State {
    InFlight(Attempt),
    WaitingUntil(Timestamp),
}

impl Balancer {
    /// An idle balancer in front of as many servers as the seat has.
    ///
    /// `requests_per_second` sets the default of `give_up_after_ms`. The rules must be valid.
    pub fn new(seat: Seat, rules: Rules, requests_per_second: f64) -> Self {
        Self {
            give_up_after: rules.give_up_after(requests_per_second),
            rules,
            waiting: VecDeque::new(),
            in_service: Vec::with_capacity(rules.max_requests_in_service.min(1024)),
            pauses: Pauses::new(rules.pause_after_refused()),
            ledger: Ledger::new(seat.order.servers()),
            next_attempt: 0,
            seat,
        }
    }

    /// Takes in one event and asks `effects` for everything that follows from it.
    ///
    /// Events must come in order of time. Requests that wait for a time are looked at again at
    /// every arrival, because the backlog that makes them be given up grows there.
    pub fn handle(&mut self, now: Timestamp, event: Event, effects: &mut impl Effects) {
        match event {
            Event::Arrived(request) => {
                self.ledger.arrived += 1;
                if self.has_room() {
                    self.serve(now, request, effects);
                } else {
                    self.waiting.push_back(request);
                }
                self.review_waits(now, effects);
            }
            Event::Finished(attempt, outcome, cause) => {
                self.finish(now, attempt, outcome, cause, effects);
            }
            Event::WakeUp => self.review_waits(now, effects),
        }
    }

    /// The counts so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What the strategy believes of each server, in no particular order; see
    /// [`Strategy::estimates`](crate::strategy::Strategy::estimates).
    pub fn estimates(&self) -> impl Iterator<Item = ServerEstimate> {
        let Seat { strategy, order } = &self.seat;
        let estimates = strategy.estimates().into_iter();
        estimates.map(|seen| ServerEstimate { server: order.server(seen.server), ..seen })
    }

    /// What the strategy has to tell of load and health; see
    /// [`Strategy::notes`](crate::strategy::Strategy::notes).
    pub fn notes(&self) -> Option<Notes> {
        self.seat.strategy.notes()
    }

    /// Requests that wait to be served.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests in service.
    pub fn in_service(&self) -> usize {
        self.in_service.len()
    }

    /// The counts, when the run is over.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// Whether one more request can be served; between events none waits then.
    #[inline]
    fn has_room(&self) -> bool {
        self.in_service.len() < self.rules.max_requests_in_service
    }

    /// Takes waiting requests into service while there is room.
    #[inline]
    fn admit(&mut self, now: Timestamp, effects: &mut impl Effects) {
        while !self.waiting.is_empty() && self.has_room() {
            let Some(request) = self.waiting.pop_front() else { return };
            self.serve(now, request, effects);
        }
    }

    /// Takes a request into service.
    fn serve(&mut self, now: Timestamp, request: Request, effects: &mut impl Effects) {
        let request = PendingRequest::new(request, self.rules.free_attempts);
        // The state is overwritten by `proceed` before anybody reads it.
        let state = State::WaitingUntil(now);
        self.in_service.push(InService { request, since: now, state });
        self.proceed(now, self.in_service.len() - 1, effects);
    }

    /// An attempt ended.
    fn finish(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        outcome: Outcome,
        cause: Cause,
        effects: &mut impl Effects,
    ) {
        let in_flight = self.in_service.iter().enumerate().find_map(|(slot, s)| match s.state {
            State::InFlight(attempt) if attempt.id == id => Some((slot, attempt)),
            _ => None,
        });
        let Some((slot, attempt)) = in_flight else { return };
        let sent = Attempt { server: self.seat.order.server(attempt.server), ..attempt };
        self.ledger.record_outcome(sent.server, outcome);
        self.pauses.record(now, &sent, outcome, cause);
        self.seat.strategy.on_outcome(now, &attempt, outcome);
        if outcome.is_success() {
            self.answer(now, slot, true, effects);
        } else {
            self.proceed(now, slot, effects);
        }
        self.admit(now, effects);
    }

    /// Gives up or decides again wherever the time waited for, or a reason to give up, has come.
    fn review_waits(&mut self, now: Timestamp, effects: &mut impl Effects) {
        let mut slot = 0;
        while slot < self.in_service.len() {
            let before = self.in_service.len();
            if let State::WaitingUntil(until) = self.in_service[slot].state
                && (until <= now || self.must_give_up(now, slot))
            {
                self.proceed(now, slot, effects);
            }
            if self.in_service.len() < before {
                // One given up makes room: the backlog that the next one is judged by is smaller.
                self.admit(now, effects);
            } else {
                slot += 1;
            }
        }
    }

    /// The next step of a request that has no attempt in flight. It may leave service.
    fn proceed(&mut self, now: Timestamp, slot: usize, effects: &mut impl Effects) {
        if self.must_give_up(now, slot) {
            self.answer(now, slot, false, effects);
            return;
        }
        let InService { request, since, .. } = &self.in_service[slot];
        let until = match self.seat.strategy.decide(now, request) {
            Decision::Send(seen) => match self.pauses.until(self.seat.order.server(seen), now) {
                None => return self.send(now, slot, seen, effects),
                Some(until) => until,
            },
            Decision::WaitUntil(at) if at > now => at,
            Decision::WaitUntil(_) => now + SHORTEST_WAIT,
        };
        let jeopardy = *since + self.give_up_after;
        let wake = if request.is_free() || jeopardy <= now { until } else { until.min(jeopardy) };
        self.in_service[slot].state = State::WaitingUntil(until);
        effects.wake_at(wake);
    }

    /// Sends an attempt to the server that the strategy sees as `seen`.
    fn send(&mut self, now: Timestamp, slot: usize, seen: ServerId, effects: &mut impl Effects) {
        let server = self.seat.order.server(seen);
        let request = &mut self.in_service[slot].request;
        let attempt = Attempt {
            id: AttemptId(self.next_attempt),
            request: request.id,
            number: request.attempts,
            server: seen,
            sent_at: now,
        };
        self.next_attempt += 1;
        self.ledger.record_sent(server, attempt.number, request.is_free());
        request.record_attempt(seen);
        self.in_service[slot].state = State::InFlight(attempt);
        self.seat.strategy.on_sent(now, &attempt);
        effects.send(&Attempt { server, ..attempt });
    }

    /// Whether a request without an attempt in flight is to be answered 500 now.
    #[inline]
    fn must_give_up(&self, now: Timestamp, slot: usize) -> bool {
        let InService { request, since, .. } = &self.in_service[slot];
        if self.rules.max_attempts.is_some_and(|cap| request.attempts >= cap) {
            return true;
        }
        !request.is_free()
            && (self.waiting.len() >= self.rules.give_up_backlog
                || now.since(*since) >= self.give_up_after)
    }

    fn answer(&mut self, now: Timestamp, slot: usize, ok: bool, effects: &mut impl Effects) {
        let PendingRequest { id, arrived_at, attempts, .. } = self.in_service[slot].request;
        if slot + 1 == self.in_service.len() {
            self.in_service.truncate(slot);
        } else {
            self.in_service.remove(slot);
        }
        self.ledger.record_answer(ok);
        effects.answer(id, Answer { ok, attempts, latency: now.since(arrived_at) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::Command;
    use crate::domain::RequestId;
    use crate::strategy::Strategy;

    /// Does what its script says, server 0 when the script has ended.
    struct Scripted(VecDeque<Decision>);

    impl Strategy for Scripted {
        fn decide(&mut self, _now: Timestamp, _request: &PendingRequest) -> Decision {
            self.0.pop_front().unwrap_or(Decision::Send(ServerId(0)))
        }

        fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}
    }

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    fn balancer(rules: Rules, script: impl IntoIterator<Item = Decision>) -> Balancer {
        let script = Box::new(Scripted(script.into_iter().collect()));
        Balancer::new(Seat::as_given(script, 2), rules, 10.0)
    }

    fn arrive(b: &mut Balancer, ms: u64, id: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        let request = Request { id: RequestId(id), arrived_at: at(ms) };
        b.handle(at(ms), Event::Arrived(request), &mut commands);
        commands
    }

    fn handle(b: &mut Balancer, ms: u64, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        b.handle(at(ms), event, &mut commands);
        commands
    }

    fn finish(b: &mut Balancer, ms: u64, attempt: u64, outcome: Outcome) -> Vec<Command> {
        handle(b, ms, Event::Finished(AttemptId(attempt), outcome, Cause::Status))
    }

    fn refuse(b: &mut Balancer, ms: u64, attempt: u64) -> Vec<Command> {
        handle(b, ms, Event::Finished(AttemptId(attempt), Outcome::Failure, Cause::Refused))
    }

    /// The servers that attempts went to.
    fn sent(commands: &[Command]) -> Vec<u16> {
        let server = |c: &Command| match c {
            Command::Send(attempt) => Some(attempt.server.0),
            _ => None,
        };
        commands.iter().filter_map(server).collect()
    }

    fn answers(commands: &[Command]) -> Vec<(u64, bool)> {
        commands
            .iter()
            .filter_map(|c| match c {
                Command::Answer(id, answer) => Some((id.0, answer.ok)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn keeps_trying_beyond_the_free_attempts_while_nobody_waits() {
        let mut b = balancer(Rules::default(), []);
        arrive(&mut b, 0, 0);
        for attempt in 0..4 {
            assert!(answers(&finish(&mut b, attempt + 1, attempt, Outcome::Failure)).is_empty());
        }
        assert_eq!(answers(&finish(&mut b, 5, 4, Outcome::Success)), [(0, true)]);
        assert_eq!((b.ledger().retries, b.ledger().extra_attempts), (4, 2));
    }

    #[test]
    fn gives_up_when_another_request_waits_but_never_within_the_free_attempts() {
        let mut b = balancer(Rules::default(), []);
        arrive(&mut b, 0, 0);
        arrive(&mut b, 100, 1);
        assert!(answers(&finish(&mut b, 101, 0, Outcome::TimedOut)).is_empty());
        assert!(answers(&finish(&mut b, 102, 1, Outcome::Failure)).is_empty());
        let commands = finish(&mut b, 103, 2, Outcome::Failure);
        assert_eq!(answers(&commands), [(0, false)]);
        assert!(matches!(commands.last(), Some(Command::Send(a)) if a.request == RequestId(1)));
        assert_eq!(b.ledger().extra_attempts, 0);
    }

    #[test]
    fn gives_up_after_the_time_in_service_not_since_arrival() {
        let mut b = balancer(Rules { give_up_backlog: 10, ..Rules::default() }, []);
        arrive(&mut b, 0, 0);
        arrive(&mut b, 10, 1);
        finish(&mut b, 90, 0, Outcome::Success);
        for (attempt, ms) in [(1, 100), (2, 110), (3, 189)] {
            assert!(answers(&finish(&mut b, ms, attempt, Outcome::Failure)).is_empty());
        }
        assert_eq!(answers(&finish(&mut b, 190, 4, Outcome::Failure)), [(1, false)]);
    }

    #[test]
    fn a_waiting_request_is_given_up_when_the_next_one_arrives() {
        let mut script = vec![Decision::Send(ServerId(1)); 3];
        script.push(Decision::WaitUntil(at(5_000)));
        let mut b = balancer(Rules::default(), script);
        arrive(&mut b, 0, 0);
        finish(&mut b, 1, 0, Outcome::Failure);
        finish(&mut b, 2, 1, Outcome::Failure);
        let commands = finish(&mut b, 3, 2, Outcome::RateLimited);
        assert_eq!(commands, [Command::WakeAt(at(100))], "woken to give up, not at 5 s");
        assert_eq!(answers(&arrive(&mut b, 50, 1)), [(0, false)]);
        assert_eq!((b.in_service(), b.waiting()), (1, 0));
    }

    #[test]
    fn a_request_that_waits_within_its_free_attempts_is_served_at_its_time() {
        let mut b = balancer(Rules::default(), [Decision::WaitUntil(at(500))]);
        assert_eq!(arrive(&mut b, 0, 0), [Command::WakeAt(at(500))]);
        let mut commands = Vec::new();
        b.handle(at(400), Event::WakeUp, &mut commands);
        assert!(commands.is_empty(), "a spurious wake-up changes nothing");
        b.handle(at(500), Event::WakeUp, &mut commands);
        assert!(matches!(commands[..], [Command::Send(_)]));
    }

    #[test]
    fn waiting_for_the_past_cannot_spin() {
        let mut b = balancer(Rules::default(), [Decision::WaitUntil(at(0))]);
        assert_eq!(arrive(&mut b, 7, 0), [Command::WakeAt(at(8))]);
    }

    #[test]
    fn a_request_that_insists_on_a_refusing_server_waits_and_others_go_on_at_once() {
        let rules = Rules { max_requests_in_service: 2, ..Rules::default() };
        let script = [0, 0, 1].map(|server| Decision::Send(ServerId(server)));
        let mut b = balancer(rules, script);
        assert_eq!(sent(&arrive(&mut b, 0, 0)), [0]);
        assert_eq!(refuse(&mut b, 1, 0), [Command::WakeAt(at(26))]);
        assert_eq!(sent(&arrive(&mut b, 2, 1)), [1], "the other server");
        assert!(handle(&mut b, 25, Event::WakeUp).is_empty());
        assert_eq!(sent(&handle(&mut b, 26, Event::WakeUp)), [0], "asked again");
        assert_eq!(b.ledger().servers[0].failures, 1, "counted as ever");
    }

    #[test]
    fn a_request_is_given_up_in_the_middle_of_a_pause() {
        let mut b = balancer(Rules::default(), []);
        arrive(&mut b, 0, 0);
        assert_eq!(refuse(&mut b, 0, 0), [Command::WakeAt(at(25))]);
        assert_eq!(sent(&handle(&mut b, 25, Event::WakeUp)), [0]);
        assert_eq!(refuse(&mut b, 25, 1), [Command::WakeAt(at(75))]);
        assert_eq!(sent(&handle(&mut b, 75, Event::WakeUp)), [0]);
        assert_eq!(refuse(&mut b, 75, 2), [Command::WakeAt(at(100))], "to give up, not at 175");
        assert_eq!(answers(&handle(&mut b, 100, Event::WakeUp)), [(0, false)]);
        assert_eq!((b.ledger().attempts, b.ledger().extra_attempts), (3, 0));
    }

    #[test]
    fn without_pauses_a_refused_connection_is_tried_again_at_once() {
        let rules = Rules { pause_after_refused_ms: 0.0, ..Rules::default() };
        let mut b = balancer(rules, []);
        arrive(&mut b, 0, 0);
        assert_eq!(sent(&refuse(&mut b, 0, 0)), [0]);
    }

    #[test]
    fn the_hard_cap_ends_a_request_even_when_nobody_waits() {
        let mut b = balancer(Rules { max_attempts: Some(2), ..Rules::default() }, []);
        arrive(&mut b, 0, 0);
        finish(&mut b, 1, 0, Outcome::Failure);
        assert_eq!(answers(&finish(&mut b, 2, 1, Outcome::Failure)), [(0, false)]);
    }

    #[test]
    fn an_unknown_or_repeated_outcome_is_ignored() {
        let mut b = balancer(Rules::default(), []);
        arrive(&mut b, 0, 0);
        assert!(finish(&mut b, 1, 99, Outcome::Success).is_empty());
        assert_eq!(finish(&mut b, 1, 0, Outcome::Success).len(), 1);
        assert!(finish(&mut b, 1, 0, Outcome::Success).is_empty());
        assert_eq!(b.ledger().answered_ok, 1);
    }
}
