//! `load --probe` against real servers on real sockets: nothing lost, nobody else contacted, and
//! the rate limit that the servers have is the one that a fit reads from the probe.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use flakelab_core::domain::Timestamp;
use flakelab_sim::world::{Model, RateLimit};

use super::program::{flakelab, stderr, stdout};

/// What a server answered, in order.
type Log = Arc<Mutex<Vec<u16>>>;

/// A server on a port from the system: every fifth accepted attempt fails, refusals follow the
/// limit. Lives until the test process ends.
fn server(limit: RateLimit) -> (u16, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = Log::default();
    let answers = Arc::clone(&log);
    thread::spawn(move || {
        let (begin, mut limiter, mut accepted) = (Instant::now(), limit.limiter(0.0), 0_u32);
        for stream in listener.incoming().flatten() {
            let Some(body) = request_body(&stream) else { continue };
            assert!(body.len() == 24 && body.iter().all(u8::is_ascii_alphanumeric));
            let now = Timestamp::from_secs_f64(begin.elapsed().as_secs_f64());
            let status = if !limiter.accept(now) {
                429
            } else {
                accepted += 1;
                if accepted.is_multiple_of(5) { 500 } else { 200 }
            };
            answers.lock().unwrap().push(status);
            answer(&stream, status);
        }
    });
    (port, log)
}

/// The body of a `POST /`; nothing for a connection that only looks whether the port is open.
fn request_body(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            assert!(bytes.starts_with(b"POST / HTTP/1.1\r\n"));
            if bytes.len() >= end + 4 + 24 {
                return Some(bytes[end + 4..].to_vec());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend(&buffer[..n]),
        }
    }
}

fn answer(mut stream: &TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(text.as_bytes());
}

#[test]
fn a_probe_records_exactly_what_the_servers_answered() {
    let folder = tempfile::tempdir().unwrap();
    let servers =
        [server(RateLimit::TokenBucket { per_second: 15.0, burst: 4.0 }), server(RateLimit::None)];
    let targets: Vec<String> =
        servers.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
    let mut command = flakelab(folder.path());
    command.args(["load", "--probe", "--rung-seconds", "0.3", "--most-attempts", "250"]);
    let output = command.args(["--targets", &targets.join(",")]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(folder.path().join("probe.csv")).unwrap();
    let mut statuses: Vec<Vec<u16>> = vec![Vec::new(); 2];
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|c| *c == name).unwrap();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let port: u16 = cells[column("server_port")].parse().unwrap();
        let which = servers.iter().position(|(own, _)| *own == port).unwrap();
        let status = match (cells[column("success")], cells[column("rate_limited")]) {
            ("True", _) => 200,
            (_, "True") => 429,
            _ => 500,
        };
        statuses[which].push(status);
    }
    for (seen, (_, log)) in statuses.iter().zip(&servers) {
        assert_eq!(*seen, *log.lock().unwrap());
    }
    assert!(statuses[0].contains(&429) && !statuses[1].contains(&429));
    assert!(stdout(&output).contains("next: cargo run -- fit --name probed probe.csv"));
}

#[test]
fn a_probe_sends_nothing_unless_every_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (port, log) = server(RateLimit::None);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let targets = format!("127.0.0.1:{port},127.0.0.1:{closed}");
    let run = |targets: &str| {
        let mut command = flakelab(folder.path());
        let output = command.args(["load", "--probe", "--targets", targets]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let message = run(&targets);
    assert!(message.contains(&format!("127.0.0.1:{closed}; start the servers")), "{message}");
    assert!(log.lock().unwrap().is_empty());
    assert!(run("192.0.2.1:80").contains("--allow-remote"));
    assert!(run("localhost").contains("host:port"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_probe_does_not_replace_a_trace_unless_told_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("probe.csv"), "precious").unwrap();
    let (port, _) = server(RateLimit::None);
    let target = format!("127.0.0.1:{port}");
    let arguments = ["load", "--probe", "--most-attempts", "5", "--targets", &target];
    let refused = flakelab(folder.path()).args(arguments).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--force"));
    let forced = flakelab(folder.path()).args(arguments).arg("--force").output().unwrap();
    assert!(forced.status.success(), "{}", stderr(&forced));
}

/// The whole way: a server with a limit, the probe, the fit, the model.
#[test]
fn a_fit_reads_the_limit_of_real_servers_from_a_probe() {
    let folder = tempfile::tempdir().unwrap();
    let (port, _) = server(RateLimit::TokenBucket { per_second: 15.0, burst: 4.0 });
    let target = format!("127.0.0.1:{port}");
    let mut probe = flakelab(folder.path());
    probe.args(["load", "--probe", "--targets", &target, "--rung-seconds", "1"]);
    let probe = probe.output().unwrap();
    assert!(probe.status.success(), "{}", stderr(&probe));
    let mut fit = flakelab(folder.path());
    let fit =
        fit.args(["fit", "--name", "probed", "probe.csv", "--out", "models"]).output().unwrap();
    assert!(fit.status.success(), "{}", stderr(&fit));
    let model = Model::read(&folder.path().join("models/probed.toml")).unwrap();
    let RateLimit::TokenBucket { per_second, burst } = model.rate_limit else {
        panic!("{:?}\n{}", model.rate_limit, stdout(&fit))
    };
    // The server's clock is not the probe's: a millisecond in 67 between tokens is 1.5 %.
    assert!((per_second - 15.0).abs() < 1.0 && burst == 4.0, "{per_second} {burst}");
}
