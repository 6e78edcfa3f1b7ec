//! Accepting connections, up to a limit, until told to stop.

use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{Received, answer, receive};
use super::{HttpRequest, HttpResponse};

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr};
    use std::rc::Rc;
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;
    use tokio::task::LocalSet;

    use super::*;

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
    fn slow_and_giant_heads_and_slow_bodies_are_refused_with_an_answer() {
        let short = Duration::from_millis(60);
        let limits = Limits { head_deadline: short, body_deadline: short, ..Limits::default() };
        let (answers, handled) = with_server(limits, |address| {
            let giant = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(200_000));
            [
                exchange(address, &[b"POST / HTTP/1.1\r\nHost"]),
                exchange(address, &[&WHOLE[..WHOLE.len() - 3]]),
                exchange(address, &[giant.as_bytes()]),
            ]
        });
        for (answer, status) in answers.iter().zip(["408", "408", "431"]) {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert!(handled.is_empty());
    }

    #[test]
    fn who_hangs_up_early_is_not_heard() {
        let ((), handled) = with_server(Limits::default(), |address| {
            for length in [0, 20, WHOLE.len() - 1] {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.write_all(&WHOLE[..length]).unwrap();
                stream.shutdown(Shutdown::Both).unwrap();
            }
        });
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
