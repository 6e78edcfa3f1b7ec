//! The event loop: arrivals and pending events in order of time into the balancer.

use std::sync::atomic::{AtomicBool, Ordering};

use rand_chacha::ChaCha8Rng;

use crate::play::event_queue::EventQueue;
use crate::world::{Arrivals, Instance, Luck, LuckTape, Overhead, Scenario, Stations};
use flakelab_core::balancer::{Answer, Balancer, Effects, Event, Ledger, Seat};
use flakelab_core::domain::{
    Attempt, Cause, Fleet, Outcome, Purpose, Request, RequestId, ServerOrder, Span, Streams,
    Timestamp,
};
use flakelab_core::stats::uniform_open;
use flakelab_core::strategy::{Notes, Strategy};

/// Events between two questions whether the run is cancelled: well below a millisecond's work.
const EVENTS_BETWEEN_CHECKS: u32 = 4096;

/// The world of one replication, in which strategies are played one after the other.
#[derive(Debug)]
pub struct Replication<'s> {
    scenario: &'s Scenario,
    instance: Instance,
    /// In which order strategies see the servers: all the same one, so that two who start with their
    /// first server start with the same one, and differences between them are not luck.
    order: ServerOrder,
    /// What they are told of the servers, in that order.
    fleet: Fleet,
    luck: LuckTape,
    arrivals: Vec<Timestamp>,
    /// Attempts accepted in the run being played, per server.
    accepted: Vec<usize>,
    /// What every attempt takes beyond its luck; none adds nothing and draws nothing.
    measured: Option<Measured<'s>>,
}

/// Hears of every attempt and every answer of a run, in order of time.
pub trait Record {
    /// `request` was answered.
    fn on_answer(&mut self, request: RequestId, answer: Answer);

    /// An attempt was sent, which will end so.
    fn on_sent(&mut self, _attempt: &Attempt, _outcome: Outcome) {}

    /// The run is over, or was cancelled; `notes` makes what the strategy has to tell.
    fn on_end(&mut self, _notes: impl FnOnce() -> Option<Notes>) {}

    /// Whether the run should end here, unfinished; asked every few thousand events.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Records nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoRecord;

impl Record for NoRecord {
    fn on_answer(&mut self, _request: RequestId, _answer: Answer) {}
}

/// Records nothing, and ends the run when it becomes true.
impl Record for &AtomicBool {
    fn on_answer(&mut self, _request: RequestId, _answer: Answer) {}

    fn is_cancelled(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}

impl<'s> Replication<'s> {
    /// Sets up replication number `replication` of a valid scenario.
    pub fn new(scenario: &'s Scenario, streams: &Streams, replication: u64) -> Self {
        let instance = Instance::draw(&scenario.model, streams, replication);
        Self::of(scenario, instance, streams, replication)
    }

    /// The same against given servers, as many as the scenario's model has. Of the model only the
    /// latency is used, and what it declares of servers.
    pub fn of(
        scenario: &'s Scenario,
        instance: Instance,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let luck = LuckTape::new(&instance, &scenario.model.latency, streams, replication);
        let arrivals = Arrivals::new(
            scenario.traffic,
            scenario.requests_per_second,
            scenario.requests,
            streams,
            replication,
        )
        .collect();
        let servers = instance.servers();
        let order =
            ServerOrder::drawn(servers, &mut streams.stream(Purpose::Order, 0, replication));
        let fleet = scenario.model.fleet().seen_in(&order);
        let accepted = vec![0; servers];
        Self { scenario, instance, order, fleet, luck, arrivals, accepted, measured: None }
    }

    /// The strategy that `build` makes of the servers as strategies see them here.
    pub fn seat(&self, build: impl FnOnce(&Fleet) -> Box<dyn Strategy>) -> Seat {
        Seat { strategy: build(&self.fleet), order: self.order.clone() }
    }

    /// The strategy that `build` makes of the servers in the order of the model, for those who know
    /// which is which or have order for their rule.
    pub fn seat_as_given(&self, build: impl FnOnce(&Fleet) -> Box<dyn Strategy>) -> Seat {
        Seat::as_given(build(&self.scenario.model.fleet()), self.instance.servers())
    }

    /// The same behind a measured path, drawn for this run: every attempt, a refused one too, takes
    /// an addition longer, and its timeout counts the sum. What the path adds to requests beside
    /// their attempts changes no decision and is left to the caller. Every strategy meets the words
    /// of `rng` from its beginning.
    #[must_use]
    pub fn behind(self, overhead: &'s Overhead, rng: ChaCha8Rng) -> Self {
        Self { measured: Some(Measured { overhead, rng }), ..self }
    }

    /// The truth of this replication, for the oracle and for reports.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Plays one strategy from the first arrival to the last answer, or until `record` says
    /// that the run is cancelled; its ledger is then that of an unfinished run.
    pub fn play(&mut self, seat: Seat, record: &mut impl Record) -> Ledger {
        match self.measured.clone() {
            None => self.play_along(Direct, seat, record),
            Some(measured) => self.play_along(measured, seat, record),
        }
    }

    /// One copy of the loop for each kind of path, so that nothing is asked of one that adds
    /// nothing.
    fn play_along(&mut self, path: impl Path, seat: Seat, record: &mut impl Record) -> Ledger {
        let Scenario { rules, requests_per_second, ref model, .. } = *self.scenario;
        let mut balancer = Balancer::new(seat, rules, requests_per_second);
        self.accepted.fill(0);
        let mut arrivals = (0..)
            .zip(&self.arrivals)
            .map(|(id, at)| Request { id: RequestId(id), arrived_at: *at });
        let mut next_arrival = arrivals.next();
        let mut events: u32 = 0;
        let mut driver = Driver {
            now: Timestamp::ZERO,
            queue: EventQueue::default(),
            stations: Stations::new(&self.instance, &model.latency),
            luck: &mut self.luck,
            accepted: &mut self.accepted,
            timeout: rules.attempt_timeout(),
            path,
            record,
        };
        loop {
            // Events of the same instant: outcome, timer, arrival.
            let event = match (driver.queue.next_at(), next_arrival) {
                (None, None) => break,
                (pending, Some(request)) if pending.is_none_or(|p| request.arrived_at < p) => {
                    next_arrival = arrivals.next();
                    driver.now = request.arrived_at;
                    Event::Arrived(request)
                }
                _ => {
                    let Some((at, event)) = driver.queue.pop() else { break };
                    driver.now = at;
                    event
                }
            };
            balancer.handle(driver.now, event, &mut driver);
            events = events.wrapping_add(1);
            if events.is_multiple_of(EVENTS_BETWEEN_CHECKS) && driver.record.is_cancelled() {
                break;
            }
        }
        driver.record.on_end(|| balancer.notes());
        balancer.into_ledger()
    }
}

/// What lies between the balancer and the servers.
trait Path {
    /// The latency of an attempt, given that of the server.
    fn latency(&mut self, attempt: &Attempt, of_server: Span) -> Span;
}

/// Nothing.
struct Direct;

impl Path for Direct {
    #[inline]
    fn latency(&mut self, _attempt: &Attempt, of_server: Span) -> Span {
        of_server
    }
}

/// A path whose additions were measured.
#[derive(Debug, Clone)]
struct Measured<'s> {
    overhead: &'s Overhead,
    rng: ChaCha8Rng,
}

impl Path for Measured<'_> {
    #[inline]
    fn latency(&mut self, attempt: &Attempt, of_server: Span) -> Span {
        let word = uniform_open(&mut self.rng);
        let added_ms = self.overhead.attempt_ms(attempt.request, attempt.number, word);
        let added = Span::from_millis_f64(added_ms).as_nanos();
        Span::from_nanos(of_server.as_nanos().saturating_add(added))
    }
}

/// Does at once what the balancer asks for.
struct Driver<'r, P, R> {
    now: Timestamp,
    queue: EventQueue,
    stations: Stations,
    luck: &'r mut LuckTape,
    accepted: &'r mut [usize],
    timeout: Span,
    path: P,
    record: &'r mut R,
}

impl<P: Path, R: Record> Effects for Driver<'_, P, R> {
    #[inline]
    fn send(&mut self, attempt: &Attempt) {
        let Self { stations, luck, accepted, .. } = self;
        let Luck { outcome, cause, latency } = stations.meet(attempt.server, self.now, || {
            let accepted = &mut accepted[attempt.server.index()];
            let luck = luck.luck(attempt.server, *accepted);
            *accepted += 1;
            luck
        });
        let latency = self.path.latency(attempt, latency);
        let (latency, outcome, cause) = match latency > self.timeout {
            true => (self.timeout, Outcome::TimedOut, Cause::Status),
            false => (latency, outcome, cause),
        };
        self.record.on_sent(attempt, outcome);
        self.queue.push_outcome(self.now + latency, attempt.id, outcome, cause);
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        self.record.on_answer(request, answer);
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.queue.push_wake_up(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{
        Draw, Latency, LatencyFamily, LogNormal, Model, RateLimit, RequestOverhead,
    };
    use flakelab_core::domain::Rules;
    use flakelab_core::strategy::StrategySpec;

    fn scenario(error_rates: [f64; 2], rate_limit: RateLimit, latency: Latency) -> Scenario {
        let mut model = Model { rate_limit, latency, ..Model::of_rates(&error_rates) };
        model.error_rate.draw = Draw::PerReplication;
        Scenario { requests: 200, ..Scenario::new(model) }
    }

    /// Answers as (ok, attempts, latency).
    #[derive(Debug, Default, PartialEq)]
    struct Heard(Vec<(bool, u32, Span)>);

    impl Record for Heard {
        fn on_answer(&mut self, _request: RequestId, answer: Answer) {
            self.0.push((answer.ok, answer.attempts, answer.latency));
        }
    }

    fn play(scenario: &Scenario, overhead: Option<&Overhead>) -> (Heard, Ledger) {
        let streams = Streams::new(5);
        let mut world = Replication::new(scenario, &streams, 3);
        let mut words = streams.stream(Purpose::Analysis, 1, 3);
        let drawn = overhead.map(|path| path.drawn(200, None, || uniform_open(&mut words)));
        if let Some(overhead) = &drawn {
            world = world.behind(overhead, streams.stream(Purpose::Analysis, 0, 3));
        }
        let spec = StrategySpec::from_name("v4").unwrap();
        let mut heard = Heard::default();
        let mut play = |heard: &mut Heard| {
            let coins = streams.stream(Purpose::Strategy, 0, 3);
            world.play(world.seat(|fleet| spec.build(fleet, coins)), heard)
        };
        let ledger = play(&mut heard);
        let mut again = Heard::default();
        assert_eq!(play(&mut again), ledger, "every play meets the same words");
        assert_eq!(again, heard);
        (heard, ledger)
    }

    const CONSTANT: Latency = Latency {
        success: LatencyFamily::Constant { ms: 2.0 },
        failure: None,
        rate_limited_ms: Some(1.0),
    };

    fn overhead(first: &[f64], retry: &[f64]) -> Overhead {
        let entry = |first: &f64| RequestOverhead { first_attempt_ms: *first, beside_ms: 1e9 };
        Overhead { requests: first.iter().map(entry).collect(), retry_ms: retry.to_vec() }
    }

    #[test]
    fn a_path_that_adds_nothing_changes_nothing() {
        let latency = LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.3 });
        let scenario = scenario([0.4, 0.6], RateLimit::None, latency.into());
        assert_eq!(play(&scenario, None), play(&scenario, Some(&Overhead::default())));
    }

    #[test]
    fn first_attempts_and_further_ones_take_their_own_additions() {
        let scenario = scenario([0.4, 0.6], RateLimit::None, CONSTANT);
        let (heard, ledger) = play(&scenario, Some(&overhead(&[0.5], &[0.25])));
        assert_eq!(heard.0.len() as u64, ledger.arrived);
        assert!(heard.0.iter().any(|(_, attempts, _)| *attempts > 1));
        for (_, attempts, latency) in heard.0 {
            let ms = 2.5 + 2.25 * f64::from(attempts - 1);
            assert_eq!(latency, Span::from_millis_f64(ms));
        }
    }

    #[test]
    fn additions_are_drawn_from_what_was_measured() {
        let scenario = scenario([0.0, 0.0], RateLimit::None, CONSTANT);
        let (heard, _) = play(&scenario, Some(&overhead(&[0.5, 1.0], &[])));
        let slow = heard.0.iter().filter(|(_, _, l)| *l == Span::from_millis_f64(3.0)).count();
        let fast = heard.0.iter().filter(|(_, _, l)| *l == Span::from_millis_f64(2.5)).count();
        assert_eq!(slow + fast, 200);
        // 200 fair coins: within 4.5 standard deviations, false alarm 7e-6.
        assert!((68..=132).contains(&slow), "{slow}");
    }

    #[test]
    fn refusals_come_later_too() {
        let limit = RateLimit::TokenBucket { per_second: 0.001, burst: 1.0 };
        let mut scenario = scenario([0.0, 0.0], limit, CONSTANT);
        scenario.rules = Rules { max_attempts: Some(1), ..Rules::default() };
        let (heard, ledger) = play(&scenario, Some(&overhead(&[0.5], &[0.25])));
        assert_eq!(ledger.rate_limited(), 198);
        let refused = heard.0.iter().filter(|(ok, ..)| !ok);
        refused.for_each(|(.., latency)| assert_eq!(*latency, Span::from_millis_f64(1.5)));
    }

    #[test]
    fn the_timeout_counts_the_sum() {
        let mut scenario = scenario([0.0, 0.0], RateLimit::None, CONSTANT);
        scenario.rules = Rules { attempt_timeout_ms: 2.5, ..Rules::default() };
        let (_, in_time) = play(&scenario, Some(&overhead(&[0.5], &[0.5])));
        assert_eq!((in_time.timed_out(), in_time.answered_ok), (0, 200));
        let (heard, late) = play(&scenario, Some(&overhead(&[0.6], &[0.5])));
        assert_eq!((late.timed_out(), late.answered_ok), (200, 200));
        assert!(heard.0.iter().all(|(.., l)| *l == Span::from_millis_f64(5.0)));
    }
}
