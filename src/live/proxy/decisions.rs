//! The decision thread: events in, one at a time, each with its moment; the balancer says what
//! follows.
//!
//! This is the driver in real time, as `sim` is the one in virtual time. It knows nothing of
//! retries, scores or giving up. Whoever waits for it, waits for one call of
//! [`Balancer::handle`]; files are written elsewhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::Clock;
use crate::proxy::messages::{Message, Note, Reply, Report, State};
use crate::proxy::senders::{Job, Senders};
use flakelab_core::balancer::{Answer, Balancer, Effects, Event, Ledger};
use flakelab_core::domain::{Attempt, Identifier, Request, RequestId, Timestamp};

/// The state is written down at most this often.
const BETWEEN_STATES: Duration = Duration::from_millis(50);

/// Once told to stop, what is in service and in the queue has this long to be answered.
const TIME_TO_END: Duration = Duration::from_millis(500);

/// Waits for events and hands them to the balancer.
pub(crate) struct Decisions {
    pub(crate) balancer: Balancer,
    pub(crate) clock: Clock,
    pub(crate) messages: Receiver<Message>,
    pub(crate) hands: Hands,
    /// Told once, when no more requests are to be taken.
    pub(crate) close_front: Option<oneshot::Sender<()>>,
}

/// Does what the balancer asks for.
pub(crate) struct Hands {
    senders: Senders,
    open: BTreeMap<RequestId, Open>,
    alarms: BinaryHeap<Reverse<Timestamp>>,
    notes: Sender<Note>,
}

/// A request that is not answered yet. Dropping `reply` answers it 503.
struct Open {
    identifier: Identifier,
    reply: oneshot::Sender<Reply>,
}

impl Hands {
    pub(crate) fn new(senders: Senders, notes: Sender<Note>) -> Self {
        Self { senders, open: BTreeMap::new(), alarms: BinaryHeap::new(), notes }
    }

    fn note(&self, note: Note) {
        // The recorder outlives the decisions, so this cannot fail while anything is decided.
        let _ = self.notes.send(note);
    }
}

impl Effects for Hands {
    fn send(&mut self, attempt: &Attempt) {
        self.note(Note::Sent(*attempt));
        // The balancer sends attempts of requests that are not answered yet, and these are open.
        if let Some(open) = self.open.get(&attempt.request) {
            self.senders.send(Job { attempt: *attempt, identifier: open.identifier });
        }
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        if let Some(open) = self.open.remove(&request) {
            // A client that has hung up is answered all the same.
            let _ = open.reply.send(Reply { ok: answer.ok, attempts: answer.attempts });
        }
        self.note(Note::Answered(request, answer));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.note(Note::AlarmSet(at));
        self.alarms.push(Reverse(at));
    }
}

impl Decisions {
    /// Decides until told to stop, and then until all is answered or [`TIME_TO_END`] has passed.
    /// What is open when this returns is answered 503 by being dropped.
    pub(crate) fn run(mut self) -> Ledger {
        let mut next_request = 0;
        let mut next_state = Instant::now();
        let mut changed = true;
        let mut end: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end || self.hands.open.is_empty()) {
                break;
            }
            if changed && now >= next_state {
                self.note_state();
                (changed, next_state) = (false, now + BETWEEN_STATES);
            }
            let alarm = self.hands.alarms.peek().map(|Reverse(at)| *at);
            if alarm.is_some_and(|at| at <= self.clock.at(now)) {
                self.wake_up(self.clock.at(now));
                changed = true;
                continue;
            }
            let alarm = alarm.and_then(|at| self.clock.instant(at));
            let state = changed.then_some(next_state);
            match self.wait([alarm, state, end].into_iter().flatten().min()) {
                Some(Message::Arrived { identifier, read_at, reply }) if end.is_none() => {
                    let id = RequestId(next_request);
                    next_request += 1;
                    self.hands.open.insert(id, Open { identifier, reply });
                    self.arrived(id, identifier, read_at);
                    changed = true;
                }
                // Too late; dropped, and so answered.
                Some(Message::Arrived { .. }) | None => {}
                Some(Message::Finished(report)) => {
                    self.finished(report);
                    changed = true;
                }
                Some(Message::Stop) => {
                    end = end.or_else(|| Some(Instant::now() + TIME_TO_END));
                    self.close_front = None;
                }
            }
        }
        self.note_state();
        self.balancer.into_ledger()
    }

    /// The next message, or nothing at `until`.
    fn wait(&self, until: Option<Instant>) -> Option<Message> {
        let received = match until {
            Some(until) => {
                self.messages.recv_timeout(until.saturating_duration_since(Instant::now()))
            }
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            // Nobody is left who could send a request or a report. The senders hold a channel as
            // long as `hands` lives, so this does not happen; if it did, it would be the end.
            Err(RecvTimeoutError::Disconnected) => Some(Message::Stop),
        }
    }

    fn arrived(&mut self, id: RequestId, identifier: Identifier, read_at: Instant) {
        let now = self.clock.at(Instant::now());
        let request = Request { id, arrived_at: self.clock.at(read_at) };
        self.hands.note(Note::Arrived { at: now, request, identifier });
        self.balancer.handle(now, Event::Arrived(request), &mut self.hands);
    }

    fn finished(&mut self, report: Report) {
        let Report { attempt, outcome, cause, began, ended, sender } = report;
        // Before the balancer is asked: its next attempt takes the sender that has become idle.
        if let Some(sender) = sender {
            self.hands.senders.is_idle_again(sender);
        }
        let now = self.clock.at(Instant::now());
        let (began, ended) = (self.clock.at(began), self.clock.at(ended));
        self.hands.note(Note::Finished { at: now, attempt, outcome, cause, began, ended });
        let event = Event::Finished(attempt.id, outcome, cause);
        self.balancer.handle(now, event, &mut self.hands);
    }

    fn wake_up(&mut self, now: Timestamp) {
        while self.hands.alarms.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.hands.alarms.pop();
        }
        self.hands.note(Note::WokeUp { at: now });
        self.balancer.handle(now, Event::WakeUp, &mut self.hands);
    }

    fn note_state(&self) {
        let ledger = self.balancer.ledger().clone();
        let mut beliefs = vec![None; ledger.servers.len()];
        for estimate in self.balancer.estimates() {
            if let Some(belief) = beliefs.get_mut(estimate.server.index()) {
                *belief = Some(estimate.success_rate).filter(|rate| rate.is_finite());
            }
        }
        self.hands.note(Note::State(Box::new(State {
            at: self.clock.at(Instant::now()),
            ledger,
            beliefs,
            waiting: self.balancer.waiting(),
            in_service: self.balancer.in_service(),
            of_strategy: self.balancer.notes(),
        })));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::target::{Client, Target};
    use flakelab_core::balancer::Seat;
    use flakelab_core::domain::{Outcome, PendingRequest, Rules, ServerId, Span};
    use flakelab_core::strategy::{Decision, Strategy};

    /// Waits a few milliseconds before each attempt.
    struct Hesitant(bool);

    impl Strategy for Hesitant {
        fn decide(&mut self, now: Timestamp, _request: &PendingRequest) -> Decision {
            self.0 = !self.0;
            if self.0 {
                Decision::WaitUntil(now + Span::from_nanos(3_000_000))
            } else {
                Decision::Send(ServerId(0))
            }
        }

        fn on_outcome(&mut self, _now: Timestamp, _attempt: &Attempt, _outcome: Outcome) {}
    }

    /// The notes of a run in which so many requests arrived at once, and their answers.
    fn run(requests: usize, rules: Rules) -> (Vec<Note>, Vec<Option<Reply>>) {
        let (sender, messages) = channel();
        let (notes, noted) = channel();
        let client = Client::new(Duration::from_secs(1)).unwrap();
        let (_socket, nobody) = Target::of_nobody();
        let senders = Senders::new(client, vec![nobody].into(), sender.clone());
        let seat = Seat::as_given(Box::new(Hesitant(false)), 1);
        let balancer = Balancer::new(seat, rules, 10.0);
        let hands = Hands::new(senders, notes);
        let clock = Clock::start_in(Duration::ZERO);
        let decisions = Decisions { balancer, clock, messages, hands, close_front: None };
        let deciding = thread::spawn(move || decisions.run());
        let answers: Vec<_> = (0..requests)
            .map(|_| {
                let (reply, answer) = oneshot::channel();
                let identifier = "abcdefghijklmnopqrstuvWX".parse().unwrap();
                let read_at = Instant::now();
                sender.send(Message::Arrived { identifier, read_at, reply }).unwrap();
                answer
            })
            .collect();
        sender.send(Message::Stop).unwrap();
        let ledger = deciding.join().unwrap();
        assert_eq!(ledger.arrived, requests as u64);
        let answers = answers.into_iter().map(|answer| answer.blocking_recv().ok()).collect();
        (noted.into_iter().collect(), answers)
    }

    #[test]
    fn alarms_go_off_when_they_are_due_and_time_never_goes_back() {
        let rules =
            Rules { max_attempts: Some(2), pause_after_refused_ms: 0.0, ..Rules::default() };
        let (notes, answers) = run(3, rules);
        assert!(
            answers.iter().all(|a| a.is_some_and(|reply| !reply.ok && reply.attempts == 2)),
            "{answers:?}"
        );
        let (mut last, mut alarm, mut sent) = (Timestamp::ZERO, Timestamp::NEVER, 0);
        for note in &notes {
            match note {
                Note::AlarmSet(at) => alarm = *at,
                Note::Sent(attempt) => {
                    sent += 1;
                    assert!(attempt.sent_at >= alarm, "it waited");
                }
                Note::Arrived { at, request, .. } => {
                    assert!(*at >= last && request.arrived_at <= *at);
                    last = *at;
                }
                Note::Finished { at, began, ended, .. } => {
                    assert!(*at >= last && began <= ended && ended <= at);
                    last = *at;
                }
                Note::WokeUp { at } => {
                    assert!(*at >= last);
                    last = *at;
                }
                Note::Answered(..) | Note::State(_) => {}
            }
        }
        assert_eq!(sent, 6);
        assert!(matches!(notes.last(), Some(Note::State(state)) if state.ledger.attempts == 6));
    }
}
