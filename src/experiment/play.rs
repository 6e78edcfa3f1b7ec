//! Plays every contender in one replication and notes what the tally needs of each run.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Contender;
use crate::balancer::{Answer, Ledger};
use crate::domain::{RequestId, Rules, Streams};
use crate::sim::{Record, Replication};
use crate::stats::quantile::nearest_rank;
use crate::strategy::{self, Strategy};
use crate::world::Scenario;

/// Points of the oracle-regret curve.
const CURVE_POINTS: u64 = 50;

/// What one contender did in one replication.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) ledger: Ledger,
    /// Latency of every request in nanoseconds, in no particular order.
    pub(super) latencies_ns: Vec<u64>,
    pub(super) latency_p50_ms: f64,
    pub(super) latency_p99_ms: f64,
    /// Score after each point of the curve.
    pub(super) curve: Vec<f64>,
    /// Attempts by rank of the server's error rate, lowest first.
    pub(super) attempts_by_rank: Vec<u64>,
    /// What the strategy has to tell of load and health.
    pub(super) notes: Option<strategy::Notes>,
}

/// Plays every contender in one replication, in order; nothing if `interrupt` became true.
pub(super) fn play(
    scenario: &Scenario,
    contenders: &[Contender],
    streams: &Streams,
    replication: u64,
    interrupt: &AtomicBool,
) -> Option<Vec<Played>> {
    let fleet = scenario.model.fleet();
    let mut world = Replication::new(scenario, streams, replication);
    let rates = &world.instance().error_rates;
    let mut by_rate: Vec<usize> = (0..rates.len()).collect();
    by_rate.sort_by(|a, b| rates[*a].total_cmp(&rates[*b]));
    contenders
        .iter()
        .map(|contender| {
            let player = contender.build(&fleet, world.instance(), streams, replication);
            let mut seen = Recorder::new(scenario, interrupt);
            let ledger = world.play(player, &mut seen);
            if seen.is_cancelled() {
                return None;
            }
            let attempts_by_rank = by_rate.iter().map(|i| ledger.servers[*i].attempts).collect();
            seen.accumulate();
            let of_strategy = seen.of_strategy.take();
            let mut latencies_ns = seen.latencies_ns;
            let mut latency_ms =
                |p| nearest_rank(&mut latencies_ns, p).map_or(f64::NAN, |ns| ns as f64 * 1e-6);
            Some(Played {
                ledger,
                latency_p50_ms: latency_ms(0.5),
                latency_p99_ms: latency_ms(0.99),
                latencies_ns,
                curve: seen.curve,
                attempts_by_rank,
                notes: of_strategy,
            })
        })
        .collect()
}

/// What is written down while a run is played.
struct Recorder<'i> {
    interrupt: &'i AtomicBool,
    rules: Rules,
    requests: u64,
    latencies_ns: Vec<u64>,
    curve: Vec<f64>,
    of_strategy: Option<strategy::Notes>,
}

impl<'i> Recorder<'i> {
    fn new(scenario: &Scenario, interrupt: &'i AtomicBool) -> Self {
        Self {
            interrupt,
            rules: scenario.rules,
            requests: scenario.requests,
            latencies_ns: Vec::with_capacity(scenario.requests.min(1 << 20) as usize),
            curve: vec![0.0; curve_points(scenario.requests)],
            of_strategy: None,
        }
    }

    /// Turns the score within each stretch of requests into the score up to its end.
    fn accumulate(&mut self) {
        let mut sum = 0.0;
        for point in &mut self.curve {
            sum += *point;
            *point = sum;
        }
    }
}

impl Record for Recorder<'_> {
    #[inline]
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        self.latencies_ns.push(answer.latency.as_nanos());
        let points = self.curve.len() as u64;
        let extra = answer.attempts.saturating_sub(self.rules.free_attempts);
        let worth = f64::from(u8::from(answer.ok)) - self.rules.penalty(u64::from(extra));
        self.curve[(request.0 * points / self.requests) as usize] += worth;
    }

    fn on_end(&mut self, strategy: &dyn Strategy) {
        self.of_strategy = strategy.notes();
    }

    fn is_cancelled(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Points of the curve of a run of so many requests.
pub(super) fn curve_points(requests: u64) -> usize {
    requests.min(CURVE_POINTS) as usize
}
