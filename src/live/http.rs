//! HTTP/1.1, as little of it as is needed: one request a connection, within deadlines; an answer;
//! the end. What is not exactly one well-formed request is refused.

use std::future::Future;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use flakelab_core::domain::Identifier;

/// What a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// From the connection until the whole head is there.
    pub head_deadline: Duration,
    /// From then until the whole body is there.
    pub body_deadline: Duration,
    /// Connections at a time; those beyond wait in the system's queue.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 8192,
            head_deadline: Duration::from_secs(2),
            body_deadline: Duration::from_secs(1),
            connections: 1024,
        }
    }
}

/// Serves until `stop` resolves, and then until every request that was taken is answered; those
/// that have not arrived in full by then are dropped.
///
/// One request a connection, which is closed after the answer. What is not exactly one well-formed
/// request is answered with a 4xx and never reaches `handler`; a client that hangs up before it has
/// sent all gets nothing. A request that was taken is handled to its end whether or not the client
/// is still there. Runs on a current-thread runtime, inside a `LocalSet`.
pub async fn serve<H, F>(
    listener: TcpListener,
    limits: Limits,
    handler: H,
    stop: impl Future<Output = ()>,
) where
    H: Fn(HttpRequest) -> F + Clone + 'static,
    F: Future<Output = HttpResponse> + 'static,
{
    let mut connections = JoinSet::new();
    let (stopping, stopped) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        while connections.try_join_next().is_some() {}
        let room = connections.len() < limits.connections;
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn_local(handle(stream, limits, handler.clone(), stopped.clone()));
                }
                // Too many open files, or a connection that was gone at once: others may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            },
            _ = connections.join_next(), if !room => {}
        }
    }
    drop((listener, stopping));
    while connections.join_next().await.is_some() {}
}

async fn handle<H, F>(
    mut stream: TcpStream,
    limits: Limits,
    handler: H,
    mut stopped: watch::Receiver<()>,
) where
    H: Fn(HttpRequest) -> F,
    F: Future<Output = HttpResponse>,
{
    // Small answers should not wait for more to send; where that cannot be had, they do.
    let _ = stream.set_nodelay(true);
    let received = tokio::select! {
        received = receive(&mut stream, &limits) => received,
        // Nothing is ever sent; it ends when serving does.
        _ = stopped.changed() => return,
    };
    match received {
        Received::Nothing => {}
        Received::Refused(refusal) => answer(stream, &refusal, true).await,
        Received::Request(request) => {
            let response = handler(request).await;
            answer(stream, &response, false).await;
        }
    }
}

/// An answer that is not taken within this time is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// After a refusal unread bytes are thrown away for so long, and no more than so many: closing
/// a socket with unread bytes resets it, and the client would never see the answer.
const LINGER: Duration = Duration::from_millis(500);

const MOST_LINGERING_BYTES: usize = 1 << 20;

/// What came over a connection; nothing if the client hung up.
enum Received {
    Request(HttpRequest),
    Refused(HttpResponse),
    Nothing,
}

async fn receive(stream: &mut TcpStream, limits: &Limits) -> Received {
    let mut bytes = Vec::with_capacity(512);
    let deadline = Instant::now() + limits.head_deadline;
    let mut looked_at = 0;
    let end = loop {
        // The end may begin in what was read before.
        let from = usize::saturating_sub(looked_at, 3);
        if let Some(end) = head_end(&bytes[from..]) {
            break from + end;
        }
        looked_at = bytes.len();
        if bytes.len() >= limits.head_bytes {
            return Received::Refused(HttpResponse::refusal(431, "the head is too long"));
        }
        let room = limits.head_bytes - bytes.len();
        match timeout_at(deadline, (&mut *stream).take(room as u64).read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Received::Nothing,
            Err(_) => {
                return Received::Refused(HttpResponse::refusal(408, "the head took too long"));
            }
        }
    };
    let head = match parse(&bytes[..end]) {
        Ok(head) => head,
        Err(refusal) => return Received::Refused(refusal),
    };
    let body = bytes.split_off(end);
    receive_body(stream, limits, head, body).await
}

async fn receive_body(
    stream: &mut TcpStream,
    limits: &Limits,
    head: Head,
    mut body: Vec<u8>,
) -> Received {
    let Head { method, path, json, length } = head;
    let deadline = Instant::now() + limits.body_deadline;
    while body.len() < length {
        let room = (length - body.len()) as u64;
        match timeout_at(deadline, (&mut *stream).take(room).read_buf(&mut body)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Received::Nothing,
            Err(_) => {
                return Received::Refused(HttpResponse::refusal(408, "the body took too long"));
            }
        }
    }
    // A second request behind the first, or a body longer than it says.
    if body.len() > length {
        let reason = "expected one request a connection, and a body as long as its Content-Length";
        return Received::Refused(HttpResponse::refusal(400, reason));
    }
    Received::Request(HttpRequest { method, path, json, body })
}

/// The length of a head, its empty line included, if it is whole.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Sends an answer and ends the connection. That a client has gone is nobody's error.
async fn answer(mut stream: TcpStream, response: &HttpResponse, refused: bool) {
    let bytes = response.bytes();
    let send = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    let sent = timeout(WRITE_DEADLINE, send).await;
    if refused && matches!(sent, Ok(Ok(()))) {
        let _ = timeout(LINGER, throw_away(&mut stream)).await;
    }
}

async fn throw_away(stream: &mut TcpStream) {
    let (mut buffer, mut left) = (vec![0; 8192], MOST_LINGERING_BYTES);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        left = left.saturating_sub(n);
        if left == 0 {
            return;
        }
    }
}

// ---- The head of a request: what it may hold, and what it is refused for.

/// A head that is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    method: Method,
    path: String,
    json: bool,
    /// Bytes of the body.
    length: usize,
}

/// More header lines than this are refused.
const MOST_HEADERS: usize = 64;

/// More bytes of a body than this are refused; an identifier in JSON takes some forty.
const LONGEST_BODY: usize = 1024;

/// Parses a head, its empty line included.
fn parse(bytes: &[u8]) -> Result<Head, HttpResponse> {
    let refused = |status, reason: &str| Err(HttpResponse::refusal(status, reason));
    if !has_plain_lines(bytes) {
        return refused(400, "lines of a head end with CR LF, and it begins with the method");
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return refused(431, "too many headers"),
        Ok(_) | Err(_) => return refused(400, "this is no HTTP/1.1 request"),
    }
    if request.version != Some(1) {
        return refused(400, "expected HTTP/1.1");
    }
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        _ => {
            let refusal = HttpResponse::refusal(405, "expected GET or POST");
            return Err(refusal.with_header("allow", "GET, POST".to_owned()));
        }
    };
    let path = request.path.unwrap_or_default();
    if !path.starts_with('/') {
        return refused(400, "expected a path that begins with a slash");
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        named.map(|h| h.value).collect()
    };
    if values("host").len() != 1 {
        return refused(400, "expected one Host header");
    }
    // Web pages send an Origin, clients of a load balancer do not.
    for name in ["transfer-encoding", "upgrade", "origin"] {
        if !values(name).is_empty() {
            return refused(400, &format!("the header {name} is not accepted"));
        }
    }
    if !values("expect").is_empty() {
        return refused(417, "expectations are not met");
    }
    let length = match values("content-length").as_slice() {
        [] if method == Method::Post => return refused(411, "expected a Content-Length"),
        [] => 0,
        [digits] => match length(digits) {
            Some(length) => length,
            None => return refused(400, "a Content-Length is a number in digits"),
        },
        _ => return refused(400, "expected one Content-Length"),
    };
    if length > LONGEST_BODY {
        return refused(413, "the body is too long");
    }
    if method == Method::Get && length > 0 {
        return refused(400, "a GET has no body");
    }
    let json = values("content-type")
        .first()
        .is_some_and(|v| v.to_ascii_lowercase().starts_with(b"application/json"));
    Ok(Head { method, path: path.to_owned(), json, length })
}

/// Whether every line ends with CR LF, no other CR or LF is there, and nothing stands before the
/// method. httparse takes more than that.
fn has_plain_lines(bytes: &[u8]) -> bool {
    let plain = |(i, byte): (usize, &u8)| match byte {
        b'\n' => i > 0 && bytes[i - 1] == b'\r',
        b'\r' => bytes.get(i + 1) == Some(&b'\n'),
        _ => true,
    };
    bytes.first().is_some_and(u8::is_ascii_uppercase) && bytes.iter().enumerate().all(plain)
}

/// A length in digits alone: `+24` is a number for Rust, and a way to smuggle for others.
fn length(digits: &[u8]) -> Option<usize> {
    let plain = !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |n, digit| 10 * n + usize::from(digit - b'0')))
}

/// The methods that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With one.
    Post,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Its target, which begins with a slash; a query is part of it.
    pub path: String,
    /// Whether its content type says JSON.
    pub json: bool,
    /// Its body; empty for [`Method::Get`].
    pub body: Vec<u8>,
}

/// A response with a body that is at hand, always JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl HttpResponse {
    /// A response with this body.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error, as `{"status":"refused","reason":"..."}`.
    pub fn refusal(status: u16, reason: &str) -> Self {
        let body = serde_json::json!({ "status": "refused", "reason": reason });
        Self::json(status, body.to_string())
    }

    /// The same with one more header; name and value must be such as HTTP allows.
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// As it goes over the wire; the connection ends with it.
    fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n",
            self.status,
            reason_phrase(self.status),
            self.body.len()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// RFC 9110, section 15.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// The identifier that a request carries: 24 letters and digits as they are, or `{"id": "..."}`.
///
/// # Errors
/// The response that refuses anything else.
pub fn identifier(request: &HttpRequest) -> Result<Identifier, HttpResponse> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<'a> {
        id: &'a str,
    }
    let refused = |reason: &str| HttpResponse::refusal(400, reason);
    let expected = "expected 24 ASCII letters and digits, or {\"id\": \"...\"} with them";
    let bytes = request.body.as_slice();
    if !request.json && bytes.first() != Some(&b'{') {
        return Identifier::from_bytes(bytes).map_err(|_| refused(expected));
    }
    let body: Body = serde_json::from_slice(bytes).map_err(|_| refused(expected))?;
    Identifier::from_bytes(body.id.as_bytes()).map_err(|_| refused(expected))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{Read, Write};
    use std::net::SocketAddr;
    use std::rc::Rc;
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;
    use tokio::task::LocalSet;

    use super::*;

    fn status(head: &str) -> u16 {
        parse(head.as_bytes()).map_or_else(|refusal| refusal.status, |_| 200)
    }

    fn post(lines: &str) -> u16 {
        status(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
    }

    #[test]
    fn what_is_expected_is_taken() {
        let text = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-TYPE: application/json; q\r\n\
                    CONTENT-length: 24\r\nX: y\r\n\r\n";
        let head = parse(text.as_bytes()).unwrap();
        let path = "/x".to_owned();
        assert_eq!(head, Head { method: Method::Post, path, json: true, length: 24 });
        assert_eq!(status("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    }

    /// Beside what `tests/suite/proxy/hostile.rs` sends to a whole proxy.
    #[test]
    fn what_two_programs_may_read_in_two_ways_is_refused() {
        assert_eq!(post("Content-Length: 24\r\n"), 200);
        for bad in ["+24", "24, 24", "0x18", "-1", "", "2 4", "24;", "99999999999999999999"] {
            assert_eq!(post(&format!("Content-Length: {bad}\r\n")), 400, "{bad}");
        }
        assert_eq!(post("Content-Length: 1025\r\n"), 413);
        assert_eq!(post("Content-Length: 24\r\nOrigin: http://x\r\n"), 400);
        assert_eq!(status("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\nHost: a\n\r\n\r\n"), 400);
        for headers in [
            "Host: a\r\nX: a\rb",
            "Host: a\r\n b",
            "Host : a",
            "Host: a\r\nHost: a",
            "Host: a\r\nContent-Length: 3",
        ] {
            assert_eq!(status(&format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n")), 400, "{headers}");
        }
        assert_eq!(post(&"X: y\r\n".repeat(MOST_HEADERS)), 431);
    }

    fn of(json: bool, body: &str) -> Result<Identifier, HttpResponse> {
        let body = body.as_bytes().to_vec();
        identifier(&HttpRequest { method: Method::Post, path: "/".to_owned(), json, body })
    }

    #[test]
    fn identifiers_come_plain_or_as_json() {
        let id = "abcdefghijklmnopqrstuvWX";
        assert_eq!(of(false, id).unwrap().as_str(), id);
        let json = format!("{{\"id\": \"{id}\"}}");
        assert_eq!(of(true, &json).unwrap().as_str(), id);
        assert_eq!(of(false, &json).unwrap().as_str(), id);
        let other_key = format!("{{\"id\": \"{id}\", \"x\": 1}}");
        for bad in ["", "abc", &format!("{id}Y"), "{\"id\": 7}", "{\"id\": \"abc\"}", &other_key] {
            assert_eq!(of(true, bad).unwrap_err().status, 400, "{bad}");
            assert_eq!(of(false, bad).unwrap_err().status, 400, "{bad}");
        }
    }

    /// Serves while `client` runs; gives what it returned and the bodies that were handled.
    fn with_server<T: Send + 'static>(
        limits: Limits,
        client: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> (T, Vec<Vec<u8>>) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handled = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&handled);
        let handler = move |request: HttpRequest| {
            seen.borrow_mut().push(request.body);
            async { HttpResponse::json(200, "{}") }
        };
        let found = LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (done, stop) = oneshot::channel();
            let client = thread::spawn(move || {
                let found = client(address);
                let _ = done.send(());
                found
            });
            serve(listener, limits, handler, async { drop(stop.await) }).await;
            client.join().unwrap()
        });
        (found, handled.take())
    }

    fn exchange(address: SocketAddr, parts: &[&[u8]]) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        for part in parts {
            // The server may have refused and closed already.
            let _ = stream.write_all(part);
            thread::sleep(Duration::from_millis(5));
        }
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    }

    const WHOLE: &[u8] =
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\nabcdefghijklmnopqrstuvwx";

    #[test]
    fn a_request_in_pieces_is_taken_and_a_longer_one_refused() {
        let (answers, handled) = with_server(Limits::default(), |address| {
            let pieces: Vec<&[u8]> = WHOLE.chunks(13).collect();
            let two = [WHOLE, WHOLE].concat();
            [exchange(address, &pieces), exchange(address, &[&two])]
        });
        assert!(answers[0].starts_with("HTTP/1.1 200 OK\r\n"), "{}", answers[0]);
        assert!(answers[1].starts_with("HTTP/1.1 400 "), "{}", answers[1]);
        assert_eq!(handled, [b"abcdefghijklmnopqrstuvwx".to_vec()]);
    }

    #[test]
    fn slow_heads_and_bodies_are_refused_with_an_answer() {
        let short = Duration::from_millis(60);
        let limits = Limits { head_deadline: short, body_deadline: short, ..Limits::default() };
        let (answers, handled) = with_server(limits, |address| {
            [&WHOLE[..20], &WHOLE[..WHOLE.len() - 3]].map(|part| exchange(address, &[part]))
        });
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 408 ")), "{answers:?}");
        assert!(handled.is_empty());
    }

    #[test]
    fn connections_beyond_the_limit_wait_their_turn() {
        let limits = Limits { connections: 2, ..Limits::default() };
        let (answers, handled) = with_server(limits, |address| {
            let clients: Vec<_> =
                (0..20).map(|_| thread::spawn(move || exchange(address, &[WHOLE]))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<String>>()
        });
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")));
        assert_eq!(handled.len(), 20);
    }
}
