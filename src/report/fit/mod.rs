//! The report of a fit: what was found, on how much evidence, and what to keep in mind. As text
//! for terminals, and as a Markdown page with charts.

mod checks;
mod latency;
mod limit;
mod rates;
mod starts;

use std::fmt::Write;

use super::charts::fit::{draw_fit, fit_data};
use super::charts::{ChartError, file_name};
use super::text::folded;
use crate::fit::{ConfigFit, FitReport, group_name};

/// The whole report as text for a terminal so wide; without a width every table is whole.
pub fn fit_report(report: &FitReport, width: Option<usize>) -> String {
    let configs: Vec<String> = report.configs.iter().map(|fit| of_config(fit, width)).collect();
    let mut text = configs.join("\n\n");
    for warning in &report.warnings {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n\nnote: {warning}");
    }
    text
}

/// The report as a page, and the files of its charts by name.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn fit_page(report: &FitReport) -> Result<Vec<(String, Vec<u8>)>, ChartError> {
    let mut page =
        "# Fit\n\nMade by `flakelab fit`: the same recordings give the same page.\n".to_owned();
    let mut files = Vec::new();
    for fit in &report.configs {
        let _ = write!(page, "\n## {}\n\n", group_name(&fit.group));
        for chart in draw_fit(fit)? {
            let name = format!("charts/{}", file_name(&slug(&fit.group.name), chart.name, "svg"));
            let _ = write!(page, "![{}]({name})\n\n", chart.title);
            files.push((name, chart.svg.into_bytes()));
        }
        let _ = write!(page, "```text\n{}\n```\n", of_config(fit, None));
    }
    for warning in &report.warnings {
        let _ = write!(page, "\nnote: {warning}\n");
    }
    files.push(("report.md".to_owned(), page.into_bytes()));
    Ok(files)
}

/// A group's name as part of a file name.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect()
}

fn of_config(fit: &ConfigFit, width: Option<usize>) -> String {
    let mut text = format!("{}: {}\n", group_name(&fit.group), fit_data(fit));
    text += &starts::text(fit, width);
    text += &rates::text(fit, width);
    text += &limit::text(fit, width);
    if let Some(latency) = &fit.latency {
        text += &latency::text(latency, width);
    }
    text += &checks::text(fit, width);
    for warning in &fit.warnings {
        let _ = write!(text, "\nnote: {warning}");
    }
    let shown = Some(width.unwrap_or(WIDEST).min(WIDEST));
    text.lines().map(|line| wrapped(line, shown)).collect::<Vec<String>>().join("\n")
}

/// Columns of a line of text at most; tables take what they need.
const WIDEST: usize = 110;

/// A line broken between words, continued lines indented; rows of tables stay whole.
fn wrapped(line: &str, width: Option<usize>) -> String {
    let in_table = line.starts_with(|c: char| "┌│╞└├".contains(c));
    if in_table { line.to_owned() } else { folded(line, "  ", width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_tables_are_not() {
        let long = ["word"; 60].join(" ");
        let broken = wrapped(&long, Some(WIDEST));
        assert!(broken.lines().all(|line| line.chars().count() <= WIDEST), "{broken}");
        assert_eq!(broken.split_whitespace().count(), 60);
        let row = format!("│ {long} │");
        assert_eq!(wrapped(&row, Some(WIDEST)), row);
    }
}
