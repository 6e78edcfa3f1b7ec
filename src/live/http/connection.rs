//! One connection: a request within its deadlines, an answer, the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::head::{self, Head};
use super::{HttpRequest, HttpResponse, Limits};

/// An answer that is not taken within this time is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// After a refusal unread bytes are thrown away for so long, and no more than so many: closing
/// a socket with unread bytes resets it, and the client would never see the answer.
const LINGER: Duration = Duration::from_millis(500);
const MOST_LINGERING_BYTES: usize = 1 << 20;

/// What came over a connection.
pub(super) enum Received {
    /// A request.
    Request(HttpRequest),
    /// Something that is refused.
    Refused(HttpResponse),
    /// The client hung up.
    Nothing,
}

/// Reads one request.
pub(super) async fn receive(stream: &mut TcpStream, limits: &Limits) -> Received {
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
    let head = match head::parse(&bytes[..end]) {
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
pub(super) async fn answer(mut stream: TcpStream, response: &HttpResponse, refused: bool) {
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
