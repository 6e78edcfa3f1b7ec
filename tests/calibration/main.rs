//! Calibration studies: do posteriors, intervals, detections and decisions of the fit hold what
//! they promise, on data made with known truths?
//!
//! Small versions run with `cargo test`. The full ones take minutes, stand behind `--ignored`, and
//! write `results/calibration/report.md`: `make calibration`.

mod checks;
mod delays;
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

/// Every study at full size; the report is written whether or not all findings hold. With `STUDY`
/// in the environment only that one, and no report is written.
#[test]
#[ignore = "takes minutes; `make calibration` runs it"]
fn calibration() {
    type Made = fn() -> Study;
    let all: [(&str, Made); 9] = [
        ("error rates", error_rates::study),
        ("starts", starts::study),
        ("limits", limits::study),
        ("delays", delays::study),
        ("checks", checks::study),
        ("live", live::study),
        ("special", special::study),
        ("left open", left_open::study),
        ("intervals", intervals::study),
    ];
    let asked = std::env::var("STUDY").ok();
    let meant = |name: &str| asked.as_ref().is_none_or(|asked| asked == name);
    let mut studies = Vec::new();
    for (_, study) in all.into_iter().filter(|(name, _)| meant(name)) {
        studies.push(study());
        println!("{}", report(&studies[studies.len() - 1..]));
    }
    if asked.is_none() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/calibration");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("report.md"), report(&studies)).unwrap();
    }
    let failed: Vec<&str> = studies
        .iter()
        .flat_map(|study| &study.findings)
        .filter(|finding| finding.held == Some(false))
        .map(|finding| finding.what.as_str())
        .collect();
    assert!(failed.is_empty(), "did not hold: {failed:#?}");
}
