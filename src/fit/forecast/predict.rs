//! What is predicted of live runs before the first request: `prediction.json`, the forecasts that it
//! is written from, and the simulated runs behind them.
//!
//! When not to use it: to compare strategies with each other; a sweep plays them on common luck and
//! in as many replications as that needs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::forecast::live_run::latency_quantile;
use crate::forecast::metric::{Counted, RunMetric};
use crate::forecast::milestones::{self, Counter, Milestone, Way, milestones};
use crate::forecast::servers::{Belief, ServerMetric, oddest};
use crate::forecast::start::BelievedStart;
use crate::rates::Tally;
use flakelab_core::balancer::{Answer, Seat};
use flakelab_core::domain::{Attempt, Outcome, Purpose, RequestId, Rules, Span, Streams};
use flakelab_core::stats::{Interval, Moments, quantile, uniform_open};
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::play::{Record, Replication};
use flakelab_sim::world::{Model, Overhead, Scenario, Traffic};

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionFile {
    /// 1.
    pub schema: u32,
    /// One a config.
    pub configs: Vec<PredictedConfig>,
}

/// The predictions for one config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedConfig {
    /// The config, or the model's name.
    pub config: String,
    /// When it was predicted: Unix seconds.
    pub predicted_at: f64,
    /// Requests of a run.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// The rules.
    pub rules: Rules,
    /// Seed of the simulated runs: with the model and the overhead it gives the same numbers again.
    pub seed: u64,
    /// Simulated runs behind every distribution.
    pub replications: u64,
    /// What was added to simulated latencies; none if it was not measured.
    pub overhead: Option<OverheadSummary>,
    /// One a strategy and basis, strategies in the order they are played.
    pub runs: Vec<RunForecast>,
}

/// What was added to simulated latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OverheadSummary {
    /// Requests that it was measured with.
    pub requests: usize,
    /// Median addition to first attempts, milliseconds.
    pub first_attempt_p50_ms: f64,
    /// Median addition to further attempts, milliseconds.
    pub retry_p50_ms: f64,
    /// Median addition to requests beside their attempts, milliseconds.
    pub request_p50_ms: f64,
}

/// What a prediction knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The model: error rates drawn anew, and whatever the traces left open.
    Model,
    /// The model and the outcomes of the other strategies' runs against the same start.
    OtherRuns,
    /// The true error rates and limits, which only our own stand-in servers tell.
    TrueRates,
}

/// The prediction of one strategy's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunForecast {
    /// The strategy's label, as in tables.
    pub strategy: String,
    /// What the prediction knew.
    pub basis: Basis,
    /// In the order of [`RunMetric::ALL`].
    pub metrics: Vec<MetricForecast>,
    /// The same on the way there, in order of requests answered; none in files of versions that did
    /// not predict it.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
}

/// The predictive distribution of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricForecast {
    /// The metric.
    pub metric: RunMetric,
    /// Mean over simulated runs.
    pub mean: f64,
    /// Standard deviation of one run.
    pub std_dev: f64,
    /// Quantiles 0.025 and 0.975.
    pub interval: Interval,
    /// The quantiles 0, 0.01, 0.02, ... 1.
    pub quantiles: Vec<f64>,
}

impl PredictionFile {
    /// The version of the file's form.
    pub const SCHEMA: u32 = 1;

    /// A file of these predictions.
    pub fn new(configs: Vec<PredictedConfig>) -> Self {
        Self { schema: Self::SCHEMA, configs }
    }
}

impl PredictedConfig {
    /// What was predicted of a metric of a strategy's run, the prediction that knew most last.
    pub fn forecasts(&self, strategy: &str, metric: RunMetric) -> Vec<(Basis, &MetricForecast)> {
        let runs = self.runs.iter().filter(|run| run.strategy == strategy);
        let mut found: Vec<(Basis, &MetricForecast)> = runs
            .filter_map(|run| Some((run.basis, run.metrics.iter().find(|m| m.metric == metric)?)))
            .collect();
        found.sort_by_key(|(basis, _)| *basis);
        found
    }

    /// What was predicted for a config at `predicted_at` (Unix seconds): `forecasts` made with
    /// `setting`.
    pub fn new(
        config: &str,
        predicted_at: f64,
        setting: &Setting<'_>,
        forecasts: &[Forecast],
    ) -> Self {
        let of_bases: Vec<Vec<RunForecast>> = forecasts.iter().map(Forecast::runs).collect();
        let of_strategy = |strategy: &StrategySpec| {
            let label = strategy.label();
            of_bases.iter().flatten().filter(move |run| run.strategy == label).cloned()
        };
        Self {
            config: config.to_owned(),
            predicted_at,
            requests: setting.requests,
            requests_per_second: setting.requests_per_second,
            rules: setting.rules,
            seed: setting.seed,
            replications: setting.replications,
            overhead: setting.overhead.map(OverheadSummary::of),
            runs: setting.strategies.iter().flat_map(of_strategy).collect(),
        }
    }
}

impl OverheadSummary {
    /// The medians of what was measured; 0 where nothing was.
    pub fn of(overhead: &Overhead) -> Self {
        let median = |ms: Vec<f64>| {
            let mut sorted = ms;
            sorted.sort_by(f64::total_cmp);
            if sorted.is_empty() { 0.0 } else { quantile(&sorted, 0.5) }
        };
        let requests = &overhead.requests;
        Self {
            requests: overhead.requests.len(),
            first_attempt_p50_ms: median(requests.iter().map(|of| of.first_attempt_ms).collect()),
            retry_p50_ms: median(overhead.retry_ms.clone()),
            request_p50_ms: median(requests.iter().map(|of| of.beside_ms).collect()),
        }
    }
}

impl Basis {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OtherRuns => "this start, by the other runs",
            Self::TrueRates => "this start, by its true rates",
        }
    }
}

/// Predictive distributions of live runs, all on one basis.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// What the forecast knew.
    pub basis: Basis,
    pub(crate) scenario: Scenario,
    /// One a strategy, in the order they are played.
    pub(crate) runs: Vec<Predicted>,
}

/// The prediction of one strategy's run.
#[derive(Debug, Clone)]
pub(crate) struct Predicted {
    pub(crate) strategy: StrategySpec,
    /// What it believed of the servers.
    pub(crate) start: BelievedStart,
    /// What it believed of each server's error rate.
    pub(crate) beliefs: Vec<Belief>,
    /// In the order of [`RunMetric::ALL`], then of [`ServerMetric::ALL`].
    pub(crate) pools: Vec<Pool>,
    milestones: Vec<Milestone>,
    /// Whether the latencies hold the path as it was during the run.
    pub(crate) knows_path: bool,
    /// Whether that is so of the largest latencies, too.
    pub(crate) knows_stalls: bool,
}

/// The values of one metric in simulated runs.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    sorted: Vec<f64>,
    pub(crate) mean: f64,
    pub(crate) std_dev: f64,
}

impl Forecast {
    /// From the model alone ([`Basis::Model`]): every replication draws a population and a limit
    /// among those that the model leaves open, then rates, phases, luck and coins.
    pub fn from_model(model: &Model, setting: &Setting<'_>) -> Self {
        Self::of_one_start(Basis::Model, model, setting)
    }

    /// From the truth ([`Basis::TrueRates`]): a model with fixed error rates and the servers' own
    /// limit. Phases are drawn unless the limit says them.
    pub fn from_true_rates(truth: &Model, setting: &Setting<'_>) -> Self {
        Self::of_one_start(Basis::TrueRates, truth, setting)
    }

    /// From the model and what other runs met at the same start of the servers
    /// ([`Basis::OtherRuns`]): for each strategy of the setting the tallies of all servers in the
    /// runs of the others, as [`LiveRun::tallies_of_others`](crate::LiveRun::tallies_of_others) adds them up. A strategy without tallies is predicted from the model.
    pub fn given_other_runs(model: &Model, setting: &Setting<'_>, others: &[Vec<Tally>]) -> Self {
        let scenario = setting.scenario(model);
        let predicted = |(i, strategy): (usize, &StrategySpec)| {
            let start = BelievedStart::given(model, others.get(i).map_or(&[], Vec::as_slice));
            let only = std::slice::from_ref(strategy);
            let rows =
                setting.simulate(&scenario, &start, only, setting.replications, Twist::default());
            Predicted::new(*strategy, start, setting.requests, &rows, 0)
        };
        let runs = setting.strategies.iter().enumerate().map(predicted).collect();
        Self { basis: Basis::OtherRuns, scenario, runs }
    }

    fn of_one_start(basis: Basis, model: &Model, setting: &Setting<'_>) -> Self {
        let (scenario, start) = (setting.scenario(model), BelievedStart::given(model, &[]));
        let strategies = setting.strategies;
        let rows =
            setting.simulate(&scenario, &start, strategies, setting.replications, Twist::default());
        let predicted = |(i, strategy): (usize, &StrategySpec)| {
            Predicted::new(*strategy, start.clone(), setting.requests, &rows, i)
        };
        let runs = strategies.iter().enumerate().map(predicted).collect();
        Self { basis, scenario, runs }
    }

    /// The same, where the overhead of its setting is that of the very path of the runs: latencies
    /// are then judged.
    #[must_use]
    pub fn knowing_the_path(mut self) -> Self {
        for run in &mut self.runs {
            (run.knows_path, run.knows_stalls) = (true, true);
        }
        self
    }

    /// The same with latencies as they are over the path that was measured while a strategy's run
    /// lasted: `during` is a forecast of that run with that overhead. Counts stay as they were
    /// predicted before. Only such latencies are judged: what the path adds changes from minute
    /// to minute by more than a run's median can be off.
    ///
    /// `largest_stall_ms` is the largest addition of the path in many more requests than a run
    /// has. A hundred measurements say little of what happens to one request in a hundred; the
    /// 99th percentile is therefore judged only where no stall comes near it, so that the servers
    /// make it and not the path: below the lower end of its interval.
    #[must_use]
    pub fn with_latencies_of(mut self, during: &Self, largest_stall_ms: f64) -> Self {
        for run in &mut self.runs {
            let Some(same) = during.of(&run.strategy) else { continue };
            for (metric, (pool, other)) in
                RunMetric::ALL.iter().zip(run.pools.iter_mut().zip(&same.pools))
            {
                if metric.is_latency() {
                    pool.clone_from(other);
                }
            }
            run.knows_path = true;
            let p99 = RunMetric::ALL.iter().position(|m| *m == RunMetric::LatencyP99);
            let p99 = p99.and_then(|i| run.pools.get(i));
            run.knows_stalls = p99.is_some_and(|p| largest_stall_ms <= p.interval().low);
        }
        self
    }

    /// The forecast in the form of the prediction file, one a strategy.
    pub fn runs(&self) -> Vec<RunForecast> {
        let forecast = |run: &Predicted| RunForecast {
            strategy: run.strategy.label(),
            basis: self.basis,
            metrics: RunMetric::ALL
                .iter()
                .zip(&run.pools)
                .map(|(metric, pool)| pool.forecast(*metric))
                .collect(),
            milestones: run.milestones.clone(),
        };
        self.runs.iter().map(forecast).collect()
    }

    /// The prediction of a strategy's run, if there is one.
    pub(crate) fn of(&self, strategy: &StrategySpec) -> Option<&Predicted> {
        self.runs.iter().find(|run| run.strategy == *strategy)
    }
}

impl Predicted {
    /// From the values of the strategy at position `i` in every row.
    fn new(
        strategy: StrategySpec,
        start: BelievedStart,
        requests: u64,
        rows: &[Vec<Simulated>],
        i: usize,
    ) -> Self {
        let runs: Vec<&Simulated> = rows.iter().filter_map(|row| row.get(i)).collect();
        let pool = |value: usize| Pool::new(runs.iter().map(|run| run.values[value]).collect());
        let pools = (0..VALUES).into_par_iter().map(pool).collect();
        let ways: Vec<&Way> = runs.iter().filter_map(|run| run.way.as_ref()).collect();
        let (beliefs, milestones) = (start.beliefs(), milestones(requests, &ways));
        let (knows_path, knows_stalls) = (false, false);
        Self { strategy, start, beliefs, pools, milestones, knows_path, knows_stalls }
    }

    /// What simulated runs gave of the server that stands out most.
    pub(crate) fn server_pool(&self, metric: ServerMetric) -> Option<&Pool> {
        self.pools.get(RunMetric::ALL.len() + metric as usize)
    }
}

impl Pool {
    pub(crate) fn new(values: Vec<f64>) -> Self {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.push(*value));
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        Self { sorted, mean: moments.mean(), std_dev: moments.std_dev() }
    }

    /// Quantiles 0.025 and 0.975.
    pub(crate) fn interval(&self) -> Interval {
        Interval { low: quantile(&self.sorted, 0.025), high: quantile(&self.sorted, 0.975) }
    }

    /// The one value of all simulated runs, if they agree.
    pub(crate) fn only_value(&self) -> Option<f64> {
        let (first, last) = (self.sorted.first()?, self.sorted.last()?);
        (first == last).then_some(*first)
    }

    /// Where an observed value falls, 0 to 1: its rank among all values, itself included, in the
    /// order of [`f64::total_cmp`] (NaN is beyond all others). A word in (0, 1) places it within
    /// its rank and breaks ties. If the observation is drawn as the simulated values were, every
    /// place is as likely as any other, exactly, however few the values and whatever their steps.
    pub(crate) fn place(&self, observed: f64, word: f64) -> f64 {
        let below = self.sorted.partition_point(|v| v.total_cmp(&observed).is_lt());
        let at_most = self.sorted.partition_point(|v| v.total_cmp(&observed).is_le());
        let members = self.sorted.len() as f64 + 1.0;
        let steps = (at_most - below) as f64 + 1.0;
        (below as f64 + word * steps) / members
    }

    fn forecast(&self, metric: RunMetric) -> MetricForecast {
        MetricForecast {
            metric,
            mean: self.mean,
            std_dev: self.std_dev,
            interval: self.interval(),
            quantiles: (0..=100).map(|i| quantile(&self.sorted, f64::from(i) / 100.0)).collect(),
        }
    }
}

// ---- Runs of strategies against a start of the servers as it is believed to be, many times.
//
// Every replication draws servers, arrivals, luck, the strategies' coins and the words of the
// overhead, from streams of its own, so no result depends on which thread did what. All
// strategies of a replication meet one world, which is drawn once: each is a fair draw by
// itself, and nothing here looks at two of them together.

/// What is predicted: runs of so many requests by these strategies.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// In the order they are played, each once.
    pub strategies: &'a [StrategySpec],
    /// Requests of a run, at least 1.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// When they arrive; a live run's are evenly spaced.
    pub traffic: Traffic,
    /// The rules.
    pub rules: Rules,
    /// What the path to the servers adds to latencies; none if it was not measured.
    pub overhead: Option<&'a Overhead>,
    /// How much the path of the run may differ from the measured one; none if the overhead is the
    /// very path. See [`Overhead::drawn`].
    pub path_spread: Option<f64>,
    /// Simulated runs behind every distribution; see [`replications`](crate::replications).
    pub replications: u64,
    /// The only source of randomness.
    pub seed: u64,
    /// Cuts simulations short once it is true: they then hold numbers that mean nothing, and
    /// whoever set it must throw them away.
    pub interrupt: Option<&'a AtomicBool>,
    /// Counts simulated runs as they are played, for whoever shows how far it is.
    pub played: Option<&'a AtomicU64>,
}

/// One value for each of [`RunMetric::ALL`], then for each of [`ServerMetric::ALL`].
const VALUES: usize = RunMetric::ALL.len() + ServerMetric::ALL.len();

/// What is kept of a simulated run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Simulated {
    pub(crate) values: [f64; VALUES],
    /// Of the first [`milestones::RUNS`] replications.
    way: Option<Way>,
}

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
pub(crate) struct Twist {
    /// Every error rate is higher by so much.
    pub(crate) shift: f64,
    /// Which luck the same servers give: 0 is that of the prediction; below 128.
    pub(crate) luck: u64,
}

impl Setting<'_> {
    pub(crate) fn scenario(&self, model: &Model) -> Scenario {
        Scenario {
            name: model.name.clone(),
            model: model.clone(),
            traffic: self.traffic,
            requests_per_second: self.requests_per_second,
            requests: self.requests,
            rules: self.rules,
        }
    }

    /// So many replications in order: of each the values of every strategy.
    pub(crate) fn simulate(
        &self,
        scenario: &Scenario,
        start: &BelievedStart,
        strategies: &[StrategySpec],
        replications: u64,
        twist: Twist,
    ) -> Vec<Vec<Simulated>> {
        let streams = Streams::new(self.seed ^ SALT);
        let beliefs = start.beliefs();
        (0..replications.max(1))
            .into_par_iter()
            .map(|replication| {
                if self.interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed)) {
                    return vec![Simulated::default(); strategies.len()];
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
                    let with_way = replication < milestones::RUNS;
                    let seat = world.seat(|fleet| strategy.build(fleet, coins));
                    self.play(&mut world, seat, overhead, &beliefs, with_way)
                };
                let values = strategies.iter().map(play).collect();
                if let Some(played) = self.played {
                    played.fetch_add(strategies.len() as u64, Ordering::Relaxed);
                }
                values
            })
            .collect()
    }

    fn play(
        &self,
        world: &mut Replication<'_>,
        seat: Seat,
        overhead: Option<&Overhead>,
        beliefs: &[Belief],
        with_way: bool,
    ) -> Simulated {
        let capacity = self.requests.min(1 << 20) as usize;
        let latencies_ns = Vec::with_capacity(capacity);
        let counter = with_way.then(|| Counter::new(&self.rules, beliefs.len(), self.requests));
        let mut answers = Answers { latencies_ns, overhead, counter };
        let ledger = world.play(seat, &mut answers);
        let counted = Counted {
            requests: ledger.arrived,
            answered_ok: ledger.answered_ok,
            ledger: &ledger,
            rules: &self.rules,
        };
        let mut latencies = answers.latencies_ns;
        let of_run = RunMetric::ALL.map(|metric| match metric {
            RunMetric::LatencyP50 => latency_quantile(&mut latencies, 0.5),
            RunMetric::LatencyP99 => latency_quantile(&mut latencies, 0.99),
            counts => counted.value(counts).unwrap_or(f64::NAN),
        });
        let of_servers = oddest(&ledger.servers, beliefs).map(|(value, _)| value);
        let mut values = [0.0; VALUES];
        values.iter_mut().zip(of_run.into_iter().chain(of_servers)).for_each(|(to, of)| *to = of);
        Simulated { values, way: answers.counter.map(|counter| counter.way) }
    }
}

/// Latencies as the load generator sees them: what the path adds to requests is in them.
struct Answers<'o> {
    latencies_ns: Vec<u64>,
    overhead: Option<&'o Overhead>,
    counter: Option<Counter<'o>>,
}

impl Record for Answers<'_> {
    #[inline]
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        let added = self.overhead.map_or(0, |overhead| {
            let ms = overhead.request_ms(request);
            Span::from_millis_f64(ms).as_nanos()
        });
        self.latencies_ns.push(answer.latency.as_nanos().saturating_add(added));
        if let Some(counter) = &mut self.counter {
            counter.on_answer(answer);
        }
    }

    #[inline]
    fn on_sent(&mut self, attempt: &Attempt, outcome: Outcome) {
        if let Some(counter) = &mut self.counter {
            counter.on_sent(attempt, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_of_known_values_says_what_is_worked_out_by_hand() {
        let pool = Pool::new(vec![3.0, 1.0, 2.0, 2.0]);
        assert_eq!((pool.mean, pool.std_dev), (2.0, (2.0_f64 / 3.0).sqrt()));
        let forecast = pool.forecast(RunMetric::Attempts);
        assert_eq!((forecast.quantiles[0], forecast.quantiles[50]), (1.0, 2.0));
        assert_eq!((forecast.quantiles[100], forecast.quantiles.len()), (3.0, 101));
        assert!((forecast.interval.low - 1.075).abs() < 1e-12);
        // Five members: below all, in the middle of three equal ones, above all, beyond numbers.
        assert_eq!(pool.place(0.0, 0.5), 0.1);
        assert_eq!(pool.place(2.0, 0.5), 0.5);
        assert_eq!(pool.place(2.0, 0.0), 0.2);
        assert_eq!(pool.place(9.0, 0.5), 0.9);
        assert_eq!(pool.place(f64::NAN, 0.5), 0.9);
        assert_eq!(pool.only_value(), None);
    }

    #[test]
    fn values_that_agree_leave_every_place_open_to_the_word() {
        let pool = Pool::new(vec![5.0; 9]);
        assert_eq!(pool.only_value(), Some(5.0));
        assert_eq!((pool.place(5.0, 0.25), pool.place(4.0, 0.5)), (0.25, 0.05));
    }
}
