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
mod clock;
mod decisions;
mod events;
mod front;
mod notes;
mod recorder;
mod senders;
mod tally;

use std::fs::File;
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::attempts::{AttemptLog, Labels};
use self::clock::Clock;
use self::decisions::{Decisions, Hands};
use self::events::EventWriter;
use self::front::{Door, Listening, Newest, Reply};
use self::notes::State;
use self::recorder::Recorder;
use self::senders::{Report, Senders};
use self::tally::{Seen, Tally};
use super::{Client, ClientError, Target};
use crate::balancer::{Balancer, Ledger};
use crate::domain::{Identifier, Purpose, Rules, Streams, Timestamp};
use crate::strategy::StrategySpec;

pub use self::events::{EventsError, Step};
pub use self::recorder::RecordError;

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
    /// The model's port of each server, which names it in all files.
    pub ports: Vec<u16>,
    /// Where each server really is; as many.
    pub targets: Vec<Target>,
    /// The `session_id` of the trace.
    pub session: Option<String>,
}

/// The files that a proxy writes.
#[derive(Debug, Default)]
pub struct Files {
    /// The metrics file, replaced again and again.
    pub metrics: Option<PathBuf>,
    /// The trace, with its name for messages.
    pub trace: Option<(PathBuf, File)>,
    /// The events log, with its name for messages.
    pub events: Option<(PathBuf, File)>,
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
    /// A file is not complete.
    #[error(transparent)]
    Record(#[from] RecordError),
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
    listening: Listening,
    address: SocketAddr,
    client: Client,
    sender: Sender<Message>,
    messages: Receiver<Message>,
}

impl Proxy {
    /// Listens on 127.0.0.1; port 0 is any that is free. Nothing is contacted.
    ///
    /// # Errors
    /// See [`ProxyError`].
    pub fn bind(settings: Settings, port: u16) -> Result<Self, ProxyError> {
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
        let timeout = Duration::from_nanos(settings.rules.attempt_timeout().as_nanos());
        let client = Client::new(timeout)?;
        let (sender, messages) = channel();
        Ok(Self { settings, listening, address, client, sender, messages })
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

    /// Serves until stopped; this is the decision thread. Then gives what is in service and in
    /// the queue a second, answers the rest 503, and completes the files.
    ///
    /// # Errors
    /// A thread that the system does not give, a file that could not be written.
    pub fn run(self, files: Files) -> Result<Ledger, ProxyError> {
        let Self { settings, listening, client, sender, messages, .. } = self;
        let clock = Clock::start();
        let balancer = balancer(&settings);
        let newest = Newest::default();
        let recorder = recorder(&settings, clock, newest.clone(), files)?;
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
    let strategy = settings.strategy.build(servers, coins);
    Balancer::new(strategy, settings.rules, settings.requests_per_second, servers)
}

fn recorder(
    settings: &Settings,
    clock: Clock,
    newest: Newest,
    files: Files,
) -> Result<Recorder, ProxyError> {
    let strategy = settings.strategy;
    let labels = Labels {
        session: settings.session.clone(),
        strategy: strategy.alias().unwrap_or(strategy.name()).to_owned(),
        ports: settings.ports.clone(),
    };
    let trace = match files.trace {
        Some((path, file)) => {
            Some((path, AttemptLog::new(file, clock, labels).map_err(ProxyError::Start)?))
        }
        None => None,
    };
    let tally = Tally {
        clock,
        rules: settings.rules,
        strategy: strategy.label(),
        config: settings.config.clone(),
        ports: settings.ports.clone(),
        seen: Seen::default(),
    };
    let nothing = State {
        at: Timestamp::ZERO,
        ledger: Ledger::new(settings.ports.len()),
        beliefs: Vec::new(),
        waiting: 0,
        in_service: 0,
    };
    newest.set(tally.metrics(&nothing, false));
    let events = files.events.map(|(path, file)| (path, EventWriter::new(BufWriter::new(file))));
    Ok(Recorder { tally, newest, metrics: files.metrics, trace, events, failed: None })
}
