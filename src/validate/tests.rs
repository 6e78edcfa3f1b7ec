//! The layer as a whole.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::trace::{Recording, Trace};

fn real() -> Option<Vec<Recording>> {
    let Some(folder) = std::env::var_os("FLAKELAB_TRACES") else {
        let line = b"skipped: FLAKELAB_TRACES does not name the folder with the real recordings\n";
        let _ = std::io::stderr().write_all(line);
        return None;
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    paths.sort();
    let of = |path: &PathBuf| Recording::of_trace(&Trace::read(path).unwrap());
    Some(paths.iter().flat_map(of).collect())
}

#[test]
fn the_real_recordings_follow_their_rules() {
    let Some(recordings) = real() else { return };
    for run in &recordings {
        println!("{} {:?}", run.file(), recorder::check_rules(run, RunRules::Recorder));
    }
}

#[test]
fn the_real_recordings_predict_each_other() {
    let Some(recordings) = real() else { return };
    let runs: Vec<&Recording> = recordings.iter().collect();
    let found = leave_one_out(&runs, provisional_training, Settings::default()).unwrap();
    println!("{:#?}", found.one_step);
    for metric in &found.metrics {
        println!("{metric:?}");
    }
    for run in &found.runs {
        println!("{} {:?} {:?} {:?}", run.file, run.strategies, run.membership, run.log_scores);
        println!("   {:?}", run.predictions);
    }
}
