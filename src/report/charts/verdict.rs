//! Who leads, in one sentence.

use super::number::{decimals_for, fixed, list, points};
use crate::experiment::{ContenderSummary, Ranking, ScenarioSummary};

/// Whether there are enough replications to know a spread at all. With one, intervals of zero
/// width mean "unknown".
pub(super) fn spread_is_known(scenario: &ScenarioSummary) -> bool {
    scenario.replications > 1
}

/// Who leads by how much, and who cannot be told from the leader.
pub(super) fn verdict(scenario: &ScenarioSummary) -> String {
    let ranked: Vec<(&ContenderSummary, Ranking)> = scenario.ranked().collect();
    let Some(((best, _), others)) = ranked.split_first() else {
        return "No strategy was ranked.".to_owned();
    };
    let best = &best.strategy;
    if others.is_empty() {
        return format!("{best} played alone.");
    }
    if !spread_is_known(scenario) {
        return format!(
            "{best} scored highest, but one replication says nothing of luck: run more to compare."
        );
    }
    if ranked.iter().all(|(_, r)| r.delta == 0.0 && r.delta_interval.width() == 0.0) {
        return "All score the same in every replication.".to_owned();
    }
    let tied: Vec<String> =
        others.iter().filter(|(_, r)| r.tied_with_best).map(|(c, _)| c.strategy.clone()).collect();
    let behind = others.iter().find(|(_, r)| !r.tied_with_best).map(|(next, ranking)| {
        let interval = ranking.delta_interval;
        let decimals = decimals_for(interval.width());
        format!(
            "leads {} by {} ({} to {})",
            next.strategy,
            points(-ranking.delta, decimals),
            fixed(-interval.high, decimals),
            fixed(-interval.low, decimals)
        )
    });
    match (tied.is_empty(), behind) {
        (true, Some(behind)) => match others.len() - 1 {
            0 => format!("{best} {behind}."),
            1 => format!("{best} {behind} and the other strategy by more."),
            n => format!("{best} {behind} and the other {n} by more."),
        },
        (true, None) => format!("{best} has the highest mean."),
        (false, Some(behind)) => {
            format!(
                "{best} has the highest mean; {} cannot be told from it. It {behind}.",
                list(&tied)
            )
        }
        (false, None) => {
            format!("{best} has the highest mean, but {} cannot be told from it.", list(&tied))
        }
    }
}
