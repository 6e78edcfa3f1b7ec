//! `fit` and `validate` as a user meets them: other people's logs, bad data, exit codes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{exponential, standard_normal, uniform01};
use flakelab_sim::trace::Row;
use flakelab_sim::world::{ErrorFamily, Model};

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

/// 3,000 requests at 40 a second, at random, to four servers in turn, up to three attempts each; one
/// fails 18 % and takes twice as long, the others fail 2 to 3 %.
fn log_of_four() -> String {
    let mut rng = Streams::new(14).stream(Purpose::Analysis, 0, 0);
    let (rates, times) = ([0.02, 0.03, 0.18, 0.025], [1.0, 1.0, 2.0, 1.0]);
    let (mut sent_s, mut turn) = (1_764_342_000.0, 0);
    let mut rows = Vec::new();
    for request in 0..3_000 {
        sent_s += exponential(&mut rng) / 40.0;
        let mut now = sent_s;
        for attempt in 1..=3 {
            let server = turn % 4;
            turn += 1;
            let took_s = 0.012 * times[server] * libm::exp(0.4 * standard_normal(&mut rng));
            let failed = uniform01(&mut rng) < rates[server];
            let code = if failed { 502 } else { 200 };
            let server = server + 11;
            let row =
                format!("{request:024},{attempt},{now:.6},10.0.0.{server}:80,{code},{took_s:.6}");
            rows.push((now, row));
            now += took_s;
            if !failed {
                break;
            }
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
    format!("id,attempt,time,upstream,code,took\n{}\n", rows.join("\n"))
}

#[test]
fn a_log_of_one_start_becomes_these_servers_their_traffic_and_a_sweep_that_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of_four();
    let attempts = log.lines().count() - 1;
    fs::write(folder.path().join("access.csv"), &log).unwrap();
    let run = |command: &str| {
        let output = flakelab(folder.path()).args(command.split(' ')).output().unwrap();
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        stdout(&output)
    };
    let map = "request_id=id,attempt_number=attempt,port=upstream,success=code,timestamp=time,latency_s=took";
    let fit = format!("fit access.csv --name api --map {map} --out models");
    let text = run(&fit);
    let first = text.split_whitespace().take(100).collect::<Vec<&str>>().join(" ");
    for expected in [
        "10.0.0.13:80 fails 1",
        "times as slow",
        "The other 3 fail",
        "No rate limit",
        "at random",
        "The log is reproduced by round robin",
    ] {
        assert!(first.contains(expected), "{expected}: {first}");
    }
    let model = Model::read(&folder.path().join("models/api.toml")).unwrap();
    let ErrorFamily::Fixed { values } = &model.error_rate.family else { panic!("{model:?}") };
    // Four standard errors of 800 attempts.
    for (value, truth) in values.iter().zip([0.02, 0.03, 0.18, 0.025]) {
        let error = libm::sqrt(truth * (1.0 - truth) / 800.0);
        assert!((value - truth).abs() < 4.0 * error, "{values:?}");
    }
    assert_eq!(model.error_rate.posterior.rows().len(), 256);
    let [slow] = &model.conditions.overrides[..] else { panic!("{:?}", model.conditions) };
    assert_eq!(slow.servers, [2]);
    assert!((slow.latency_factor.unwrap() - 2.0).abs() < 0.15, "{slow:?}");
    let next = text.lines().find_map(|line| line.strip_prefix("next: cargo run -- ")).unwrap();
    assert!(next.starts_with("sweep --scenario models/scenarios/api.toml"), "{next}");
    // Round robin in the simulator has as many attempts as the log: within 3 %, some four standard
    // errors of the log's own.
    let sweep =
        "sweep --scenario models/scenarios/api.toml --strategy round-robin,v4 --seeds 200 --out o";
    let text = run(sweep);
    let csv = fs::read_to_string(folder.path().join("o/summary.csv")).unwrap();
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let head = rows.next().unwrap();
    let column = |name: &str| head.iter().position(|h| *h == name).unwrap();
    let row = rows.find(|row| row[column("strategy")] == "round-robin").unwrap();
    let simulated: f64 = row[column("attempts_per_request")].parse().unwrap();
    let recorded = attempts as f64 / 3_000.0;
    assert!((simulated / recorded - 1.0).abs() < 0.03, "{simulated} {recorded}");
    let next = text.lines().last().unwrap();
    assert!(next.contains("--scenario models/scenarios/api.toml"), "{next}");
    // A fleet on request; and no model of these servers where there were two starts.
    let fleet = run(&format!("{} --fleet", fit.replace("--out models", "--out my-scenarios")));
    assert!(fleet.contains("next: cargo run -- sweep --model my-scenarios/api.toml"), "{fleet}");
    let model = Model::read(&folder.path().join("my-scenarios/api.toml")).unwrap();
    assert!(!matches!(model.error_rate.family, ErrorFamily::Fixed { .. }));
    let swapped =
        log.replace("10.0.0.13", "x").replace("10.0.0.12", "10.0.0.13").replace('x', "10.0.0.12");
    let later = swapped.replace(",1764342", ",1764352").replace("\n0000", "\n0001");
    fs::write(folder.path().join("later.csv"), later).unwrap();
    let both = format!("{fit} later.csv --these");
    let output = flakelab(folder.path()).args(both.split(' ')).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("2 starts of the servers"), "{}", stderr(&output));
}

/// An access log of nginx, one request each 100 ms: every seventh first fails at a server, and every
/// fiftieth is answered from the cache.
fn nginx_log() -> String {
    let mut log = String::new();
    for i in 0..400_u32 {
        let (first, second) = (i % 3 + 1, (i + 1) % 3 + 1);
        let upstream = if i % 50 == 49 {
            "ua=\"-\" us=\"-\" urt=\"-\"".to_owned()
        } else if i % 7 == 0 {
            let servers = format!("10.0.0.{first}:80, 10.0.0.{second}:80");
            format!("ua=\"{servers}\" us=\"502, 200\" urt=\"0.001, 0.00{}\"", i % 9 + 1)
        } else {
            format!("ua=\"10.0.0.{first}:80\" us=\"200\" urt=\"0.00{}\"", i % 9 + 1)
        };
        let (second, millis) = (i / 10, i % 10 * 100);
        let _ = writeln!(
            log,
            "203.0.113.9 - - [01/Nov/2026:10:00:{second:02} +0000] \"GET /?ua=x HTTP/1.1\" 200 2 \"-\" \
             \"curl\" msec={}.{millis:03} {upstream}",
            1_793_527_200 + second
        );
    }
    log
}

#[test]
fn an_access_log_of_nginx_goes_in_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("access.log"), nginx_log()).unwrap();
    let mut command = flakelab(folder.path());
    let output =
        command.args(["fit", "access.log", "--name", "api", "--out", "models"]).output().unwrap();
    let (text, said) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let read_as = "read as: nginx, server 10.0.0.1:80, failed (502), 1.0 ms, at 10:00:00.0 UTC";
    assert_eq!(lines[0], read_as);
    assert!(lines[1].starts_with("counted: status<500 is a success, 429 a refusal"), "{said}");
    let none = "warning: access.log:50: 8 rows name no server, this is the first; left out, as \
                answered without a server.";
    assert_eq!(lines[2..], [none]);
    assert!(text.contains("api: 1 run, 448 attempts"), "{text}");
    let model = Model::read(&folder.path().join("models/api.toml")).unwrap();
    assert_eq!(model.servers(), 3);
}

#[test]
fn a_packed_log_on_standard_input_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(nginx_log().as_bytes()).unwrap();
    let packed = folder.path().join("packed");
    fs::write(&packed, encoder.finish().unwrap()).unwrap();
    let mut command = flakelab(folder.path());
    command.args(["validate", "-", "--name", "api", "--log-format", "nginx"]);
    let output = command.stdin(fs::File::open(packed).unwrap()).output().unwrap();
    let said = stderr(&output);
    assert!(said.starts_with("read as: nginx, server 10.0.0.1:80, failed (502)"), "{said}");
    assert!(said.contains("warning: standard input:50: 8 rows name no server"), "{said}");
    assert!(stdout(&output).starts_with("1 run, its second half predicted from the first"));
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
