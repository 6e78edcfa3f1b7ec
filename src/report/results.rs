//! The files of a results folder, all but the rows, which are streamed while the sweep runs.

use std::collections::BTreeSet;

use super::charts::{self, Chart, ChartError, draw_robustness, file_name, overall_file_name};
use super::manifest::Manifest;
use super::markdown;
use super::summary_csv::summary_csv;
use crate::experiment::{Plan, Robustness, Swept};

/// The file of the rows.
pub const ROWS_FILE: &str = "replications.parquet";

/// Pixels of a PNG for each of the SVG.
const PNG_SCALE: u32 = 2;

/// Results that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A chart.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The summary as CSV.
    #[error("the summary cannot be written as CSV")]
    Csv(#[from] csv::Error),
    /// The summary as JSON.
    #[error("the summary cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Files of a results folder, ready to be written: names relative to it, and contents; the
/// manifest last, so that its presence says that the rest is complete.
pub type Files = Vec<(String, Vec<u8>)>;

/// Everything of a sweep but the rows: what can fail for other reasons than the disk has happened
/// when these exist. PNG beside every SVG where `png`.
///
/// # Errors
/// When a chart cannot be drawn or a summary cannot be written.
pub fn sweep_files(plan: &Plan, swept: &Swept, png: bool) -> Result<Files, ResultsError> {
    let summary = &swept.summary;
    let json = serde_json::to_string(summary)? + "\n";
    let mut files = vec![
        ("summary.csv".to_owned(), summary_csv(summary)?.into_bytes()),
        ("summary.json".to_owned(), json.into_bytes()),
    ];
    let mut taken = BTreeSet::new();
    let mut drawn = Vec::new();
    for scenario in &summary.scenarios {
        let charts = charts::draw(scenario)?;
        drawn.push(add_charts(&mut files, &slug(&scenario.config, &mut taken), charts, png)?);
    }
    let map = Robustness::of(summary).map(|map| draw_robustness(&map).map(|chart| (map, chart)));
    let map = map.transpose()?;
    if let Some((_, chart)) = &map {
        add_chart(&mut files, |format| overall_file_name(chart.name, format), chart, png)?;
    }
    let report = markdown::report(plan, summary, &drawn, map.as_ref());
    files.push(("report.md".to_owned(), report.into_bytes()));
    let manifest = Manifest {
        parameter_uncertainty: plan.parameter_uncertainty,
        interrupted: swept.interrupted,
        ..Manifest::new(&plan.hash(), plan.master_seed, plan.replications, swept.finished())
    };
    files.push((Manifest::FILE.to_owned(), manifest.to_json().into_bytes()));
    Ok(files)
}

/// Adds a config's charts; gives them with the paths of their SVGs.
pub(super) fn add_charts(
    files: &mut Files,
    slug: &str,
    charts: Vec<Chart>,
    png: bool,
) -> Result<Vec<(String, Chart)>, ResultsError> {
    let add = |chart: Chart| {
        let name = |format: &str| file_name(slug, chart.name, format);
        Ok((add_chart(files, name, &chart, png)?, chart))
    };
    charts.into_iter().map(add).collect()
}

/// Adds a chart as SVG and, where wanted, as PNG; gives the path of the SVG.
pub(super) fn add_chart(
    files: &mut Files,
    name: impl Fn(&str) -> String,
    chart: &Chart,
    png: bool,
) -> Result<String, ResultsError> {
    let path = |format| format!("charts/{}", name(format));
    files.push((path("svg"), chart.svg.clone().into_bytes()));
    if png {
        files.push((path("png"), chart.png(PNG_SCALE)?));
    }
    Ok(path("svg"))
}

/// A config's name as part of file names, different from those `taken`, which it joins.
pub(super) fn slug(config: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    // File names end somewhere; a number tells long names with one beginning apart.
    let plain: String = config.chars().map(plain).take(80).collect();
    // Chart files begin with `config-` anyway.
    let plain = plain.strip_prefix("config-").unwrap_or(&plain).to_owned();
    let mut slug = plain.clone();
    let mut number = 2;
    while !taken.insert(slug.clone()) {
        slug = format!("{plain}-{number}");
        number += 1;
    }
    slug
}
