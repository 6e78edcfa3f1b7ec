//! Who is never far behind: every strategy's loss against the best one, scenario by scenario.
//!
//! Losses are per 1,000 requests, so that scenarios of different lengths can stand side by side.
//! "Too close to call" is what the simultaneous intervals of each scenario say.
//!
//! When not to use it: to choose a strategy by its mean loss over scenarios. Nobody's servers are
//! an average of these.

use super::Summary;

/// Requests that losses are stated for.
pub const PER_REQUESTS: f64 = 1000.0;

/// Losses of strategies in scenarios.
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
    let place = |scenario: &super::ScenarioSummary| {
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
    use crate::experiment::{Contender, Plan, sweep};
    use crate::strategy::StrategySpec;
    use crate::world::{Model, Scenario};

    fn swept(scenarios: &[(&str, u64, [f64; 2])]) -> Summary {
        let scenarios = scenarios.iter().map(|(name, requests, rates)| {
            let model = Model { name: (*name).to_owned(), ..Model::of_rates(rates) };
            Scenario { requests: *requests, ..Scenario::new(model) }
        });
        let ranked = StrategySpec::named_by("all").unwrap().into_iter().map(Contender::new);
        let plan = Plan::new("x", scenarios.collect(), ranked.collect(), 30, 7).unwrap();
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
