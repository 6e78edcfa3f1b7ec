//! Files that come, go, and change while they are read.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::report::write_atomically;
use crate::watch::testing;

fn follow(folder: &Path) -> Follow {
    Follow::new(Files::new(folder.join("metrics.json"), None))
}

fn write(folder: &Path, name: &str, value: &impl serde::Serialize) {
    write_atomically(&folder.join(name), &serde_json::to_vec(value).unwrap()).unwrap();
}

/// Ticks until something is read.
fn next(follow: &mut Follow) {
    assert!((0..7).any(|_| follow.tick()), "nothing was read in 7 ticks");
}

#[test]
fn a_file_may_be_missing_come_be_torn_vanish_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics.json");
    let mut follow = follow(folder.path());
    assert!(follow.tick());
    assert!(follow.seen().trouble.as_ref().unwrap().starts_with("waiting for "));

    write(folder.path(), "metrics.json", &testing::middle());
    next(&mut follow);
    assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::middle()));
    assert_eq!(follow.seen().trouble, None);

    let whole = serde_json::to_vec(&testing::ended()).unwrap();
    fs::write(&metrics, &whole[..whole.len() / 2]).unwrap();
    next(&mut follow);
    assert!(follow.seen().trouble.as_ref().unwrap().contains("is half-written"));
    assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::middle()), "the last good state");

    fs::remove_file(&metrics).unwrap();
    next(&mut follow);
    assert!(follow.seen().trouble.as_ref().unwrap().contains("is gone"));

    fs::write(&metrics, "\"a text\"").unwrap();
    next(&mut follow);
    assert!(follow.seen().trouble.as_ref().unwrap().contains("holds no metrics"));

    write(folder.path(), "metrics.json", &testing::ended());
    next(&mut follow);
    assert_eq!(follow.seen().metrics.as_ref(), Some(&testing::ended()));
    assert_eq!((&follow.seen().trouble, follow.seen().quiet_ticks), (&None, 0));
}

#[test]
fn a_prediction_may_come_later_and_be_of_another_schema() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "metrics.json", &testing::middle());
    let mut follow = follow(folder.path());
    follow.tick();
    assert!(matches!(follow.seen().prediction, Predicted::Missing(_)));
    let mut file = testing::prediction();
    file.schema = 2;
    write(folder.path(), "prediction.json", &file);
    next(&mut follow);
    assert!(
        matches!(&follow.seen().prediction, Predicted::Unusable(why) if why.contains("schema 2"))
    );
    file.schema = 1;
    write(folder.path(), "prediction.json", &file);
    next(&mut follow);
    assert!(matches!(&follow.seen().prediction, Predicted::File(read) if read.configs.len() == 1));
}

#[test]
fn a_folder_in_place_of_the_file_is_trouble_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("metrics.json")).unwrap();
    let mut follow = follow(folder.path());
    follow.tick();
    assert!(follow.seen().trouble.as_ref().unwrap().contains("cannot be read"));
}

#[test]
fn a_file_replaced_in_a_loop_is_read_whole_and_never_older_than_before() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    write(folder.path(), "metrics.json", &testing::middle());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut metrics = testing::middle();
            while !stop.load(Ordering::Relaxed) {
                metrics.total_requests += 1;
                metrics.total_success = metrics.total_requests;
                // As the proxy does it: renamed, not synced.
                let temporary = folder.path().join("metrics.new");
                fs::write(&temporary, serde_json::to_vec(&metrics).unwrap()).unwrap();
                fs::rename(&temporary, folder.path().join("metrics.json")).unwrap();
            }
        });
        let mut follow = follow(folder.path());
        let (mut reads, mut last) = (0, 0);
        while reads < 50 {
            if follow.tick() {
                let seen = follow.seen();
                assert_eq!(seen.trouble, None);
                let metrics = seen.metrics.as_ref().unwrap();
                assert!(metrics.total_requests >= last);
                assert!(metrics.total_requests == metrics.total_success || last == 0);
                (reads, last) = (reads + 1, metrics.total_requests);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
