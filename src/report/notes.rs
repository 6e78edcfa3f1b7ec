//! Load and health: a table of their own beside the ranking, for the strategies that watch them,
//! and the switches of those that change their way of choosing.

use std::fmt::Write;

use super::numbers::fixed;
use super::table::{escaped, frame};
use crate::experiment::{NotesSummary, ScenarioSummary};

/// One line a strategy: name, and what it tells.
type Told<'s> = Vec<(&'s str, &'s NotesSummary)>;

const CAPTION: &str = "load and health, per run: left out = servers kept out of decisions by \
     health; load variance = over servers, of attempts in flight, averaged over time; busiest = \
     share of attempts at the server with most of them";

fn told(scenario: &ScenarioSummary) -> Told<'_> {
    let contenders = scenario.contenders.iter();
    contenders.filter_map(|c| c.notes.as_ref().map(|notes| (c.strategy.as_str(), notes))).collect()
}

fn columns(told: &Told) -> Vec<(&'static str, Vec<String>)> {
    let each = |cell: &dyn Fn(&NotesSummary) -> String| told.iter().map(|(_, n)| cell(n)).collect();
    vec![
        ("strategy", told.iter().map(|(strategy, _)| (*strategy).to_owned()).collect()),
        ("left out", each(&|n| fixed(n.filtered_by_health.mean, 1))),
        ("switches", each(&|n| fixed(n.switches.mean, 2))),
        ("load variance", each(&|n| fixed(n.load_variance.mean, 4))),
        ("busiest %", each(&|n| fixed(n.busiest_share.mean * 100.0, 1))),
    ]
}

/// The table for a terminal, with its heading; nothing where nobody tells anything.
pub(super) fn notes_table(scenario: &ScenarioSummary) -> Option<String> {
    let told = told(scenario);
    (!told.is_empty()).then(|| format!("{CAPTION}:\n{}", frame(&columns(&told), 1)))
}

/// The section of a page; nothing where nobody tells anything.
pub(super) fn notes_section(scenario: &ScenarioSummary) -> Option<String> {
    let told = told(scenario);
    if told.is_empty() {
        return None;
    }
    let columns = columns(&told);
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let mut page = format!("\n### Load and health\n\n{}.\n\n", capital(CAPTION));
    page += &line(&headings);
    page += &line(&["---", "---:", "---:", "---:", "---:"]);
    for row in 0..told.len() {
        let cells: Vec<String> = columns.iter().map(|(_, cells)| escaped(&cells[row])).collect();
        page += &line(&cells.iter().map(String::as_str).collect::<Vec<&str>>());
    }
    for (strategy, notes) in &told {
        if notes.first_switches.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\nThe first switches of {} in the first replications:\n\n{}{}",
            escaped(strategy),
            line(&["replication", "at s", "from", "to", "reason"]),
            line(&["---:", "---:", "---", "---", "---"]),
        );
        for switch in &notes.first_switches {
            let (replication, at) = (switch.replication.to_string(), fixed(switch.at_s, 3));
            let reason = escaped(&switch.reason);
            page += &line(&[&replication, &at, switch.from, switch.to, &reason]);
        }
    }
    Some(page)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
