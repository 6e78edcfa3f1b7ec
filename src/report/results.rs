//! The files of a results folder, all but the rows, which are streamed while the sweep runs.

use std::collections::BTreeSet;

use super::charts::{self, Chart, ChartError};
use super::files::WriteError;
use super::folder::ResultsFolder;
use super::manifest::Manifest;
use super::markdown;
use super::summary_csv::summary_csv;
use crate::experiment::{Plan, Summary, Swept};

/// The file of the rows.
pub const ROWS_FILE: &str = "replications.parquet";

/// Pixels of a PNG for each of the SVG.
const PNG_SCALE: u32 = 2;

/// Results that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file.
    #[error(transparent)]
    Write(#[from] WriteError),
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

/// Writes everything but the rows; the manifest last, so that its presence says that the rest
/// is complete.
pub fn write_results(
    plan: &Plan,
    swept: &Swept,
    folder: &ResultsFolder,
    png: bool,
) -> Result<(), ResultsError> {
    let summary = &swept.summary;
    folder.write("summary.csv", summary_csv(summary)?.as_bytes())?;
    let json = serde_json::to_string(summary)? + "\n";
    folder.write("summary.json", json.as_bytes())?;
    let drawn = draw(summary, folder, png)?;
    folder.write("report.md", markdown::report(plan, summary, &drawn).as_bytes())?;
    let manifest = Manifest {
        // Where the program lies is nobody's business; what it was told is.
        argv: std::iter::once("flakelab".to_owned()).chain(std::env::args().skip(1)).collect(),
        spec_hash: plan.hash(),
        master_seed: plan.master_seed,
        replications: plan.replications,
        interrupted: swept.interrupted,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
    };
    folder.write(Manifest::FILE, manifest.to_json().as_bytes())?;
    Ok(())
}

/// Draws the charts of every scenario; each with its path relative to the folder.
fn draw(
    summary: &Summary,
    folder: &ResultsFolder,
    png: bool,
) -> Result<Vec<Vec<(String, Chart)>>, ResultsError> {
    let mut drawn = Vec::new();
    for (scenario, slug) in summary.scenarios.iter().zip(slugs(summary)) {
        let mut of_scenario = Vec::new();
        for chart in charts::draw(scenario)? {
            let path = |format| format!("charts/{}", charts::file_name(&slug, chart.name, format));
            folder.write(&path("svg"), chart.svg.as_bytes())?;
            if png {
                folder.write(&path("png"), &chart.png(PNG_SCALE)?)?;
            }
            of_scenario.push((path("svg"), chart));
        }
        drawn.push(of_scenario);
    }
    Ok(drawn)
}

/// Scenarios' names as parts of file names, each different from the others.
fn slugs(summary: &Summary) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let slug = |config: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let plain: String = config.chars().map(plain).collect();
        let mut slug = plain.clone();
        let mut number = 2;
        while !taken.insert(slug.clone()) {
            slug = format!("{plain}-{number}");
            number += 1;
        }
        slug
    };
    summary.scenarios.iter().map(|s| s.config.as_str()).map(slug).collect()
}
