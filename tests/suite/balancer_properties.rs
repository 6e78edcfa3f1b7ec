//! The balancer as a state machine: whatever the rules, the order of outcomes and the whims of
//! the strategy, every request is answered exactly once and the books balance at every step.
//!
//! The books are kept here a second time, from the commands alone, and compared with the ledger
//! after every event; corrupted books must not pass.

mod books;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use flakelab_core::balancer::{Balancer, Command, Event, Ledger, Seat};
use flakelab_core::domain::{
    Attempt, AttemptId, Cause, Outcome, PendingRequest, Request, RequestId, Rules, ServerId, Span,
    Timestamp,
};
use flakelab_core::strategy::{Decision, Strategy};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use self::books::{Books, ensure};

const SERVERS: usize = 3;
const RPS: f64 = 10.0;
const MS: u64 = 1_000_000;

/// Decides as a list says, then always to send; writes down who was decided on, and when.
struct Whimsical {
    script: VecDeque<Whim>,
    decided: Arc<Mutex<Vec<(RequestId, Timestamp)>>>,
}

#[derive(Debug, Clone, Copy)]
enum Whim {
    Send(u16),
    WaitMs(u64),
}

impl Strategy for Whimsical {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        self.decided.lock().expect("one thread").push((request.id, now));
        match self.script.pop_front().unwrap_or(Whim::Send(0)) {
            Whim::Send(server) => Decision::Send(ServerId(server)),
            // 0 is "now", which the balancer must not take at its word.
            Whim::WaitMs(ms) => Decision::WaitUntil(now + Span::from_nanos(ms * MS)),
        }
    }

    fn on_outcome(&mut self, _: Timestamp, _: &Attempt, _: Outcome) {}
}

/// What happens next from the outside.
#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive,
    /// One of the attempts in flight ends; nothing happens if there is none.
    Finish(usize, Outcome, Cause),
    PassMs(u64),
}

/// A balancer, its clock, its alarms, and the books.
struct Bench {
    balancer: Balancer,
    rules: Rules,
    now: Timestamp,
    alarms: BTreeSet<Timestamp>,
    books: Books,
    decided: Arc<Mutex<Vec<(RequestId, Timestamp)>>>,
}

impl Bench {
    fn new(rules: Rules, script: &[Whim]) -> Self {
        let decided = Arc::new(Mutex::new(Vec::new()));
        let strategy =
            Whimsical { script: script.iter().copied().collect(), decided: Arc::clone(&decided) };
        Self {
            balancer: Balancer::new(Seat::as_given(Box::new(strategy), SERVERS), rules, RPS),
            rules,
            now: Timestamp::ZERO,
            alarms: BTreeSet::new(),
            books: Books::default(),
            decided,
        }
    }

    /// When a request entered service: when it was first decided on.
    fn entered(&self, request: RequestId) -> Option<Timestamp> {
        let decided = self.decided.lock().expect("one thread");
        decided.iter().find(|(id, _)| *id == request).map(|(_, at)| *at)
    }

    /// Hands an event in, checks all that follows from it, and then that events which should
    /// change nothing do not.
    fn handle(&mut self, event: Event) -> Result<(), String> {
        let backlog = self.balancer.waiting() + usize::from(matches!(event, Event::Arrived(_)));
        let mut commands = Vec::new();
        self.balancer.handle(self.now, event, &mut commands);
        for command in &commands {
            self.books.note(self.now, command)?;
            match command {
                Command::WakeAt(at) => drop(self.alarms.insert(*at)),
                Command::Answer(id, answer) if !answer.ok => {
                    let reason = self.may_give_up(*id, answer.attempts, backlog);
                    ensure(reason, &format!("{id:?} given up without a reason"))?;
                }
                _ => {}
            }
        }
        if let Event::Finished(id, outcome, _) = event
            && !outcome.is_success()
        {
            let ended = self.books.ended.iter().find(|(a, _)| a.id == id);
            let Attempt { request, number, .. } = ended.ok_or("an attempt of nobody")?.0;
            let due = self.may_give_up(request, number + 1, backlog);
            let given_up = self.books.answers.contains_key(&request);
            ensure(due == given_up, &format!("{request:?} must be given up: {due}"))?;
        }
        self.check()?;
        self.check_that_noise_changes_nothing()
    }

    /// The giving-up rule of the game.
    fn may_give_up(&self, request: RequestId, attempts: u32, backlog: usize) -> bool {
        let Some(entered) = self.entered(request) else { return false };
        let in_service_ns = self.now.since(entered).as_nanos() as f64;
        // Whole milliseconds here, so both sides are exact.
        let after_ns = self.rules.give_up_after_ms.unwrap_or(1000.0 / RPS) * MS as f64;
        self.rules.max_attempts.is_some_and(|cap| attempts >= cap)
            || attempts >= self.rules.free_attempts
                && (backlog >= self.rules.give_up_backlog || in_service_ns >= after_ns)
    }

    fn check(&self) -> Result<(), String> {
        let (waiting, in_service) = (self.balancer.waiting(), self.balancer.in_service());
        self.books.check(self.balancer.ledger(), &self.rules, waiting, in_service)?;
        ensure(
            waiting == 0 || in_service == self.rules.max_requests_in_service,
            "somebody waits while there is room",
        )?;
        let mut seen = BTreeSet::new();
        let decided = self.decided.lock().expect("one thread");
        let entered = decided.iter().map(|(id, _)| *id).filter(|id| seen.insert(*id));
        ensure(entered.eq((0..seen_len(&decided)).map(RequestId)), "served in order of arrival")
    }

    fn check_that_noise_changes_nothing(&mut self) -> Result<(), String> {
        let before = self.balancer.ledger().clone();
        let success = |id| Event::Finished(id, Outcome::Success, Cause::Status);
        let refused = |id| Event::Finished(id, Outcome::Failure, Cause::Refused);
        let mut noise = vec![Event::WakeUp, success(AttemptId(1 << 40))];
        noise.extend(self.books.ended.last().map(|(a, _)| success(a.id)));
        noise.extend(self.books.ended.first().map(|(a, _)| refused(a.id)));
        for event in noise {
            let mut commands: Vec<Command> = Vec::new();
            self.balancer.handle(self.now, event, &mut commands);
            ensure(commands.is_empty(), &format!("{event:?} led to {commands:?}"))?;
        }
        ensure(*self.balancer.ledger() == before, "noise moved the ledger")
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Arrive => {
                let id = RequestId(self.books.arrived.len() as u64);
                self.books.arrived.insert(id, self.now);
                self.handle(Event::Arrived(Request { id, arrived_at: self.now }))
            }
            Step::Finish(which, outcome, cause) => {
                if self.books.in_flight.is_empty() {
                    return Ok(());
                }
                let which = which % self.books.in_flight.len();
                let attempt = self.books.in_flight.remove(which);
                self.books.end(self.now, attempt, outcome, cause, &self.rules);
                self.handle(Event::Finished(attempt.id, outcome, cause))
            }
            Step::PassMs(ms) => {
                let until = self.now + Span::from_nanos(ms * MS);
                while let Some(alarm) = self.alarms.first().copied().filter(|at| *at <= until) {
                    self.ring(alarm)?;
                }
                self.now = until;
                Ok(())
            }
        }
    }

    fn ring(&mut self, alarm: Timestamp) -> Result<(), String> {
        self.alarms.remove(&alarm);
        self.now = alarm;
        self.handle(Event::WakeUp)
    }

    /// No more arrivals; everything in flight succeeds, every alarm goes off.
    fn drain(&mut self) -> Result<(), String> {
        while self.balancer.in_service() > 0 {
            if !self.books.in_flight.is_empty() {
                self.step(Step::Finish(0, Outcome::Success, Cause::Status))?;
            } else {
                let alarm = self.alarms.first().copied();
                self.ring(alarm.ok_or("a request in service waits for nothing")?)?;
            }
        }
        ensure(self.balancer.waiting() == 0, "somebody waits for ever")?;
        ensure(self.books.answers.len() == self.books.arrived.len(), "somebody got no answer")
    }
}

fn seen_len(decided: &[(RequestId, Timestamp)]) -> u64 {
    decided.iter().map(|(id, _)| id.0 + 1).max().unwrap_or(0)
}

fn run(rules: Rules, script: &[Whim], steps: &[Step]) -> Result<Bench, String> {
    let mut bench = Bench::new(rules, script);
    steps.iter().try_for_each(|step| bench.step(*step))?;
    bench.drain()?;
    Ok(bench)
}

fn rules() -> impl Generator<Value = Rules> {
    let give_up_after_ms = prop_oneof![Just(None), (1_u32..300).prop_map(|ms| Some(f64::from(ms)))];
    let max_attempts = prop_oneof![3 => Just(None), 1 => (1_u32..8).prop_map(Some)];
    let pause_ms = prop_oneof![1 => Just(0.0), 4 => (1_u32..60).prop_map(f64::from)];
    (1_u32..5, 1_usize..4, give_up_after_ms, max_attempts, 1_usize..9, pause_ms).prop_map(
        |(free_attempts, give_up_backlog, give_up_after_ms, max_attempts, in_service, pause_ms)| {
            Rules {
                free_attempts,
                give_up_backlog,
                give_up_after_ms,
                max_attempts,
                max_requests_in_service: in_service,
                pause_after_refused_ms: pause_ms,
                ..Rules::default()
            }
        },
    )
}

fn whim() -> impl Generator<Value = Whim> {
    prop_oneof![
        5 => (0..SERVERS as u16).prop_map(Whim::Send),
        1 => (0_u64..200).prop_map(Whim::WaitMs),
    ]
}

fn step() -> impl Generator<Value = Step> {
    let end = prop_oneof![
        Just((Outcome::Success, Cause::Status)),
        Just((Outcome::Failure, Cause::Status)),
        Just((Outcome::Failure, Cause::Refused)),
        Just((Outcome::Failure, Cause::Refused)),
        Just((Outcome::RateLimited, Cause::Status)),
        Just((Outcome::TimedOut, Cause::Status)),
    ];
    prop_oneof![
        2 => Just(Step::Arrive),
        4 => (0_usize..8, end).prop_map(|(which, (outcome, cause))| {
            Step::Finish(which, outcome, cause)
        }),
        2 => (0_u64..60).prop_map(Step::PassMs),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        rng_seed: prop::test_runner::RngSeed::Fixed(20_240_607),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_request_is_answered_once_and_the_books_balance_at_every_step(
        rules in rules(),
        script in prop::collection::vec(whim(), 0..80),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        if let Err(message) = run(rules, &script, &steps) {
            return Err(TestCaseError::fail(message));
        }
    }
}

/// A run in which everything happens: retries, a paid attempt, a give-up, all four outcomes.
fn eventful() -> Bench {
    use Outcome::{Failure, RateLimited, Success, TimedOut};
    let whims = [Whim::Send(0), Whim::Send(1), Whim::Send(2), Whim::Send(1), Whim::WaitMs(5)];
    let mut steps = vec![Step::Arrive];
    let finish = |outcome| Step::Finish(0, outcome, Cause::Status);
    steps.extend([Failure, RateLimited, TimedOut, Success].map(finish));
    steps.extend([Step::Arrive, Step::PassMs(10), Step::Arrive]);
    steps.extend([Failure; 3].map(finish));
    run(Rules::default(), &whims, &steps).expect("the books balance")
}

#[test]
fn corrupted_books_do_not_pass() {
    let bench = eventful();
    let ledger = bench.balancer.ledger();
    assert_eq!((ledger.answered_ok, ledger.answered_error, ledger.extra_attempts), (2, 1, 1));
    let corruptions: [fn(&mut Ledger); 8] = [
        |l| l.arrived += 1,
        |l| l.answered_ok -= 1,
        |l| (l.answered_ok, l.answered_error) = (l.answered_error, l.answered_ok),
        |l| l.attempts += 1,
        |l| l.retries -= 1,
        |l| l.extra_attempts = 0,
        |l| l.servers.swap(0, 2),
        |l| (l.servers[1].failures, l.servers[1].rate_limited) = (9, 9),
    ];
    let passes = |ledger: &Ledger| bench.books.check(ledger, &bench.rules, 0, 0).is_ok();
    assert!(passes(ledger));
    for (i, corrupt) in corruptions.iter().enumerate() {
        let mut wrong = ledger.clone();
        corrupt(&mut wrong);
        assert!(!passes(&wrong), "corruption {i}");
    }
}

/// The planted bug: books of longer pauses find an attempt that is too early for them.
#[test]
fn an_attempt_in_the_middle_of_a_pause_does_not_pass() {
    let refuse = Step::Finish(0, Outcome::Failure, Cause::Refused);
    let steps = [Step::Arrive, refuse, Step::PassMs(30), refuse, Step::PassMs(60)];
    assert!(run(Rules::default(), &[], &steps).is_ok());
    let mut bench = Bench::new(Rules::default(), &[]);
    bench.rules.pause_after_refused_ms = 26.0;
    let passes = steps.iter().try_for_each(|step| bench.step(*step));
    assert!(passes.is_err_and(|message| message.contains("in its pause")));
}

#[test]
fn a_second_answer_and_an_attempt_out_of_order_do_not_pass() {
    let mut bench = eventful();
    let (id, answer) = bench.books.answers.pop_first().expect("answered");
    let now = bench.books.arrived[&id] + answer.latency;
    assert_eq!(bench.books.note(now, &Command::Answer(id, answer)), Ok(()));
    assert!(bench.books.note(now, &Command::Answer(id, answer)).is_err());
    let (last, _) = *bench.books.ended.last().expect("attempts were made");
    assert!(bench.books.note(last.sent_at, &Command::Send(last)).is_err());
}
