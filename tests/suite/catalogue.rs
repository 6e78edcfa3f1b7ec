//! The whole catalogue: every strategy in every scenario, simulated, and every strategy once in
//! front of real sockets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flakelab_core::strategy::Group;
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{ExperimentFile, ScenarioFile};
use flakelab_sim::world::Document;

use super::program::{flakelab, stderr, stdout};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The ranked strategies' labels.
fn labels() -> BTreeSet<String> {
    Group::RANKED.into_iter().flat_map(StrategySpec::of_group).map(|spec| spec.label()).collect()
}

/// Files of scenarios, with their names.
fn scenarios() -> Vec<(String, PathBuf)> {
    let folder = root().join("experiments/scenarios");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)).collect()
}

#[test]
fn every_scenario_is_a_sentence_that_can_be_played_and_stands_in_the_catalogue() {
    let catalogue = root().join("experiments/catalogue.toml");
    let catalogue = ExperimentFile::parse(&Document::read(&catalogue).unwrap()).unwrap();
    let listed: BTreeSet<String> = catalogue
        .scenario_files
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let there = scenarios();
    assert_eq!(listed, there.iter().map(|(name, _)| name.clone()).collect());
    assert!(there.len() >= 14, "{}", there.len());
    for (name, path) in there {
        assert!(name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        let file = ScenarioFile::read(&path).unwrap_or_else(|e| panic!("{e}"));
        assert!(file.description.is_some_and(|text| text.len() > 40), "{name} says nothing");
    }
}

#[test]
fn every_strategy_plays_every_scenario() {
    let out = tempfile::tempdir().unwrap();
    let output = flakelab(root())
        .args(["sweep", "--experiment", "experiments/catalogue.toml"])
        .args(["--seeds", "2", "--requests", "25", "--format", "csv", "--force", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let column = |name: &str, headers: &csv::StringRecord| {
        headers.iter().position(|header| header == name).unwrap()
    };
    let headers = rows.headers().unwrap().clone();
    let (config, strategy) = (column("config", &headers), column("strategy", &headers));
    let success = column("success_rate", &headers);
    let mut seen = BTreeSet::new();
    for row in rows.records() {
        let row = row.unwrap();
        let share: f64 = row[success].parse().unwrap();
        assert!((0.0..=1.0).contains(&share), "{row:?}");
        seen.insert((row[config].to_owned(), row[strategy].to_owned()));
    }
    for (scenario, _) in scenarios() {
        for label in labels() {
            assert!(seen.contains(&(scenario.clone(), label.clone())), "{label} in {scenario}");
        }
    }
    let report = fs::read_to_string(out.path().join("report.md")).unwrap();
    assert!(report.contains("## Robustness map"));
    assert!(out.path().join("charts/robustness.svg").is_file());
}

/// Two hundred replications take minutes: `make catalogue` writes the page, and the ignored test
/// below compares it; this one says when scenarios or strategies were added since.
#[test]
fn the_committed_page_shows_every_strategy_in_every_scenario() {
    let page = fs::read_to_string(root().join("results/reference/catalogue.md")).unwrap();
    let plain = page.replace('\\', "");
    for (scenario, _) in scenarios() {
        let start = plain.lines().position(|line| {
            line.strip_prefix("## ").is_some_and(|name| name.eq_ignore_ascii_case(&scenario))
        });
        let start = start.unwrap_or_else(|| panic!("{scenario} is missing: run `make catalogue`"));
        let of_scenario = plain.lines().skip(start + 1).take_while(|line| !line.starts_with("## "));
        let table: Vec<&str> = of_scenario.filter(|line| line.starts_with('|')).collect();
        for label in labels() {
            let cell = format!("| {label} |");
            let rows = table.iter().filter(|line| line.contains(&cell)).count();
            assert_eq!(rows, 1, "{label} in {scenario}: run `make catalogue`");
        }
    }
}

#[test]
#[ignore = "minutes; `make catalogue` writes what it compares"]
fn the_committed_page_is_reproduced_byte_for_byte() {
    let out = tempfile::tempdir().unwrap();
    let output = flakelab(root())
        .args(["sweep", "--experiment", "experiments/catalogue.toml"])
        .args(["--quiet", "--format", "md", "--force", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let committed = fs::read_to_string(root().join("results/reference/catalogue.md")).unwrap();
    assert!(stdout(&output) == committed, "results/reference/catalogue.md is another one now");
}

/// Proxy, stand-in servers and load generator for each; verdicts may be either, since what a busy
/// machine does to latencies is no error.
#[test]
fn every_strategy_serves_real_requests() {
    let desk = tempfile::tempdir().unwrap();
    let output = flakelab(desk.path())
        .args(["live", "--strategy", "everything", "--config", "0", "--requests", "20"])
        .args(["--rps", "200", "--port-base", "0", "--no-overhead", "--replications", "100"])
        .args(["--seed", "11", "--no-input", "--out", "out"])
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    let text = stdout(&output);
    for label in labels() {
        assert!(text.contains(&label), "{label} is missing:\n{text}");
    }
    let reconciliation = fs::read_to_string(desk.path().join("out/report.txt")).unwrap();
    assert!(reconciliation.contains("agree on every count of every run"), "{reconciliation}");
}
