//! Rounds, the settings that stayed longest, and the comparison on fresh seeds, as tables.

use super::verdict::setting_text;
use crate::experiment::Parameters;
use crate::experiment::tune::{SettingSummary, Tuned};
use crate::report::live::layout::{Columns, markdown, tables};
use crate::report::numbers::{decimals_for, fixed, interval, plus_minus, thousands};
use crate::report::table::escaped;

/// Settings shown of those that stayed longest; candidates.csv has all.
const SHOWN: usize = 8;

/// For a terminal of that width; without one nothing is continued below.
pub fn tune_table(tuned: &Tuned, width: Option<usize>) -> String {
    let parts = sections(tuned)
        .map(|(heading, columns)| format!("{heading}\n{}", tables(&columns, width).trim_end()));
    let notes: Vec<String> = notes(tuned).iter().map(|note| format!("\n{note}")).collect();
    format!("{}\n{}{}", heading(tuned), parts.join("\n"), notes.concat())
}

/// The same in Markdown.
pub fn tune_markdown(tuned: &Tuned) -> String {
    let parts = sections(tuned).map(|(heading, columns)| {
        format!("{}\n\n{}", escaped(&capital(&heading)), markdown(&columns, 1))
    });
    let notes: Vec<String> =
        notes(tuned).iter().map(|note| format!("\n{}.\n", escaped(&capital(note)))).collect();
    format!("{}.\n\n{}{}", escaped(&heading(tuned)), parts.join("\n"), notes.concat())
}

/// What was searched.
pub(super) fn heading(tuned: &Tuned) -> String {
    let is_number = tuned.config.bytes().all(|b| b.is_ascii_digit());
    let config = if is_number { format!("config {}", tuned.config) } else { tuned.config.clone() };
    format!(
        "{} on {config}: {} requests at {} per second; {} settings, {} runs in {} rounds",
        tuned.label,
        thousands(tuned.requests),
        tuned.requests_per_second,
        thousands(tuned.settings.len() as u64),
        thousands(tuned.runs),
        tuned.rounds.len()
    )
}

fn sections(tuned: &Tuned) -> [(String, Columns); 3] {
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

fn rounds(tuned: &Tuned) -> Columns {
    let column = |cell: &dyn Fn(usize) -> String| (0..tuned.rounds.len()).map(cell).collect();
    let rounds = &tuned.rounds;
    let leader = |i: usize| setting_text(tuned, &tuned.settings[rounds[i].leader]);
    vec![
        ("round", column(&|i| (i + 1).to_string())),
        ("settings", column(&|i| thousands(rounds[i].settings as u64))),
        ("replications", column(&|i| thousands(rounds[i].replications_so_far))),
        ("best", padded(column(&leader))),
    ]
}

fn settings(tuned: &Tuned) -> Columns {
    let mut shown: Vec<&SettingSummary> = tuned.ranked();
    let default = &tuned.settings[0];
    shown.truncate(SHOWN);
    if !shown.iter().any(|s| s.is_default) {
        shown.push(default);
    }
    let column = |cell: &dyn Fn(&SettingSummary) -> String| -> Vec<String> {
        shown.iter().map(|s| cell(s)).collect()
    };
    let name = |s: &SettingSummary| {
        let default = if s.is_default { " (default)" } else { "" };
        format!("{}{default}", setting_text(tuned, s))
    };
    let decimals = decimals_for(tuned.found_setting().score.interval.half_width());
    let score =
        |s: &SettingSummary| plus_minus(s.score.mean, s.score.interval, decimals, s.replications);
    vec![
        ("setting", column(&name)),
        ("rounds", column(&|s| s.rounds.to_string())),
        ("replications", column(&|s| thousands(s.replications))),
        ("score", column(&score)),
        ("from found", column(&|s| fixed(s.from_found, decimals))),
    ]
}

fn compared(tuned: &Tuned) -> Columns {
    let fresh = &tuned.fresh;
    let decimals = decimals_for(fresh.found.interval.half_width());
    let gain_decimals = decimals_for(fresh.gain.interval.half_width());
    let found = format!("found: {}", setting_text(tuned, tuned.found_setting()));
    let default = format!("default: {}", setting_text(tuned, &tuned.settings[0]));
    let score = [
        fixed(fresh.found.mean, decimals),
        fixed(fresh.default.mean, decimals),
        fixed(fresh.gain.mean, gain_decimals),
    ];
    let intervals = [
        interval(fresh.found.interval, decimals),
        interval(fresh.default.interval, decimals),
        interval(fresh.gain.interval, gain_decimals),
    ];
    vec![
        ("setting", vec![found, default, "gain, paired".to_owned()]),
        ("score", score.to_vec()),
        ("95 % interval", intervals.to_vec()),
    ]
}

/// What to keep in mind.
pub(super) fn notes(tuned: &Tuned) -> Vec<String> {
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

/// Texts of one width, so that they stand at the left of a column that is set flush right.
fn padded(cells: Vec<String>) -> Vec<String> {
    let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    cells.into_iter().map(|cell| format!("{cell:<width$}")).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
