//! Plays every contender in one replication and notes what the tally needs of each run; the rows
//! that become of it.

use std::error::Error;
use std::sync::atomic::AtomicBool;

use crate::experiment::plan::Contender;
use crate::play::{Record, Replication};
use crate::world::Scenario;
use flakelab_core::balancer::{Answer, Ledger};
use flakelab_core::domain::{RequestId, Rules, Streams};
use flakelab_core::stats::nearest_rank;
use flakelab_core::strategy::Notes;

/// Points of the oracle-regret curve.
const CURVE_POINTS: u64 = 50;

/// What one contender did in one replication.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) ledger: Ledger,
    /// Latency of every request in nanoseconds, in no particular order.
    pub(crate) latencies_ns: Vec<u64>,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    /// Score after each point of the curve.
    pub(crate) curve: Vec<f64>,
    /// Attempts by rank of the server's error rate, lowest first.
    pub(crate) attempts_by_rank: Vec<u64>,
    /// What the strategy has to tell of load and health.
    pub(crate) notes: Option<Notes>,
}

/// Plays every contender in one replication, in order; nothing if `interrupt` became true.
pub(crate) fn play(
    scenario: &Scenario,
    contenders: &[Contender],
    streams: &Streams,
    replication: u64,
    interrupt: &AtomicBool,
) -> Option<Vec<Played>> {
    let mut world = Replication::new(scenario, streams, replication);
    let rates = &world.instance().error_rates;
    let mut by_rate: Vec<usize> = (0..rates.len()).collect();
    by_rate.sort_by(|a, b| rates[*a].total_cmp(&rates[*b]));
    contenders
        .iter()
        .map(|contender| {
            let mut seen = Recorder::new(scenario, interrupt);
            let ledger = world.play(contender.seat(&world, streams, replication), &mut seen);
            if seen.is_cancelled() {
                return None;
            }
            let attempts_by_rank = by_rate.iter().map(|i| ledger.servers[*i].attempts).collect();
            // The score within each stretch of requests becomes the score up to its end.
            let mut sum = 0.0;
            for point in &mut seen.curve {
                sum += *point;
                *point = sum;
            }
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
                notes: seen.notes,
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
    notes: Option<Notes>,
}

impl<'i> Recorder<'i> {
    fn new(scenario: &Scenario, interrupt: &'i AtomicBool) -> Self {
        Self {
            interrupt,
            rules: scenario.rules,
            requests: scenario.requests,
            latencies_ns: Vec::with_capacity(scenario.requests.min(1 << 20) as usize),
            curve: vec![0.0; curve_points(scenario.requests)],
            notes: None,
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

    fn on_end(&mut self, notes: impl FnOnce() -> Option<Notes>) {
        self.notes = notes();
    }

    fn is_cancelled(&self) -> bool {
        self.interrupt.is_cancelled()
    }
}

/// Points of the curve of a run of so many requests.
pub(crate) fn curve_points(requests: u64) -> usize {
    requests.min(CURVE_POINTS) as usize
}

/// What one strategy did in one seeded run of one scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Position of the scenario in the plan.
    pub scenario: usize,
    /// Position of the contender in the plan.
    pub contender: usize,
    /// Number of the replication, from 0.
    pub replication: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Requests answered 200.
    pub answered_ok: u64,
    /// Requests answered 500.
    pub answered_error: u64,
    /// Attempts sent.
    pub attempts: u64,
    /// Attempts beyond the first of their request.
    pub retries: u64,
    /// Attempts beyond the free ones of their request.
    pub extra_attempts: u64,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Attempts without an answer in time.
    pub timed_out: u64,
    /// Points lost to extra attempts.
    pub penalty: f64,
    /// Requests answered 200 minus penalty.
    pub score: f64,
    /// The oracle's score in the same replication minus this one.
    pub oracle_regret: f64,
    /// Median over requests of the time from arrival to answer, in milliseconds.
    pub latency_p50_ms: f64,
    /// The same, 99th percentile.
    pub latency_p99_ms: f64,
    /// Attempts sent to the server with the lowest error rate.
    pub best_server_attempts: u64,
    /// What a strategy that watches load and health has to tell.
    pub notes: Option<Box<RowNotes>>,
}

/// What a strategy that watches load and health tells of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RowNotes {
    /// Servers left out of decisions because of their health, summed over decisions.
    pub filtered_by_health: u64,
    /// How often it went from one way of choosing to another.
    pub switches: u64,
    /// Variance over servers of the attempts in flight, averaged over time.
    pub load_variance: f64,
    /// Share of the attempts that went to the server with most of them.
    pub busiest_share: f64,
    /// Attempts of each server; empty with more than [`SELECTIONS_SHOWN`] servers.
    pub selections: Vec<u64>,
}

/// Selections are listed server by server up to so many servers.
pub const SELECTIONS_SHOWN: usize = 64;

/// Takes rows in order of scenario, replication, contender.
pub trait RowSink {
    /// Takes some finished replications; called many times, with whole replications each time.
    fn push(&mut self, rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Keeps nothing, for those who only want the summary.
impl RowSink for () {
    fn push(&mut self, _rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Keeps everything, for tests and small studies.
impl RowSink for Vec<Row> {
    fn push(&mut self, rows: &[Row]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.extend_from_slice(rows);
        Ok(())
    }
}
