//! `live` end to end: real processes, real sockets, ports from the system, high rates.
//!
//! What a run leaves behind is read back: a prediction that is older than the first request, traces
//! that a fit reads, counts of three sides that agree, a verdict. Then what must be survived:
//! Ctrl-C at any moment, kill -9, servers that are not there.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flakelab::trace::{ReadOptions, Recording};
use flakelab::validate::forecast::{Basis, PredictionFile};

use super::program::{flakelab, stderr, stdout};

/// A quick run of `live` in `folder`, with results in `folder/out`.
fn live(folder: &Path, more: &[&str]) -> Command {
    let mut command = flakelab(folder);
    command.args(["live", "--rps", "200", "--requests", "60", "--port-base", "0"]);
    command.args(["--out", "out", "--replications", "400", "--seed", "11"]);
    command.args(more);
    command
}

fn first_due(folder: &Path) -> f64 {
    let traces = fs::read_dir(folder.join("traces")).unwrap();
    let first = |path: PathBuf| {
        let recordings = Recording::read(&path, &ReadOptions::default()).unwrap();
        recordings[0].started_at_s()
    };
    let played = traces.map(|entry| entry.unwrap().path());
    let played = played.filter(|path| !path.ends_with("path.csv"));
    played.map(first).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_run_ends_with_table_verdict_and_files_that_agree() {
    let folder = tempfile::tempdir().unwrap();
    let output = live(folder.path(), &["--strategy", "all"]).output().unwrap();
    let (out, err) = (stdout(&output), stderr(&output));
    // The verdict may be either; an error may not.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{err}");
    for label in ["V1 larkin", "V5 thompson-scaled", "verdict"] {
        assert!(out.contains(label), "{label}: {out}");
    }
    let results = folder.path().join("out");
    let text = fs::read_to_string(results.join("prediction.json")).unwrap();
    let prediction: PredictionFile = serde_json::from_str(&text).unwrap();
    let config = &prediction.configs[0];
    assert!(config.predicted_at < first_due(&results), "predicted before the first request");
    let of = |basis| config.runs.iter().filter(|run| run.basis == basis).count();
    assert_eq!((of(Basis::Model), of(Basis::TrueRates)), (5, 5));
    for name in ["manifest.json", "report.md", "summary.csv", "summary.json", "metrics.json"] {
        assert!(results.join(name).is_file(), "{name}");
    }
    let mut log = csv::Reader::from_path(results.join("servers.csv")).unwrap();
    let mut attempts_by_id: BTreeMap<String, usize> = BTreeMap::new();
    for record in log.records() {
        *attempts_by_id.entry(record.unwrap()[2].to_owned()).or_default() += 1;
    }
    for alias in ["v1", "v2", "v3", "v4", "v5"] {
        let trace = results.join(format!("traces/config-0-{alias}.csv"));
        let mut rows = csv::Reader::from_path(trace).unwrap();
        let mut of_run: BTreeMap<String, usize> = BTreeMap::new();
        for record in rows.records() {
            *of_run.entry(record.unwrap()[4].to_owned()).or_default() += 1;
        }
        assert_eq!(of_run.len(), 60, "{alias}: every request was attempted");
        for (id, attempts) in of_run {
            assert_eq!(attempts_by_id.get(&id), Some(&attempts), "{alias} {id}");
        }
    }
}
