//! The ranked table of a scenario with its heading and what to keep in mind of it.

use super::notes::notes_table;
use super::numbers::{decimals_for, fixed, percent, plus_minus, probability, thousands};
use super::table::Table;
use super::text::{config_name, list};
use crate::experiment::{ContenderSummary, Parameters, ScenarioSummary};
use crate::world::REPLICATIONS_PER_DRAW;

/// The ranked table of one scenario with its heading, ready to print on a terminal `width`
/// characters wide; without a width nothing is left out.
pub fn scenario_table(scenario: &ScenarioSummary, width: Option<usize>) -> String {
    let table = table(scenario);
    let (shown, left_out) = table.fitted(width);
    let references: Vec<String> = scenario.references().map(|c| c.strategy.clone()).collect();
    let mut lines = vec![
        heading(scenario),
        shown,
        format!(
            "{}: references, outside the ranking{}",
            list(&references),
            if scenario.oracle_is_bound {
                ""
            } else {
                "; the oracle is greedy where servers refuse, fill up or go dark, and can be beaten"
            }
        ),
    ];
    if !left_out.is_empty() {
        lines.push(format!("too narrow for {} (see report.md)", left_out.join(", ")));
    }
    lines.extend(notes_table(scenario, width));
    lines.push(parameters(scenario));
    lines.extend(assumption(scenario));
    lines.join("\n")
}

/// The same table in Markdown.
pub fn markdown_table(scenario: &ScenarioSummary) -> String {
    table(scenario).markdown()
}

/// Where the parameters of the servers came from.
pub fn parameters(scenario: &ScenarioSummary) -> String {
    let point = "parameters: the model's point values;";
    match scenario.parameters {
        Parameters::Drawn => format!(
            "parameters: drawn from the model's posterior, anew every {REPLICATIONS_PER_DRAW} \
             replications"
        ),
        Parameters::DrawnOnce => "parameters: one draw from the model's posterior, for all \
             replications (draw = \"fixed\")"
            .to_owned(),
        Parameters::Off => format!("{point} its posterior is not used (parameter uncertainty off)"),
        Parameters::NoPosterior => format!("{point} it carries no posterior"),
    }
}

/// What to keep in mind about the model.
pub fn assumption(scenario: &ScenarioSummary) -> Option<String> {
    let reason = scenario.assumed.as_ref()?;
    Some(format!("note: in the model of {}, {reason}", config_name(&scenario.config)))
}

/// What the table is about.
pub fn heading(scenario: &ScenarioSummary) -> String {
    format!(
        "{}: {} requests at {} per second, {} replications\n\
         means with the half-width of their 95 % interval (from best: simultaneous intervals); \
         attempts are per request{}",
        config_name(&scenario.config),
        thousands(scenario.requests),
        scenario.requests_per_second,
        thousands(scenario.replications),
        if scenario.p_best_is_normal_approximation {
            "; P(best) by normal approximation"
        } else {
            ""
        },
    )
}

/// The ranked strategies, then the references.
fn table(scenario: &ScenarioSummary) -> Table<&ContenderSummary> {
    // One precision a column, that of its sharpest interval.
    let sharpest = |half_width: fn(&ContenderSummary) -> f64| {
        let widths = scenario.contenders.iter().map(half_width);
        decimals_for(widths.filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min))
    };
    let score_decimals = sharpest(|c| c.score.interval.half_width());
    let difference_decimals =
        sharpest(|c| c.ranking.map_or(0.0, |r| r.delta_interval.half_width()));
    let known =
        |mean, interval, decimals| plus_minus(mean, interval, decimals, scenario.replications);
    // One replication says who won it, not who wins; and who plays alone wins nothing.
    let somebody_wins = scenario.replications > 1 && scenario.ranked().count() > 1;
    let mut table = Table::of(scenario.ranked().map(|(c, _)| c).chain(scenario.references()))
        .text("#", |c| c.ranking.map_or("-".to_owned(), |r| r.rank.to_string()))
        .text("strategy", |c| c.strategy.clone())
        .number("score", |c| known(c.score.mean, c.score.interval, score_decimals))
        .number("from best", |c| match c.ranking {
            None => "-".to_owned(),
            Some(r) if r.rank == 1 => "best".to_owned(),
            Some(r) => {
                let tied = if r.tied_with_best { " tied" } else { "" };
                known(r.delta, r.delta_interval, difference_decimals) + tied
            }
        })
        .number("success %", |c| percent(c.success_rate.mean, 2))
        .spared(3)
        .number("attempts", |c| fixed(c.attempts_per_request.mean, 3))
        .spared(2)
        .number("penalty", |c| fixed(c.penalty.mean, 2))
        .spared(1);
    if scenario.has_rate_limit {
        table = table.number("429 / run", |c| fixed(c.rate_limited.mean, 1));
    }
    let latency =
        |c: &&ContenderSummary| [c.latency_p50_ms, c.latency_p99_ms].map(|ms| fixed(ms, 2));
    table.number("p50/p99 ms", |c| latency(c).join("/")).spared(0).number("P(best)", |c| {
        c.ranking.filter(|_| somebody_wins).map_or("-".to_owned(), |r| probability(r.p_best))
    })
}
