//! `fit` and `validate` as a user meets them: other people's logs, bad data, exit codes.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use flakelab_sim::trace::Row;
use flakelab_sim::world::Model;

use super::program::{flakelab, recorded_run, stderr, stdout};

fn write_trace(folder: &Path, name: &str, requests: u64) {
    let mut bytes = Vec::new();
    flakelab_sim::trace::write(&mut bytes, &recorded_run(requests)).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

#[test]
fn an_access_log_of_somebody_elses_servers_becomes_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = "time,upstream,code,took\n".to_owned();
    for i in 0..400 {
        let code = if i % 7 == 0 { 502 } else { 200 };
        let second = i / 10;
        let _ = writeln!(
            log,
            "2026-11-01T10:{:02}:{:02}.{}Z,10.0.0.{}:80,{code},0.00{}",
            second / 60,
            second % 60,
            i % 10,
            i % 3 + 1,
            i % 9 + 1
        );
    }
    fs::write(folder.path().join("access.csv"), log).unwrap();
    let map = "port=upstream,success=code,timestamp=time,latency_s=took";
    let mut command = flakelab(folder.path());
    command.args(["fit", "access.csv", "--name", "api", "--map", map, "--out", "models"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("api: 1 run, 400 attempts") && text.contains("10.0.0.3:80"), "{text}");
    let model = Model::read(&folder.path().join("models/api.toml")).unwrap();
    assert_eq!(model.servers(), 3);
    assert!(folder.path().join("results/fit/charts/config-api-fit-rates.svg").exists());
}

#[test]
fn mistakes_get_one_message_that_says_how_to_mend_them() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "good.csv", 30);
    let good = fs::read_to_string(folder.path().join("good.csv")).unwrap();
    let unknown_port = good.replacen(",4003,", ",8080,", 1);
    fs::write(folder.path().join("port.csv"), unknown_port).unwrap();
    let run = |arguments: &[&str]| {
        let output = flakelab(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stdout(&output));
        stderr(&output)
    };
    let port = run(&["fit", "port.csv"]);
    assert!(
        port.contains("port.csv:") && port.contains("8080") && port.contains("--name"),
        "{port}"
    );
    let twice = run(&["fit", "good.csv", "good.csv"]);
    assert!(twice.contains("the same run"), "{twice}");
    let map = run(&["fit", "good.csv", "--map", "prt=server_port"]);
    assert!(map.contains("prt") && map.contains("port"), "{map}");
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/thesis.txt"), "precious").unwrap();
    let report = run(&["fit", "good.csv", "--report", "mine"]);
    assert!(report.contains("--report"), "{report}");
    assert!(!folder.path().join("results").exists(), "nothing half-written is left");
}

#[test]
fn a_fit_writes_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "monday.csv", 120);
    let files = |threads: &str, out: &str, report: &str| {
        let mut command = flakelab(folder.path());
        command.env("RAYON_NUM_THREADS", threads).args(["fit", "monday.csv", "--out", out]);
        let output = command.args(["--report", report]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let read = |path: String| fs::read(folder.path().join(path)).unwrap();
        [
            read(format!("{out}/config-0.toml")),
            read(format!("{report}/report.md")),
            read(format!("{report}/charts/config-0-fit-latency.svg")),
        ]
    };
    assert!(files("1", "a", "ra") == files("2", "b", "rb"));
}

/// Against a model whose servers never fail, recordings with failures must be rejected.
#[test]
fn validate_says_by_its_exit_code_whether_predictions_held() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "monday.csv", 150);
    let fitted = flakelab(folder.path())
        .args(["fit", "monday.csv", "--out", "models", "--quiet"])
        .output()
        .unwrap();
    assert!(fitted.status.success(), "{}", stderr(&fitted));
    let validate = |model: &str| {
        let mut command = flakelab(folder.path());
        command.args(["validate", "monday.csv", "--replications", "199", "--model", model]);
        command.output().unwrap()
    };
    let held = validate("models/config-0.toml");
    assert_eq!(held.status.code(), Some(0), "{}\n{}", stdout(&held), stderr(&held));
    let text = fs::read_to_string(folder.path().join("models/config-0.toml")).unwrap();
    let begin = text.find("[error_rate]").unwrap();
    let end = begin + text[begin..].find("\n[rate_limit]").unwrap();
    let never = "[error_rate]\ndraw = \"fixed\"\nfamily = \"uniform\"\nlow = 0.01\nhigh = 0.02\n";
    let mut wrong = text.clone();
    wrong.replace_range(begin..end, never);
    let posterior = wrong.find("[error_rate.posterior]").unwrap();
    wrong.truncate(posterior);
    fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    let rejected = validate("wrong.toml");
    assert_eq!(rejected.status.code(), Some(1), "{}\n{}", stdout(&rejected), stderr(&rejected));
    assert!(stdout(&rejected).contains("did not hold"), "{}", stdout(&rejected));
}

/// The servers change places at the half of one of two recordings.
#[test]
fn validate_predicts_the_second_half_of_a_single_recording() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = recorded_run(600);
    let validate = |name: &str, rows: &[Row]| {
        let mut bytes = Vec::new();
        flakelab_sim::trace::write(&mut bytes, rows).unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        let output = flakelab(folder.path()).args(["validate", name]).output().unwrap();
        (output.status.code(), stdout(&output))
    };
    let (code, text) = validate("steady.csv", &rows);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("1 run, its second half predicted from the first\n"), "{text}");
    for said in ["The predictions held: as far as", "left out: counts of the whole run"] {
        assert!(text.contains(said), "{text}");
    }
    assert!(!text.contains("whole runs under"), "{text}");
    let half = rows.len() / 2;
    rows[half..].iter_mut().for_each(|row| row.server_port = 8009 - row.server_port);
    let (code, text) = validate("changed.csv", &rows);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("error rates drawn anew foretell the second half better"), "{text}");
}

/// `flakelab fit ... | head` closes stdout early.
#[test]
fn a_reader_that_goes_away_costs_no_file() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "monday.csv", 60);
    let mut command = flakelab(folder.path());
    command.args(["fit", "monday.csv", "--out", "models"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(folder.path().join("models/config-0.toml").exists());
    assert!(folder.path().join("results/fit/report.md").exists());
}
