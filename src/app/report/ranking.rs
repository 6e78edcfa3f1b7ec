//! The ranked table of a scenario with its heading and what to keep in mind of it; beside it the
//! table of load and health, and the robustness map over all scenarios.

use std::fmt::Write;

use crate::charts::loss_cell;
use crate::report::numbers::{
    counted, decimals_for, fixed, latency, percent, plus_minus, probability, thousands,
};
use crate::report::table::Table;
use crate::report::text::{capital, config_name, escaped, list};
use flakelab_sim::experiment::{
    ContenderSummary, FEWEST_REPLICATIONS, NotesSummary, Parameters, Robustness, RobustnessRow,
    ScenarioSummary,
};
use flakelab_sim::world::REPLICATIONS_PER_DRAW;

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

pub fn assumption(scenario: &ScenarioSummary) -> Option<String> {
    let reason = scenario.assumed.as_ref()?;
    Some(format!("note: in the model of {}, {reason}", config_name(&scenario.config)))
}

pub fn heading(scenario: &ScenarioSummary) -> String {
    let means = if scenario.spread_is_known() {
        "means with the half-width of their 95 % interval (from best: simultaneous intervals)"
            .to_owned()
    } else {
        format!(
            "means; intervals, ranks and P(best) take {FEWEST_REPLICATIONS} replications or more"
        )
    };
    format!(
        "{}: {} requests at {} per second, {}\n{means}; attempts are per request",
        config_name(&scenario.config),
        thousands(scenario.requests),
        scenario.requests_per_second,
        counted(scenario.replications, "replication"),
    )
}

/// The ranked strategies, then the references.
fn table(scenario: &ScenarioSummary) -> Table<&ContenderSummary> {
    // One precision a column, that of its sharpest interval.
    let sharpest = |half_width: fn(&ContenderSummary) -> f64| {
        let widths = scenario.contenders.iter().map(half_width);
        decimals_for(widths.filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min))
    };
    let score_decimals = sharpest(|c| c.score.half_width());
    let difference_decimals = sharpest(|c| c.ranking.map_or(0.0, |r| r.delta_half_width()));
    // Few replications say who won them, not who wins; and who plays alone wins nothing.
    let known = scenario.spread_is_known();
    let somebody_wins = known && scenario.ranked().count() > 1;
    let open = scenario.ranked().filter(|(_, r)| r.tied_with_best).count() > 1;
    let mut table = Table::of(scenario.ranked().map(|(c, _)| c).chain(scenario.references()))
        .text("#", |c| c.ranking.filter(|_| known).map_or("-".to_owned(), |r| r.rank.to_string()))
        .text("strategy", |c| c.strategy.clone())
        .number("score", |c| plus_minus(c.score.mean, c.score.interval, score_decimals))
        .number("from best", |c| match c.ranking {
            None => "-".to_owned(),
            Some(r) if r.rank == 1 => if known { "best" } else { "highest" }.to_owned(),
            Some(r) => {
                let tied = if known && r.tied_with_best { " tied" } else { "" };
                plus_minus(r.delta, r.delta_interval, difference_decimals) + tied
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
    let latencies = |c: &&ContenderSummary| {
        let [median, _, p99, _] = c.latency_intervals_ms;
        [latency(c.latency_p50_ms, median), latency(c.latency_p99_ms, p99)].join("/")
    };
    table.number("p50/p99 ms", latencies).spared(0).number("P(best)", |c| {
        let p = c.ranking.filter(|_| somebody_wins).and_then(|r| {
            // Never as good as certain where an interval leaves open who is better.
            r.p_best.map(|p| if open && r.tied_with_best { p.clamp(0.01, 0.99) } else { p })
        });
        p.map_or("-".to_owned(), probability)
    })
}

const CAPTION: &str = "load and health, per run: left out = servers kept out of decisions by \
     health; load variance = over servers, of attempts in flight, averaged over time; busiest = \
     share of attempts at the server with most of them";

/// The strategies that tell something, and what; none where nobody does.
fn told(scenario: &ScenarioSummary) -> Option<Vec<(&str, &NotesSummary)>> {
    let told = scenario.contenders.iter().filter_map(|c| Some((&*c.strategy, c.notes.as_ref()?)));
    Some(told.collect()).filter(|told: &Vec<_>| !told.is_empty())
}

fn table_of_notes<'s>(told: &[(&'s str, &'s NotesSummary)]) -> Table<(&'s str, &'s NotesSummary)> {
    Table::of(told.iter().copied())
        .text("strategy", |(strategy, _)| (*strategy).to_owned())
        .number("left out", |(_, n)| fixed(n.filtered_by_health.mean, 1))
        .number("switches", |(_, n)| fixed(n.switches.mean, 2))
        .number("load variance", |(_, n)| fixed(n.load_variance.mean, 4))
        .number("busiest %", |(_, n)| percent(n.busiest_share.mean, 1))
}

/// The table for a terminal, with its heading; nothing where nobody tells anything.
pub fn notes_table(scenario: &ScenarioSummary, width: Option<usize>) -> Option<String> {
    told(scenario).map(|told| format!("{CAPTION}:\n{}", table_of_notes(&told).on_terminal(width)))
}

/// The section of a page; nothing where nobody tells anything.
pub fn notes_section(scenario: &ScenarioSummary) -> Option<String> {
    let told = told(scenario)?;
    let mut page = format!(
        "\n### Load and health\n\n{}.\n\n{}",
        capital(CAPTION),
        table_of_notes(&told).markdown()
    );
    for (strategy, notes) in told.iter().filter(|(_, notes)| !notes.first_switches.is_empty()) {
        let switches = Table::of(&notes.first_switches)
            .number("replication", |s| s.replication.to_string())
            .number("at s", |s| fixed(s.at_s, 3))
            .text("from", |s| s.from.to_owned())
            .text("to", |s| s.to.to_owned())
            .text("reason", |s| s.reason.clone());
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\nThe first switches of {} in the first replications:\n\n{}",
            escaped(strategy),
            switches.markdown()
        );
    }
    Some(page)
}

const READING: &str = "loss against the best strategy of each scenario in points for \
    1,000 requests; 0 is the best, ≈ is too close to call (cannot be told from the best). Rows by \
    mean rank.";

/// Strategies down, scenarios across, losses against the best.
fn map_table(map: &Robustness) -> Table<&RobustnessRow> {
    let mut table = Table::of(&map.rows).text("strategy", |row| row.strategy.clone());
    for scenario in 0..map.scenarios.len() {
        table = table.number((scenario + 1).to_string(), |row| loss_cell(row.places[scenario]));
    }
    table
        .number("worst", |row| fixed(row.worst_loss, usize::from(row.worst_loss < 9.95)))
        .spared(0)
        .number("best or ≈", |row| row.best_or_tied.to_string())
        .spared(1)
        .number("mean rank", |row| fixed(row.mean_rank, 1))
        .spared(2)
}

/// The map for Markdown, with a list of the scenarios.
pub fn markdown_map(map: &Robustness) -> String {
    let table = map_table(map).markdown();
    let mut text = format!("{}\n\n{table}", capital(READING));
    for (number, scenario) in (1..).zip(&map.scenarios) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{number}. {}", escaped(scenario));
    }
    text + "\n"
}

/// The map for a terminal so wide, in as many pieces as it takes; without a width in one.
pub fn terminal_map(map: &Robustness, width: Option<usize>) -> String {
    let scenarios: Vec<String> =
        (1..).zip(&map.scenarios).map(|(number, name)| format!("{number} {name}")).collect();
    format!(
        "robustness map: {READING}\n{}\n{}",
        map_table(map).on_terminal(width),
        scenarios.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_sim::experiment::Place;

    fn map() -> Robustness {
        let place = |loss, rank, tied| Place { loss, rank, tied };
        let row = |strategy: &str, places: Vec<Place>| RobustnessRow {
            strategy: strategy.to_owned(),
            mean_rank: 1.5,
            best_or_tied: 1,
            worst_loss: places.iter().map(|p| p.loss).fold(0.0, f64::max),
            places,
        };
        Robustness {
            scenarios: vec!["one_is_slow".to_owned(), "all|equal".to_owned()],
            rows: vec![
                row("V4 thompson", vec![place(0.0, 1, false), place(0.26, 2, true)]),
                row("x_y", vec![place(4631.2, 2, false), place(0.0, 1, true)]),
            ],
        }
    }

    #[test]
    fn cells_say_best_tied_or_how_much_is_lost() {
        let text = markdown_map(&map());
        assert!(text.contains("| V4 thompson | 0 | ≈0.3 | 0.3 | 1 | 1.5 |"), "{text}");
        assert!(text.contains(r"| x\_y | 4631 | 0 | 4631 | 1 | 1.5 |"), "{text}");
        assert!(text.ends_with("1. one\\_is\\_slow\n2. all\\|equal\n"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_the_map_in_pieces_and_every_scenario_once() {
        let whole = terminal_map(&map(), None);
        assert_eq!(whole.matches("V4 thompson").count(), 1, "{whole}");
        let narrow = terminal_map(&map(), Some(24));
        assert_eq!(narrow.matches("V4 thompson").count(), 2, "{narrow}");
        assert!(narrow.contains("4631") && narrow.contains("≈0.3"), "{narrow}");
        assert!(narrow.ends_with("1 one_is_slow, 2 all|equal"), "{narrow}");
    }
}
