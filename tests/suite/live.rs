//! `live` end to end: real processes, real sockets, ports from the system, high rates.
//!
//! What a run leaves behind is read back: a prediction that is older than the first request, traces
//! that a fit reads, counts of three sides that agree, a verdict. Then what must be survived:
//! Ctrl-C at any moment, kill -9, servers that are not there. Verdicts may be either: what a busy
//! machine does to latencies is no error.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

use flakelab_core::domain::Fleet;
use flakelab_fit::{Basis, PredictionFile};
use flakelab_live::{Settings, Step, balancer};
use flakelab_sim::trace::{ReadOptions, Recording};
use flakelab_sim::world::{Model, Ports};

use super::program::{flakelab, stderr, stdout, wait_until};

/// A quick run of `live` in `folder`, with results in `folder/out`.
fn live(folder: &Path, more: &[&str]) -> Command {
    let mut command = flakelab(folder);
    command.args(["live", "--replications=300", "--seed=11"]);
    // What is not said; before the rest, which may end with another program's arguments.
    for (flag, value) in [("--rps", "200"), ("--requests", "60"), ("--out", "out")] {
        if !more.iter().any(|said| said.starts_with(flag)) {
            command.args([flag, value]);
        }
    }
    command.args(more);
    command
}

/// Runs it to its end, which may be either verdict but no error.
fn judged(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    output
}

fn prediction(results: &Path) -> PredictionFile {
    serde_json::from_slice(&fs::read(results.join("prediction.json")).unwrap()).unwrap()
}

/// The cells of a CSV file's column, by name.
fn column(path: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let at = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
}

fn counted(cells: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    cells.into_iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
    counts
}

/// Processes whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let named = folder.to_string_lossy().into_owned();
    let running = fs::read_dir("/proc").unwrap().flatten();
    running
        .filter(|entry| {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let at = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let ours = String::from_utf8_lossy(&read("cmdline")).contains("flakelab");
            ours && at.to_string_lossy().contains(&named)
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn a_run_ends_with_table_verdict_and_files_that_agree() {
    let folder = tempfile::tempdir().unwrap();
    let output = judged(&mut live(folder.path(), &["--strategy=all", "--port-base=0"]));
    let (out, said) = (stdout(&output), stderr(&output));
    for work in ["the prediction\n", "the verdict on config 0\n"] {
        assert!(said.contains(&format!(" simulated runs for {work}")), "{work}: {said}");
    }
    for words in ["V1 larkin", "V5 thompson-scaled", "the prediction", "look again"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(out.contains("agree on every count"), "{out}");
    let results = folder.path().join("out");
    let predicted = &prediction(&results).configs[0];
    let of = |basis| predicted.runs.iter().filter(|run| run.basis == basis).count();
    assert_eq!((of(Basis::Model), of(Basis::TrueRates)), (5, 5));
    assert!(predicted.overhead.is_some());
    for name in ["manifest.json", "report.md", "report.txt", "summary.csv", "summary.json"] {
        assert!(results.join(name).is_file(), "{name}");
    }
    let by_servers = counted(column(&results.join("servers/start-0.csv"), "request_id"));
    for alias in ["v1", "v2", "v3", "v4", "v5"] {
        let file = |part: &str| results.join(part).join(format!("config-0-{alias}.csv"));
        let by_proxy = counted(column(&file("traces"), "request_id"));
        let by_load = counted(column(&file("requests"), "request_id"));
        assert!(by_proxy.keys().eq(by_load.keys()) && by_load.len() == 60, "{alias}");
        for (id, attempts) in &by_proxy {
            assert_eq!(by_servers.get(id), Some(attempts), "{alias} {id}");
        }
        let recording = &Recording::read(&file("traces"), &ReadOptions::default()).unwrap()[0];
        assert!(recording.tells_refusals && recording.strategies == [alias]);
        assert!(predicted.predicted_at < recording.started_at_s(), "predicted before");
    }
    assert!(replays(&results.join("events/config-0-v4")), "the proxy decided as the balancer does");
    let traces = fs::read_dir(results.join("traces")).unwrap().map(|e| e.unwrap().path());
    let fit = flakelab(folder.path()).arg("fit").args(traces).output().unwrap();
    assert!(fit.status.success(), "{}", stderr(&fit));
}

/// Whether a fresh balancer, handed the recorded events, says what was recorded.
fn replays(events: &Path) -> bool {
    let setup: serde_json::Value =
        serde_json::from_slice(&fs::read(events.with_extension("json")).unwrap()).unwrap();
    let settings = Settings {
        strategy: serde_json::from_value(setup["strategy"].clone()).unwrap(),
        seed: setup["seed"].as_u64().unwrap(),
        rules: serde_json::from_value(setup["rules"].clone()).unwrap(),
        requests_per_second: setup["requests_per_second"].as_f64().unwrap(),
        fleet: Fleet::uniform(setup["servers"].as_u64().unwrap() as usize),
        config: String::new(),
        ports: vec![0; setup["servers"].as_u64().unwrap() as usize],
        targets: Vec::new(),
        session: None,
    };
    let mut balancer = balancer(&settings);
    let file = fs::File::open(events.with_extension("csv")).unwrap();
    let steps = Step::read(file).unwrap();
    assert!(steps.len() > 100);
    steps.iter().all(|step| {
        let mut commands: Vec<flakelab_core::balancer::Command> = Vec::new();
        balancer.handle(step.at, step.event, &mut commands);
        commands == step.commands
    })
}

#[test]
fn every_start_of_the_servers_is_another_and_predicted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--strategy=v4,v2,v1", "--restart-servers", "--port-base=0", "--no-overhead"];
    let output = judged(&mut live(folder.path(), &more));
    let truth = |start| {
        let file = format!("out/servers/start-{start}/config-0.toml");
        fs::read(folder.path().join(file)).unwrap()
    };
    assert!(truth(0) != truth(1) && truth(1) != truth(2) && truth(0) != truth(2));
    let predicted = &prediction(&folder.path().join("out")).configs[0];
    let of_truth = predicted.runs.iter().filter(|run| run.basis == Basis::TrueRates);
    let strategies: Vec<&str> = of_truth.map(|run| run.strategy.as_str()).collect();
    assert_eq!(strategies, ["V4 thompson", "V2 ucb1", "V1 larkin"]);
    assert!(stdout(&output).contains("shown but not judged"), "latency without its path");
}

/// A model of three servers on ports that were free a moment ago.
fn three_servers(folder: &Path) -> (PathBuf, u16) {
    let first = (0..100)
        .find_map(|_| {
            let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let free = |i| TcpListener::bind(("127.0.0.1", first.checked_add(i)?)).ok();
            (0..3).all(|i| free(i).is_some()).then_some(first)
        })
        .unwrap();
    let path = folder.join("three.toml");
    let model = Model { ports: Ports { first, count: 3 }, ..Model::of_rates(&[0.1, 0.4, 0.6]) };
    fs::write(&path, model.to_toml()).unwrap();
    (path, first)
}

#[test]
fn somebodys_program_is_started_judged_by_the_model_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (model, first) = three_servers(folder.path());
    let model = format!("--model={}", model.display());
    let program = format!("--binary={}", env!("CARGO_BIN_EXE_flakelab"));
    let more = ["--strategy=v4", "--no-overhead", &model, &program, "--", "failingserver", &model];
    let output = judged(&mut live(folder.path(), &more));
    let out = stdout(&output);
    assert!(out.contains("three: "), "{out}");
    assert!(out.contains("nobody knows what that client added"), "{out}");
    TcpListener::bind(("127.0.0.1", first)).expect("the program has ended");
    assert!(folder.path().join("out/traces/three-v4.csv").is_file());
}

#[test]
fn servers_that_run_already_are_asked_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (model, first) = three_servers(folder.path());
    let model = format!("--model={}", model.display());
    let targets = format!("--targets=127.0.0.1:{first}-{}", first + 2);
    let mut servers = flakelab(folder.path());
    servers.args(["failingserver", &model]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut servers = servers.spawn().unwrap();
    let mut said = [0; 16];
    servers.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let more = ["--strategy=v4,v5", "--no-overhead", &model, &targets];
    let output = judged(&mut live(folder.path(), &more));
    assert!(stdout(&output).contains("by the other runs"), "{}", stdout(&output));
    assert!(servers.try_wait().unwrap().is_none(), "they run on");
    signal(&servers, "-TERM");
    servers.wait().unwrap();
    let output =
        live(folder.path(), &[more[0], &model, &targets, "--out=b", "--start-timeout=0.3"])
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains(&first.to_string()) && message.contains("nothing was sent"));
    assert!(!folder.path().join("b").exists(), "nothing half-written stays");
}

type Serve = fn(TcpStream);

/// A server on a port of its own, whose connections are handed to `serve`, each on a thread.
fn impostor(serve: Serve) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn hang(mut stream: TcpStream) {
    // Until the other side gives up.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn talk_nonsense(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"knock knock\r\n\r\n");
}

fn hang_up(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1024]);
}

/// One strategy, servers that are as their model says but for one, and few simulated runs.
#[test]
fn a_server_that_hangs_and_one_that_talks_nonsense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::of_rates(&[0.2, 0.3, 0.4]).to_toml();
    fs::write(folder.path().join("three.toml"), model).unwrap();
    let mut servers = flakelab(folder.path());
    servers.args(["failingserver", "--model=three.toml", "--port-base=0", "--supervised"]);
    servers.arg("--seed=5");
    let mut servers = servers.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(servers.stdout.take().unwrap()).lines().map(Result::unwrap);
    let sound: Vec<String> = said
        .take_while(|line| line != "ready")
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    let impostors: [(Serve, &str); 4] = [
        (hang, "server 4001 gave no answer in time to "),
        (talk_nonsense, "server 4001 hung up, or answered with what is no HTTP, in "),
        (hang_up, "server 4001 hung up, or answered with what is no HTTP, in "),
        (|_| (), ""),
    ];
    for (serve, named) in impostors {
        let mut targets = sound.clone();
        if !named.is_empty() {
            targets[1] = impostor(serve).to_string();
        }
        let targets = format!("--targets={}", targets.join(","));
        let more = ["--strategy=v4", "--no-overhead", "--model=three.toml", "--force", "--rps=50"];
        let output = live(folder.path(), &[&more[..], &[&targets]].concat()).output().unwrap();
        let out = stdout(&output);
        let failed = format!("three: the prediction did not hold: {named}");
        if named.is_empty() {
            assert_eq!(output.status.code(), Some(0), "{out}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{out}");
            let line = out.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(line.contains(&failed), "{out}");
            let summary = fs::read(folder.path().join("out/summary.json")).unwrap();
            let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
            let found = summary["configs"][0]["verdict"]["impossible"].as_array().unwrap().clone();
            assert!(found.len() == 1 && found[0]["server"] == 1, "{found:?}");
            let report = fs::read_to_string(folder.path().join("out/report.md")).unwrap();
            assert!(report.contains("What no server did in any simulated run"), "{report}");
        }
    }
    drop(servers.stdin.take());
    servers.wait().unwrap();
}

#[test]
fn an_interrupt_at_any_moment_ends_all_of_it_and_keeps_what_was_played() {
    for moment_ms in [50, 400, 1500, 2600, 4500] {
        let folder = tempfile::tempdir().unwrap();
        let more = ["--strategy=all", "--port-base=0", "--requests=400"];
        let mut command = live(folder.path(), &more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        sleep(Duration::from_millis(moment_ms));
        signal(&process, "-INT");
        wait_until("the end", || process.try_wait().unwrap().is_some());
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{moment_ms}: {}", stderr(&output));
        assert_eq!(processes_of(folder.path()), [""; 0], "{moment_ms}");
        let results = folder.path().join("out");
        let played = fs::read_dir(results.join("requests")).map_or(0, Iterator::count);
        if played == 0 {
            assert!(!results.exists(), "{moment_ms}: nothing half-written stays");
        } else {
            assert!(stdout(&output).contains("partial"), "{moment_ms}");
            let manifest = fs::read_to_string(results.join("manifest.json")).unwrap();
            assert!(manifest.contains("\"interrupted\": true"), "{moment_ms}: {manifest}");
        }
    }
}

#[test]
fn a_kill_leaves_no_orphan() {
    for moment_ms in [300, 1500, 3500] {
        let folder = tempfile::tempdir().unwrap();
        let more = ["--strategy=v4", "--port-base=0", "--requests=2000"];
        let mut command = live(folder.path(), &more);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        wait_until("the first child", || processes_of(folder.path()).len() > 1);
        sleep(Duration::from_millis(moment_ms));
        process.kill().unwrap();
        process.wait().unwrap();
        wait_until("the end of all children", || processes_of(folder.path()).is_empty());
    }
}

#[test]
fn mistakes_get_one_message_that_says_how_to_mend_them() {
    let folder = tempfile::tempdir().unwrap();
    let (model, first) = three_servers(folder.path());
    let model = format!("--model={}", model.display());
    let taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let targets = "--targets=127.0.0.1:4000-4003";
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--strategy=tompson"], &["unknown strategy `tompson`", "`thompson`"]),
        (&["--strategy=oracle"], &["no strategy to play"]),
        (&["--config=7"], &["unknown config `7`", "0, 1, 2 or all"]),
        (&["--requests=0"], &["--requests", "1 to 10,000,000"]),
        (&["--rps=-3"], &["--rps", "0.001"]),
        (&[targets], &["names 4 servers", "have 10"]),
        (&["--targets=192.0.2.1:80"], &["192.0.2.1", "--allow-remote"]),
        (&["--strategy=v4", &model], &["taken", &first.to_string()]),
    ];
    for (arguments, words) in cases {
        let output = live(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let message = stderr(&output);
        for word in words {
            assert!(message.contains(word), "{arguments:?}: `{word}` is not in: {message}");
        }
        assert!(!folder.path().join("out").exists(), "{arguments:?} left a folder");
    }
    drop(taken);
}
