//! The files of a results folder, all but the rows, which are streamed while the sweep runs.

use std::collections::BTreeSet;

use super::charts::{self, ChartError, draw_robustness};
use super::files::WriteError;
use super::folder::ResultsFolder;
use super::manifest::Manifest;
use super::markdown;
use super::summary_csv::summary_csv;
use crate::experiment::{Plan, Robustness, Summary, Swept};

/// The file of the rows.
pub const ROWS_FILE: &str = "replications.parquet";

/// Pixels of a PNG for each of the SVG.
pub(super) const PNG_SCALE: u32 = 2;

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

/// Everything but the rows, ready to be written: what can fail for other reasons than the disk
/// has happened when this exists.
#[derive(Debug)]
pub struct Results {
    /// Names relative to the folder, and contents; the manifest last.
    files: Vec<(String, Vec<u8>)>,
}

impl Results {
    /// Draws the charts and fills the pages.
    pub fn render(plan: &Plan, swept: &Swept, png: bool) -> Result<Self, ResultsError> {
        let summary = &swept.summary;
        let json = serde_json::to_string(summary)? + "\n";
        let mut files = vec![
            ("summary.csv".to_owned(), summary_csv(summary)?.into_bytes()),
            ("summary.json".to_owned(), json.into_bytes()),
        ];
        let mut drawn = Vec::new();
        for (scenario, slug) in summary.scenarios.iter().zip(slugs(summary)) {
            let mut of_scenario = Vec::new();
            for chart in charts::draw(scenario)? {
                let path =
                    |format| format!("charts/{}", charts::file_name(&slug, chart.name, format));
                files.push((path("svg"), chart.svg.clone().into_bytes()));
                if png {
                    files.push((path("png"), chart.png(PNG_SCALE)?));
                }
                of_scenario.push((path("svg"), chart));
            }
            drawn.push(of_scenario);
        }
        let map =
            Robustness::of(summary).map(|map| draw_robustness(&map).map(|chart| (map, chart)));
        let map = map.transpose()?;
        if let Some((_, chart)) = &map {
            let path = |format| format!("charts/{}", charts::overall_file_name(chart.name, format));
            files.push((path("svg"), chart.svg.clone().into_bytes()));
            if png {
                files.push((path("png"), chart.png(PNG_SCALE)?));
            }
        }
        let report = markdown::report(plan, summary, &drawn, map.as_ref());
        files.push(("report.md".to_owned(), report.into_bytes()));
        let manifest = manifest(plan, swept).to_json();
        files.push((Manifest::FILE.to_owned(), manifest.into_bytes()));
        Ok(Self { files })
    }

    /// Writes the files; the manifest last, so that its presence says that the rest is complete.
    pub fn write(&self, folder: &ResultsFolder) -> Result<(), WriteError> {
        folder.write_all(&self.files)
    }
}

fn manifest(plan: &Plan, swept: &Swept) -> Manifest {
    Manifest {
        // Where the program lies is nobody's business; what it was told is.
        argv: std::iter::once("flakelab".to_owned()).chain(std::env::args().skip(1)).collect(),
        spec_hash: plan.hash(),
        master_seed: plan.master_seed,
        parameter_uncertainty: plan.parameter_uncertainty,
        replications: plan.replications,
        finished: swept.finished(),
        interrupted: swept.interrupted,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
        live: false,
    }
}

/// Scenarios' names as parts of file names, each different from the others.
fn slugs(summary: &Summary) -> Vec<String> {
    let mut taken = BTreeSet::new();
    summary.scenarios.iter().map(|s| slug(&s.config, &mut taken)).collect()
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
