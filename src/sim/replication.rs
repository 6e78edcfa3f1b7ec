//! The event loop: arrivals and pending events in order of time into the balancer.

use super::EventQueue;
use crate::balancer::{Answer, Balancer, Effects, Event, Ledger};
use crate::domain::{Attempt, Outcome, Request, RequestId, Span, Streams, Timestamp};
use crate::strategy::Strategy;
use crate::world::{Arrivals, Instance, Limiter, LuckTape, Scenario};

/// Events between two questions whether the run is cancelled: well below a millisecond's work.
const EVENTS_BETWEEN_CHECKS: u32 = 4096;

/// The world of one replication, in which strategies are played one after the other.
#[derive(Debug)]
pub struct Replication<'s> {
    scenario: &'s Scenario,
    instance: Instance,
    luck: LuckTape,
    arrivals: Arrivals,
    /// Attempts accepted in the run being played, per server.
    accepted: Vec<usize>,
}

/// Hears of every answer of a run, in order of time.
pub trait Record {
    /// `request` was answered.
    fn on_answer(&mut self, request: RequestId, answer: Answer);

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

impl<'s> Replication<'s> {
    /// Sets up replication number `replication` of a valid scenario.
    pub fn new(scenario: &'s Scenario, streams: &Streams, replication: u64) -> Self {
        let instance = Instance::draw(&scenario.model, streams, replication);
        let luck = LuckTape::new(&instance, &scenario.model.latency, streams, replication);
        let arrivals = Arrivals::new(
            scenario.traffic,
            scenario.requests_per_second,
            scenario.requests,
            streams,
            replication,
        );
        let accepted = vec![0; instance.servers()];
        Self { scenario, instance, luck, arrivals, accepted }
    }

    /// The truth of this replication, for the oracle and for reports.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Plays one strategy from the first arrival to the last answer, or until `record` says
    /// that the run is cancelled; its ledger is then that of an unfinished run.
    pub fn play(&mut self, strategy: Box<dyn Strategy>, record: &mut impl Record) -> Ledger {
        let Scenario { rules, requests_per_second, ref model, .. } = *self.scenario;
        let mut balancer =
            Balancer::new(strategy, rules, requests_per_second, self.instance.servers());
        self.accepted.fill(0);
        let mut arrivals = self.arrivals.clone();
        let mut next_arrival = arrivals.next();
        let mut arrived = 0;
        let mut events: u32 = 0;
        let mut driver = Driver {
            now: Timestamp::ZERO,
            queue: EventQueue::default(),
            limiters: self.instance.limiters.clone(),
            luck: &mut self.luck,
            accepted: &mut self.accepted,
            timeout: rules.attempt_timeout(),
            refusal: model.latency.rate_limited(),
            record,
        };
        loop {
            // Events of the same instant: outcome, timer, arrival.
            let event = match (driver.queue.next_at(), next_arrival) {
                (None, None) => break,
                (pending, Some(at)) if pending.is_none_or(|p| at < p) => {
                    let request = Request { id: RequestId(arrived), arrived_at: at };
                    arrived += 1;
                    next_arrival = arrivals.next();
                    driver.now = at;
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
        balancer.into_ledger()
    }
}

/// Does at once what the balancer asks for.
struct Driver<'r, R> {
    now: Timestamp,
    queue: EventQueue,
    limiters: Vec<Limiter>,
    luck: &'r mut LuckTape,
    accepted: &'r mut [usize],
    timeout: Span,
    refusal: Span,
    record: &'r mut R,
}

impl<R: Record> Effects for Driver<'_, R> {
    #[inline]
    fn send(&mut self, attempt: &Attempt) {
        let server = attempt.server.index();
        let (outcome, latency) = if self.limiters[server].accept(self.now) {
            let luck = self.luck.luck(attempt.server, self.accepted[server]);
            self.accepted[server] += 1;
            (luck.outcome, luck.latency)
        } else {
            (Outcome::RateLimited, self.refusal)
        };
        if latency > self.timeout {
            self.queue.push_outcome(self.now + self.timeout, attempt.id, Outcome::TimedOut);
        } else {
            self.queue.push_outcome(self.now + latency, attempt.id, outcome);
        }
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        self.record.on_answer(request, answer);
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.queue.push_wake_up(at);
    }
}
