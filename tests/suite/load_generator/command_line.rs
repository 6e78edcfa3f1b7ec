//! `flakelab load --url` as a process: exit codes, the table, the file, Ctrl-C, refusals.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::program::{flakelab, stderr, stdout};
use super::{answer, body, server};

fn load(folder: &Path, arguments: &[&str]) -> Output {
    flakelab(folder).arg("load").args(arguments).output().unwrap()
}

/// The cells of the file, a line a request.
fn requests(file: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let expected = "number,request_id,due_s,drift_ms,latency_ms,status,attempts,end";
    assert_eq!(header.join(","), expected);
    let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    reader.records().map(|record| cells(record.unwrap())).collect()
}

#[test]
fn a_load_that_is_answered_throughout_ends_with_0_and_a_line_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&seen);
    let target = server(move |number, request, stream| {
        arrived.lock().unwrap().push(body(request).to_owned());
        answer(stream, [200, 500, 429][number % 3]);
    });
    let url = format!("http://{target}/");
    let arguments = ["--url", &url, "--requests", "30", "--rps", "300", "--out", "requests.csv"];
    let output = load(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).is_empty(), "no progress off a terminal: {}", stderr(&output));
    let table = stdout(&output);
    for part in ["sent", "refused", "lost", "latency", "drift", "p99", "30", "10", "wrote"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let requests = requests(&folder.path().join("requests.csv"));
    let sent: BTreeSet<&String> = requests.iter().map(|cells| &cells[1]).collect();
    let arrived = seen.lock().unwrap();
    assert_eq!(sent, arrived.iter().collect::<BTreeSet<_>>());
    assert_eq!((requests.len(), arrived.len()), (30, 30));
    for (number, cells) in requests.iter().enumerate() {
        assert_eq!(cells[0], number.to_string());
        assert!(cells[2].parse::<f64>().unwrap() - number as f64 / 300.0 < 1e-9);
        let end = match cells[5].as_str() {
            "200" => "ok",
            "500" => "error",
            _ => "refused",
        };
        assert_eq!((cells[6].as_str(), cells[7].as_str()), ("3", end));
    }
    drop(arrived);
    // The file is not replaced unless told to.
    let again = load(folder.path(), &arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    assert_eq!(seen.lock().unwrap().len(), 30, "nothing was sent");
}

#[test]
fn a_load_that_loses_a_request_ends_with_1_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let target = server(|number, _, stream| {
        if number != 3 {
            answer(stream, 200)
        }
    });
    let url = format!("http://{target}");
    let output = load(folder.path(), &["--url", &url, "--requests", "5", "--rps", "100", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("lost: 1 x no answer: "), "{}", stdout(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file that was not asked for");
}

#[test]
fn ctrl_c_keeps_what_was_sent_and_ends_with_130() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&seen);
    let target = server(move |number, request, mut stream| {
        arrived.lock().unwrap().push((number, body(request).to_owned()));
        if number % 2 == 0 { answer(stream, 200) } else { drop(stream.read(&mut [0])) }
    });
    let url = format!("http://{target}");
    let mut command = flakelab(folder.path());
    command.args(["load", "--url", &url, "--requests", "100000", "--rps", "50"]);
    command.args(["--out", "requests.csv", "--timeout-ms", "60000"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while seen.lock().unwrap().len() < 8 {
        thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stdout(&output).contains("interrupted"), "{}", stdout(&output));
    let requests = requests(&folder.path().join("requests.csv"));
    let mut arrived = seen.lock().unwrap().clone();
    arrived.sort();
    assert!(requests.iter().map(|cells| &cells[1]).eq(arrived.iter().map(|(_, id)| id)));
    for (number, cells) in requests.iter().enumerate() {
        let end = if number % 2 == 0 { "ok" } else { "lost: stopped" };
        assert_eq!((cells[7].as_str(), cells[4].is_empty()), (end, number % 2 == 1));
    }
}

#[test]
fn what_cannot_be_sent_is_one_clear_error_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: [(&[&str], &str); 15] = [
        (&[], "--url"),
        (&["--url", "http://127.0.0.1:1", "--probe"], "cannot be used with"),
        (&["--url", "http://127.0.0.1:1", "--burst", "5"], "cannot be used with '--burst"),
        (&["--probe", "--config", "1", "--rps", "5"], "cannot be used with '--rps"),
        (&["--url", "https://127.0.0.1:1"], "expected http://host:port"),
        (&["--url", "127.0.0.1:1"], "expected http://host:port"),
        (&["--url", "http://127.0.0.1"], "expected http://host:port"),
        (&["--url", "http://127.0.0.1:1/path"], "expected http://host:port"),
        (&["--url", "http://127.0.0.1:1-2"], "expected http://host:port"),
        (&["--url", "http://me@127.0.0.1:1"], "expected http://host:port"),
        (&["--url", "http://192.0.2.1:80"], "--allow-remote"),
        (&["--url", "http://127.0.0.1:1", "--rps", "0"], "--rps 0 is out of range"),
        (&["--url", "http://127.0.0.1:1", "--requests", "0"], "--requests"),
        (&["--url", "http://127.0.0.1:1", "--out", "none/r.csv"], "there is no folder none"),
        (&["--url", "http://127.0.0.1:1", "--out", ".", "--force"], "is a folder"),
    ];
    for (arguments, expected) in wrong {
        let output = load(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = load(folder.path(), &["--url", &format!("http://{closed}"), "--out", "r.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&format!("{closed}")), "{}", stderr(&output));
    assert!(stderr(&output).contains("Nothing was sent"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
