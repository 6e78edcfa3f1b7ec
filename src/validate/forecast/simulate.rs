//! Runs of strategies against a start of the servers as it is believed to be, many times.
//!
//! Every replication draws servers, arrivals, luck, the strategies' coins and the words of the
//! overhead, from streams of its own, so no result depends on which thread did what. All
//! strategies of a replication meet one world, which is drawn once: each is a fair draw by
//! itself, and nothing here looks at two of them together.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::RunMetric;
use super::live_run::latency_quantile;
use super::run_metric::Counted;
use super::start::BelievedStart;
use crate::balancer::Answer;
use crate::domain::{Purpose, RequestId, Rules, Streams};
use crate::sim::{Record, Replication};
use crate::stats::sample::uniform_open;
use crate::strategy::{Strategy, StrategySpec};
use crate::world::{Model, Overhead, Scenario, Traffic};

/// What is predicted: runs of so many requests by these strategies.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// In the order they are played, each once.
    pub strategies: &'a [StrategySpec],
    /// Requests of a run, at least 1.
    pub requests: u64,
    /// Requests per second, evenly spaced.
    pub requests_per_second: f64,
    /// The rules.
    pub rules: Rules,
    /// What the path to the servers adds to latencies; none if it was not measured.
    pub overhead: Option<&'a Overhead>,
    /// How much the path of the run may differ from the measured one; none if the overhead is the
    /// very path. See [`Overhead::drawn`].
    pub path_spread: Option<f64>,
    /// Simulated runs behind every distribution; see [`replications`](super::replications).
    pub replications: u64,
    /// The only source of randomness.
    pub seed: u64,
    /// Cuts simulations short once it is true: they then hold numbers that mean nothing, and
    /// whoever set it must throw them away.
    pub interrupt: Option<&'a AtomicBool>,
}

/// One value for each of [`RunMetric::ALL`].
pub(super) type Values = [f64; RunMetric::ALL.len()];

/// The seed of simulated runs is not the one given, so that servers, which may be started with
/// the same one, cannot meet the luck of a simulated run.
const SALT: u64 = 0xf0_4eca_5703_91ae;
/// Streams of [`Purpose::Analysis`], whose "server" is what the words are for.
const ATTEMPTS: u16 = 0;
const PATHS: u16 = 1;
/// Luck number n has the replications from n times this on, beyond those of all others.
const LUCKS_APART: u64 = 1 << 33;

/// How a batch of runs differs from those of the prediction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Twist {
    /// Every error rate is higher by so much.
    pub(super) shift: f64,
    /// Which luck the same servers give: 0 is that of the prediction; below 128.
    pub(super) luck: u64,
}

impl Setting<'_> {
    pub(super) fn scenario(&self, model: &Model) -> Scenario {
        Scenario {
            name: model.name.clone(),
            model: model.clone(),
            traffic: Traffic::Exact,
            requests_per_second: self.requests_per_second,
            requests: self.requests,
            rules: self.rules,
        }
    }

    /// So many replications in order: of each the values of every strategy.
    pub(super) fn simulate(
        &self,
        scenario: &Scenario,
        start: &BelievedStart,
        strategies: &[StrategySpec],
        replications: u64,
        twist: Twist,
    ) -> Vec<Vec<Values>> {
        let (streams, fleet) = (Streams::new(self.seed ^ SALT), scenario.model.fleet());
        (0..replications.max(1))
            .into_par_iter()
            .map(|replication| {
                if self.interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed)) {
                    return vec![[0.0; RunMetric::ALL.len()]; strategies.len()];
                }
                let mut servers = streams.stream(Purpose::Instance, 0, replication);
                let instance = start.draw(twist.shift, &mut servers);
                let number = replication + twist.luck * LUCKS_APART;
                let mut sample = streams.stream(Purpose::Analysis, PATHS, replication);
                let drawn = self.overhead.map(|path| {
                    let word = || uniform_open(&mut sample);
                    path.drawn(scenario.requests, self.path_spread, word)
                });
                let overhead = drawn.as_ref();
                let mut world = Replication::of(scenario, instance, &streams, number);
                if let Some(overhead) = overhead {
                    let words = streams.stream(Purpose::Analysis, ATTEMPTS, number);
                    world = world.behind(overhead, words);
                }
                let play = |strategy: &StrategySpec| {
                    let coins = streams.stream(Purpose::Strategy, 0, number);
                    self.play(&mut world, strategy.build(&fleet, coins), overhead)
                };
                strategies.iter().map(play).collect()
            })
            .collect()
    }

    fn play(
        &self,
        world: &mut Replication<'_>,
        player: Box<dyn Strategy>,
        overhead: Option<&Overhead>,
    ) -> Values {
        let capacity = self.requests.min(1 << 20) as usize;
        let latencies_ns = Vec::with_capacity(capacity);
        let mut answers = Answers { latencies_ns, overhead };
        let ledger = world.play(player, &mut answers);
        let counted = Counted {
            requests: ledger.arrived,
            answered_ok: ledger.answered_ok,
            ledger: &ledger,
            rules: &self.rules,
        };
        let mut latencies = answers.latencies_ns;
        RunMetric::ALL.map(|metric| match metric {
            RunMetric::LatencyP50 => latency_quantile(&mut latencies, 0.5),
            RunMetric::LatencyP99 => latency_quantile(&mut latencies, 0.99),
            counts => counted.value(counts).unwrap_or(f64::NAN),
        })
    }
}

/// Latencies as the load generator sees them: what the path adds to requests is in them.
struct Answers<'o> {
    latencies_ns: Vec<u64>,
    overhead: Option<&'o Overhead>,
}

impl Record for Answers<'_> {
    #[inline]
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        let added = self.overhead.map_or(0, |overhead| {
            let ms = overhead.request_ms(request);
            crate::domain::Span::from_millis_f64(ms).as_nanos()
        });
        self.latencies_ns.push(answer.latency.as_nanos().saturating_add(added));
    }
}
