//! `watch` as a process of its own, beside a file that changes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};

use flakelab::report::write_atomically;
use flakelab_live::{Metrics, ServerMetrics};

use super::program::{flakelab, stderr, stdout};

fn metrics(answered: u64, ended: bool) -> Metrics {
    let server = ServerMetrics {
        port: 4000,
        num_requests: answered,
        num_success: answered,
        success_rate: 1.0,
        avg_latency_ms: 1.5,
        ..ServerMetrics::default()
    };
    Metrics {
        total_requests: answered,
        total_success: answered,
        total_attempts: answered,
        best_guess_score: answered as f64,
        latency_p50: 1.5,
        latency_p99: 2.5,
        latencies: (0..answered).map(|i| 1.0 + i as f64 / 7.0).collect(),
        per_server: vec![server],
        started: 1.8e9,
        last_update: 1.8e9 + answered as f64 / 10.0,
        strategy: "V4 thompson".to_owned(),
        config: "0".to_owned(),
        ended,
        ..Metrics::default()
    }
}

fn write(folder: &Path, metrics: &Metrics) {
    let text = serde_json::to_vec(metrics).unwrap();
    write_atomically(&folder.join("metrics.json"), &text).unwrap();
}

/// Ends the process if the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = flakelab(folder);
    command.args(["watch", "metrics.json"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

#[test]
fn plain_lines_follow_a_file_from_before_it_is_there_until_the_run_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = start(folder.path(), &["--plain"]);
    let mut notes = BufReader::new(watch.0.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    assert!(notes.next().unwrap().unwrap().starts_with("waiting for metrics.json"));
    write(folder.path(), &metrics(3, false));
    assert_eq!(lines.next().unwrap().unwrap(), "V4 thompson, config 0");
    assert!(
        lines.next().unwrap().unwrap().starts_with("0:00  requests 3  answered 3  success 100 %")
    );
    fs::write(folder.path().join("metrics.json"), "{\"total_requests\": 4, \"tot").unwrap();
    assert!(notes.next().unwrap().unwrap().contains("is half-written"));
    fs::remove_file(folder.path().join("metrics.json")).unwrap();
    assert!(notes.next().unwrap().unwrap().contains("is gone"));
    write(folder.path(), &metrics(12, false));
    assert!(lines.next().unwrap().unwrap().starts_with("0:01  requests 12  answered 12"));
    write(folder.path(), &metrics(20, true));
    let last = lines.next().unwrap().unwrap();
    assert!(last.starts_with("0:02  requests 20") && last.ends_with("  ended"), "{last}");
    assert!(lines.next().is_none());
    assert_eq!(watch.0.wait().unwrap().code(), Some(0));
}

#[test]
fn off_a_terminal_lines_are_the_default_and_a_finished_run_is_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &metrics(20, true));
    let output = flakelab(folder.path()).args(["watch", "metrics.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 2, "{}", stdout(&output));
}

#[test]
fn a_supervised_viewer_ends_when_its_standard_input_does() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &metrics(3, false));
    for arguments in [&["--supervised"][..], &["--supervised", "--svg", "now.svg"]] {
        let mut watch = start(folder.path(), arguments);
        drop(watch.0.stdin.take());
        assert_eq!(watch.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_next_run_in_the_same_file_is_followed_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &metrics(20, true));
    let mut watch = start(folder.path(), &["--supervised", "--plain"]);
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "V4 thompson, config 0");
    assert!(lines.next().unwrap().unwrap().ends_with("  ended"));
    let strategy = "V1 larkin".to_owned();
    write(folder.path(), &Metrics { strategy, started: 1.9e9, ..metrics(1, false) });
    assert_eq!(lines.next().unwrap().unwrap(), "V1 larkin, config 0");
    drop(watch.0.stdin.take());
    assert_eq!(watch.0.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_lines_and_charts_with_130() {
    use nix::sys::signal::{Signal, kill};
    let folder = tempfile::tempdir().unwrap();
    for (arguments, signal) in
        [(&["--plain"][..], Signal::SIGINT), (&["--svg", "now.svg"], Signal::SIGTERM)]
    {
        let mut watch = start(folder.path(), arguments);
        // Whoever complains already listens to signals.
        let mut said = String::new();
        BufReader::new(watch.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        kill(nix::unistd::Pid::from_raw(watch.0.id() as i32), signal).unwrap();
        assert_eq!(watch.0.wait().unwrap().code(), Some(130), "{said}");
    }
}

/// Waits until the chart holds a text, as long as its painter lives.
fn chart_with(folder: &Path, watch: &mut Running, text: &str) -> String {
    loop {
        let ended = watch.0.try_wait().unwrap();
        let chart = fs::read_to_string(folder.join("now.svg")).unwrap_or_default();
        if chart.contains(text) {
            return chart;
        }
        assert!(ended.is_none(), "{ended:?}, and the last chart has no {text}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_chart_is_drawn_again_when_the_metrics_change_and_is_always_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &metrics(0, false));
    let mut watch = start(folder.path(), &["--svg", "now.svg"]);
    let first = chart_with(folder.path(), &mut watch, "0 requests answered");
    write(folder.path(), &metrics(42, false));
    let second = chart_with(folder.path(), &mut watch, "42 requests answered");
    write(folder.path(), &metrics(100, true));
    assert_eq!(watch.0.wait().unwrap().code(), Some(0));
    let third = chart_with(folder.path(), &mut watch, "100 requests answered");
    assert!(first != second && second != third);
    for chart in [first, second, third] {
        assert!(chart.starts_with("<svg ") && chart.trim_end().ends_with("</svg>"));
        assert_eq!(chart.matches("<text").count(), chart.matches("</text>").count());
    }
    let mut said = String::new();
    watch.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_chart_that_has_nowhere_to_go_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = flakelab(folder.path());
        command.args(["watch", "metrics.json"]).args(arguments).output().unwrap()
    };
    let output = run(&["--svg", "no/such/now.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no folder no/such; make it first"));
    assert_eq!(run(&["--svg", "."]).status.code(), Some(2));
    assert_eq!(run(&["--svg", "now.svg", "--plain"]).status.code(), Some(2));
}
