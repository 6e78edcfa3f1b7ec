//! The command line of the proxy: what it takes, and what it says to what it does not.

use std::net::TcpListener;
use std::process::Stdio;

use super::super::program::{stderr, stdout};
use super::program::command;

/// A proxy that ends at once, whether or not it could start: what it printed on stderr.
fn said(code: i32, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), arguments);
    command.args(["--supervised"]).stdin(Stdio::null());
    if !arguments.contains(&"--port") {
        command.args(["--port", "0"]);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    if code == 2 {
        assert_eq!(stdout(&output), "");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
    message
}

#[test]
fn the_strategy_comes_from_the_flag_or_else_from_the_environment() {
    let neither = said(2, &[], &[]);
    assert!(neither.contains("--strategy v4") && neither.contains("LB_STRATEGY"), "{neither}");
    assert!(said(0, &[("LB_STRATEGY", "v2")], &[]).contains("V2 ucb1 serves http://127.0.0.1:"));
    let both = said(0, &[("LB_STRATEGY", "v2")], &["--strategy", "THOMPSON"]);
    assert!(both.contains("V4 thompson serves"), "{both}");
    assert!(said(0, &[], &["--strategy", "random"]).contains("random serves"));
    let typo = said(2, &[("LB_STRATEGY", "tompson")], &[]);
    assert!(typo.contains("LB_STRATEGY: unknown strategy `tompson`"), "{typo}");
    assert!(typo.contains("did you mean `thompson`?"), "{typo}");
    assert!(said(2, &[], &["--strategy", "qqq"]).contains("expected one of larkin, v1, "));
    assert!(said(2, &[], &["--strategy", "all"]).contains("a proxy runs one strategy"));
    assert!(said(2, &[], &["--strategy", "oracle"]).contains("simulations only"));
}

#[test]
fn a_port_that_is_taken_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let message = said(2, &[], &["--strategy", "v1", "--port", &port, "--trace", "trace.csv"]);
    assert!(message.contains(&format!("port {port} on 127.0.0.1 is taken")), "{message}");
    assert_eq!(message.lines().count(), 1);
}

#[test]
fn there_is_one_target_for_each_server_and_all_are_near() {
    let targets = |list: &str| said(2, &[], &["--strategy", "v1", "--targets", list]);
    let message = targets("127.0.0.1:4000-4008");
    assert!(message.contains("names 9 servers, and the model 0 has 10"), "{message}");
    assert!(message.contains("the order of the ports 4000-4009"), "{message}");
    assert!(targets("192.0.2.1:4000-4009").contains("--allow-remote"));
    assert!(targets("somewhere").contains("host:port"));
    said(0, &[], &["--strategy", "v1", "--targets", "192.0.2.1:4000-4009", "--allow-remote"]);
}

#[test]
fn values_out_of_range_name_their_flag() {
    let wrong = |arguments: &[&str]| said(2, &[], &[&["--strategy", "v1"], arguments].concat());
    assert!(wrong(&["--rps", "0"]).contains("--rps 0 is out of range"));
    assert!(wrong(&["--rps", "nan"]).contains("--rps NaN is out of range"));
    assert!(wrong(&["--max-in-service", "0"]).contains("--max-in-service: expected a whole"));
    assert!(wrong(&["--max-in-service", "1025"]).contains("expected at most 1024"));
    assert!(wrong(&["--attempt-timeout-ms=-1"]).contains("--attempt-timeout-ms: expected"));
    assert!(wrong(&["--give-up-after-ms", "inf"]).contains("--give-up-after-ms: expected"));
    assert!(wrong(&["--config", "all"]).contains("one at a time: choose `--config` 0, 1 or 2"));
    assert!(wrong(&["--config", "7"]).contains("unknown config `7`"));
    assert!(wrong(&["--model", "none.toml"]).contains("none.toml"));
    assert!(wrong(&["--config", "1", "--model", "m.toml"]).contains("cannot be used with"));
}

#[test]
fn files_that_are_there_are_kept_unless_forced_and_metrics_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(folder.path(), &["--strategy", "v1", "--port", "0"]);
        command.args(["--supervised", "--metrics", "metrics.json"]).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    };
    for name in ["trace.csv", "events.csv"] {
        let flag = format!("--{}", name.trim_end_matches(".csv"));
        std::fs::write(folder.path().join(name), "precious").unwrap();
        let refused = run(&[&flag, name]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(&format!("{name} is there already")));
        assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"precious");
        assert_eq!(run(&[&flag, name, "--force"]).status.code(), Some(0));
        assert_ne!(std::fs::read(folder.path().join(name)).unwrap(), b"precious");
    }
    assert_eq!(run(&[]).status.code(), Some(0));
    let metrics = flakelab_live::Metrics::read(&folder.path().join("metrics.json")).unwrap();
    assert!(metrics.ended && metrics.per_server.len() == 10);
    let no_folder = run(&["--trace", "nowhere/trace.csv"]);
    assert_eq!(no_folder.status.code(), Some(2));
    assert!(stderr(&no_folder).contains("cannot write nowhere/trace.csv"));
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_anything_is_served() {
    for flag in ["--metrics", "--trace", "--events"] {
        let others = ["--metrics", "--trace", "--events"].into_iter().filter(|f| *f != flag);
        let mut arguments = vec!["--strategy", "v1", flag, "nowhere/file"];
        others.for_each(|other| arguments.extend([other, &other[2..]]));
        // The metrics file may be replaced at any time; it is not begun before the others.
        let message = said(2, &[], &arguments);
        assert!(message.contains("cannot write nowhere/file: No such file"), "{message}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_does_not_keep_requests_from_being_served() {
    use super::program::load;
    use super::servers::Server;
    use std::io::{BufRead, BufReader};
    let servers = Server::ten_good();
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &["--strategy", "v1", "--port", "0", "--supervised"]);
    command.args(["--targets", &super::program::targets(&servers)]);
    command.args(["--events", "/dev/full", "--force", "--metrics", "metrics.json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap().replace("listening ", "").parse().unwrap();
    assert_eq!(load(address, 50, 2).ok, 50);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("warning: cannot write /dev/full: No space left"), "{message}");
    assert!(message.contains("error: cannot write all of /dev/full"), "{message}");
    let metrics = flakelab_live::Metrics::read(&folder.path().join("metrics.json")).unwrap();
    assert_eq!((metrics.total_success, metrics.ended), (50, true));
    assert!(std::path::Path::new("/dev/full").exists());
}

#[test]
fn a_model_of_ones_own_is_served_and_its_trace_is_read_with_a_name() {
    use super::program::{Running, Written, load};
    use super::servers::{Manner, Server};
    use flakelab_sim::trace::{ReadOptions, Recording};
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("mine.toml");
    let text = std::fs::read_to_string("models/config-0.toml").unwrap();
    assert!(text.contains("first = 4000"));
    std::fs::write(&model, text.replace("first = 4000", "first = 7300")).unwrap();
    let servers: Vec<Server> =
        (0..10).map(|_| Server::start(Manner::Answers { failing_every: 4 })).collect();
    let model = model.display().to_string();
    let list = super::program::targets(&servers);
    let proxy = Running::start(&list, &["--strategy", "v3", "--model", &model]);
    load(proxy.address, 40, 1);
    let Written { metrics, folder } = proxy.end();
    assert_eq!((metrics.config.as_str(), metrics.per_server[9].port), ("mine", 7309));
    let options = ReadOptions { group: Some("mine".to_owned()), ..ReadOptions::default() };
    let recordings = Recording::read(&folder.path().join("trace.csv"), &options).unwrap();
    assert_eq!(recordings[0].group.first_port, 7300);
    assert_eq!(recordings[0].attempts.len() as u64, metrics.total_attempts);
}
