//! What a sweep found, ready for tables and charts. Every number is final here; reports only
//! format them.

use serde::Serialize;

use crate::experiment::plan::{LeadLeftOpen, ParameterSd, Parameters};
use flakelab_core::stats::{Interval, Moments, Separation};

/// Of every interval in a summary.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// With fewer replications there are no intervals, no ranking and no P(best). Scores have skews down to
/// -11 and come in fours that are alike; nothing that sees only a few of them can cover. How often
/// intervals hold from here on stands in `results/calibration/report.md`.
pub const FEWEST_REPLICATIONS: u64 = 200;

/// The result of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// In order of the plan.
    pub scenarios: Vec<ScenarioSummary>,
}

/// The result in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioSummary {
    /// The scenario's name, for example `0`.
    pub config: String,
    /// Requests in a run.
    pub requests: u64,
    /// Mean arrival rate.
    pub requests_per_second: f64,
    /// Finished replications.
    pub replications: u64,
    /// Whether servers refuse with 429.
    pub has_rate_limit: bool,
    /// Whether nobody can beat the oracle on average. Where servers refuse, fill up or go dark
    /// it is greedy and no bound.
    pub oracle_is_bound: bool,
    /// Where the parameters of the servers came from.
    pub parameters: Parameters,
    /// What the model merely assumes, in its own words.
    pub assumed: Option<String>,
    /// References first, then the ranked contenders from the best mean score down.
    pub contenders: Vec<ContenderSummary>,
}

/// The result of one contender in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContenderSummary {
    /// Name in tables.
    pub strategy: String,
    /// Score of a run. With parameters drawn from a posterior its mean is the mean over the
    /// posterior, and the interval is that of the Monte-Carlo error alone: it shrinks with the
    /// number of replications, while what the traces leave open stays. Over a whole pass through the
    /// rows it is on the safe side, since all of them are met.
    pub score: Mean,
    /// Standard deviation of the true mean score over the posterior: how far the mean may be off
    /// because the traces leave parameters open. None unless parameters were drawn,
    /// and often enough to tell (25 times).
    pub score_parameter_sd: Option<ParameterSd>,
    /// Share of requests answered 200.
    pub success_rate: Mean,
    /// Attempts per request.
    pub attempts_per_request: Mean,
    /// Attempts beyond the first of their request, per run.
    pub retries: Mean,
    /// Penalty per run.
    pub penalty: Mean,
    /// Attempts refused with 429, per run.
    pub rate_limited: Mean,
    /// Attempts without an answer in time, per run.
    pub timed_out: Mean,
    /// Requests not answered 200, per run.
    pub regret: Mean,
    /// The oracle's score minus this one, per run, paired.
    pub oracle_regret: Mean,
    /// Median of request latency in milliseconds, pooled over replications.
    pub latency_p50_ms: f64,
    /// 90th percentile of the same.
    pub latency_p90_ms: f64,
    /// 99th percentile of the same.
    pub latency_p99_ms: f64,
    /// 99.9th percentile of the same.
    pub latency_p999_ms: f64,
    /// 95 % intervals of these four, in milliseconds; none with too few replications, and where one
    /// reaches beyond the largest latency there was.
    pub latency_intervals_ms: [Option<Interval>; 4],
    /// Place in the comparison; none for reference rows.
    pub ranking: Option<Ranking>,
    /// How often each score occurred, in increasing order of score.
    pub score_counts: Vec<ScoreCount>,
    /// Oracle regret after so many requests.
    pub oracle_regret_curve: Vec<CurvePoint>,
    /// Share of attempts at the server with the lowest error rate, the second lowest, ...
    pub attempt_share_by_rank: Vec<f64>,
    /// What a strategy that watches load and health has to tell; none of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<NotesSummary>,
}

/// A mean over replications.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of one replication; 0 when there is only one.
    pub std_dev: f64,
    /// 95 % interval of the mean; none with fewer than [`FEWEST_REPLICATIONS`], and where none is
    /// computed.
    pub interval: Option<Interval>,
}

impl Mean {
    /// The mean of finished replications.
    pub(crate) fn of(moments: &Moments, interval: Option<Interval>) -> Self {
        Self { mean: moments.mean(), std_dev: moments.std_dev(), interval }
    }

    /// Half the width of the interval; 0 without one.
    pub fn half_width(&self) -> f64 {
        self.interval.map_or(0.0, |interval| interval.half_width())
    }
}

/// The place of a ranked contender.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ranking {
    /// From 1, by mean score.
    pub rank: usize,
    /// Whether it cannot be told from the best; so it is with fewer than [`FEWEST_REPLICATIONS`].
    pub tied_with_best: bool,
    /// Mean score minus the best one's, at most 0, paired.
    pub delta: f64,
    /// Interval of `delta`, which holds together with those of all other pairs with 95 %; none with
    /// fewer than [`FEWEST_REPLICATIONS`].
    pub delta_interval: Option<Interval>,
    /// Standard deviation of the true difference over the posterior; see
    /// [`ContenderSummary::score_parameter_sd`].
    pub delta_parameter_sd: Option<ParameterSd>,
    /// The lead of the best over this one on the servers that the traces allow; none for the best,
    /// with fewer than 25 draws, and where the draws differ by no more than luck may explain.
    pub lead_left_open: Option<LeadLeftOpen>,
    /// Replications that would separate a tied contender from the best; none beside the best
    /// and those not tied.
    pub replications_to_separate: Option<Separation>,
    /// Probability that it has the highest mean on servers like these: over what luck leaves open and,
    /// where parameters are drawn, over the servers that the traces allow. None with fewer than
    /// [`FEWEST_REPLICATIONS`].
    pub p_best: Option<f64>,
    /// How much pairing sharpens the difference from the best: variance unpaired / paired. None
    /// beside the best, infinite (in JSON: null, too) when all differences are equal.
    pub pairing_gain: Option<f64>,
}

impl Ranking {
    /// Half the width of the interval of `delta`; 0 without one.
    pub fn delta_half_width(&self) -> f64 {
        self.delta_interval.map_or(0.0, |interval| interval.half_width())
    }
}

/// How often a score occurred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScoreCount {
    /// The score.
    pub score: f64,
    /// Replications that had it.
    pub replications: u64,
}

/// Oracle regret after so many requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Requests so far.
    pub requests: u64,
    /// Mean over replications.
    pub mean: f64,
    /// 95 % interval of the mean.
    pub interval: Option<Interval>,
}

/// Load and health of one contender in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotesSummary {
    /// Servers left out of decisions because of their health, summed over decisions, per run.
    pub filtered_by_health: Mean,
    /// Switches from one way of choosing to another, per run.
    pub switches: Mean,
    /// Variance over servers of the attempts in flight, averaged over time, per run.
    pub load_variance: Mean,
    /// Share of a run's attempts that went to the server with most of them.
    pub busiest_share: Mean,
    /// Attempts of each server per run, in order of ports; empty with more than
    /// [`SELECTIONS_SHOWN`](crate::experiment::play::SELECTIONS_SHOWN) servers.
    pub selections: Vec<f64>,
    /// The first switches of the first replications.
    pub first_switches: Vec<SwitchOfRun>,
}

/// A switch, and the run that it happened in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SwitchOfRun {
    /// The replication.
    pub replication: u64,
    /// Seconds since the start of the run.
    pub at_s: f64,
    /// The way of choosing given up.
    pub from: &'static str,
    /// The way taken up.
    pub to: &'static str,
    /// Why, in words.
    pub reason: String,
}

impl ScenarioSummary {
    /// Whether there are enough replications for intervals that hold.
    pub fn spread_is_known(&self) -> bool {
        self.replications >= FEWEST_REPLICATIONS
    }

    /// The ranked contenders, best first.
    pub fn ranked(&self) -> impl Iterator<Item = (&ContenderSummary, Ranking)> {
        self.contenders.iter().filter_map(|c| c.ranking.map(|r| (c, r)))
    }

    /// The reference rows.
    pub fn references(&self) -> impl Iterator<Item = &ContenderSummary> {
        self.contenders.iter().filter(|c| c.ranking.is_none())
    }
}

/// Requests that losses are stated for.
pub const PER_REQUESTS: f64 = 1000.0;

/// Who is never far behind: every strategy's loss against the best one, scenario by scenario.
///
/// Losses are per 1,000 requests, so that scenarios of different lengths can stand side by side.
/// "Too close to call" is what the simultaneous intervals of each scenario say.
///
/// When not to use it: to choose a strategy by its mean loss over scenarios. Nobody's servers are
/// an average of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Robustness {
    /// Scenarios, in order of the plan.
    pub scenarios: Vec<String>,
    /// Ranked strategies, the lowest mean rank first; in order of their names where it is the same.
    pub rows: Vec<RobustnessRow>,
}

/// One strategy in all scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustnessRow {
    /// Name in tables.
    pub strategy: String,
    /// In order of the scenarios.
    pub places: Vec<Place>,
    /// Mean of its ranks.
    pub mean_rank: f64,
    /// In how many scenarios it is the best or cannot be told from it.
    pub best_or_tied: usize,
    /// Its largest loss.
    pub worst_loss: f64,
}

/// One strategy in one scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Mean score of the best strategy minus this one's, for 1,000 requests; at least 0.
    pub loss: f64,
    /// Rank, from 1.
    pub rank: usize,
    /// Whether it cannot be told from the best.
    pub tied: bool,
}

impl Robustness {
    /// The losses in a summary; none if there is nothing to compare: fewer than two scenarios, or
    /// fewer than two strategies.
    pub fn of(summary: &Summary) -> Option<Self> {
        let first = summary.scenarios.first()?;
        let mut names: Vec<&str> = first.ranked().map(|(c, _)| c.strategy.as_str()).collect();
        if summary.scenarios.len() < 2 || names.len() < 2 {
            return None;
        }
        names.sort_unstable();
        let mut rows = names
            .into_iter()
            .map(|name| row(summary, name))
            .collect::<Option<Vec<RobustnessRow>>>()?;
        rows.sort_by(|a, b| a.mean_rank.total_cmp(&b.mean_rank));
        let scenarios = summary.scenarios.iter().map(|s| s.config.clone()).collect();
        Some(Self { scenarios, rows })
    }
}

/// None if the strategy is missing in a scenario.
fn row(summary: &Summary, name: &str) -> Option<RobustnessRow> {
    let place = |scenario: &ScenarioSummary| {
        let (_, ranking) = scenario.ranked().find(|(c, _)| c.strategy == name)?;
        let loss = -ranking.delta * PER_REQUESTS / scenario.requests as f64;
        // Never -0, which would be printed.
        Some(Place { loss: loss.max(0.0), rank: ranking.rank, tied: ranking.tied_with_best })
    };
    let places: Vec<Place> = summary.scenarios.iter().map(place).collect::<Option<_>>()?;
    let ranks: usize = places.iter().map(|place| place.rank).sum();
    Some(RobustnessRow {
        strategy: name.to_owned(),
        mean_rank: ranks as f64 / places.len() as f64,
        best_or_tied: places.iter().filter(|place| place.rank == 1 || place.tied).count(),
        worst_loss: places.iter().map(|place| place.loss).fold(0.0, f64::max),
        places,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::experiment::plan::{Contender, Plan};
    use crate::experiment::sweep::sweep;
    use crate::world::{Model, Scenario};
    use flakelab_core::strategy::StrategySpec;

    fn swept(scenarios: &[(&str, u64, [f64; 2])]) -> Summary {
        let scenarios = scenarios.iter().map(|(name, requests, rates)| {
            let model = Model { name: (*name).to_owned(), ..Model::of_rates(rates) };
            Scenario { requests: *requests, ..Scenario::new(model) }
        });
        let ranked = StrategySpec::named_by("all").unwrap().into_iter().map(Contender::new);
        let plan = Plan::new("x", scenarios.collect(), ranked.collect(), 200, 7).unwrap();
        sweep(&plan, &mut (), &AtomicBool::new(false), |_| ()).unwrap().summary
    }

    #[test]
    fn losses_are_per_thousand_requests_and_ranks_are_those_of_the_tables() {
        let summary = swept(&[("unequal", 200, [0.0, 0.9]), ("perfect", 50, [0.0, 0.0])]);
        let map = Robustness::of(&summary).unwrap();
        assert_eq!(map.scenarios, ["unequal", "perfect"]);
        for row in &map.rows {
            let (contender, ranking) =
                summary.scenarios[0].ranked().find(|(c, _)| c.strategy == row.strategy).unwrap();
            let best = summary.scenarios[0].ranked().next().unwrap().0.score.mean;
            let expected = (best - contender.score.mean) * 5.0;
            assert!((row.places[0].loss - expected).abs() < 1e-9, "{row:?}");
            assert_eq!(row.places[0].rank, ranking.rank);
            assert_eq!((row.places[1].loss, row.places[1].loss.is_sign_negative()), (0.0, false));
            assert_eq!(row.worst_loss, row.places[0].loss);
        }
        assert!(map.rows.windows(2).all(|pair| pair[0].mean_rank <= pair[1].mean_rank));
        let everywhere = map.rows.iter().filter(|row| row.best_or_tied == 2).count();
        assert!((1..5).contains(&everywhere), "somebody loses where servers differ");
    }

    #[test]
    fn one_scenario_is_no_map() {
        assert_eq!(Robustness::of(&swept(&[("one", 20, [0.0, 0.5])])), None);
    }
}
