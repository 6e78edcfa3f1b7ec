//! What is predicted of a run that is under way: its numbers when a dozen counts of requests had been
//! answered, and bounds between two of them.
//!
//! A run is not a straight line: strategies learn, and learning costs most at the beginning. So nothing
//! is extrapolated. Attempts, penalty, refusals, requests lost and points lost never fall, so between
//! two counts they lie between their values there: not below the lower end at the count before, not
//! above the upper end at the count after. Attempts of a request that is still in service are within
//! these bounds, too. At every moment a run that is as predicted lies outside with a probability of at
//! most 5 %, each number by itself. The share of the busiest server does fall and rise; its bounds are
//! the wider ones of both ends, and how often it lies outside is measured.
//!
//! When not to use it: for a verdict, which is on whole runs and has p-values.

use serde::{Deserialize, Serialize};

use crate::forecast::metric::{Counted, RunMetric};
use flakelab_core::balancer::{Answer, Ledger};
use flakelab_core::domain::{Attempt, Outcome, Rules};
use flakelab_core::stats::Interval;

/// Counts of answered requests that are predicted, the whole run among them.
const COUNTS: u64 = 12;

/// Simulated runs behind each of them, at most.
pub(crate) const RUNS: u64 = 5_000;

/// Of simulated runs, so many lie beyond each end of an interval.
const BEYOND: f64 = 0.025;

/// The run when so many requests had been answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// Requests answered.
    pub answered: u64,
    /// One a metric that is counted, in the order of [`RunMetric::ALL`].
    pub ranges: Vec<MetricRange>,
}

/// Where 95 % of runs lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricRange {
    /// The metric.
    pub metric: RunMetric,
    /// Mean over simulated runs.
    pub mean: f64,
    /// At least 95 % of runs lie within.
    pub interval: Interval,
}

/// What is predicted of a metric of a run that has answered so many requests, the last attempts perhaps
/// of one that is not answered yet. None of latencies, of a run that is longer than the predicted one,
/// and where nothing can be said yet.
pub fn under_way(
    milestones: &[Milestone],
    metric: RunMetric,
    answered: u64,
) -> Option<MetricRange> {
    let next = milestones.partition_point(|at| at.answered <= answered);
    let of = |at: &Milestone| {
        let range = at.ranges.iter().find(|range| range.metric == metric)?;
        Some((at.answered as f64, *range))
    };
    let nothing = MetricRange { metric, mean: 0.0, interval: Interval { low: 0.0, high: 0.0 } };
    let before = match next.checked_sub(1) {
        Some(last) => of(milestones.get(last)?)?,
        None => (0.0, nothing),
    };
    let after = match milestones.get(next) {
        Some(at) => of(at)?,
        // The end itself is its own bound; beyond it nothing was predicted.
        None if before.0 == answered as f64 => before,
        None => return None,
    };
    let now = answered as f64;
    let ((from, first), (to, last)) = (before, after);
    let (least, most) = (first.interval, last.interval);
    let interval = match metric {
        RunMetric::Attempts | RunMetric::Penalty | RunMetric::RateLimited => {
            Interval { low: least.low, high: most.high }
        }
        // Points lost, answered - score, never fall.
        RunMetric::Score => {
            Interval { low: most.low - (to - now), high: least.high + (now - from) }
        }
        // Neither do requests lost, answered x (1 - rate).
        RunMetric::SuccessRate if answered > 0 => Interval {
            low: (1.0 - (1.0 - most.low) * to / now).max(0.0),
            high: 1.0 - (1.0 - least.high) * from / now,
        },
        RunMetric::BusiestShare if next > 0 => {
            Interval { low: least.low.min(most.low), high: least.high.max(most.high) }
        }
        _ => return None,
    };
    let way = if to > from { (now - from) / (to - from) } else { 1.0 };
    let mean = match metric {
        RunMetric::SuccessRate if from == 0.0 => last.mean,
        _ => first.mean + way * (last.mean - first.mean),
    };
    Some(MetricRange { metric, mean, interval })
}

/// The values of one simulated run at its milestones; NaN of latencies.
pub(crate) type Way = Vec<[f64; RunMetric::ALL.len()]>;

/// Counts a simulated run while it is played.
pub(crate) struct Counter<'r> {
    rules: &'r Rules,
    pub(crate) ledger: Ledger,
    counts: Vec<u64>,
    pub(crate) way: Way,
}

impl<'r> Counter<'r> {
    pub(crate) fn new(rules: &'r Rules, servers: usize, requests: u64) -> Self {
        let counts = counts(requests);
        let way = Vec::with_capacity(counts.len());
        Self { rules, ledger: Ledger::new(servers), counts, way }
    }

    #[inline]
    pub(crate) fn on_sent(&mut self, attempt: &Attempt, outcome: Outcome) {
        let ledger = &mut self.ledger;
        ledger.attempts += 1;
        ledger.extra_attempts += u64::from(attempt.number >= self.rules.free_attempts);
        if let Some(server) = ledger.servers.get_mut(attempt.server.index()) {
            server.attempts += 1;
            server.rate_limited += u64::from(outcome == Outcome::RateLimited);
        }
    }

    #[inline]
    pub(crate) fn on_answer(&mut self, answer: Answer) {
        self.ledger.arrived += 1;
        self.ledger.answered_ok += u64::from(answer.ok);
        if self.counts.get(self.way.len()) == Some(&self.ledger.arrived) {
            self.way.push(self.values());
        }
    }

    /// As they are now.
    pub(crate) fn values(&self) -> [f64; RunMetric::ALL.len()] {
        let Self { ledger, rules, .. } = self;
        let (requests, answered_ok) = (ledger.arrived, ledger.answered_ok);
        let counted = Counted { requests, answered_ok, ledger, rules };
        RunMetric::ALL.map(|metric| counted.value(metric).unwrap_or(f64::NAN))
    }
}

/// The counts: twelfths of the run, rounded up, each once.
fn counts(requests: u64) -> Vec<u64> {
    let mut counts: Vec<u64> =
        (1..=COUNTS).map(|i| (requests.saturating_mul(i)).div_ceil(COUNTS)).collect();
    counts.dedup();
    counts
}

/// The milestones of these simulated runs.
pub(crate) fn milestones(requests: u64, ways: &[&Way]) -> Vec<Milestone> {
    let range = |at: usize, i: usize, metric: RunMetric| {
        let mut sorted: Vec<f64> = ways.iter().filter_map(|way| Some(way.get(at)?[i])).collect();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        // Order statistics, so that a further run lies within with a probability of 95 % or more.
        let beyond = (BEYOND * (sorted.len() as f64 + 1.0)) as usize;
        let rank = beyond.saturating_sub(1);
        let low = sorted.get(rank).copied().unwrap_or(f64::NAN);
        let high = sorted.iter().rev().nth(rank).copied().unwrap_or(f64::NAN);
        MetricRange { metric, mean, interval: Interval { low, high } }
    };
    let milestone = |(at, answered)| {
        let metrics = RunMetric::ALL.into_iter().enumerate();
        let counted = metrics.filter(|(_, metric)| !metric.is_latency());
        Milestone { answered, ranges: counted.map(|(i, metric)| range(at, i, metric)).collect() }
    };
    counts(requests).into_iter().enumerate().map(milestone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::predict::{Forecast, Setting};
    use crate::forecast::testing::model;
    use flakelab_core::domain::{Purpose, RequestId, Streams};
    use flakelab_core::strategy::StrategySpec;
    use flakelab_sim::play::{Record, Replication};
    use flakelab_sim::world::{ErrorFamily, Instance, Model, RateLimit, Traffic};

    fn milestone(answered: u64, metric: RunMetric, low: f64, high: f64) -> Milestone {
        let mean = (low + high) / 2.0;
        let range = MetricRange { metric, mean, interval: Interval { low, high } };
        Milestone { answered, ranges: vec![range] }
    }

    #[test]
    fn bounds_between_two_counts_are_those_worked_out_by_hand() {
        let at = |metric, ends: [(f64, f64); 2], answered| {
            let [(a, b), (c, d)] = ends;
            let way = [milestone(10, metric, a, b), milestone(20, metric, c, d)];
            let range = under_way(&way, metric, answered)?;
            Some((range.interval.low, range.mean, range.interval.high))
        };
        let attempts = [(12.0, 18.0), (24.0, 30.0)];
        assert_eq!(at(RunMetric::Attempts, attempts, 0), Some((0.0, 0.0, 18.0)));
        assert_eq!(at(RunMetric::Attempts, attempts, 15), Some((12.0, 21.0, 30.0)));
        assert_eq!(at(RunMetric::Attempts, attempts, 20), Some((24.0, 27.0, 30.0)));
        assert_eq!(at(RunMetric::Attempts, attempts, 21), None, "longer than predicted");
        // 1 to 4 points lost at 10, 2 to 6 at 20: 1 to 6 at 13.
        assert_eq!(at(RunMetric::Score, [(6.0, 9.0), (14.0, 18.0)], 13), Some((7.0, 10.05, 12.0)));
        // 0 to 1 requests lost at 10, 1 to 4 at 20: 0 to 4 at 16.
        let rates = [(0.9, 1.0), (0.8, 0.95)];
        assert_eq!(at(RunMetric::SuccessRate, rates, 16).map(|r| (r.0, r.2)), Some((0.75, 1.0)));
        assert_eq!(at(RunMetric::SuccessRate, rates, 0), None);
        let shares = [(0.3, 0.6), (0.4, 0.5)];
        assert_eq!(at(RunMetric::BusiestShare, shares, 12).map(|r| (r.0, r.2)), Some((0.3, 0.6)));
        assert_eq!(at(RunMetric::BusiestShare, shares, 9), None);
        assert_eq!(at(RunMetric::LatencyP50, shares, 12), None);
    }

    #[test]
    fn there_are_a_dozen_counts_and_the_whole_run_is_the_last() {
        assert_eq!(counts(100), [9, 17, 25, 34, 42, 50, 59, 67, 75, 84, 92, 100]);
        assert_eq!((counts(5), counts(1)), (vec![1, 2, 3, 4, 5], vec![1]));
        assert_eq!(counts(10_000_000).len(), 12);
    }

    /// How often a metric lay outside of its bounds when so many requests had been answered, at any
    /// attempt until the next answer.
    struct Watched<'w> {
        counter: Counter<'w>,
        milestones: &'w [Milestone],
        outside: &'w mut [[u32; RunMetric::ALL.len()]],
        seen: [bool; RunMetric::ALL.len()],
    }

    impl Watched<'_> {
        fn look(&mut self) {
            let answered = self.counter.ledger.arrived;
            let values = self.counter.values();
            for (i, metric) in RunMetric::ALL.into_iter().enumerate() {
                let Some(range) = under_way(self.milestones, metric, answered) else { continue };
                let Interval { low, high } = range.interval;
                if (values[i] < low - 1e-9 || values[i] > high + 1e-9) && !self.seen[i] {
                    self.seen[i] = true;
                    self.outside[answered as usize][i] += 1;
                }
            }
        }
    }

    impl Record for Watched<'_> {
        fn on_answer(&mut self, _request: RequestId, answer: Answer) {
            self.counter.on_answer(answer);
            self.seen = [false; RunMetric::ALL.len()];
            self.look();
        }

        fn on_sent(&mut self, attempt: &Attempt, outcome: Outcome) {
            self.counter.on_sent(attempt, outcome);
            self.look();
        }
    }

    const STUDIES: u64 = 400;

    /// For each count and metric, the share of runs of V4 that lie outside.
    fn outside(real: &Model, predicted: &Model) -> Vec<f64> {
        let only = [StrategySpec::from_name("v4").unwrap()];
        let requests = 60;
        let setting = Setting {
            strategies: &only,
            requests,
            requests_per_second: 10.0,
            traffic: Traffic::Exact,
            rules: Rules::default(),
            overhead: None,
            replications: 1_999,
            seed: 5,
            path_spread: None,
            interrupt: None,
            played: None,
        };
        let forecast = Forecast::from_model(predicted, &setting).runs().remove(0);
        let scenario = setting.scenario(real);
        let mut outside = vec![[0; RunMetric::ALL.len()]; requests as usize + 1];
        for study in 0..STUDIES {
            let streams = Streams::new(80_000 + study);
            let instance = Instance::draw(real, &streams, 0);
            let coins = streams.stream(Purpose::Strategy, 0, 0);
            let mut watched = Watched {
                counter: Counter::new(&setting.rules, instance.servers(), requests),
                milestones: &forecast.milestones,
                outside: &mut outside,
                seen: [false; RunMetric::ALL.len()],
            };
            let mut world = Replication::of(&scenario, instance, &streams, 0);
            world.play(world.seat(|fleet| only[0].build(fleet, coins)), &mut watched);
        }
        outside.iter().flatten().map(|n| f64::from(*n) / STUDIES as f64).collect()
    }

    /// 61 counts and 6 metrics, at most 5 % of 400 runs outside each: 5 standard deviations (0.054) more
    /// at any of them has a probability below 1e-3. Rates that are ten points higher are caught.
    #[test]
    fn a_run_as_predicted_is_outside_at_no_count_more_often_than_is_said() {
        let real = |low, high| {
            let mut model = model(ErrorFamily::Uniform { low, high }, Vec::new());
            model.rate_limit = RateLimit::FixedWindow { limit: 2, window_s: 0.3, phase_s: None };
            model
        };
        let largest = |shares: &[f64]| shares.iter().copied().fold(0.0, f64::max);
        let held = outside(&real(0.2, 0.7), &real(0.2, 0.7));
        assert!(largest(&held) < 0.05 + 0.054, "{}", largest(&held));
        let mean = held.iter().sum::<f64>() / held.len() as f64;
        assert!(mean < 0.05, "{mean}");
        assert!(largest(&outside(&real(0.4, 0.9), &real(0.2, 0.7))) > 0.15);
    }
}
