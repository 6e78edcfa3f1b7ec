//! The files of a live run's results folder, all but those that are written while it runs.

use std::collections::BTreeSet;

use super::markdown::report;
use super::{LiveMade, LivePage, live_summary_csv, live_summary_json};
use crate::report::charts::live::{LiveRuns, draw_live};
use crate::report::manifest::Manifest;
use crate::report::results::{Files, ResultsError, add_charts, slug};

/// All these files. PNG beside every SVG where `png`.
///
/// # Errors
/// When a chart cannot be drawn or a summary cannot be written.
pub fn live_files(pages: &[LivePage], made: &LiveMade, png: bool) -> Result<Files, ResultsError> {
    let mut files = vec![
        ("summary.csv".to_owned(), live_summary_csv(pages)?.into_bytes()),
        ("summary.json".to_owned(), live_summary_json(pages)?.into_bytes()),
    ];
    let mut taken = BTreeSet::new();
    let mut drawn = Vec::new();
    for page in pages {
        let LivePage { prediction, runs, servers, interrupted, .. } = *page;
        let charts = draw_live(&LiveRuns { prediction, runs, servers, interrupted })?;
        drawn.push(add_charts(&mut files, &slug(page.config, &mut taken), charts, png)?);
    }
    files.push(("report.md".to_owned(), report(pages, made, &drawn).into_bytes()));
    let manifest = Manifest {
        argv: made.argv.clone(),
        interrupted: made.interrupted,
        live: true,
        ..Manifest::new(&made.spec_hash, made.seed, made.planned, made.finished)
    };
    files.push((Manifest::FILE.to_owned(), manifest.to_json().into_bytes()));
    Ok(files)
}
