//! The recordings of the real servers, read in both ways. Skipped where they are not there.

use std::path::PathBuf;

use crate::trace::{ReadOptions, Recording, Trace};

#[test]
fn real_files_read_the_same_as_rows_and_as_recordings() {
    let Ok(folder) = std::env::var("FLAKELAB_TRACES") else {
        eprintln!("skipped: FLAKELAB_TRACES does not name a folder with recordings");
        return;
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "csv")).collect();
    paths.sort();
    let recordings = Recording::read_all(&paths, &ReadOptions::default()).unwrap();
    assert_eq!(recordings.len(), paths.len());
    let mut attempts = 0;
    for (path, recording) in paths.iter().zip(&recordings) {
        let trace = Trace::read(path).unwrap();
        assert_eq!(recording.attempts.len(), trace.rows.len(), "{}", path.display());
        assert_eq!(Recording::of_trace(&trace).unwrap(), std::slice::from_ref(recording));
        assert_eq!(recording.warnings, [""; 0]);
        assert_eq!(recording.attempts.last().unwrap().request, 99);
        for (attempt, row) in recording.attempts.iter().zip(&trace.rows) {
            assert_eq!(usize::from(attempt.server), row.server_index().unwrap());
            assert_eq!((attempt.at_s, attempt.outcome), (row.timestamp, row.outcome()));
        }
        attempts += trace.rows.len();
    }
    eprintln!("{attempts} attempts in {} files", paths.len());
}
