//! Load and health: a table of their own beside the ranking, for the strategies that watch them,
//! and the switches of those that change their way of choosing.

use std::fmt::Write;

use super::numbers::{fixed, percent};
use super::table::Table;
use super::text::{capital, escaped};
use crate::experiment::{NotesSummary, ScenarioSummary};

const CAPTION: &str = "load and health, per run: left out = servers kept out of decisions by \
     health; load variance = over servers, of attempts in flight, averaged over time; busiest = \
     share of attempts at the server with most of them";

/// The strategies that tell something, and what; none where nobody does.
fn told(scenario: &ScenarioSummary) -> Option<Vec<(&str, &NotesSummary)>> {
    let told = scenario.contenders.iter().filter_map(|c| Some((&*c.strategy, c.notes.as_ref()?)));
    Some(told.collect()).filter(|told: &Vec<_>| !told.is_empty())
}

fn table<'s>(told: &[(&'s str, &'s NotesSummary)]) -> Table<(&'s str, &'s NotesSummary)> {
    Table::of(told.iter().copied())
        .text("strategy", |(strategy, _)| (*strategy).to_owned())
        .number("left out", |(_, n)| fixed(n.filtered_by_health.mean, 1))
        .number("switches", |(_, n)| fixed(n.switches.mean, 2))
        .number("load variance", |(_, n)| fixed(n.load_variance.mean, 4))
        .number("busiest %", |(_, n)| percent(n.busiest_share.mean, 1))
}

/// The table for a terminal, with its heading; nothing where nobody tells anything.
pub fn notes_table(scenario: &ScenarioSummary, width: Option<usize>) -> Option<String> {
    told(scenario).map(|told| format!("{CAPTION}:\n{}", table(&told).on_terminal(width)))
}

/// The section of a page; nothing where nobody tells anything.
pub fn notes_section(scenario: &ScenarioSummary) -> Option<String> {
    let told = told(scenario)?;
    let mut page =
        format!("\n### Load and health\n\n{}.\n\n{}", capital(CAPTION), table(&told).markdown());
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
