//! Every command in README.md runs.

use std::fs;
use std::path::Path;

use flakelab_sim::trace::Trace;
use flakelab_sim::world::{Document, Model};

use super::program::{flakelab, recorded_run, stderr};

/// The commands in the shell blocks of a Markdown text, continued lines joined.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    let mut joined = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            joined += line.trim_end_matches('\\');
            if !line.ends_with('\\') {
                commands.push(std::mem::take(&mut joined).trim().to_owned());
            }
        }
    }
    commands.retain(|c| !c.is_empty() && !c.starts_with('#'));
    commands
}

#[test]
fn the_model_in_the_readme_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let start = readme.find("```toml\n").unwrap() + "```toml\n".len();
    let text = &readme[start..start + readme[start..].find("```").unwrap()];
    let model = Model::parse("readme", &Document::from_text("README.md", text)).unwrap();
    assert_eq!(model.servers(), 10);
}

#[test]
fn every_command_of_the_readme_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let makefile = fs::read_to_string(root.join("Makefile")).unwrap();
    let desk = tempfile::tempdir().unwrap();
    for folder in ["experiments", "experiments/scenarios", "models"] {
        fs::create_dir(desk.path().join(folder)).unwrap();
        let paths = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.is_file()) {
            let copy = desk.path().join(folder).join(path.file_name().unwrap());
            fs::copy(&path, copy).unwrap();
        }
    }
    fs::create_dir(desk.path().join("my-traces")).unwrap();
    let trace: Trace = recorded_run(300);
    let mut bytes = Vec::new();
    flakelab_sim::trace::write(&mut bytes, &trace.rows).unwrap();
    fs::write(desk.path().join("my-traces/monday.csv"), bytes).unwrap();

    let commands = commands(&readme);
    let mut ran = 0;
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["cargo", "run", "--", ..] => {
                let arguments = words[3..].iter().map(|word| match *word {
                    "my-traces/*.csv" => "my-traces/monday.csv",
                    word => word,
                });
                // At the pace of the page a live run takes a minute, and its ports may be taken.
                // Its verdict is a fact about this machine; an error would be one about the page.
                let quick = "--rps=200 --requests=30 --port-base=0 --replications=300";
                let more = quick.split(' ').filter(|_| words[3] == "live");
                let output = flakelab(desk.path()).args(arguments.chain(more)).output().unwrap();
                let judged = words[3] == "live" && output.status.code() == Some(1);
                assert!(output.status.success() || judged, "{command}\n{}", stderr(&output));
                ran += 1;
            }
            ["make", target, ..] => {
                assert!(makefile.contains(&format!("\n{target}:")), "make {target} is missing");
            }
            // The first is how this test was started, the second how the code came here.
            ["cargo", "test", ..] | ["git", "clone", ..] | ["cd", ..] => {}
            _ => panic!("README.md has a command that nobody tests: {command}"),
        }
    }
    assert!(ran >= 5, "only {ran} commands of README.md were run: {commands:?}");
}
