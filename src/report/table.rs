//! The ranked table, by polars, for terminals and for Markdown.

use std::io::IsTerminal;

use polars::prelude::{Column, DataFrame};

use super::notes::notes_table;
use super::numbers::{decimals_for, fixed, plus_minus, probability, thousands};
use crate::experiment::{ContenderSummary, Parameters, ScenarioSummary};
use crate::world::REPLICATIONS_PER_DRAW;

/// Tells polars how tables are to look. Call it once, first thing, before any thread starts:
/// polars takes these settings from the environment only.
#[allow(unsafe_code)]
pub fn configure_tables() {
    let mut settings = vec![
        ("POLARS_FMT_TABLE_HIDE_COLUMN_DATA_TYPES", "1"),
        ("POLARS_FMT_TABLE_HIDE_DATAFRAME_SHAPE_INFORMATION", "1"),
        ("POLARS_FMT_TABLE_FORMATTING", "UTF8_FULL_CONDENSED"),
        ("POLARS_FMT_MAX_ROWS", "-1"),
        ("POLARS_FMT_MAX_COLS", "-1"),
        ("POLARS_FMT_STR_LEN", "200"),
    ];
    // A terminal's width is respected by breaking cells; a file or a pipe gets whole lines.
    if !std::io::stdout().is_terminal() {
        settings.push(("POLARS_TABLE_WIDTH", "-1"));
    }
    for (key, value) in settings {
        // SAFETY: called at the start of `main`, when no other thread exists.
        unsafe { std::env::set_var(key, value) };
    }
}

const PLACE: &str = "#";
const DIFFERENCE: &str = "from best";
const P_BEST: &str = "P(best)";
const PENALTY: &str = "penalty";
const ATTEMPTS: &str = "attempts";
const SUCCESS: &str = "success %";
const LATENCY: &str = "p50/p99 ms";

/// Columns that a narrow terminal can do without, the first to go first.
const DISPENSABLE: [&str; 4] = [LATENCY, PENALTY, ATTEMPTS, SUCCESS];

/// Columns of a table: heading and cells, top to bottom.
type Columns = Vec<(&'static str, Vec<String>)>;

/// A polars frame of texts.
///
/// Cells of a column are padded to one width, so that numbers line up at their right end.
pub fn frame(columns: &[(&str, Vec<String>)], left: usize) -> DataFrame {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(i, (heading, cells))| {
            let width = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0);
            let padded = cells.iter().map(|cell| {
                if i < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            Column::new((*heading).into(), padded.collect::<Vec<String>>())
        })
        .collect();
    // Columns of one height with different headings always make a frame.
    DataFrame::new_infer_height(columns).unwrap_or_default()
}

/// The ranked table of one scenario with its heading, ready to print on a terminal `width`
/// characters wide; without a width nothing is left out.
pub fn scenario_table(scenario: &ScenarioSummary, width: Option<usize>) -> String {
    let mut ranked_columns = columns(scenario, scenario.ranked().map(|(c, _)| c));
    let left_out = narrow(&mut ranked_columns, width);
    let ranked = frame(&ranked_columns, 2);
    let mut reference_columns = columns(scenario, scenario.references());
    reference_columns.retain(|(heading, _)| ![PLACE, DIFFERENCE, P_BEST].contains(heading));
    reference_columns.retain(|(heading, _)| !left_out.contains(heading));
    let references = frame(&reference_columns, 1);
    let greedy = if scenario.oracle_is_bound {
        ""
    } else {
        "; the oracle is greedy where servers refuse, fill up or go dark, and can be beaten"
    };
    format!(
        "{}\n{ranked}\nreferences, outside the ranking{greedy}:\n{references}{}{}\n{}{}",
        heading(scenario),
        match &left_out[..] {
            [] => String::new(),
            left_out => format!("\ntoo narrow for {} (see report.md)", left_out.join(", ")),
        },
        notes_table(scenario).map_or_else(String::new, |table| format!("\n{table}")),
        parameters(scenario),
        assumption(scenario).map_or_else(String::new, |note| format!("\n{note}"))
    )
}

/// Takes out dispensable columns until the table fits; returns their headings.
fn narrow(columns: &mut Columns, width: Option<usize>) -> Vec<&'static str> {
    let cell_width = |(heading, cells): &(&'static str, Vec<String>)| {
        let longest = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0);
        longest.max(heading.chars().count())
    };
    // A space on either side of each cell, a line between columns and at both ends.
    let total = |columns: &Columns| columns.iter().map(|c| cell_width(c) + 3).sum::<usize>() + 1;
    let mut left_out = Vec::new();
    for dispensable in DISPENSABLE {
        if width.is_none_or(|width| total(columns) <= width) {
            break;
        }
        columns.retain(|(heading, _)| *heading != dispensable);
        left_out.push(dispensable);
    }
    left_out
}

/// Text that stays text in Markdown, in a cell or out of it, whatever a label holds.
pub(super) fn escaped(cell: &str) -> String {
    let mut text = String::new();
    for c in cell.chars() {
        if r"\|*_[]`".contains(c) {
            text.push('\\');
        }
        match c {
            '<' => text += "&lt;",
            c => text.push(c),
        }
    }
    text
}

/// Where the parameters of the servers came from.
pub(super) fn parameters(scenario: &ScenarioSummary) -> String {
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
pub(super) fn assumption(scenario: &ScenarioSummary) -> Option<String> {
    let reason = scenario.assumed.as_ref()?;
    Some(format!("note: in the model of {}, {reason}", title(scenario)))
}

/// `config 0` for the configs, whose names are numbers; else the name alone.
pub(super) fn title(scenario: &ScenarioSummary) -> String {
    let name = &scenario.config;
    let is_number = name.bytes().all(|b| b.is_ascii_digit());
    if is_number { format!("config {name}") } else { name.clone() }
}

/// What the table is about.
pub(super) fn heading(scenario: &ScenarioSummary) -> String {
    format!(
        "{}: {} requests at {} per second, {} replications\n\
         means with the half-width of their 95 % interval (from best: simultaneous intervals); \
         attempts are per request{}",
        title(scenario),
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

/// The same table in Markdown, references last.
pub fn markdown_table(scenario: &ScenarioSummary) -> String {
    let rows = scenario.ranked().map(|(c, _)| c).chain(scenario.references());
    let columns = columns(scenario, rows);
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.iter().map(|(heading, _)| *heading).collect());
    let rule = |i: usize| if i < 2 { "---" } else { "---:" };
    text += &line((0..columns.len()).map(rule).collect());
    for row in 0..scenario.contenders.len() {
        let cells: Vec<String> = columns.iter().map(|(_, cells)| escaped(&cells[row])).collect();
        text += &line(cells.iter().map(String::as_str).collect());
    }
    text
}

fn columns<'a>(
    scenario: &ScenarioSummary,
    rows: impl Iterator<Item = &'a ContenderSummary>,
) -> Columns {
    let rows: Vec<&ContenderSummary> = rows.collect();
    // One precision a column, that of its sharpest interval.
    let sharpest = |half_width: fn(&ContenderSummary) -> f64| {
        let widths = scenario.contenders.iter().map(half_width);
        decimals_for(widths.filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min))
    };
    let score_decimals = sharpest(|c| c.score.interval.half_width());
    let difference_decimals =
        sharpest(|c| c.ranking.map_or(0.0, |r| r.delta_interval.half_width()));
    let each = |cell: &dyn Fn(&ContenderSummary) -> String| rows.iter().map(|c| cell(c)).collect();
    let mut columns: Columns = vec![
        (PLACE, each(&place)),
        ("strategy", each(&|c| c.strategy.clone())),
        (
            "score",
            each(&|c| {
                plus_minus(c.score.mean, c.score.interval, score_decimals, scenario.replications)
            }),
        ),
        (DIFFERENCE, each(&|c| difference(scenario, c, difference_decimals))),
        (SUCCESS, each(&|c| percent(c.success_rate.mean))),
        (ATTEMPTS, each(&|c| fixed(c.attempts_per_request.mean, 3))),
        (PENALTY, each(&|c| fixed(c.penalty.mean, 2))),
        (LATENCY, each(&latency)),
        (P_BEST, each(&|c| p_best(scenario, c))),
    ];
    if scenario.has_rate_limit {
        columns.insert(7, ("429 / run", each(&|c| fixed(c.rate_limited.mean, 1))));
    }
    columns
}

fn place(c: &ContenderSummary) -> String {
    c.ranking.map_or("-".to_owned(), |r| r.rank.to_string())
}

fn p_best(scenario: &ScenarioSummary, c: &ContenderSummary) -> String {
    match c.ranking {
        // One replication says who won it, not who wins; and who plays alone wins nothing.
        Some(r) if scenario.replications > 1 && scenario.ranked().count() > 1 => {
            probability(r.p_best)
        }
        _ => "-".to_owned(),
    }
}

fn difference(scenario: &ScenarioSummary, c: &ContenderSummary, decimals: usize) -> String {
    match c.ranking {
        None => "-".to_owned(),
        Some(r) if r.rank == 1 => "best".to_owned(),
        Some(r) => {
            let tied = if r.tied_with_best { " tied" } else { "" };
            let known = plus_minus(r.delta, r.delta_interval, decimals, scenario.replications);
            known + tied
        }
    }
}

fn latency(c: &ContenderSummary) -> String {
    format!("{}/{}", fixed(c.latency_p50_ms, 2), fixed(c.latency_p99_ms, 2))
}

/// A share in percent that is not rounded up to certainty.
fn percent(share: f64) -> String {
    if share < 1.0 && share > 0.999_95 { ">99.99".to_owned() } else { fixed(share * 100.0, 2) }
}
