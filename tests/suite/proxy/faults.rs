//! Servers that misbehave, each in one way: every request is answered, and all accounts agree.

use std::time::Duration;

use flakelab_core::domain::Rules;
use flakelab_live::{Metrics, Settings};
use flakelab_sim::trace::Row;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::files::{first_difference, outcomes, reconcile, settings};
use super::program::{Answers, Running, load, targets};
use super::servers::{Closed, Manner, Server};

/// Milliseconds after which an attempt times out here.
const TIMEOUT: &str = "300";

/// One row of the table of faults.
fn show(fault: &str, beside: &str, answers: &Answers) {
    let Answers { sent, ok, error, refused, stopping, lost } = answers;
    println!(
        "| {fault:22} | {beside:14} | {sent:4} | {ok:4} | {error:4} | {refused:4} | {stopping:4} \
         | {lost:4} |"
    );
}

fn run(servers: &[Server], requests: usize) -> (Answers, super::program::Written) {
    // UCB tries every server before it repeats one.
    let arguments = ["--strategy", "v3", "--attempt-timeout-ms", TIMEOUT, "--max-in-service", "4"];
    let proxy = Running::start(&targets(servers), &arguments);
    let answers = load(proxy.address, requests, 4);
    assert_eq!(answers.ok + answers.error, answers.sent);
    // Ten servers that send as much as is taken: 10 MB would be seen.
    let peak_mb = proxy.peak_mb();
    assert!(peak_mb.is_none_or(|mb| mb < 64), "{peak_mb:?} MB");
    let written = proxy.end();
    assert_eq!(written.metrics.total_success, answers.ok);
    assert_eq!(written.metrics.total_failure, answers.error);
    (answers, written)
}

#[test]
fn every_fault_is_survived_and_counted_for_what_it_is() {
    // Attempts at a server of this manner end as this.
    let manners = [
        (Manner::Resets, "failure"),
        (Manner::Hangs, "timed_out"),
        (Manner::Garbage, "failure"),
        (Manner::ByteByByte, "timed_out"),
        (Manner::TenMegabytes, "success"),
        (Manner::EndlessHead, "failure"),
        (Manner::DiesInTheMiddle, "failure"),
        (Manner::Refuses429, "rate_limited"),
    ];
    println!("| fault | beside | sent | 200 | 500 | 4xx | 503 | lost |");
    for (manner, outcome) in manners {
        for alone in [false, true] {
            let servers = Server::ten_good();
            for server in servers.iter().skip(usize::from(!alone) * 9) {
                server.becomes(manner);
            }
            let (answers, written) = run(&servers, if alone { 8 } else { 60 });
            reconcile(&written, &servers);
            // Whatever they do, they took the connection.
            assert!(written.rows().iter().all(|row| row.refused == Some(false)), "{manner:?}");
            show(&format!("{manner:?}"), if alone { "none" } else { "9 good ones" }, &answers);
            assert_eq!(answers.lost + answers.refused + answers.stopping, 0);
            let faulty = &written.metrics.per_server[if alone { 0 } else { 9 }..];
            assert!(faulty.iter().any(|server| server.num_requests > 0));
            for server in faulty {
                assert_eq!(outcomes(server, outcome), server.num_requests, "{server:?}");
            }
            if !alone {
                assert_eq!(answers.error, 0, "{manner:?}: nine good servers suffice");
            }
            // Nothing holds a connection longer than its attempt.
            let open = || servers.iter().map(Server::open).sum::<u64>();
            (0..200).take_while(|_| open() > 0).for_each(|_| nap(10));
            assert_eq!(open(), 0, "{manner:?}");
        }
    }
}

fn nap(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn servers_where_nobody_listens_are_failures_and_may_come_back() {
    let mut servers = Server::ten_good();
    let closed = Closed::new();
    let address = closed.address();
    let list = format!("{},{address}", targets(&servers[..9]));
    let arguments = ["--strategy", "v2", "--attempt-timeout-ms", TIMEOUT];
    let proxy = Running::start(&list, &arguments);
    let mut answers = load(proxy.address, 30, 1);
    drop(closed);
    servers[9] = Server::start_at(address, Manner::Answers { failing_every: 0 });
    let later = load(proxy.address, 200, 1);
    let Metrics { per_server, total_success, ended, .. } = proxy.end().metrics;
    assert!(ended);
    answers.add(&later);
    show("refuses, comes back", "9 good ones", &answers);
    assert_eq!((answers.ok, total_success), (230, 230));
    let last = &per_server[9];
    assert!(last.num_failure > 0 && last.num_success > 0, "{last:?}");
    assert_eq!(last.num_success, servers[9].requests());
}

#[test]
fn nobody_listens_anywhere_and_every_request_is_answered_500() {
    let closed: Vec<Closed> = (0..10).map(|_| Closed::new()).collect();
    let addresses: Vec<String> = closed.iter().map(|c| c.address().to_string()).collect();
    let proxy = Running::start(&addresses.join(","), &["--strategy", "v1", "--rps", "1000"]);
    let answers = load(proxy.address, 20, 2);
    let written = proxy.end();
    show("refuses", "none", &answers);
    assert_eq!((answers.error, written.metrics.total_failure), (20, 20));
    let refused = |row: &Row| row.refused == Some(true) && row.rate_limited == Some(false);
    assert!(written.rows().iter().all(|row| refused(row) && !row.success));
    assert!(written.metrics.per_server.iter().all(|s| s.num_failure == s.num_requests));
}

/// Requests come one by one, so nobody waits and each is tried for 100 ms: without pauses that was
/// some two hundred attempts a request. Between two attempts at a server there are 25 ms at least, and
/// from the fifth on 250.
#[test]
fn closed_ports_are_asked_a_few_times_a_second_and_not_a_thousand() {
    let closed: Vec<Closed> = (0..10).map(|_| Closed::new()).collect();
    let addresses: Vec<String> = closed.iter().map(|c| c.address().to_string()).collect();
    let proxy = Running::start(&addresses.join(","), &["--strategy", "v4", "--seed", "7"]);
    let answers = load(proxy.address, 20, 1);
    let written = proxy.end();
    assert_eq!(answers.error, 20);
    let rows = written.rows();
    println!("{} attempts, penalty {}", rows.len(), written.metrics.total_penalty);
    for port in 4000..4010 {
        let at_s = rows.iter().filter(|row| row.server_port == port).map(|row| row.timestamp);
        let at_s: Vec<f64> = at_s.collect();
        for (i, pair) in at_s.windows(2).enumerate() {
            let pause_s = [0.025, 0.05, 0.1, 0.2].get(i).copied().unwrap_or(0.25);
            assert!(pair[1] - pair[0] > pause_s - 1e-4, "{port}, attempt {i}: {pair:?}");
        }
    }
    let settings = settings("v4", 7, 1);
    let settings = Settings { rules: Rules::default(), ..settings };
    assert_eq!(first_difference(&written.steps(), &settings), None);
    // The planted bug: a replay without pauses.
    let rules = Rules { pause_after_refused_ms: 0.0, ..Rules::default() };
    let wrong = Settings { rules, ..settings };
    assert!(first_difference(&written.steps(), &wrong).is_some());
}

/// A process of its own that accepts and answers, until it is stopped or killed.
fn server_process() -> (std::process::Child, std::net::SocketAddr) {
    use std::io::{BufRead, BufReader};
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "proxy::faults::a_server_in_a_process", "--nocapture"])
        .env("PROXY_SUITE_SERVER", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.map_while(Result::ok).find_map(|line| {
        line.split_once("SERVES ").and_then(|(_, address)| address.trim().parse().ok())
    });
    (child, found.unwrap())
}

#[test]
#[ignore = "the process that other tests stop and kill"]
fn a_server_in_a_process() {
    if std::env::var_os("PROXY_SUITE_SERVER").is_some() {
        let server = Server::start(Manner::Answers { failing_every: 0 });
        println!("SERVES {}", server.address);
        // Its parent kills it; if the parent could not, it ends by itself.
        nap(60_000);
    }
}

#[test]
fn a_server_that_stops_times_out_one_that_is_killed_refuses_and_one_that_goes_on_is_back() {
    let servers = Server::ten_good();
    let (mut child, address) = server_process();
    let pid = Pid::from_raw(child.id() as i32);
    let list = format!("{},{address}", targets(&servers[..9]));
    let arguments = ["--strategy", "random", "--attempt-timeout-ms", TIMEOUT];
    let proxy = Running::start(&list, &arguments);
    let path = proxy.path("metrics.json");
    let last = || {
        nap(120);
        Metrics::read(&path).unwrap().per_server[9].clone()
    };
    let mut answers = load(proxy.address, 100, 1);
    let at_first = last();
    kill(pid, Signal::SIGSTOP).unwrap();
    answers.add(&load(proxy.address, 60, 1));
    let stopped = last();
    kill(pid, Signal::SIGCONT).unwrap();
    answers.add(&load(proxy.address, 100, 1));
    let back = last();
    kill(pid, Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    answers.add(&load(proxy.address, 100, 1));
    let written = proxy.end();
    let dead = &written.metrics.per_server[9];
    show("stops, back, killed", "9 good ones", &answers);
    assert_eq!((answers.ok, answers.lost), (360, 0));
    assert!(at_first.num_success > 0 && at_first.num_success == at_first.num_requests);
    assert!(stopped.num_timed_out > 0 && stopped.num_success == at_first.num_success);
    let counts = format!("{at_first:?}\n{stopped:?}\n{back:?}\n{dead:?}");
    assert!(back.num_success > stopped.num_success, "{counts}");
    assert_eq!(back.num_timed_out, stopped.num_timed_out, "{counts}");
    assert!(dead.num_failure > back.num_failure && dead.num_timed_out == back.num_timed_out);
}
