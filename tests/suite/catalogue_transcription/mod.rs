//! Strategies outside the five against slow, literal transcriptions of their definitions, and that
//! the comparison would notice a wrong one.
//!
//! A transcription is a function of the whole history, looked through anew at each decision: who
//! was sent what when, and how it ended. It shares no code with `src/strategy`, only the samplers
//! of `stats` (tested by themselves) and the stream of random words, consumed in the same order.
//! Bounds and quantiles are found by bisection on what defines them. Several requests are in
//! service, and attempts end in any order.
//!
//! Every planted bug must be noticed in at least a quarter of the worlds.

mod literature;
mod rate_limit;
mod timing;

use flakelab_core::domain::{
    Attempt, AttemptId, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId, ServerId,
    Span, Streams, Timestamp,
};
use flakelab_core::stats::sample;
use flakelab_core::strategy::{Decision, StrategySpec};
use rand_chacha::ChaCha8Rng;

use crate::common::thompson_draws;

/// Decisions compared in one world.
const DECISIONS: u64 = 1_000;
const SEEDS: u64 = 12;

/// What happened.
#[derive(Debug, Clone, Copy)]
enum Event {
    Sent(Attempt),
    Ended(Attempt, Outcome),
}

/// Everything that happened, in order of time.
#[derive(Debug, Default)]
struct History {
    servers: usize,
    events: Vec<(Timestamp, Event)>,
}

impl History {
    /// When attempts ended, which, and how.
    fn ended(&self) -> impl DoubleEndedIterator<Item = (Timestamp, Attempt, Outcome)> {
        self.events.iter().filter_map(|(at, event)| match event {
            Event::Ended(attempt, outcome) => Some((*at, *attempt, *outcome)),
            Event::Sent(_) => None,
        })
    }

    /// How attempts at this server ended, in order.
    fn outcomes(&self, server: usize) -> impl DoubleEndedIterator<Item = (Timestamp, Outcome)> {
        let here = self.ended().filter(move |(_, attempt, _)| attempt.server.index() == server);
        here.map(|(at, _, outcome)| (at, outcome))
    }

    /// Successes and failures of this server, a refusal being a failure.
    fn counts(&self, server: usize) -> (f64, f64) {
        let successes = self.outcomes(server).filter(|(_, o)| *o == Outcome::Success).count();
        (successes as f64, (self.outcomes(server).count() - successes) as f64)
    }
}

/// What a transcription may know at a decision.
struct Question<'a> {
    now: Timestamp,
    request: &'a PendingRequest,
    history: &'a History,
    rng: &'a mut ChaCha8Rng,
}

impl Question<'_> {
    fn everyone(&self) -> Vec<usize> {
        (0..self.history.servers).collect()
    }
}

/// The definition of a strategy.
type Literal<'a> = dyn Fn(&mut Question) -> Decision + 'a;

fn send(server: usize) -> Decision {
    Decision::Send(ServerId(server as u16))
}

/// Ties go to the server that the strategy sees first.
fn highest(servers: &[usize], mut value: impl FnMut(usize) -> f64) -> usize {
    let values: Vec<f64> = servers.iter().map(|server| value(*server)).collect();
    let mut chosen = 0;
    for i in 1..servers.len() {
        if values[i] > values[chosen] {
            chosen = i;
        }
    }
    servers[chosen]
}

/// The server with the largest draw, as Thompson sampling takes them from the stream.
fn drawn(rng: &mut ChaCha8Rng, servers: &[usize], counts: impl Fn(usize) -> (f64, f64)) -> usize {
    let beliefs: Vec<(f64, f64)> = servers.iter().map(|i| counts(*i)).collect();
    let mut draws = thompson_draws(rng, &beliefs, |a, b| (a, b)).into_iter();
    highest(servers, |_| draws.next().expect("one a server"))
}

/// The same decision; times may differ by a microsecond, which is how sums of floats differ.
fn same(a: Decision, b: Decision) -> bool {
    match (a, b) {
        (Decision::WaitUntil(a), Decision::WaitUntil(b)) => {
            a.as_nanos().abs_diff(b.as_nanos()) <= 1_000
        }
        _ => a == b,
    }
}

/// The first decision at which the strategy and the transcription differ, within [`DECISIONS`].
///
/// The seed also picks the number of servers (1 to 10), how good they are, how often they refuse
/// and how many attempts may be in flight.
fn first_disagreement(spec: StrategySpec, literal: &Literal<'_>, seed: u64) -> Option<u64> {
    let servers = [10, 6, 4, 3, 2, 1][seed as usize % 6];
    let luckiest = [0.95, 0.6, 0.3][seed as usize % 3];
    let refusing = [0.1, 0.5, 0.0, 0.9][seed as usize % 4];
    let width = [1, 4, 12][seed as usize / 2 % 3];
    let streams = Streams::new(seed);
    let own = || streams.stream(Purpose::Strategy, 0, 0);
    let mut coins = streams.stream(Purpose::World, 0, 0);
    let mut strategy = spec.build(&Fleet::uniform(servers), own());
    let mut rng = own();
    let mut history = History { servers, events: Vec::new() };
    let rates: Vec<f64> = (0..servers).map(|_| luckiest * sample::uniform01(&mut coins)).collect();
    let mut now = Timestamp::ZERO;
    let mut in_flight: Vec<(PendingRequest, Attempt)> = Vec::new();
    let mut idle: Vec<(PendingRequest, Timestamp)> = Vec::new();
    let (mut attempts, mut decisions, mut requests) = (0, 0, 0);
    while decisions < DECISIONS {
        // Mostly milliseconds, now and then longer than a mask or a block.
        let rarely = sample::index_below(&mut coins, 50) == 0;
        let mean_ms = if rarely { 8_000.0 } else { 40.0 };
        now = now + Span::from_millis_f64(mean_ms * sample::exponential(&mut coins));
        let ends = !in_flight.is_empty() && sample::index_below(&mut coins, width + 1) == 0;
        if in_flight.len() < width && !ends {
            let ready = idle.iter().position(|(_, until)| *until <= now);
            let pending = match ready {
                Some(i) => idle.remove(i).0,
                None => {
                    requests += 1;
                    let request = Request { id: RequestId(requests - 1), arrived_at: now };
                    PendingRequest::new(request, 3)
                }
            };
            let mut question =
                Question { now, request: &pending, history: &history, rng: &mut rng };
            let expected = literal(&mut question);
            let got = strategy.decide(now, &pending);
            if !same(got, expected) {
                return Some(decisions);
            }
            decisions += 1;
            match got {
                Decision::WaitUntil(until) => idle.push((pending, until)),
                Decision::Send(server) => {
                    let (id, request) = (AttemptId(attempts), pending.id);
                    let number = pending.attempts;
                    let attempt = Attempt { id, request, number, server, sent_at: now };
                    attempts += 1;
                    strategy.on_sent(now, &attempt);
                    history.events.push((now, Event::Sent(attempt)));
                    let mut pending = pending;
                    pending.record_attempt(server);
                    in_flight.push((pending, attempt));
                }
            }
        } else if !in_flight.is_empty() {
            let any = sample::index_below(&mut coins, in_flight.len());
            let (pending, attempt) = in_flight.swap_remove(any);
            let outcome = if sample::uniform01(&mut coins) < rates[attempt.server.index()] {
                Outcome::Success
            } else if sample::uniform01(&mut coins) < refusing {
                Outcome::RateLimited
            } else {
                [Outcome::Failure, Outcome::TimedOut][sample::index_below(&mut coins, 2)]
            };
            strategy.on_outcome(now, &attempt, outcome);
            history.events.push((now, Event::Ended(attempt, outcome)));
            let gives_up = pending.attempts > sample::index_below(&mut coins, 7) as u32;
            if outcome != Outcome::Success && !gives_up {
                idle.push((pending, now));
            }
        }
    }
    None
}

fn agrees(spec: StrategySpec, literal: &Literal<'_>) {
    for seed in 0..SEEDS {
        let found = first_disagreement(spec, literal, seed);
        assert_eq!(found, None, "{}, seed {seed}", spec.label());
    }
}

/// A transcription with this bug in it must disagree.
fn notices(spec: StrategySpec, bug: &str, literal: &Literal<'_>) {
    let caught: Vec<u64> =
        (0..SEEDS).filter_map(|seed| first_disagreement(spec, literal, seed)).collect();
    println!("{}: {bug}: {} of {SEEDS} seeds, at {caught:?}", spec.label(), caught.len());
    assert!(caught.len() as u64 >= SEEDS / 4, "{} does not notice: {bug}", spec.label());
}

/// A strategy as on the command line.
fn spec(text: &str) -> StrategySpec {
    StrategySpec::from_text(text).expect("a strategy with parameters")
}
