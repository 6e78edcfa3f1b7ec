//! The HTTP front: requests in, answers out, on a thread and a runtime of its own.
//!
//! A request is reduced to its identifier here; nothing else of it goes any further. What is
//! refused is answered here too, and the decision thread never hears of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::Message;
use crate::live::http::{self, HttpRequest, HttpResponse, Limits, Method};
use crate::metrics::Metrics;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The answer to a request: 200 if `ok`, else 500.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) ok: bool,
    pub(super) attempts: u32,
}

/// A port that is listened on, not served yet.
#[derive(Debug)]
pub(super) struct Listening {
    runtime: Runtime,
    listener: TcpListener,
}

impl Listening {
    /// Listens on 127.0.0.1; port 0 is any that is free.
    pub(super) fn on(port: u16) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            // A port whose last owner has just ended may be used again; one in use may not.
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            socket.listen(BACKLOG)?
        };
        Ok(Self { runtime, listener })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves from a thread of its own until `stop` is sent or dropped, and every request that
    /// was taken is answered.
    pub(super) fn serve(
        self,
        door: Door,
        stop: oneshot::Receiver<()>,
    ) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("http front".to_owned()).spawn(move || {
            let handler = move |request| handle(request, door.clone());
            let stop = async { drop(stop.await) };
            let serving = http::serve(self.listener, Limits::default(), handler, stop);
            LocalSet::new().block_on(&self.runtime, serving);
        })
    }
}

/// What the front shares with the rest of the proxy.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) messages: Sender<Message>,
    pub(super) newest: Newest,
}

/// The newest metrics.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Arc<Metrics>>>);

impl Newest {
    pub(super) fn set(&self, metrics: Metrics) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(metrics);
    }

    pub(super) fn get(&self) -> Arc<Metrics> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn handle(request: HttpRequest, door: Door) -> HttpResponse {
    let read_at = Instant::now();
    match (request.method, request.path.as_str()) {
        (Method::Post, "/") => deliver(&request, read_at, &door.messages).await,
        (Method::Get, "/health") => HttpResponse::json(200, health(&door.newest.get())),
        (Method::Get, "/metrics.json") => match serde_json::to_vec(&*door.newest.get()) {
            Ok(body) => HttpResponse::json(200, body),
            Err(_) => HttpResponse::json(500, r#"{"status":"error"}"#),
        },
        (_, "/") => not_allowed("POST"),
        (_, "/health" | "/metrics.json") => not_allowed("GET"),
        _ => HttpResponse::json(
            404,
            r#"{"status":"refused","reason":"there are POST /, GET /health and GET /metrics.json"}"#,
        ),
    }
}

async fn deliver(
    request: &HttpRequest,
    read_at: Instant,
    messages: &Sender<Message>,
) -> HttpResponse {
    let identifier = match http::identifier(request) {
        Ok(identifier) => identifier,
        Err(refusal) => return refusal,
    };
    let (reply, answer) = oneshot::channel();
    // A message that nobody takes is dropped, and its `reply` with it: the answer is then an error.
    let _ = messages.send(Message::Arrived { identifier, read_at, reply });
    match answer.await {
        Ok(Reply { ok: true, attempts }) => answered(200, r#"{"status":"ok"}"#, attempts),
        Ok(Reply { ok: false, attempts }) => answered(500, r#"{"status":"error"}"#, attempts),
        Err(_) => HttpResponse::json(503, r#"{"status":"stopping"}"#),
    }
}

fn answered(status: u16, body: &str, attempts: u32) -> HttpResponse {
    HttpResponse::json(status, body).with_header("x-flakelab-attempts", attempts.to_string())
}

fn not_allowed(method: &str) -> HttpResponse {
    let body = r#"{"status":"refused","reason":"this path has another method"}"#;
    HttpResponse::json(405, body).with_header("allow", method.to_owned())
}

fn health(metrics: &Metrics) -> String {
    let Metrics { strategy, config, waiting, in_service, .. } = metrics;
    let health = serde_json::json!({
        "status": "ok",
        "strategy": strategy,
        "config": config,
        "waiting": waiting,
        "in_service": in_service,
    });
    health.to_string()
}
