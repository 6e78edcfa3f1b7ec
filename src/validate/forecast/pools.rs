//! A forecast: for every strategy and metric the values that simulated runs had.
//!
//! When not to use it: to compare strategies with each other; `experiment` plays them on common
//! luck and in as many replications as that needs.

use super::simulate::{Setting, Twist, Values};
use super::start::BelievedStart;
use super::{Basis, MetricForecast, RunForecast, RunMetric};
use crate::fit::Tally;
use crate::stats::quantile::quantile;
use crate::stats::{Interval, Moments};
use crate::strategy::StrategySpec;
use crate::world::{Model, Scenario};

/// Predictive distributions of live runs, all on one basis.
#[derive(Debug, Clone)]
pub struct Forecast {
    pub(super) basis: Basis,
    pub(super) scenario: Scenario,
    /// One a strategy, in the order they are played.
    pub(super) runs: Vec<Predicted>,
}

/// The prediction of one strategy's run.
#[derive(Debug, Clone)]
pub(super) struct Predicted {
    pub(super) strategy: StrategySpec,
    /// What it believed of the servers.
    pub(super) start: BelievedStart,
    /// In the order of [`RunMetric::ALL`].
    pub(super) pools: Vec<Pool>,
    /// Whether the latencies hold the path as it was during the run.
    pub(super) knows_path: bool,
    /// Whether that is so of the largest latencies, too.
    pub(super) knows_stalls: bool,
}

/// The values of one metric in simulated runs.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    /// In rising order.
    sorted: Vec<f64>,
    pub(super) mean: f64,
    pub(super) std_dev: f64,
}

impl Forecast {
    /// From the model alone ([`Basis::Model`]): every replication draws a population and a limit
    /// among those that the model leaves open, then rates, phases, luck and coins.
    #[must_use]
    pub fn from_model(model: &Model, setting: &Setting<'_>) -> Self {
        Self::of_one_start(Basis::Model, model, setting)
    }

    /// From the truth ([`Basis::TrueRates`]): a model with fixed error rates and the servers' own
    /// limit. Phases are drawn unless the limit says them.
    #[must_use]
    pub fn from_true_rates(truth: &Model, setting: &Setting<'_>) -> Self {
        Self::of_one_start(Basis::TrueRates, truth, setting)
    }

    /// From the model and what other runs met at the same start of the servers
    /// ([`Basis::OtherRuns`]): for each strategy of the setting the tallies of all servers in the
    /// runs of the others, as [`LiveRun::tallies_of_others`](super::LiveRun::tallies_of_others)
    /// adds them up. A strategy without tallies is predicted from the model.
    #[must_use]
    pub fn given_other_runs(model: &Model, setting: &Setting<'_>, others: &[Vec<Tally>]) -> Self {
        let start =
            |i: usize| BelievedStart::given(model, others.get(i).map_or(&[], Vec::as_slice));
        Self::of_own_starts(model, setting, start)
    }

    /// A planted mistake: populations are not weighed by what the other runs met.
    #[cfg(test)]
    pub(super) fn with_even_populations(
        model: &Model,
        setting: &Setting<'_>,
        others: &[Vec<Tally>],
    ) -> Self {
        let start = |i: usize| BelievedStart::given(model, &others[i]).with_even_populations();
        Self::of_own_starts(model, setting, start)
    }

    /// Every strategy against a start of its own, given by its position.
    fn of_own_starts(
        model: &Model,
        setting: &Setting<'_>,
        start: impl Fn(usize) -> BelievedStart,
    ) -> Self {
        let scenario = setting.scenario(model);
        let predicted = |(i, strategy): (usize, &StrategySpec)| {
            let (start, only) = (start(i), std::slice::from_ref(strategy));
            let rows =
                setting.simulate(&scenario, &start, only, setting.replications, Twist::default());
            Predicted::new(*strategy, start, &rows, 0)
        };
        let runs = setting.strategies.iter().enumerate().map(predicted).collect();
        Self { basis: Basis::OtherRuns, scenario, runs }
    }

    fn of_one_start(basis: Basis, model: &Model, setting: &Setting<'_>) -> Self {
        let (scenario, start) = (setting.scenario(model), BelievedStart::unseen(model));
        let strategies = setting.strategies;
        let rows =
            setting.simulate(&scenario, &start, strategies, setting.replications, Twist::default());
        let predicted = |(i, strategy): (usize, &StrategySpec)| {
            Predicted::new(*strategy, start.clone(), &rows, i)
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

    /// What the forecast knew.
    #[must_use]
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The forecast in the form of the prediction file, one a strategy.
    #[must_use]
    pub fn runs(&self) -> Vec<RunForecast> {
        let forecast = |run: &Predicted| RunForecast {
            strategy: run.strategy.label(),
            basis: self.basis,
            metrics: RunMetric::ALL
                .iter()
                .zip(&run.pools)
                .map(|(metric, pool)| pool.forecast(*metric))
                .collect(),
        };
        self.runs.iter().map(forecast).collect()
    }

    /// The prediction of a strategy's run, if there is one.
    pub(super) fn of(&self, strategy: &StrategySpec) -> Option<&Predicted> {
        self.runs.iter().find(|run| run.strategy == *strategy)
    }
}

impl Predicted {
    /// From the values of the strategy at position `i` in every row.
    fn new(strategy: StrategySpec, start: BelievedStart, rows: &[Vec<Values>], i: usize) -> Self {
        let pool = |metric: usize| {
            Pool::new(rows.iter().filter_map(|row| row.get(i)).map(|v| v[metric]).collect())
        };
        let pools = (0..RunMetric::ALL.len()).map(pool).collect();
        Self { strategy, start, pools, knows_path: false, knows_stalls: false }
    }
}

impl Pool {
    pub(super) fn new(values: Vec<f64>) -> Self {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.push(*value));
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        Self { sorted, mean: moments.mean(), std_dev: moments.std_dev() }
    }

    /// Quantiles 0.025 and 0.975.
    pub(super) fn interval(&self) -> Interval {
        Interval { low: quantile(&self.sorted, 0.025), high: quantile(&self.sorted, 0.975) }
    }

    /// The one value of all simulated runs, if they agree.
    pub(super) fn only_value(&self) -> Option<f64> {
        let (first, last) = (self.sorted.first()?, self.sorted.last()?);
        (first == last).then_some(*first)
    }

    /// Where an observed value falls, 0 to 1: its rank among all values, itself included, in the
    /// order of [`f64::total_cmp`] (NaN is beyond all others). A word in (0, 1) places it within
    /// its rank and breaks ties. If the observation is drawn as the simulated values were, every
    /// place is as likely as any other, exactly, however few the values and whatever their steps.
    pub(super) fn place(&self, observed: f64, word: f64) -> f64 {
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
