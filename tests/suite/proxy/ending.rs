//! The end: what was taken is answered, files are complete, exit codes tell why.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use flakelab_core::domain::Identifier;
use flakelab_live::Metrics;
use nix::sys::signal::Signal;

use super::files::reconcile;
use super::program::{Answers, Running, exchange, identifiers, load, post, status, targets};
use super::servers::{Manner, Server};
use crate::program::wait_until;

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

fn sent(servers: &[Server]) -> u64 {
    servers.iter().map(Server::requests).sum()
}

#[test]
fn ctrl_c_answers_everybody_completes_the_files_and_exits_130() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let servers = Server::ten_good();
        servers.iter().for_each(|server| server.becomes(Manner::Hangs));
        let arguments = ["--strategy", "v1", "--attempt-timeout-ms", "60000"];
        let mut proxy = Running::start(&targets(&servers), &arguments);
        let clients = at_once(&proxy, 20);
        let path = proxy.path("metrics.json");
        wait_until("sending", || sent(&servers) == 1);
        wait_until("the metrics", || Metrics::read(&path).unwrap().total_requests == 20);
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
    servers.iter().for_each(|server| server.becomes(Manner::Slow));
    let mut proxy =
        Running::start(&targets(&servers), &["--strategy", "v4", "--max-in-service", "6"]);
    let clients = at_once(&proxy, 6);
    wait_until("sending", || sent(&servers) == 6);
    proxy.signal(Signal::SIGINT);
    let answers = answers(clients);
    assert_eq!(proxy.wait().code(), Some(130));
    let written = proxy.written();
    assert_eq!((answers.ok, written.metrics.total_success), (6, 6), "{answers:?}");
    reconcile(&written, &servers);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let servers = Server::ten_good();
    servers.iter().for_each(|server| server.becomes(Manner::Hangs));
    let arguments = ["--strategy", "v1", "--attempt-timeout-ms", "60000"];
    let mut proxy = Running::start(&targets(&servers), &arguments);
    let clients = at_once(&proxy, 1);
    wait_until("sending", || sent(&servers) == 1);
    proxy.signal(Signal::SIGINT);
    thread::sleep(Duration::from_millis(50));
    proxy.signal(Signal::SIGINT);
    assert_eq!(proxy.wait().code(), Some(130));
    // The second that the first one grants was not waited for: nobody was answered.
    assert_eq!(answers(clients).lost, 1);
}

#[test]
fn a_proxy_that_is_killed_leaves_whole_rows_and_whole_metrics() {
    let servers = Server::ten_good();
    let mut proxy = Running::start(&targets(&servers), &["--strategy", "v5"]);
    let (address, path) = (proxy.address, proxy.path("metrics.json"));
    let loading = thread::spawn(move || {
        // Until nobody listens any more.
        identifiers(100_000).iter().take_while(|id| send(address, id).is_some()).count()
    });
    wait_until("the metrics", || Metrics::read(&path).unwrap().total_requests > 100);
    proxy.signal(Signal::SIGKILL);
    assert_eq!(proxy.wait().code(), None);
    let answered = loading.join().unwrap();
    let written = proxy.written();
    assert!(!written.metrics.ended);
    let rows = written.rows();
    assert!(rows.len() > 100 && rows.iter().all(|row| row.success));
    // The recorder may be a little behind the answers, and the attempt in flight is not known.
    println!("{answered} answered, {} rows, {} sent", rows.len(), sent(&servers));
    assert!(rows.len() as u64 <= sent(&servers));
}

/// The answer to a request, if somebody answers.
fn send(address: SocketAddr, identifier: &Identifier) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(post(identifier).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(status(&answer)).filter(|status| *status > 0)
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
