//! The result in a sentence, and in short for captions.

use crate::report::numbers::{counted, decimals_for, fixed, needed, round_up, span, thousands};
use crate::report::text::list;
use flakelab_core::stats::{Interval, Separation};
use flakelab_sim::experiment::{
    ContenderSummary, FEWEST_REPLICATIONS, LeadLeftOpen, Ranking, ScenarioSummary,
};

type Ranked<'s> = (&'s ContenderSummary, &'s Ranking);

fn ranked(scenario: &ScenarioSummary) -> Vec<Ranked<'_>> {
    scenario.contenders.iter().filter_map(|c| Some((c, c.ranking.as_ref()?))).collect()
}

/// How the ranked strategies stand to each other, which sentences and captions tell alike.
enum Standing<'s> {
    Empty,
    /// One that nobody is compared with.
    Alone(&'s ContenderSummary),
    /// So few replications do not tell luck from merit; this one scored most.
    TooFew(&'s ContenderSummary),
    /// Nobody ever differs from this one.
    AllTheSame(&'s ContenderSummary),
    /// The highest mean, those that cannot be told from it, the first that can, and how many
    /// strategies there are beside the best.
    Known {
        best: &'s ContenderSummary,
        tied: Vec<String>,
        behind: Option<Ranked<'s>>,
        others: usize,
    },
}

impl<'s> Standing<'s> {
    fn of(scenario: &'s ScenarioSummary) -> Self {
        let ranked = ranked(scenario);
        let Some(((best, _), others)) = ranked.split_first() else { return Self::Empty };
        if others.is_empty() {
            return Self::Alone(best);
        }
        if !scenario.spread_is_known() {
            return Self::TooFew(best);
        }
        if ranked.iter().all(|(_, r)| r.delta == 0.0 && r.delta_half_width() == 0.0) {
            return Self::AllTheSame(best);
        }
        let tied = others.iter().filter(|(_, r)| r.tied_with_best);
        Self::Known {
            best,
            tied: tied.map(|(c, _)| c.strategy.clone()).collect(),
            behind: others.iter().find(|(_, r)| !r.tied_with_best).copied(),
            others: others.len(),
        }
    }
}

/// Who won, by how much, and whether it can be told, in plain words; and how far the lead may be
/// off because the traces leave parameters open.
pub fn verdict(scenario: &ScenarioSummary) -> String {
    of_the_model(scenario) + &left_open(scenario).unwrap_or_default()
}

/// The verdict on servers like those of the model, over all its parameters.
fn of_the_model(scenario: &ScenarioSummary) -> String {
    let points = |best: &ContenderSummary| {
        let decimals = decimals_for(best.score.half_width());
        let (mean, of) = (fixed(best.score.mean, decimals), thousands(scenario.requests));
        format!("{mean} of {of} points on average")
    };
    let (best, tied, behind) = match Standing::of(scenario) {
        Standing::Empty => return "No strategy was ranked.".to_owned(),
        Standing::Alone(best) => {
            let (name, points) = (&best.strategy, points(best));
            return format!("{name} scores {points}; there is nobody to compare it with.");
        }
        Standing::TooFew(best) => {
            return format!(
                "{} scored most in {}, too few to say who is better: run {FEWEST_REPLICATIONS} or \
                 more.",
                best.strategy,
                counted(scenario.replications, "replication")
            );
        }
        Standing::AllTheSame(best) => {
            return format!("All score the same in every replication: {}.", points(best));
        }
        Standing::Known { best, tied, behind, .. } => (best, tied, behind),
    };
    let (name, points) = (&best.strategy, points(best));
    if tied.is_empty() {
        return behind.map_or(String::new(), |(next, r)| {
            format!("{name} wins with {points}, {} than {}, the next.", margin(r), next.strategy)
        });
    }
    let mut text = format!(
        "Too close to call: {name} has the highest mean, {points}, but cannot be told from {}",
        tied.join(", ")
    );
    text += &match most_to_separate(scenario) {
        Some(separation) => match needed(&separation) {
            Some(needed) => format!("; it takes about {needed} fresh replications to tell."),
            None => "; not even a million replications are sure to tell them all.".to_owned(),
        },
        None => ".".to_owned(),
    };
    if let Some((next, r)) = behind {
        text += &format!(" It scores {} than {}.", margin(r), next.strategy);
    }
    text
}

/// The same in short, for the captions of charts.
pub fn short_verdict(scenario: &ScenarioSummary) -> String {
    let (best, tied, behind, others) = match Standing::of(scenario) {
        Standing::Empty => return "No strategy was ranked.".to_owned(),
        Standing::Alone(best) => return format!("{} played alone.", best.strategy),
        Standing::TooFew(best) => {
            return format!(
                "{} scored most in {}, too few to compare: run {FEWEST_REPLICATIONS} or more.",
                best.strategy,
                counted(scenario.replications, "replication")
            );
        }
        Standing::AllTheSame(_) => return "All score the same in every replication.".to_owned(),
        Standing::Known { best, tied, behind, others } => (&best.strategy, tied, behind, others),
    };
    let behind = behind.map(|(next, r)| {
        let lead = lead(r);
        let decimals = crate::charts::decimals_for(lead.width());
        format!(
            "leads {} by {} ({} to {})",
            next.strategy,
            crate::charts::points(-r.delta, decimals),
            crate::charts::fixed(lead.low, decimals),
            crate::charts::fixed(lead.high, decimals)
        )
    });
    match (tied.is_empty(), behind) {
        (true, Some(behind)) => match others - 1 {
            0 => format!("{best} {behind}."),
            1 => format!("{best} {behind} and the other strategy by more."),
            n => format!("{best} {behind} and the other {n} by more."),
        },
        (true, None) => format!("{best} has the highest mean."),
        (false, Some(behind)) => {
            let tied = list(&tied);
            format!("{best} has the highest mean; {tied} cannot be told from it. It {behind}.")
        }
        (false, None) => {
            format!("{best} has the highest mean, but {} cannot be told from it.", list(&tied))
        }
    }
}

/// What the lead over the first that is behind, or, where none is, over the second, is on the servers
/// that the traces allow.
fn left_open(scenario: &ScenarioSummary) -> Option<String> {
    if !scenario.spread_is_known() {
        return None;
    }
    let ranked = ranked(scenario);
    let behind = ranked.iter().skip(1).find(|(_, r)| !r.tied_with_best);
    let (second, r) = behind.or(ranked.get(1))?;
    if r.delta_parameter_sd?.high == 0.0 {
        // Strategies that never differ are not open to anything.
        return None;
    }
    let Some(LeadLeftOpen { ahead, range }) = r.lead_left_open else {
        return Some(format!(
            " Whether the servers that the traces allow differ in its lead over {} cannot be told \
             from luck in {} replications.",
            second.strategy,
            thousands(scenario.replications)
        ));
    };
    Some(format!(
        " Of the servers that the traces allow, it is ahead of {} on {}; on about nine in ten of \
         them its lead is {} points.",
        second.strategy,
        share_of_servers(ahead),
        span(range, decimals_telling(range))
    ))
}

/// `about 94 %`: to whole percents, as some hundreds of draws know it.
fn share_of_servers(share: f64) -> String {
    match (100.0 * share).round() {
        _ if share == 1.0 => "all that were drawn".to_owned(),
        100.0 => "more than 99 %".to_owned(),
        0.0 => "fewer than 1 %".to_owned(),
        percent => format!("about {percent} %"),
    }
}

/// `1.9 points more (95 % interval 0.7 to 3.1)`, seen from the best.
fn margin(r: &Ranking) -> String {
    let lead = lead(r);
    let decimals = decimals_telling(lead);
    format!("{} points more (95 % interval {})", fixed(-r.delta, decimals), span(lead, decimals))
}

/// The interval of a difference from the best, seen from the best.
fn lead(r: &Ranking) -> Interval {
    Interval::around(-r.delta, r.delta_half_width())
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
fn most_to_separate(scenario: &ScenarioSummary) -> Option<Separation> {
    let all = scenario.ranked().filter_map(|(_, r)| r.replications_to_separate);
    all.reduce(|one, other| Separation {
        at_least: one.at_least.zip(other.at_least).map(|(a, b)| a.max(b)),
        at_most: one.at_most.zip(other.at_most).map(|(a, b)| a.max(b)),
    })
}

/// The ranked strategies that cannot be told from the best, the best included, and replications that
/// are likely to tell; nothing unless such a number is known.
pub fn open_question(scenario: &ScenarioSummary) -> Option<(Vec<&str>, u64)> {
    let Separation { at_least, at_most } = most_to_separate(scenario)?;
    let n = at_most.or(at_least)?;
    let tied = scenario.ranked().filter(|(_, r)| r.tied_with_best);
    Some((tied.map(|(c, _)| c.strategy.as_str()).collect(), round_up(n)))
}
