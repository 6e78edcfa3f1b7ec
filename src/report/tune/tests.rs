//! The words and files of searches whose numbers are known.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::experiment::tune::{Size, TuneVerdict, Tuned, Tuning, tune};
use crate::stats::Interval;
use crate::world::{Model, Scenario};

fn tuned() -> Tuned {
    let model = Model { name: "m".to_owned(), ..Model::of_rates(&[0.1, 0.3, 0.5, 0.7]) };
    let scenario = Scenario { requests: 30, ..Scenario::new(model) };
    let size = Size { budget: 600, candidates: 8, fresh: 40 };
    let tuning = Tuning::new("v5", scenario, size, 1).unwrap();
    tune(&tuning, &AtomicBool::new(false), |_| ()).unwrap()
}

/// A result with this gain, all else as it was.
fn with_gain(mean: f64, half: f64, verdict: TuneVerdict) -> Tuned {
    let mut tuned = tuned();
    tuned.fresh.gain.mean = mean;
    tuned.fresh.gain.interval = Interval::around(mean, half);
    tuned.verdict = verdict;
    tuned
}

#[test]
fn every_verdict_says_what_to_use() {
    for (mean, half, verdict, expected) in [
        (
            1.234,
            0.12,
            TuneVerdict::Better,
            "1.23 points more than the default on 40 fresh seeds \
            (95 %: 1.11 to 1.35)",
        ),
        (
            -0.02,
            0.12,
            TuneVerdict::NotBetter,
            "gains -0.02 points on 40 fresh seeds \
            (95 %: -0.14 to 0.10). Keep the default.",
        ),
        (
            -0.5,
            0.12,
            TuneVerdict::Worse,
            "loses 0.50 points on 40 fresh seeds \
            (95 %: 0.38 to 0.62). Keep the default.",
        ),
        (0.0, 0.0, TuneVerdict::Same, "every time. Keep the default."),
        (0.0, 0.0, TuneVerdict::DefaultFound, "none of the 7 other settings stayed ahead"),
    ] {
        let text = tune_verdict(&with_gain(mean, half, verdict));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn tables_hold_found_default_and_gain_and_are_continued_where_they_are_too_wide() {
    let tuned = tuned();
    let text = tune_table(&tuned, None);
    assert!(text.contains("found: ") && text.contains("default: "), "{text}");
    let tables = |text: &str| text.matches("setting ").count();
    assert!(tables(&tune_table(&tuned, Some(70))) > tables(&text));
    assert!(tune_markdown(&tuned).contains("| gain, paired |"));
}

#[test]
fn every_candidate_has_a_row() {
    let text = tune_csv(&tuned()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = "place,setting,found,default,initial_scale,decay,exclude_tried,rounds,\
        replications,score_mean,score_ci_low,score_ci_high,from_found_mean";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<&str>>().join(","), headers);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let count = |column: usize| rows.iter().filter(|row| &row[column] == "true").count();
    assert_eq!((rows.len(), count(2), count(3)), (8, 1, 1));
    assert_eq!((&rows[0][0], &rows[0][2]), ("1", "true"), "the one found comes first");
}

#[test]
fn the_folder_gets_its_files_and_the_manifest_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let results = crate::report::ResultsFolder::open(&path, "aaaa", false).unwrap();
    results.write_all(&tune_files(&tuned(), "aaaa", true).unwrap()).unwrap();
    for name in [
        "manifest.json",
        "tune.json",
        "candidates.csv",
        "report.md",
        "charts/tune-search.svg",
        "charts/tune-search.png",
    ] {
        assert!(path.join(name).is_file(), "{name}");
    }
    drop(results);
    // As after a kill just before the manifest was written.
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    assert!(crate::report::ResultsFolder::open(&path, "bbbb", false).is_ok());
}
