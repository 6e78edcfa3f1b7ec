//! The result in a sentence.

use super::numbers::{decimals_for, fixed, round_up, thousands};
use crate::experiment::{ContenderSummary, Ranking, ScenarioSummary};
use crate::stats::Interval;
use crate::stats::comparison::Separation;

/// Who won, by how much, and whether it can be told, in plain words; and how far the lead may be
/// off because the traces leave parameters open.
pub fn verdict(scenario: &ScenarioSummary) -> String {
    let mut text = of_the_model(scenario);
    if let Some(open) = left_open(scenario) {
        text += &open;
    }
    text
}

/// The verdict on servers like those of the model, over all its parameters.
fn of_the_model(scenario: &ScenarioSummary) -> String {
    let ranked: Vec<(&ContenderSummary, Ranking)> = scenario.ranked().collect();
    let Some((best, _)) = ranked.first() else {
        return "No strategy was ranked.".to_owned();
    };
    let decimals = decimals_for(best.score.interval.half_width());
    let points = format!(
        "{} of {} points on average",
        fixed(best.score.mean, decimals),
        thousands(scenario.requests)
    );
    let tied: Vec<&(&ContenderSummary, Ranking)> =
        ranked[1..].iter().filter(|(_, r)| r.tied_with_best).collect();
    let behind = ranked[1..].iter().find(|(_, r)| !r.tied_with_best);
    if scenario.replications < 2 {
        return format!(
            "{} scored most, but a single replication says nothing of who is better.",
            best.strategy
        );
    }
    if ranked.len() == 1 {
        return format!("{} scores {points}; there is nobody to compare it with.", best.strategy);
    }
    if tied.is_empty() {
        let Some((second, r)) = behind else { return String::new() };
        return format!(
            "{} wins with {points}, {} than {}, the next.",
            best.strategy,
            margin(r),
            second.strategy
        );
    }
    if tied.len() + 1 == ranked.len()
        && ranked.iter().all(|(_, r)| r.delta == 0.0 && r.delta_interval.width() == 0.0)
    {
        return format!("All score the same in every replication: {points}.");
    }
    let names: Vec<&str> = tied.iter().map(|(c, _)| c.strategy.as_str()).collect();
    let mut text = format!(
        "Too close to call: {} has the highest mean, {points}, but cannot be told from {}",
        best.strategy,
        names.join(", ")
    );
    text += &match most_to_separate(&ranked) {
        Some(Separation::Replications(n)) => {
            format!(
                "; if the differences are what they seem, about {} fresh replications would tell.",
                thousands(round_up(n))
            )
        }
        Some(Separation::MoreThanMillion) => {
            "; not even a million replications are sure to tell them all.".to_owned()
        }
        None => ".".to_owned(),
    };
    if let Some((next, r)) = behind {
        text += &format!(" It scores {} than {}.", margin(r), next.strategy);
    }
    text
}

/// What the parameters that the traces leave open do to the lead over the first that is behind,
/// or, where none is, over the second.
fn left_open(scenario: &ScenarioSummary) -> Option<String> {
    let ranked: Vec<(&ContenderSummary, Ranking)> = scenario.ranked().collect();
    let behind = ranked.iter().skip(1).find(|(_, r)| !r.tied_with_best);
    let (second, r) = behind.or(ranked.get(1))?;
    let (of_parameters, interval) = (r.delta_parameter_sd?, r.delta_parameter_interval?);
    if of_parameters.high == 0.0 {
        // Strategies that never differ are not open to anything.
        return None;
    }
    if of_parameters.low == 0.0 {
        return Some(format!(
            " What the traces leave open about these servers may move its lead over {} by up to {} \
             points (standard deviation); {} replications cannot tell it more closely.",
            second.strategy,
            fixed(of_parameters.high, decimals_for(of_parameters.high)),
            thousands(scenario.replications)
        ));
    }
    let lead = lead(interval);
    let decimals = decimals_telling(lead);
    let mut text = format!(
        " With what the traces leave open about these servers, its lead over {} could be anything \
         from {} to {} points (95 %)",
        second.strategy,
        fixed(lead.low, decimals),
        fixed(lead.high, decimals)
    );
    text += if lead.contains(0.0) && !r.tied_with_best {
        ": which of the two is better depends on what is not known about the servers."
    } else {
        "."
    };
    Some(text)
}

/// `1.9 points more (95 % interval 0.7 to 3.1)`, seen from the best.
fn margin(r: &Ranking) -> String {
    let lead = lead(r.delta_interval);
    let decimals = decimals_telling(lead);
    format!(
        "{} points more (95 % interval {} to {})",
        fixed(-r.delta, decimals),
        fixed(lead.low, decimals),
        fixed(lead.high, decimals)
    )
}

/// The interval of a difference from the best, seen from the best.
fn lead(delta: Interval) -> Interval {
    Interval { low: -delta.high, high: -delta.low }
}

/// Digits that the interval of a lead deserves, and enough of them to see on which side of 0 its
/// lower end lies.
fn decimals_telling(lead: Interval) -> usize {
    let mut decimals = decimals_for(lead.half_width());
    while decimals < 4 && fixed(lead.low, decimals).bytes().all(|b| b"-0.".contains(&b)) {
        decimals += 1;
    }
    decimals
}

/// What it takes to separate the best from everybody it is tied with now.
fn most_to_separate(ranked: &[(&ContenderSummary, Ranking)]) -> Option<Separation> {
    ranked.iter().filter_map(|(_, r)| r.replications_to_separate).max_by_key(|s| match s {
        Separation::Replications(n) => *n,
        Separation::MoreThanMillion => u64::MAX,
    })
}

/// The ranked strategies that cannot be told from the best, the best included, and the
/// replications that would tell; nothing unless such a number is known.
pub fn open_question(scenario: &ScenarioSummary) -> Option<(Vec<&str>, u64)> {
    let ranked: Vec<_> = scenario.ranked().collect();
    let Separation::Replications(n) = most_to_separate(&ranked)? else { return None };
    let tied = ranked.iter().filter(|(_, r)| r.tied_with_best);
    Some((tied.map(|(c, _)| c.strategy.as_str()).collect(), round_up(n)))
}
