//! The proxy: one decision thread, the same balancer as in the simulator, blocking attempts.
//!
//! ```text
//! http front --Arrived--> decision thread (Balancer::handle) --jobs--> senders --> servers
//!     ^                     |        ^                                   |
//!     +------reply----------+        +-------------Finished--------------+
//!                           |
//!                           +--notes--> recorder: trace, events log, metrics file
//! ```
//!
//! Every request that was taken is answered exactly once: by the balancer's word, or with 503 when
//! the proxy ends first. A request whose client has hung up is served and counted like any other.
//!
//! When not to use it: in front of anything that matters; it forwards identifiers, no requests.

mod attempts;
mod decisions;
mod events;
mod files;
mod front;
mod notes;
mod recorder;
mod senders;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::decisions::{Decisions, Hands};
use self::front::{Door, Listening, Newest, Reply};
use self::recorder::Recorder;
use self::senders::{Report, Senders};
use super::calendar::Clock;
use super::{Client, ClientError, Target};
use crate::balancer::{Balancer, Ledger};
use crate::domain::{Fleet, Identifier, Purpose, Rules, Streams};
use crate::strategy::StrategySpec;

pub use self::events::{EventsError, Step};
pub use self::files::{FileError, Files};

/// The most requests that a proxy serves at the same time; each takes a thread.
pub const MOST_IN_SERVICE: usize = 1024;

/// Everything that a proxy needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Who decides.
    pub strategy: StrategySpec,
    /// The master seed; the strategy's coins are those of its first replication.
    pub seed: u64,
    /// The rules.
    pub rules: Rules,
    /// The rate that is expected; `give_up_after_ms` depends on it unless it is given.
    pub requests_per_second: f64,
    /// The config, or the model's name.
    pub config: String,
    /// What the strategy is told of the servers.
    pub fleet: Fleet,
    /// The model's port of each server, which names it in all files.
    pub ports: Vec<u16>,
    /// Where each server really is; as many.
    pub targets: Vec<Target>,
    /// The `session_id` of the trace.
    pub session: Option<String>,
}

/// A proxy that cannot begin, or could not write down all.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// As many ports as servers, and at least one.
    #[error("{targets} targets for {ports} servers; expected exactly one for each")]
    Targets {
        /// Targets given.
        targets: usize,
        /// Servers of the model.
        ports: usize,
    },
    /// A thread each would be too much.
    #[error("{0} requests in service at a time are too many; expected at most {MOST_IN_SERVICE}")]
    InService(usize),
    /// Somebody else listens there.
    #[error(
        "port {0} on 127.0.0.1 is taken by another program; end that one, or choose another port \
         (0 for any that is free)"
    )]
    Taken(u16),
    /// The port cannot be had.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread or no client.
    #[error("cannot start the proxy")]
    Start(#[source] io::Error),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file cannot be written, or could not be written to its end.
    #[error(transparent)]
    File(#[from] FileError),
    /// A thread of the proxy ended in the middle.
    #[error("the proxy's {0} broke down; this is a bug of flakelab")]
    Broken(&'static str),
}

/// What the decision thread waits for.
#[derive(Debug)]
enum Message {
    Arrived { identifier: Identifier, read_at: Instant, reply: oneshot::Sender<Reply> },
    Finished(Report),
    Stop,
}

/// Ends a proxy, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Message>);

impl Stopper {
    /// Asks the proxy to end. Doing it again changes nothing.
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
    /// See [`ProxyError`].
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
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Serves until stopped; the calling thread becomes the decision thread. Then no more is
    /// taken, what is in service and in the queue has a second to be answered as ever, the
    /// rest is answered 503, and the files are completed.
    ///
    /// Attempts whose outcome nobody waited for are in the counts of those sent, and not in the
    /// trace.
    ///
    /// # Errors
    /// A thread that the system does not give, a file that could not be written.
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

/// A fresh balancer, as a replay needs it too.
#[must_use]
pub fn balancer(settings: &Settings) -> Balancer {
    let servers = settings.ports.len();
    let coins = Streams::new(settings.seed).stream(Purpose::Strategy, 0, 0);
    let strategy = settings.strategy.build(&settings.fleet, coins);
    Balancer::new(strategy, settings.rules, settings.requests_per_second, servers)
}
