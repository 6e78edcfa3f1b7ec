//! The load generator against servers that do their worst: the schedule is kept, latencies count
//! from the moment a request was due, and every request is accounted for exactly once.
//!
//! Nothing here asserts a time. Servers wait for what the test is about (that all requests have
//! arrived, that one was turned away), so a slow machine makes these tests slower, not wrong.

mod command_line;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flakelab_core::domain::Identifier;
use flakelab_live::{End, LoadError, LoadLog, Loss, Quantiles, Schedule, Sent, run};
use flakelab_live::{HttpResponse, Limits, http};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(60);

/// A server on a port from the system: `on_request` gets every request, numbered from 0 in order
/// of arrival, on a thread of its own. Lives until the test process ends.
fn server(on_request: impl Fn(usize, &str, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let on_request = Arc::new(on_request);
    thread::spawn(move || {
        let mut number = 0;
        for stream in listener.incoming().flatten() {
            let Some(request) = read_request(&stream) else { continue };
            let on_request = Arc::clone(&on_request);
            thread::spawn(move || on_request(number, &request, stream));
            number += 1;
        }
    });
    address
}

/// Head and body of a request; nothing for a connection that only looks whether the port is open.
fn read_request(mut stream: &TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap();
            if body.len() >= length.lines().next().unwrap().parse::<usize>().unwrap() {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend(&buffer[..n]),
        }
    }
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

fn answer(mut stream: TcpStream, status: u16) {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 15\r\nx-flakelab-attempts: 3\r\n");
    let _ = stream.write_all(format!("{head}\r\n{{\"status\":\"ok\"}}").as_bytes());
}

fn schedule(target: SocketAddr, requests: u64, requests_per_second: f64) -> Schedule {
    Schedule { requests, requests_per_second, timeout: LONG, ..Schedule::new(target) }
}

fn send(schedule: &Schedule) -> LoadLog {
    run(schedule, &AtomicBool::new(false), |_| ()).unwrap()
}

/// A closed loop would never end: the server answers nobody until all have come. They are fewer
/// than the 128 that the system holds for a listener; beyond, it shuffles them.
#[test]
fn a_server_that_answers_late_does_not_delay_the_schedule() {
    let all_here = Barrier::new(100);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&seen);
    let target = server(move |number, request, stream| {
        arrived.lock().unwrap().push((number, body(request).to_owned()));
        all_here.wait();
        answer(stream, 200);
    });
    let log = send(&schedule(target, 100, 1000.0));
    assert_eq!(log.counts().ok, 100);
    for (number, sent) in (0..).zip(&log.sent) {
        assert_eq!((sent.number, sent.due), (number, Duration::from_millis(number)));
    }
    let mut arrivals = seen.lock().unwrap().clone();
    arrivals.sort();
    let arrivals = arrivals.into_iter().map(|(_, identifier)| identifier);
    assert!(arrivals.eq(log.sent.iter().map(|sent| sent.identifier.to_string())));
}

/// A server that does nothing for the first 300 ms, and the moment at which it woke up.
fn late_riser() -> (SocketAddr, Arc<Mutex<f64>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let woke_unix_s = Arc::new(Mutex::new(0.0));
    let woke = Arc::clone(&woke_unix_s);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            if number == 0 {
                thread::sleep(Duration::from_millis(300));
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                *woke.lock().unwrap() = now.as_secs_f64();
            }
            if read_request(&stream).is_some() {
                answer(stream, 200);
            }
        }
    });
    (address, woke_unix_s)
}

/// The closed loop: the next request leaves when the last one is answered, and only then does its
/// latency begin to count.
fn closed_loop(target: SocketAddr, requests: u64, period: Duration) -> Vec<Duration> {
    let exchange = |_| {
        let sent_at = Instant::now();
        let mut stream = TcpStream::connect(target).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx").unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
        let took = sent_at.elapsed();
        thread::sleep(period.saturating_sub(took));
        took
    };
    (0..requests).map(exchange).collect()
}

/// Coordinated omission: while a server stalls, a closed loop asks once and sees one slow request.
#[test]
fn a_stalled_server_shows_in_the_latency_of_everybody_who_was_due_meanwhile() {
    let (target, woke_unix_s) = late_riser();
    let log = send(&schedule(target, 40, 100.0));
    let woke = *woke_unix_s.lock().unwrap() - log.started_unix_s;
    let due_before = |sent: &&Sent| sent.due.as_secs_f64() < woke;
    // A tenth of a millisecond for two readings of the calendar.
    let answered_after =
        |sent: &&Sent| (sent.due + sent.latency.unwrap()).as_secs_f64() > woke - 1e-4;
    let waited = log.sent.iter().filter(due_before).filter(answered_after).count();
    assert_eq!(waited, log.sent.iter().filter(due_before).count());
    assert!(waited >= 30, "{waited}");

    let (target, _) = late_riser();
    let closed = Quantiles::of(closed_loop(target, 40, Duration::from_millis(10))).unwrap();
    let open = log.latency().unwrap();
    assert!(open.p50_ms > closed.p50_ms && open.p90_ms > closed.p90_ms, "{open:?} {closed:?}");
}

/// What a server does to a request, and how the request then ends.
fn misbehave(kind: usize, mut stream: TcpStream, elsewhere: SocketAddr) {
    let mut say = |text: &str| drop(stream.write_all(text.as_bytes()));
    match kind {
        0 => answer(stream, 200),
        1 => answer(stream, 500),
        2 => answer(stream, 503),
        3 => say(&format!("HTTP/1.1 302 X\r\nlocation: http://{elsewhere}/\r\n\r\n")),
        4 => {}
        5 => say("no HTTP at all\r\n\r\n"),
        6 => say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"),
        7 => say("HTTP/1.1 200 OK\r\ncontent-le"),
        8 => {
            say("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n");
            (0..100).for_each(|_| say(&"x".repeat(100_000)));
        }
        9 => {
            for letter in "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{ }".chars() {
                say(&letter.to_string());
                thread::sleep(Duration::from_millis(2));
            }
        }
        10 => {
            say("HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(b"more").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        }
        // Hangs until the other side goes away.
        _ => drop(stream.read(&mut [0])),
    }
}

#[test]
fn every_request_is_accounted_for_once_whatever_the_server_does() {
    let contacted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&contacted);
    let elsewhere = server(move |_, _, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let kinds = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = Arc::clone(&kinds);
    let target = server(move |number, request, stream| {
        let kind = number % 12;
        assert_eq!(seen.lock().unwrap().insert(body(request).to_owned(), kind), None);
        misbehave(kind, stream, elsewhere);
    });
    let mut ended = Vec::new();
    let impatient = Schedule { timeout: Duration::from_secs(5), ..schedule(target, 60, 200.0) };
    let log = run(&impatient, &AtomicBool::new(false), |sent| ended.push(sent.number)).unwrap();
    ended.sort_unstable();
    assert!(ended.into_iter().eq(0..60) && log.sent.iter().map(|sent| sent.number).eq(0..60));
    assert!(!log.stopped);
    let kinds = kinds.lock().unwrap();
    assert_eq!(kinds.len(), 60);
    for sent in &log.sent {
        let kind = kinds[sent.identifier.as_str()];
        let expected = match &sent.end {
            End::Ok => [0, 8, 9].contains(&kind),
            End::Error => kind == 1,
            End::Refused(status) => (kind, *status) == (2, 503) || (kind, *status) == (3, 302),
            End::Lost(Loss::NoAnswer(_)) => (4..=7).contains(&kind),
            End::Lost(Loss::TimedOut) => kind >= 10,
            End::Lost(_) => false,
        };
        assert!(expected, "{kind}: {:?}", sent.end);
        assert_eq!(sent.latency.is_none(), matches!(sent.end, End::Lost(_)));
        assert_eq!(sent.attempts, (kind <= 2).then_some(3));
    }
    let counts = log.counts();
    let by_end = [counts.ok, counts.error, counts.refused, counts.lost];
    assert_eq!((counts.requests, by_end), (60, [15, 5, 10, 30]));
    assert_eq!(contacted.load(Ordering::Relaxed), 0, "redirects are not followed");
}

#[test]
fn a_connection_that_is_reset_or_refused_loses_the_request_with_the_reason() {
    // Closed with the request unread: the system resets the connection.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.peek(&mut [0]);
        }
    });
    for sent in send(&schedule(target, 5, 1000.0)).sent {
        let End::Lost(Loss::NoAnswer(reason)) = &sent.end else { panic!("{sent:?}") };
        assert!(!reason.is_empty());
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = send(&schedule(closed, 5, 1000.0));
    let losses = log.losses();
    assert!(losses[0].0.starts_with("not connected: Connection refused"), "{losses:?}");
    assert_eq!(losses, [(losses[0].0.clone(), 5)]);
}

#[test]
fn beyond_the_most_in_flight_requests_are_lost_rather_than_late() {
    let turned_away = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&turned_away);
    let target = server(move |_, _, stream| {
        while seen.load(Ordering::Relaxed) < 7 {
            thread::sleep(Duration::from_millis(1));
        }
        answer(stream, 200);
    });
    let few = Schedule { most_in_flight: 3, ..schedule(target, 10, 500.0) };
    let log = run(&few, &AtomicBool::new(false), |sent| {
        let lost = sent.end == End::Lost(Loss::TooManyInFlight);
        turned_away.fetch_add(usize::from(lost), Ordering::Relaxed);
    });
    let ends: Vec<bool> = log.unwrap().sent.iter().map(|sent| sent.end == End::Ok).collect();
    assert_eq!(ends, [true, true, true, false, false, false, false, false, false, false]);
}

#[test]
fn identifiers_are_valid_distinct_and_those_of_the_seed() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let target = server(move |_, request, stream| {
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        let json = request.contains("content-type: application/json\r\n");
        assert!(json || request.contains("content-type: text/plain\r\n"), "{request}");
        seen.lock().unwrap().push((json, body(request).to_owned()));
        answer(stream, 200);
    });
    let plain = schedule(target, 50, 2000.0);
    let identifiers = |schedule: &Schedule| -> Vec<Identifier> {
        send(schedule).sent.iter().map(|sent| sent.identifier).collect()
    };
    let first = identifiers(&plain);
    assert_eq!(first, identifiers(&Schedule { json: true, ..plain.clone() }));
    let others = [Schedule { replication: 1, ..plain.clone() }, Schedule { seed: 1, ..plain }];
    let others = others.iter().flat_map(identifiers);
    assert_eq!(first.iter().copied().chain(others).collect::<BTreeSet<_>>().len(), 150);

    let mut arrived = [BTreeSet::new(), BTreeSet::new()];
    for (json, body) in bodies.lock().unwrap().iter() {
        let identifier = if *json {
            let object: BTreeMap<String, String> = serde_json::from_str(body).unwrap();
            assert_eq!(object.len(), 1);
            object["id"].clone()
        } else {
            body.clone()
        };
        arrived[usize::from(*json)].insert(identifier.parse::<Identifier>().unwrap());
    }
    assert_eq!((arrived[0].len(), arrived[1].len()), (150, 50));
    assert!(first.iter().all(|sent| arrived[0].contains(sent) && arrived[1].contains(sent)));
}

/// Our own front is strict: it refuses everything that is not exactly one well-formed request.
#[test]
fn the_strict_front_of_the_proxy_takes_every_request() {
    let (tell, address) = mpsc::channel();
    let (done, stop) = oneshot::channel::<()>();
    let front = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handler = |request| async move {
            match http::identifier(&request) {
                Ok(_) => HttpResponse::json(200, "{}").with_header(
                    "x-flakelab-attempts",
                    if request.json { "2" } else { "1" }.into(),
                ),
                Err(refusal) => refusal,
            }
        };
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            http::serve(listener, Limits::default(), handler, async { drop(stop.await) }).await;
        });
    });
    let plain = schedule(address.recv().unwrap(), 300, 1000.0);
    for (json, attempts) in [(false, 1), (true, 2)] {
        let log = send(&Schedule { json, ..plain.clone() });
        assert_eq!(log.counts().ok, 300, "{:?} {:?}", log.counts(), log.losses());
        assert!(log.sent.iter().all(|sent| sent.attempts == Some(attempts)));
    }
    done.send(()).unwrap();
    front.join().unwrap();
}

#[test]
fn a_stopped_load_sends_nothing_more_and_loses_what_is_in_flight() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&arrived);
    let target = server(move |number, _, mut stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        // Of the first ten every other one hangs.
        if number % 2 == 0 { answer(stream, 200) } else { drop(stream.read(&mut [0])) }
    });
    let stop = AtomicBool::new(false);
    let mut ended = 0;
    let log = run(&schedule(target, 100_000, 100.0), &stop, |_| {
        ended += 1;
        stop.store(ended >= 5, Ordering::Relaxed);
    });
    let log = log.unwrap();
    assert!(log.stopped && (9..1000).contains(&log.sent.len()));
    assert_eq!(arrived.load(Ordering::Relaxed), log.sent.len());
    for sent in &log.sent {
        let expected = if sent.number % 2 == 0 { End::Ok } else { End::Lost(Loss::Stopped) };
        assert_eq!(sent.end, expected);
    }
}

#[test]
fn a_rate_that_is_none_is_refused_before_anything_is_sent() {
    let target = server(|_, _, _| panic!("nothing is sent"));
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = run(&schedule(target, 1, rate), &AtomicBool::new(false), |_| ()).unwrap_err();
        assert!(matches!(error, LoadError::Rate(_)), "{error}");
    }
}
