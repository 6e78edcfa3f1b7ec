//! The files of a live run's results folder, all but those that are written while it runs.

use std::collections::BTreeSet;

use super::markdown::report;
use super::{LivePage, live_summary_csv, live_summary_json};
use crate::report::charts;
use crate::report::charts::live::{LiveRuns, draw_live};
use crate::report::manifest::Manifest;
use crate::report::results::{PNG_SCALE, ResultsError, slug};

/// How a live run was made.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveMade {
    /// The results folder's name, which is the report's heading.
    pub name: String,
    /// The command line, the program's place left out: `flakelab live --config 0`.
    pub argv: Vec<String>,
    /// Tells this run from all others, for [`ResultsFolder`](crate::report::ResultsFolder).
    pub spec_hash: String,
    /// Seed of servers, strategies and predictions.
    pub seed: u64,
    /// Runs that were to be played, over all configs.
    pub planned: u64,
    /// Runs played to the end.
    pub finished: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What the servers were, in a sentence.
    pub servers: String,
    /// What else lies in the folder: name and meaning.
    pub other_files: Vec<(String, String)>,
}

/// Names relative to the folder, and contents; `manifest.json` last, so that its presence says
/// that the rest is complete. PNG beside every SVG where `png`.
///
/// # Errors
/// When a chart cannot be drawn or a summary cannot be written.
pub fn live_files(
    pages: &[LivePage],
    made: &LiveMade,
    png: bool,
) -> Result<Vec<(String, Vec<u8>)>, ResultsError> {
    let mut files = vec![
        ("summary.csv".to_owned(), live_summary_csv(pages)?.into_bytes()),
        ("summary.json".to_owned(), live_summary_json(pages)?.into_bytes()),
    ];
    let mut drawn = Vec::new();
    let mut taken = BTreeSet::new();
    for page in pages {
        let slug = slug(page.config, &mut taken);
        let mut of_page = Vec::new();
        let LivePage { prediction, runs, servers, interrupted, .. } = *page;
        for chart in draw_live(&LiveRuns { prediction, runs, servers, interrupted })? {
            let path = |format| format!("charts/{}", charts::file_name(&slug, chart.name, format));
            files.push((path("svg"), chart.svg.clone().into_bytes()));
            if png {
                files.push((path("png"), chart.png(PNG_SCALE)?));
            }
            of_page.push((path("svg"), chart));
        }
        drawn.push(of_page);
    }
    files.push(("report.md".to_owned(), report(pages, made, &drawn).into_bytes()));
    files.push((Manifest::FILE.to_owned(), manifest(made).to_json().into_bytes()));
    Ok(files)
}

fn manifest(made: &LiveMade) -> Manifest {
    Manifest {
        argv: made.argv.clone(),
        spec_hash: made.spec_hash.clone(),
        master_seed: made.seed,
        parameter_uncertainty: true,
        replications: made.planned,
        finished: made.finished,
        interrupted: made.interrupted,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_hash: env!("FLAKELAB_GIT_HASH").to_owned(),
        live: true,
    }
}
