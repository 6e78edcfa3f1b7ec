//! The proxy: one decision thread, the same balancer as in the simulator, blocking attempts.
//!
//! ```text
//! http front --Arrived--> decision thread (Balancer::handle) --jobs--> senders --> servers
//! ^                     |        ^                                   |
//! +------reply----------+        +-------------Finished--------------+
//! |
//! +--notes--> recorder: trace, events log, metrics file
//! ```
//!
//! Every request that was taken is answered exactly once: by the balancer's word, or with 503 when
//! the proxy ends first. A request whose client has hung up is served and counted like any other.
//!
//! When not to use it: in front of anything that matters; it forwards identifiers, no requests.

mod decisions;
mod log;
mod messages;
mod recorder;
mod senders;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::http::{HttpRequest, HttpResponse, Limits, Method};
use crate::metrics::Metrics;
use crate::proxy::decisions::{Decisions, Hands};
use crate::proxy::messages::{Message, Newest, Reply};
use crate::proxy::recorder::{FileError, Recorder};
use crate::proxy::senders::Senders;
use crate::target::{Client, ClientError};
use crate::{Clock, http};
use flakelab_core::balancer::{Balancer, Ledger, Seat};
use flakelab_core::domain::{Purpose, ServerOrder, Streams};

pub use self::log::Step;
pub use self::messages::Settings;
pub use self::recorder::Files;

/// The most requests that a proxy serves at the same time; each takes a thread.
pub const MOST_IN_SERVICE: usize = 1024;

/// A proxy that cannot begin, or could not write down all.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// As many ports as servers, and at least one.
    #[error("{targets} targets for {ports} servers; expected exactly one for each")]
    Targets { targets: usize, ports: usize },
    /// A thread each would be too much.
    #[error("{0} requests in service at a time are too many; expected at most {MOST_IN_SERVICE}")]
    InService(usize),
    #[error(
        "port {0} on 127.0.0.1 is taken by another program; end that one, or choose another port \
         (0 for any that is free)"
    )]
    Taken(u16),
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen { port: u16, source: io::Error },
    #[error("cannot start the proxy")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the proxy's {0} broke down; this is a bug of flakelab")]
    Broken(&'static str),
}

/// Ends a proxy, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Message>);

impl Stopper {
    /// Doing it again changes nothing.
    pub fn stop(&self) {
        // A proxy that has ended hears nothing, and need not.
        let _ = self.0.send(Message::Stop);
    }
}

/// A proxy that listens and does not serve yet.
#[derive(Debug)]
pub struct Proxy {
    settings: Settings,
    clock: Clock,
    listening: Listening,
    address: SocketAddr,
    client: Client,
    recorder: Recorder,
    newest: Newest,
    sender: Sender<Message>,
    messages: Receiver<Message>,
}

impl Proxy {
    /// Listens on 127.0.0.1, where port 0 is any that is free, and begins the files. Nothing is
    /// contacted. If it fails, no new file is left behind.
    ///
    /// # Errors
    /// A port that is taken, a file that cannot be written, settings that do not fit together.
    pub fn bind(settings: Settings, port: u16, files: &Files) -> Result<Self, ProxyError> {
        let (targets, ports) = (settings.targets.len(), settings.ports.len());
        if targets != ports || ports == 0 {
            return Err(ProxyError::Targets { targets, ports });
        }
        if settings.rules.max_requests_in_service > MOST_IN_SERVICE {
            return Err(ProxyError::InService(settings.rules.max_requests_in_service));
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ProxyError::Taken(port),
            _ => ProxyError::Listen { port, source },
        };
        let listening = Listening::on(port).map_err(failed)?;
        let address = listening.address().map_err(failed)?;
        let clock = Clock::start_in(Duration::ZERO);
        let timeout = Duration::from_nanos(settings.rules.attempt_timeout().as_nanos());
        let client = Client::new(timeout)?;
        let newest = Newest::default();
        let recorder = Recorder::open(&settings, clock, newest.clone(), files)?;
        let (sender, messages) = channel();
        Ok(Self { settings, clock, listening, address, client, recorder, newest, sender, messages })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Serves until stopped; the calling thread becomes the decision thread. Then no more is
    /// taken, what is in service and in the queue has a second to be answered as ever, the
    /// rest is answered 503, and the files are completed.
    ///
    /// Attempts whose outcome nobody waited for are in the counts of those sent, and not in the
    /// trace.
    pub fn run(self) -> Result<Ledger, ProxyError> {
        let Self { settings, clock, listening, client, recorder, newest, sender, messages, .. } =
            self;
        let balancer = balancer(&settings);
        let (notes, recording) = recorder.start().map_err(ProxyError::Start)?;
        let senders = Senders::new(client, settings.targets.into(), sender.clone());
        let (close_front, closed) = oneshot::channel();
        let door = Door { messages: sender, newest };
        let serving = listening.serve(door, closed).map_err(ProxyError::Start)?;
        let hands = Hands::new(senders, notes);
        let close_front = Some(close_front);
        let ledger = Decisions { balancer, clock, messages, hands, close_front }.run();
        serving.join().map_err(|_| ProxyError::Broken("HTTP front"))?;
        recording.join().map_err(|_| ProxyError::Broken("recorder"))??;
        Ok(ledger)
    }
}

/// A fresh balancer, as a replay needs it too: the seed says in which order the strategy sees the
/// servers, and all that it draws.
pub fn balancer(settings: &Settings) -> Balancer {
    let streams = Streams::new(settings.seed);
    let mut words = streams.stream(Purpose::Order, 0, 0);
    let order = ServerOrder::drawn(settings.ports.len(), &mut words);
    let coins = streams.stream(Purpose::Strategy, 0, 0);
    let strategy = settings.strategy.build(&settings.fleet.seen_in(&order), coins);
    let seat = Seat { strategy, order };
    Balancer::new(seat, settings.rules, settings.requests_per_second)
}

// ---- The HTTP front: requests in, answers out, on a thread and a runtime of its own. A request is
// reduced to its identifier here; what is refused is answered here too, and the decision thread
// never hears of it.

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// A port that is listened on, not served yet.
#[derive(Debug)]
struct Listening {
    runtime: Runtime,
    listener: TcpListener,
}

impl Listening {
    /// Listens on 127.0.0.1; port 0 is any that is free.
    fn on(port: u16) -> std::io::Result<Self> {
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

    fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves from a thread of its own until `stop` is sent or dropped, and every request that
    /// was taken is answered.
    fn serve(self, door: Door, stop: oneshot::Receiver<()>) -> std::io::Result<JoinHandle<()>> {
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
struct Door {
    messages: Sender<Message>,
    newest: Newest,
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
