//! The pages for people: commands in `sh` blocks run, those in `text` blocks are understood, README
//! shows what its command prints, links and paths exist, and what can be derived from the program
//! (keys of the rules, strategies, columns) is explained.

use std::fs;
use std::path::{Path, PathBuf};

use flakelab_core::domain::Rules;
use flakelab_core::strategy::StrategySpec;
use flakelab_live::Metrics;
use flakelab_sim::experiment::ExperimentFile;
use flakelab_sim::world::{Document, Model};

use super::program::{flakelab, recorded_run, stderr, stdout};

/// README sends readers on rather than keep them.
const MOST_LINES: usize = 170;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// Every page of the repository, results that are not committed and built things left out.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            let in_results = folder == root().join("results");
            let committed = !in_results || ["reference", "calibration"].contains(&&*name);
            if path.is_dir() && committed && name != "target" && !name.starts_with('.') {
                walk(&path, pages);
            } else if name.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    walk(root(), &mut pages);
    pages.sort();
    assert!(pages.len() >= 8, "{pages:?}");
    pages
}

/// The fenced blocks of a page with what stands behind the fence, and the lines between them.
fn blocks_and_prose(text: &str) -> (Vec<(&str, String)>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(&str, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => prose += &format!("{line}\n"),
        }
    }
    (blocks, prose)
}

/// What stands in the blocks of one kind, as commands: continued lines joined, comments taken off.
fn commands(text: &str, kind: &str) -> Vec<String> {
    let (blocks, _) = blocks_and_prose(text);
    let of_kind = blocks.iter().filter(|(other, _)| *other == kind);
    let joined = of_kind.map(|(_, block)| block.replace("\\\n", " "));
    let lines: Vec<String> =
        joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let plain = lines.iter().map(|line| line.split(" # ").next().unwrap_or_default().trim());
    plain.filter(|c| !c.is_empty() && !c.starts_with('#')).map(str::to_owned).collect()
}

/// What stands between single backticks in the prose of a page.
fn code_spans(text: &str) -> Vec<String> {
    let (_, prose) = blocks_and_prose(text);
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_make_target(target: &str) -> bool {
    read("Makefile").contains(&format!("\n{target}:"))
}

#[test]
fn the_readme_is_short_and_shows_what_its_command_prints() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= MOST_LINES, "README.md has {lines} lines");
    let (blocks, _) = blocks_and_prose(&readme);
    let [("sh", command), ("text", shown), ..] = blocks.as_slice() else {
        panic!("README.md begins with a command and what it prints");
    };
    let desk = tempfile::tempdir().unwrap();
    let arguments = command.split_whitespace().skip_while(|word| *word != "--").skip(1);
    let output = flakelab(desk.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert_eq!(printed.trim_end(), shown.trim_end(), "README.md shows another output");
}

/// Runs what stands in the `sh` blocks of all pages, each command once.
#[test]
fn every_command_in_the_pages_runs() {
    let desk = tempfile::tempdir().unwrap();
    for folder in ["experiments", "experiments/scenarios", "models"] {
        fs::create_dir(desk.path().join(folder)).unwrap();
        let paths = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.is_file()) {
            let copy = desk.path().join(folder).join(path.file_name().unwrap());
            fs::copy(&path, copy).unwrap();
        }
    }
    fs::create_dir(desk.path().join("my-traces")).unwrap();
    let mut bytes = Vec::new();
    flakelab_sim::trace::write(&mut bytes, &recorded_run(300)).unwrap();
    fs::write(desk.path().join("my-traces/monday.csv"), bytes).unwrap();

    let mut done: Vec<String> = Vec::new();
    for page in pages() {
        for command in commands(&read(&page), "sh") {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words[..] {
                _ if done.contains(&command) => {}
                ["cargo", "run", "--", ..] => {
                    let arguments = words[3..].iter().map(|word| match *word {
                        "my-traces/*.csv" => "my-traces/monday.csv",
                        word => word,
                    });
                    // At the pace of the page a live run takes a minute, and its ports may be
                    // taken. Its verdict is a fact about this machine; an error would be one about
                    // the page.
                    let quick = "--rps=200 --requests=30 --port-base=0 --replications=300";
                    let more = quick.split(' ').filter(|_| words[3] == "live");
                    let output =
                        flakelab(desk.path()).args(arguments.chain(more)).output().unwrap();
                    let judged = words[3] == "live" && output.status.code() == Some(1);
                    let page = page.display();
                    let said = stderr(&output);
                    assert!(output.status.success() || judged, "{page}: {command}\n{said}");
                }
                ["cargo", "run", "--example", name] => {
                    let file = root().join("examples").join(name).with_extension("rs");
                    assert!(file.is_file(), "{} is missing", file.display());
                }
                ["make", target] => assert!(is_make_target(target), "make {target} is missing"),
                // How this test was started.
                ["cargo", "test"] => {}
                _ => panic!("{} has a command that nobody tests: {command}", page.display()),
            }
            done.push(command);
        }
    }
    assert!(done.len() >= 15, "only {} commands were found: {done:?}", done.len());
}

/// Those that need servers, recordings or a second terminal. Flags are checked before `--help` is
/// obeyed; files need not be there.
#[test]
fn every_command_in_a_text_block_is_understood() {
    let mut understood = 0;
    for page in pages() {
        for command in commands(&read(&page), "text") {
            let Some(arguments) = command.strip_prefix("cargo run -- ") else { continue };
            let arguments = arguments.split_whitespace().chain(["--help"]);
            let output = flakelab(root()).args(arguments).output().unwrap();
            let page = page.display();
            assert!(output.status.success(), "{page}: {command}\n{}", stderr(&output));
            understood += 1;
        }
    }
    assert!(understood >= 10, "only {understood} commands were found");
}

#[test]
fn every_link_path_and_make_target_in_the_pages_exists() {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut missing: Vec<String> = Vec::new();
    for page in pages() {
        let (text, folder) = (read(&page), page.parent().unwrap());
        let (_, prose) = blocks_and_prose(&text);
        let shown = page.strip_prefix(root()).unwrap().display();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let ours = !file.is_empty() && !file.contains("://");
            if ours && !folder.join(file).exists() {
                missing.push(format!("{shown}: {target}"));
            }
        }
        for span in code_spans(&text) {
            let target = span.strip_prefix("make ").and_then(|rest| rest.split(' ').next());
            if target.is_some_and(|target| !is_make_target(target)) {
                missing.push(format!("{shown}: {span}"));
            }
            // A path begins with a folder of the repository or of the page.
            let first = span.split('/').next().unwrap_or_default();
            let is_path = span.contains('/') && !first.is_empty() && span.chars().all(plain);
            let places = [root(), folder];
            let is_ours = is_path && places.iter().any(|place| place.join(first).is_dir());
            // Results come and go, but for those that are committed.
            let made = first == "results" && !span.contains("reference");
            if is_ours && !made && !places.iter().any(|place| place.join(&span).exists()) {
                missing.push(format!("{shown}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "do not exist:\n{}", missing.join("\n"));
}

#[test]
fn the_files_shown_in_the_pages_are_what_they_say() {
    let of = |page: &str| {
        let text = read(page);
        let (blocks, _) = blocks_and_prose(&text);
        let whole = |(kind, block): &(&str, String)| *kind == "toml" && block.starts_with("schema");
        let found: Vec<String> =
            blocks.iter().filter(|b| whole(b)).map(|(_, block)| block.clone()).collect();
        assert!(!found.is_empty(), "{page} shows no whole file");
        found.into_iter().map(move |block| Document::from_text(page, block)).collect::<Vec<_>>()
    };
    for document in of("models/README.md") {
        Model::parse("shown", &document).unwrap_or_else(|e| panic!("{e}"));
    }
    for document in of("experiments/README.md") {
        ExperimentFile::parse(&document).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// Serde lists all keys when it meets one that it does not know.
#[test]
fn every_rule_is_explained() {
    let error = serde_json::from_str::<Rules>(r#"{"nonsense": 1}"#).unwrap_err().to_string();
    let keys: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    assert!(keys.len() >= 7, "{error}");
    let page = read("experiments/README.md");
    for key in keys {
        assert!(
            page.contains(&format!("| `{key}` |")),
            "{key} is missing in experiments/README.md"
        );
    }
}

#[test]
fn every_strategy_is_in_the_list_of_groups() {
    let spans = code_spans(&read("experiments/README.md"));
    for spec in StrategySpec::all_with_defaults() {
        let name = spec.name().to_owned();
        assert!(spans.contains(&name), "{name} is missing in experiments/README.md");
    }
}

#[test]
fn every_column_of_a_summary_and_every_key_of_the_metrics_is_explained() {
    let spans = code_spans(&read("results/README.md"));
    let explained = |name: &str| spans.iter().any(|span| span == name);
    let summary = read("results/reference/summary.csv");
    for column in summary.lines().next().unwrap_or_default().split(',') {
        let end = ["_ci_low", "_ci_high"].iter().find_map(|end| column.strip_suffix(end));
        let found = match end {
            Some(of) => explained(of) || explained(&format!("{of}_mean")),
            None => explained(column),
        };
        assert!(found, "{column} is missing in results/README.md");
    }
    let metrics = serde_json::to_value(Metrics::default()).unwrap();
    for key in metrics.as_object().unwrap().keys() {
        assert!(explained(key), "{key} is missing in results/README.md");
    }
}
