//! The end: what was taken is answered, files are complete, exit codes tell why.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::files::reconcile;
use super::program::{Answers, Running, exchange, identifiers, load, post, status, targets};
use super::servers::{Manner, Server};

/// Sends `n` requests at once, from a thread each; what they are answered.
fn at_once(proxy: &Running, n: usize) -> Vec<thread::JoinHandle<u16>> {
    let address = proxy.address;
    let ids = identifiers(n).into_iter();
    ids.map(|id| thread::spawn(move || status(&exchange(address, post(&id).as_bytes())))).collect()
}

fn answers(clients: Vec<thread::JoinHandle<u16>>) -> Answers {
    let mut answers = Answers::default();
    clients.into_iter().for_each(|client| answers.count(client.join().unwrap()));
    answers
}

/// Waits until a server has been sent something.
fn wait_for_attempt(servers: &[Server]) {
    let sent = || servers.iter().map(Server::requests).sum::<u64>() > 0;
    let waited = |_| {
        thread::sleep(Duration::from_millis(5));
        sent()
    };
    assert!((0..2000).any(waited));
}

#[test]
fn ctrl_c_answers_everybody_completes_the_files_and_exits_130() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let servers = Server::ten_good();
        servers.iter().for_each(|server| server.becomes(Manner::Hangs));
        let arguments = ["--strategy", "v1", "--attempt-timeout-ms", "60000"];
        let mut proxy = Running::start(&targets(&servers), &arguments);
        let clients = at_once(&proxy, 20);
        wait_for_attempt(&servers);
        thread::sleep(Duration::from_millis(300));
        let begin = Instant::now();
        proxy.signal(signal);
        let answers = answers(clients);
        assert_eq!(proxy.wait().code(), Some(130));
        println!("{signal}: {:?}, {answers:?}", begin.elapsed());
        assert!(TcpStream::connect(proxy.address).is_err(), "the port is free");
        let written = proxy.written();
        // One attempt hung, and nobody knows how it would have ended.
        assert_eq!((answers.stopping, answers.lost), (20, 0));
        assert_eq!((written.metrics.total_requests, written.metrics.total_attempts), (20, 1));
        assert_eq!((written.rows().len(), written.metrics.waiting), (0, 19));
        assert!(written.metrics.ended);
    }
}

#[test]
fn what_is_in_flight_at_the_end_is_still_answered_by_its_outcome() {
    let servers = Server::ten_good();
    servers.iter().for_each(|server| server.becomes(Manner::ByteByByte));
    let mut proxy =
        Running::start(&targets(&servers), &["--strategy", "v4", "--max-in-service", "6"]);
    let clients = at_once(&proxy, 6);
    wait_for_attempt(&servers);
    proxy.signal(Signal::SIGINT);
    let answers = answers(clients);
    assert_eq!(proxy.wait().code(), Some(130));
    let written = proxy.written();
    assert_eq!(answers.ok + answers.stopping, 6, "{answers:?}");
    assert_eq!(written.metrics.total_success, answers.ok);
    assert!(answers.ok > 0);
    reconcile(&written, &servers);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let servers = Server::ten_good();
    servers.iter().for_each(|server| server.becomes(Manner::Hangs));
    let arguments = ["--strategy", "v1", "--attempt-timeout-ms", "60000"];
    let mut proxy = Running::start(&targets(&servers), &arguments);
    let clients = at_once(&proxy, 1);
    wait_for_attempt(&servers);
    proxy.signal(Signal::SIGINT);
    thread::sleep(Duration::from_millis(50));
    proxy.signal(Signal::SIGINT);
    assert_eq!(proxy.wait().code(), Some(130));
    // The second a lenient end gives was not waited for: nobody was answered.
    assert_eq!(answers(clients).lost, 1);
}

#[test]
fn thousands_of_requests_are_counted_alike_by_everybody() {
    let servers: Vec<Server> =
        (0..10).map(|i| Server::start(Manner::Answers { failing_every: 2 + i })).collect();
    let proxy = Running::start(
        &targets(&servers),
        &["--strategy", "v5", "--max-in-service", "16", "--rps", "2000"],
    );
    let answers = load(proxy.address, 3000, 32);
    assert_eq!((answers.ok + answers.error, answers.lost), (3000, 0));
    let written = proxy.end();
    assert_eq!(written.metrics.total_success, answers.ok);
    assert_eq!(written.metrics.latencies.len(), 1000);
    reconcile(&written, &servers);
}
