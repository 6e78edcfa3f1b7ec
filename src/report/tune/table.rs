//! Rounds, the settings that stayed longest, and the comparison on fresh seeds, as tables.

use super::verdict::setting_text;
use crate::experiment::Parameters;
use crate::experiment::tune::{SettingSummary, Tuned};
use crate::report::numbers::{decimals_for, fixed, interval, plus_minus, thousands};
use crate::report::table::Table;
use crate::report::text::{capital, config_name, escaped};

/// Settings shown of those that stayed longest; candidates.csv has all.
const SHOWN: usize = 8;

/// For a terminal of that width; without one nothing is continued below.
pub fn tune_table(tuned: &Tuned, width: Option<usize>) -> String {
    let parts =
        sections(tuned).map(|(heading, table)| format!("{heading}\n{}", table.on_terminal(width)));
    let notes: Vec<String> = notes(tuned).iter().map(|note| format!("\n{note}")).collect();
    format!("{}\n{}{}", heading(tuned), parts.join("\n"), notes.concat())
}

/// The same in Markdown.
pub fn tune_markdown(tuned: &Tuned) -> String {
    let parts = sections(tuned)
        .map(|(heading, table)| format!("{}\n\n{}", escaped(&capital(&heading)), table.markdown()));
    let notes: Vec<String> =
        notes(tuned).iter().map(|note| format!("\n{}.\n", escaped(&capital(note)))).collect();
    format!("{}.\n\n{}{}", escaped(&heading(tuned)), parts.join("\n"), notes.concat())
}

/// What was searched.
fn heading(tuned: &Tuned) -> String {
    format!(
        "{} on {}: {} requests at {} per second; {} settings, {} runs in {} rounds",
        tuned.label,
        config_name(&tuned.config),
        thousands(tuned.requests),
        tuned.requests_per_second,
        thousands(tuned.settings.len() as u64),
        thousands(tuned.runs),
        tuned.rounds.len()
    )
}

fn sections(tuned: &Tuned) -> [(String, Table<()>); 3] {
    let fresh = &tuned.fresh;
    [
        ("rounds, with the best setting after each:".to_owned(), rounds(tuned)),
        (
            "the settings that stayed longest, on the seeds of the search, which flatter them:"
                .to_owned(),
            settings(tuned),
        ),
        (
            format!(
                "on {} fresh seeds (master seed {}) that the search never saw:",
                thousands(fresh.replications),
                fresh.master_seed
            ),
            compared(tuned),
        ),
    ]
}

fn rounds(tuned: &Tuned) -> Table<()> {
    Table::of((1..).zip(&tuned.rounds))
        .text("round", |(number, _)| number.to_string())
        .number("settings", |(_, r)| thousands(r.settings as u64))
        .number("replications", |(_, r)| thousands(r.replications_so_far))
        .text("best", |(_, r)| setting_text(tuned, &tuned.settings[r.leader]))
        .done()
}

fn settings(tuned: &Tuned) -> Table<()> {
    let mut shown: Vec<&SettingSummary> = tuned.ranked();
    shown.truncate(SHOWN);
    if !shown.iter().any(|s| s.is_default) {
        shown.push(&tuned.settings[0]);
    }
    let decimals = decimals_for(tuned.found_setting().score.interval.half_width());
    Table::of(shown)
        .text("setting", |s| {
            let default = if s.is_default { " (default)" } else { "" };
            format!("{}{default}", setting_text(tuned, s))
        })
        .number("rounds", |s| s.rounds.to_string())
        .number("replications", |s| thousands(s.replications))
        .number("score", |s| plus_minus(s.score.mean, s.score.interval, decimals, s.replications))
        .number("from found", |s| fixed(s.from_found, decimals))
        .done()
}

fn compared(tuned: &Tuned) -> Table<()> {
    let fresh = &tuned.fresh;
    let decimals = decimals_for(fresh.found.interval.half_width());
    let gain_decimals = decimals_for(fresh.gain.interval.half_width());
    let found = format!("found: {}", setting_text(tuned, tuned.found_setting()));
    let default = format!("default: {}", setting_text(tuned, &tuned.settings[0]));
    Table::of([
        (found, &fresh.found, decimals),
        (default, &fresh.default, decimals),
        ("gain, paired".to_owned(), &fresh.gain, gain_decimals),
    ])
    .text("setting", |(what, ..)| what.clone())
    .number("score", |(_, mean, decimals)| fixed(mean.mean, *decimals))
    .number("95 % interval", |(_, mean, decimals)| interval(mean.interval, *decimals))
    .done()
}

/// What to keep in mind.
fn notes(tuned: &Tuned) -> Vec<String> {
    let mut notes = Vec::new();
    if tuned.parameters == Parameters::Drawn {
        notes.push(
            "parameters of the servers are drawn from the model's posterior; intervals are those \
             of the simulation alone"
                .to_owned(),
        );
    }
    notes.extend(tuned.assumed.as_ref().map(|reason| format!("note: in this model, {reason}")));
    notes
}
