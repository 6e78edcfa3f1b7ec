//! Calibration studies: do posteriors, intervals, detections and decisions of the fit hold what
//! they promise, on data made with known truths?
//!
//! Small versions run with `cargo test`. The full ones take minutes, stand behind `--ignored`, and
//! write `results/calibration/report.md`: `make calibration`.

mod checks;
mod error_rates;
mod intervals;
mod left_open;
mod limits;
mod live;
mod special;
mod starts;
mod study;

use std::path::Path;

use study::{Study, report};

/// Every study at full size; the report is written whether or not all findings hold.
#[test]
#[ignore = "takes minutes; `make calibration` runs it"]
fn calibration() {
    let studies: Vec<Study> = [
        error_rates::study,
        starts::study,
        limits::study,
        checks::study,
        live::study,
        special::study,
        left_open::study,
        intervals::study,
    ]
    .into_iter()
    .map(|study| study())
    .collect();
    let text = report(&studies);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/calibration");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("report.md"), &text).unwrap();
    println!("{text}");
    let failed: Vec<&str> = studies
        .iter()
        .flat_map(|study| &study.findings)
        .filter(|finding| finding.held == Some(false))
        .map(|finding| finding.what.as_str())
        .collect();
    assert!(failed.is_empty(), "did not hold: {failed:#?}");
}
