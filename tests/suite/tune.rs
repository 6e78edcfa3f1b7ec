//! `flakelab tune` and `flakelab strategies` as a user meets them.

use std::fs;

use flakelab_core::strategy::StrategySpec;
use flakelab_sim::world::RateLimit;

use super::common::{UNIFORM, constant_ms, model};
use super::program::{Desk, flakelab, stderr, stdout};

const SMALL: &str = "--model m.toml --requests 60 --budget 800 --candidates 8 --fresh 200";

/// A desk with a model of five servers.
fn desk() -> Desk {
    Desk::with(&model(5, UNIFORM, RateLimit::None, constant_ms(1.0)))
}

#[test]
fn tune_prints_what_it_found_and_writes_its_folder() {
    let desk = desk();
    let output = desk.run(&format!("tune --strategy v5 {SMALL} --png"));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let text = stdout(&output);
    for expected in ["V5 thompson-scaled on m", "8 settings", "200 fresh seeds (master seed 43)"] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
    let next = text.lines().last().unwrap();
    assert!(next.starts_with("next: cargo run -- sweep --strategy all,thompson-scaled"), "{next}");
    assert!(next.ends_with("--master-seed 44"), "seeds that nobody saw: {next}");
    let folder = fs::read_dir(desk.path("results")).unwrap().next().unwrap().unwrap();
    let name = folder.file_name().to_string_lossy().into_owned();
    assert!(name.starts_with("tune-thompson-scaled-"), "{name}");
    for file in [
        "manifest.json",
        "tune.json",
        "candidates.csv",
        "report.md",
        "charts/tune-search.svg",
        "charts/tune-search.png",
    ] {
        assert!(folder.path().join(file).is_file(), "{file} is missing");
    }
    // What it says can be played again, by the command that it names.
    let words: Vec<&str> = next.trim_start_matches("next: cargo run -- ").split(' ').collect();
    let again = flakelab(desk.folder.path()).args(words).arg("--seeds=5").output().unwrap();
    assert!(again.status.success(), "{}", stderr(&again));
}

#[test]
fn tune_writes_the_same_bytes_for_any_number_of_threads() {
    let desk = desk();
    for threads in ["1", "3"] {
        let tune = format!("tune --strategy v3 {SMALL} --threads {threads} --out r{threads}");
        assert!(desk.run(&tune).status.success());
    }
    for file in ["tune.json", "candidates.csv", "report.md", "charts/tune-search.svg"] {
        let read = |folder: &str| fs::read(desk.path(folder).join(file)).unwrap();
        assert!(read("r1") == read("r3"), "{file} differs");
    }
    let message = desk.run(&format!("tune --strategy v4 {SMALL} --out r1"));
    assert!(stderr(&message).contains("--force"), "{}", stderr(&message));
}

#[test]
fn tune_formats_are_what_they_say() {
    let desk = desk();
    let tune =
        |format: &str| stdout(&desk.run(&format!("tune --strategy v4 {SMALL} --format {format}")));
    let json: serde_json::Value = serde_json::from_str(&tune("json")).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), 8);
    assert_eq!(json["fresh"]["replications"], 200);
    let csv = tune("csv");
    assert_eq!(csv::Reader::from_reader(csv.as_bytes()).records().count(), 8);
    assert!(tune("md").contains("| setting | score | 95 % interval |"));
}

#[test]
fn searches_that_cannot_be_run_are_refused_with_what_could() {
    for (arguments, expected) in [
        ("tune --strategy random", "random has no parameter to search"),
        ("tune --strategy v2", "sweep --strategy ucb1,ucb1:exclude_tried=true"),
        ("tune --strategy v1 --budget 100", "--budget 3840"),
        ("tune --strategy v1,v4", "one at a time"),
        ("tune --strategy all", "`all` is not one strategy"),
        ("tune --strategy tompson", "did you mean `thompson`?"),
        ("tune --strategy v1 --config all", "one at a time"),
        ("tune --strategy v1 --threads 0", "1 to 256"),
        ("tune --strategy v1 --max-attempts 0", "max_attempts"),
        ("tune", "--strategy"),
    ] {
        let message = desk().mistake(arguments);
        assert!(message.contains(expected), "{arguments}: {message}");
        let twice = message.matches("is not one strategy").count();
        assert!(twice <= 1, "said twice: {message}");
    }
}

#[test]
fn strategies_lists_all_of_them_in_eighty_columns_without_colour() {
    let desk = desk();
    let output = desk.run("strategies");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let text = stdout(&output);
    let folded = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    for spec in StrategySpec::all_with_defaults() {
        let entry = spec.entry();
        assert!(folded.contains(entry.idea), "{}", entry.name);
        for parameter in entry.parameters {
            assert!(text.contains(&format!("{} = ", parameter.key)), "{}", parameter.key);
            assert!(folded.contains(parameter.meaning), "{}", parameter.meaning);
        }
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'));
    let coloured = stdout(&desk.run("strategies --color always"));
    assert!(coloured.contains("\x1b[1m"));
}

#[test]
fn strategies_takes_names_aliases_and_groups() {
    let desk = desk();
    let text = stdout(&desk.run("strategies v1 thompson"));
    assert!(text.contains("larkin (v1)") && text.contains("thompson (v4)"), "{text}");
    assert!(!text.contains("ucb1") && !text.contains("thompson-scaled"), "{text}");
    let json = stdout(&desk.run("strategies all --format json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 5);
    assert_eq!(json[0]["parameters"][0]["default"], 50);
    let message = desk.mistake("strategies tompson");
    assert!(message.contains("did you mean `thompson`?"), "{message}");
    for command in ["strategies --help", "tune --help"] {
        assert!(stdout(&desk.run(command)).starts_with("Examples:"), "{command}");
    }
}
