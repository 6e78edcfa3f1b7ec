//! The program as a user meets it: what it prints where, its exit codes, its messages, and what
//! it leaves on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flakelab_sim::world::Model;

use super::program::{Desk, flakelab, stderr, stdout};

/// A desk with a model of three servers.
fn desk() -> Desk {
    Desk::with(&Model::of_rates(&[0.1, 0.3, 0.5]))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_sweep_prints_its_table_on_stdout_and_nothing_on_stderr() {
    let desk = desk();
    let output = desk.run("sweep --model m.toml --strategy v1,v4 --seeds 20 --requests 50");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    for expected in ["V1 larkin", "V4 thompson", "oracle", "random", "P(best)", "next: cargo run"] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
    assert!(!text.contains("V2 ucb1"));
    let results = fs::read_dir(desk.path("results")).unwrap().next().unwrap().unwrap().path();
    for file in
        ["manifest.json", "replications.parquet", "summary.csv", "summary.json", "report.md"]
    {
        assert!(results.join(file).is_file(), "{file} is missing");
    }
    assert_eq!(files_below(&results.join("charts")).len(), 6);
    assert!(files_below(&results).iter().all(|f| !f.to_string_lossy().contains(".flakelab-")));
}

#[test]
fn verbose_commands_say_what_took_how_long() {
    let desk = desk();
    let phases_of = |command: &str| {
        let said = stderr(&desk.run(&format!("{command} --model m.toml --requests 20 -v")));
        let line = said.lines().find_map(|line| line.strip_prefix("time: ")).unwrap().to_owned();
        let phase = |part: &str| part.trim_end_matches(" s").rsplit_once(' ').unwrap().0.to_owned();
        line.split(", ").map(phase).collect::<Vec<String>>()
    };
    assert_eq!(
        phases_of("sweep --seeds 20"),
        ["plan", "play", "fold", "bootstrap", "tables", "charts", "files"]
    );
    assert_eq!(
        phases_of("tune --strategy v1 --budget 600 --candidates 4 --fresh 200"),
        ["plan", "play", "tables and chart", "files"]
    );
}

#[test]
fn summary_csv_has_the_columns_that_were_promised() {
    let desk = desk();
    let output =
        desk.run("sweep --model m.toml --strategy all --seeds 20 --requests 50 --format csv");
    let text = stdout(&output);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let promised = "config,strategy,replications,requests,score_mean,score_ci_low,score_ci_high,\
        success_rate,attempts_per_request,retries_mean,penalty_mean,rate_limited_mean,regret_mean,\
        oracle_regret_mean,latency_p50_ms,latency_p99_ms,delta_vs_best_mean,delta_vs_best_ci_low,\
        delta_vs_best_ci_high,p_best,rank,tied_with_best";
    for column in promised.split(',') {
        assert!(headers.iter().any(|h| h == column), "{column} is missing from {headers:?}");
    }
    assert_eq!(reader.records().count(), 7);
}

#[test]
fn json_and_markdown_are_what_they_say() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v2 --seeds 5 --requests 20 --format";
    let json = stdout(&desk.run(&format!("{sweep} json")));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["scenarios"][0]["replications"], 5);
    let markdown = stdout(&desk.run(&format!("{sweep} md")));
    assert!(markdown.starts_with("| # | strategy |"), "{markdown}");
}

#[test]
fn unknown_names_get_a_suggestion() {
    let desk = desk();
    let message = desk.mistake("sweep --strategy tompson");
    assert!(message.contains("did you mean `thompson`?"), "{message}");
    let message = desk.mistake("sweep --strategy v9");
    assert!(message.contains("larkin, v1"), "{message}");
    let message = desk.mistake("sweep --config 3");
    assert!(message.contains("expected 0, 1, 2 or all"), "{message}");
    let message = desk.mistake("sweep --config m.toml");
    assert!(message.contains("--model m.toml"), "{message}");
    let message = desk.mistake("sweep --strategy oracle");
    assert!(message.contains("no strategy to rank"), "{message}");
}

#[test]
fn impossible_numbers_are_refused_by_name() {
    let desk = desk();
    let cases = [
        ("sweep --model m.toml --seeds 0", "0 replications"),
        ("sweep --model m.toml --requests 0", "0 requests"),
        ("sweep --model m.toml --rps -1", "-1 requests per second"),
        ("sweep --model m.toml --rps nan", "NaN requests per second"),
        ("sweep --model m.toml --threads 0", "--threads"),
        ("sweep --model m.toml --seeds many", "--seeds"),
        ("sweep --model m.toml --threads 100000", "1 to 256"),
        ("sweep --model m.toml --rps 1e-9", "0.001..=1,000,000"),
        ("sweep --model m.toml --model m.toml", "two scenarios are called `m`"),
    ];
    for (arguments, expected) in cases {
        let message = desk.mistake(arguments);
        assert!(message.contains(expected), "{arguments}: {message}");
    }
}

#[test]
fn a_model_with_a_mistake_is_shown_with_line_key_and_cure() {
    let desk = desk();
    let model = Model::of_rates(&[0.1, 0.3, 0.5]).to_toml();
    desk.write("p.toml", &model.replace("0.3", "1.3"));
    let message = desk.mistake("sweep --model p.toml");
    assert!(message.contains("p.toml:10:16") && message.contains("0.013"), "{message}");
    desk.write("k.toml", &model.replace("values", "vlaues"));
    let message = desk.mistake("sweep --model k.toml");
    assert!(message.contains("k.toml:10:1") && message.contains("`values`?"), "{message}");
    let message = desk.mistake("sweep --model nowhere.toml");
    assert!(message.contains("nowhere.toml"), "{message}");
}

#[test]
fn a_trace_with_a_broken_row_is_named_by_file_line_column_and_value() {
    let desk = desk();
    desk.write(
        "t.csv",
        "request_number,attempt_number,request_id,strategy,timestamp,server_port,success,\
         latency_ms,request_complete,request_success\n\
         1,1,Io7IWBOKOr9OxHm0EzITEe6C,v1,1768909729.2,4003,True,3.4,True,True\n\
         2,1,TemVSx0sSUxK0lysYZRN4pIN,v1,1768909729.3,4000,perhaps,1.9,True,True\n",
    );
    let message = desk.mistake("fit t.csv");
    for expected in ["t.csv:3", "success", "perhaps", "True or False"] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn a_results_folder_that_cannot_be_written_is_refused_before_any_work() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v2 --seeds 1000000";
    let message = desk.mistake(&format!("{sweep} --out m.toml/inside"));
    assert!(message.contains("m.toml/inside") && message.contains("--out"), "{message}");
}

#[test]
fn results_of_another_experiment_are_kept_unless_forced() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v2 --requests 20 --out r --seeds";
    assert!(desk.run(&format!("{sweep} 5")).status.success());
    let before = fs::read(desk.path("r/summary.csv")).unwrap();
    let message = desk.mistake(&format!("{sweep} 6"));
    assert!(message.contains("--force"), "{message}");
    assert_eq!(fs::read(desk.path("r/summary.csv")).unwrap(), before);
    assert!(desk.run(&format!("{sweep} 5")).status.success(), "the same spec may write again");
    assert!(desk.run(&format!("{sweep} 6 --force")).status.success());
    assert_ne!(fs::read(desk.path("r/summary.csv")).unwrap(), before);
}

#[test]
fn result_files_are_the_same_bytes_for_any_number_of_threads() {
    let desk = desk();
    let mut folders = Vec::new();
    for (rayon, polars) in [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")] {
        let out = format!("r{rayon}{polars}");
        let status = flakelab(desk.folder.path())
            .args(["sweep", "--config", "all", "--strategy", "all", "--png"])
            .args(["--seeds", "150", "--requests", "60", "--out", &out])
            .env("RAYON_NUM_THREADS", rayon)
            .env("POLARS_MAX_THREADS", polars)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        folders.push(desk.path(&out));
    }
    let names = |folder: &Path| -> Vec<PathBuf> {
        let all = files_below(folder);
        let inside = all.iter().map(|f| f.strip_prefix(folder).unwrap().to_owned());
        inside.filter(|f| f != Path::new("manifest.json")).collect()
    };
    let reference = names(&folders[0]);
    // Six charts of each config and one of all, twice.
    assert_eq!(reference.len(), 4 + (3 * 6 + 1) * 2, "{reference:?}");
    for folder in &folders[1..] {
        assert_eq!(names(folder), reference);
        for name in &reference {
            let (a, b) = (folders[0].join(name), folder.join(name));
            assert!(fs::read(a).unwrap() == fs::read(&b).unwrap(), "{} differs", b.display());
        }
    }
}

/// Waits until a sweep has written the first row group, so that something is finished.
#[cfg(unix)]
fn wait_for_some_rows(child: &mut Child, folder: &Path) {
    let is_rows = |entry: fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(".flakelab-")
            && entry.metadata().is_ok_and(|m| m.len() > 1000)
    };
    while !fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_rows)) {
        assert!(child.try_wait().unwrap().is_none(), "ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
fn interrupt_after_some_rows(child: &mut Child, folder: &Path) {
    wait_for_some_rows(child, folder);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_finished_replications_and_exits_with_130() {
    let desk = desk();
    let mut child = flakelab(desk.folder.path())
        .args(["sweep", "--model", "m.toml", "--strategy", "v2", "--requests", "5"])
        .args(["--seeds", "1000000000", "--out", "r"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    interrupt_after_some_rows(&mut child, &desk.path("r"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("finished so far"), "{}", stderr(&output));
    assert!(stdout(&output).contains("V2 ucb1"));
    let text = fs::read_to_string(desk.path("r/summary.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let replications: u64 = reader.records().next().unwrap().unwrap()[3].parse().unwrap();
    assert!((1..1_000_000_000).contains(&replications), "{replications}");
    let manifest = fs::read_to_string(desk.path("r/manifest.json")).unwrap();
    assert!(manifest.contains("\"interrupted\": true"), "{manifest}");
    let parquet = fs::read(desk.path("r/replications.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"), "not a whole file");
    assert!(
        files_below(&desk.path("r")).iter().all(|f| !f.to_string_lossy().contains(".flakelab-"))
    );
}

/// Both strategies find the one server that never fails at once, so 200 short runs cannot tell
/// them apart and the sweep asks for more; what it asks for must be about the same servers and
/// traffic, of more seeds, none of which has been seen.
#[test]
fn the_next_command_asks_the_same_question_of_more_and_fresh_seeds() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v4,v5 --requests 20 --rps 50 --traffic poisson";
    let output = desk.run(&format!("{sweep} --seeds 200 --master-seed 7"));
    let text = stdout(&output);
    assert!(text.contains("tied"), "{text}");
    let next = text.lines().last().unwrap().strip_prefix("next: cargo run -- ").unwrap();
    let same = "--model m.toml --requests 20 --rps 50 --traffic poisson --seeds ";
    let either = ["thompson,thompson-scaled", "thompson-scaled,thompson"];
    let asks_the_same = |both| next.starts_with(&format!("sweep --strategy {both} {same}"));
    assert!(either.into_iter().any(asks_the_same), "{next}");
    let seeds: u64 =
        next.split_whitespace().skip_while(|w| *w != "--seeds").nth(1).unwrap().parse().unwrap();
    assert!(seeds >= 200, "{next}");
    assert!(next.ends_with("--master-seed 8"), "{next}");
}

/// A manifest says that a run of the same spec finished more than this one will: the interrupted
/// run must leave everything as it is, and say so.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_results_that_rest_on_more_alone() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v4 --seeds 500000000 --requests 10 --out r";
    let interrupted = || {
        let mut child = flakelab(desk.folder.path())
            .args(sweep.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        interrupt_after_some_rows(&mut child, &desk.path("r"));
        child.wait_with_output().unwrap()
    };
    assert_eq!(interrupted().status.code(), Some(130));
    let manifest = fs::read_to_string(desk.path("r/manifest.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert!(json["finished"].as_u64().unwrap() > 0);
    json["finished"] = 500_000_000_u64.into();
    fs::write(desk.path("r/manifest.json"), json.to_string()).unwrap();
    let before = fs::read(desk.path("r/summary.csv")).unwrap();

    let output = interrupted();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("are as they were"), "{}", stderr(&output));
    assert!(!stdout(&output).contains("wrote"), "{}", stdout(&output));
    assert_eq!(fs::read(desk.path("r/summary.csv")).unwrap(), before);
    assert_eq!(fs::read_to_string(desk.path("r/manifest.json")).unwrap(), json.to_string());
}

#[cfg(unix)]
#[test]
fn a_second_sweep_into_the_same_folder_is_turned_away_and_does_no_harm() {
    let desk = desk();
    let sweep = "sweep --model m.toml --strategy v4 --seeds 500000000 --requests 10 --out r";
    let mut first = flakelab(desk.folder.path())
        .args(sweep.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_some_rows(&mut first, &desk.path("r"));
    let message = desk.mistake(sweep);
    assert!(message.contains("another run is writing"), "{message}");
    interrupt_after_some_rows(&mut first, &desk.path("r"));
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(desk.path("r/manifest.json").is_file() && desk.path("r/report.md").is_file());
}

#[test]
fn scenarios_whose_names_look_alike_get_charts_of_their_own() {
    let desk = desk();
    desk.write(
        "e.toml",
        "schema = 1\nreplications = 3\nrequests = 9\nstrategies = [\"v2\"]\n\
         [[scenario]]\nlabel = \"A b\"\nmodel = \"m.toml\"\n\
         [[scenario]]\nlabel = \"a|b\"\nmodel = \"m.toml\"\n\
         [[scenario]]\nlabel = \"config-a-b\"\nmodel = \"m.toml\"\n",
    );
    assert!(desk.run("sweep --experiment e.toml --out r").status.success());
    assert_eq!(files_below(&desk.path("r/charts")).len(), 18);
    desk.write("l.toml", "schema = 1\n[[scenario]]\nlabel = \" \"\nmodel = \"m.toml\"\n");
    let message = desk.mistake("sweep --experiment l.toml");
    assert!(message.contains("label"), "{message}");
}

#[test]
fn few_replications_are_not_taken_for_certainty() {
    let desk = desk();
    let text = stdout(&desk.run("sweep --model m.toml --strategy v1,v4 --seeds 1 --requests 50"));
    assert!(!text.contains('±') && text.contains("in 1 replication, too few to say who"), "{text}");
    let text = stdout(&desk.run("sweep --model m.toml --strategy v1,v4 --seeds 199 --requests 50"));
    assert!(!text.contains('±') && text.contains("run 200 or more"), "{text}");
    assert!(text.contains("│ - ┆") && !text.contains("tied"), "no ranks: {text}");
    assert!(text.contains("--seeds 1000"), "{text}");
    let text = stdout(&desk.run("sweep --model m.toml --strategy v1,v4 --seeds 200 --requests 50"));
    assert!(text.contains('±') && text.contains("│ 1 ┆"), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let desk = desk();
    let mut child = flakelab(desk.folder.path())
        .args(["sweep", "--model", "m.toml", "--strategy", "v2", "--seeds", "5"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn flags_override_the_experiment_file() {
    let desk = desk();
    desk.write(
        "e.toml",
        "schema = 1\nreplications = 7\nrequests = 30\nstrategies = [\"v1\", \"v2\"]\n\
         [[scenario]]\nmodel = \"m.toml\"\n",
    );
    let csv =
        |flags: &str| stdout(&desk.run(&format!("sweep --experiment e.toml --format csv {flags}")));
    let first = csv("");
    assert!(first.contains("m,V1 larkin,false,7,30,"), "{first}");
    let second = csv("--seeds 3 --requests 9 --strategy v3");
    assert!(second.contains("m,V3 ucb-free,false,3,9,") && !second.contains("V1"), "{second}");
}

#[test]
fn help_starts_with_examples_and_lists_the_flags() {
    let desk = desk();
    for command in ["--help", "sweep --help", "fit --help"] {
        let text = stdout(&desk.run(command));
        assert!(text.starts_with("Examples:"), "{text}");
    }
    let text = stdout(&desk.run("sweep --help"));
    let flags = "--strategy --config --model --seeds --requests --rps --master-seed --threads --out \
        --parameter-uncertainty \
        --experiment --format --quiet --verbose --color";
    for flag in flags.split_whitespace() {
        assert!(text.contains(flag), "{flag} is missing");
    }
}
