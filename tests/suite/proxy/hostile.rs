//! Clients that misbehave: refused and closed, and nobody behind the proxy ever hears of them.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::files::reconcile;
use super::program::{Running, exchange, identifiers, load, post, status, targets};
use super::servers::{Manner, Server};

const BODY: &str = "abcdefghijklmnopqrstuvWX";

fn posted(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}")
}

/// What each client sends, and the statuses that may refuse it.
fn hostile() -> Vec<(&'static str, String, u16)> {
    let length = "Content-Length: 24\r\n";
    let chunked = "18\r\nabcdefghijklmnopqrstuvWX\r\n0\r\n\r\n";
    let whole = posted(length, BODY);
    vec![
        ("23 characters", posted("Content-Length: 23\r\n", &BODY[1..]), 400),
        ("25 characters", posted("Content-Length: 25\r\n", &format!("{BODY}Y")), 400),
        ("other characters", posted(length, "abcdefghijklmnopqrstuv-X"), 400),
        ("spaces", posted(length, "abcdefghijklmnopqrstuv X"), 400),
        ("line break at the end", posted(length, "abcdefghijklmnopqrstuvW\n"), 400),
        ("bytes beyond ASCII", posted(length, "abcdefghijklmnopqrstuv\u{e9}"), 400),
        (
            "JSON without id",
            posted("Content-Type: application/json\r\nContent-Length: 2\r\n", "{}"),
            400,
        ),
        ("no length", posted("", BODY), 411),
        ("two equal lengths", posted(&length.repeat(2), BODY), 400),
        ("two lengths", posted(&format!("{length}Content-Length: 23\r\n"), BODY), 400),
        ("a list of lengths", posted("Content-Length: 24, 24\r\n", BODY), 400),
        ("+24 as length", posted("Content-Length: +24\r\n", BODY), 400),
        ("0x18 as length", posted("Content-Length: 0x18\r\n", BODY), 400),
        ("chunked", posted("Transfer-Encoding: chunked\r\n", chunked), 400),
        (
            "chunked and length",
            posted(&format!("Transfer-Encoding: chunked\r\n{length}"), chunked),
            400,
        ),
        ("giant header", posted(&format!("X: {}\r\n{length}", "y".repeat(100_000)), BODY), 431),
        ("many headers", posted(&format!("{}{length}", "X: y\r\n".repeat(500)), BODY), 431),
        ("giant length", posted("Content-Length: 1000000\r\n", BODY), 413),
        ("pipelined second", format!("{whole}{whole}"), 400),
        ("garbage", "\u{0}\u{1}\u{2} hello \r\n\r\n".to_owned(), 400),
        ("TLS hello", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        ("absolute URI", whole.replace("POST / ", "POST http://127.0.0.1:4000/ "), 400),
        ("CONNECT", "CONNECT 127.0.0.1:4000 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("PUT", whole.replace("POST", "PUT"), 405),
        ("GET /", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("POST /health", whole.replace("POST /", "POST /health"), 405),
        ("another path", whole.replace("POST /", "POST /x"), 404),
        ("a query", whole.replace("POST /", "POST /?x"), 404),
        ("upgrade", posted(&format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{length}"), BODY), 400),
        ("expect", posted(&format!("Expect: 100-continue\r\n{length}"), BODY), 417),
        ("no host", whole.replace("Host: x\r\n", ""), 400),
        ("HTTP/1.0", whole.replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("bare line feeds", whole.replace("\r\n", "\n"), 408),
    ]
}

#[test]
fn hostile_clients_are_refused_and_nothing_of_them_is_forwarded_or_recorded() {
    let servers = Server::ten_good();
    let proxy = Running::start(&targets(&servers), &["--strategy", "v4"]);
    let address = proxy.address;
    let slow = thread::spawn(move || slow_head(address));
    let clients: Vec<_> = hostile()
        .into_iter()
        .map(|(name, bytes, expected)| {
            (name, expected, thread::spawn(move || exchange(address, bytes.as_bytes())))
        })
        .collect();
    for length in [0, 10, post(&identifiers(1)[0]).len() - 1] {
        hang_up_after(address, length, Shutdown::Both);
        hang_up_after(address, length, Shutdown::Write);
    }
    for (name, expected, client) in clients {
        let answer = client.join().unwrap();
        println!("{name}: {}", answer.lines().next().unwrap_or("closed"));
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert!(answer.contains("\"status\":\"refused\""), "{name}: {answer}");
    }
    assert_eq!(status(&slow.join().unwrap()), 408);
    let connected: u64 = servers.iter().map(Server::connections).sum();
    assert_eq!(connected, 0, "nobody was even connected to");
    let written = proxy.end();
    assert_eq!((written.metrics.total_requests, written.rows().len()), (0, 0));
    let events = std::fs::read_to_string(written.folder.path().join("events.csv")).unwrap();
    assert_eq!(events, "");
}

/// A head that comes so slowly that it is refused before it is there.
fn slow_head(address: SocketAddr) -> String {
    let stream = TcpStream::connect(address).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        for byte in posted("X: y\r\n", "").bytes() {
            thread::sleep(Duration::from_millis(100));
            if writing.write_all(&[byte]).is_err() {
                break;
            }
        }
    });
    let mut answer = String::new();
    // What came before a reset is kept.
    let _ = std::io::Read::read_to_string(&mut &stream, &mut answer);
    writer.join().unwrap();
    answer
}

fn hang_up_after(address: SocketAddr, bytes: usize, how: Shutdown) {
    let request = post(&identifiers(1)[0]);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&request.as_bytes()[..bytes]).unwrap();
    stream.shutdown(how).unwrap();
    if how == Shutdown::Write {
        let mut answer = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
        assert_eq!(answer, "");
    }
}

#[test]
fn a_request_whose_client_hung_up_is_served_and_counted_all_the_same() {
    let servers = Server::ten_good();
    servers.iter().for_each(|server| server.becomes(Manner::Answers { failing_every: 3 }));
    let proxy = Running::start(&targets(&servers), &["--strategy", "v2"]);
    for identifier in identifiers(50) {
        let mut stream = TcpStream::connect(proxy.address).unwrap();
        stream.write_all(post(&identifier).as_bytes()).unwrap();
        drop(stream);
    }
    let answers = load(proxy.address, 20, 1);
    assert_eq!(answers.ok + answers.error, 20);
    let written = proxy.end();
    assert_eq!(written.metrics.total_requests, 70);
    reconcile(&written, &servers);
}

#[test]
fn plain_and_json_bodies_are_both_taken_and_attempts_are_told() {
    let servers = Server::ten_good();
    let proxy = Running::start(&targets(&servers), &["--strategy", "v5"]);
    let json = format!("{{\"id\": \"{BODY}\"}}");
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len());
    for request in [posted("Content-Length: 24\r\n", BODY), posted(&headers, &json)] {
        let answer = exchange(proxy.address, request.as_bytes());
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains("x-flakelab-attempts: 1\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n{\"status\":\"ok\"}"), "{answer}");
    }
    servers.iter().for_each(|server| server.becomes(Manner::Refuses429));
    let answer = exchange(proxy.address, posted("Content-Length: 24\r\n", BODY).as_bytes());
    assert_eq!(status(&answer), 500, "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"status\":\"error\"}"), "{answer}");
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = exchange(proxy.address, request.as_bytes());
        assert_eq!(status(&answer), 200);
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        serde_json::from_str::<serde_json::Value>(&body).unwrap()
    };
    let health = get("/health");
    assert_eq!((&health["status"], &health["config"]), (&"ok".into(), &"0".into()));
    assert_eq!(health["strategy"], "V5 thompson-scaled");
    assert_eq!(health["waiting"], 0);
    // The newest state is at most 50 ms old.
    let total = |_| {
        thread::sleep(Duration::from_millis(20));
        get("/metrics.json")["total_requests"] == 3
    };
    assert!((0..500).any(total));
    assert_eq!(proxy.end().metrics.total_success, 2);
}
