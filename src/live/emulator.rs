//! Stand-ins for servers: all of a model's on one thread, each attempt answered after its latency.
//!
//! What they do with attempts is what they do in the simulator, with luck that nobody replays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, LocalSet};

use crate::http::{self, HttpRequest, HttpResponse, Limits, Method};
use crate::processes::PortsTaken;
use flakelab_core::domain::{Identifier, Outcome, ServerId, Span, Streams, Timestamp};
use flakelab_sim::world::{Instance, Latency, Luck, LuckStream, Model, Stations};

/// When told to stop, attempts whose answer is due within this time are still answered.
const PATIENCE: Duration = Duration::from_millis(200);

/// Connections that wait to be accepted at a server that listens again.
const BACKLOG: u32 = 1024;

/// Longer delays count as this: an hour.
const LONGEST_DELAY_NS: u64 = 3_600_000_000_000;

/// Tells the servers to stop; from any thread, any number of times.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Stops the servers.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    async fn stopped(self) {
        // The sender is held here, so waiting ends by `stop` alone.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// How long after they were due answers were given, apart from writing them.
#[derive(Debug, Clone)]
pub struct Delays(Histogram<u64>);

impl Delays {
    /// How many there were.
    pub fn answers(&self) -> u64 {
        self.0.len()
    }

    /// The delay in microseconds that a share `p` of answers stay below.
    pub fn quantile_us(&self, p: f64) -> f64 {
        self.0.value_at_quantile(p) as f64 * 1e-3
    }
}

/// Servers that could not serve.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    #[error("cannot serve: the system does not give a thread or a socket")]
    System(#[from] std::io::Error),
    #[error("cannot count delays")]
    Counting(#[from] hdrhistogram::CreationError),
}

/// What all connections share.
struct Shared {
    groups: RefCell<Vec<Servers>>,
    delays: RefCell<Histogram<u64>>,
    log: Option<Sender<Entry>>,
    alarm: Alarm,
    start: Instant,
}

/// Serves on this thread until told to stop. Time, for limiters and the log, begins now.
pub fn serve(
    groups: Vec<Servers>,
    listeners: Listeners,
    log: Option<&ServerLog>,
    stop: &Stop,
) -> Result<Delays, EmulatorError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared {
        groups: RefCell::new(groups),
        delays: RefCell::new(Histogram::new_with_bounds(1, LONGEST_DELAY_NS, 3)?),
        log: log.map(|log| log.entries.clone()),
        alarm: Alarm::start()?,
        start: Instant::now(),
    });
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut serving = JoinSet::new();
        for listener in listeners.sockets {
            listener.socket.set_nonblocking(true)?;
            serving.spawn_local(Rc::clone(&shared).serve(listener, stop.clone()));
        }
        stop.clone().stopped().await;
        let all = async {
            while let Some(ended) = serving.join_next().await {
                ended.map_err(std::io::Error::other)??;
            }
            Ok(())
        };
        // What is due later than that stays without an answer, as at any server that ends.
        tokio::time::timeout(PATIENCE, all).await.unwrap_or(Ok::<(), std::io::Error>(()))
    })?;
    let delays = shared.delays.borrow().clone();
    Ok(Delays(delays))
}

impl Shared {
    /// Serves one server until told to stop. While it refuses connections nobody listens at its port,
    /// which is kept all the same, so that nobody else takes it; what was taken before is answered.
    async fn serve(self: Rc<Self>, listener: Listener, stop: Stop) -> std::io::Result<()> {
        let Listener { group, port, socket, address } = listener;
        let mut socket = tokio::net::TcpListener::from_std(socket)?;
        let mut serving = JoinSet::new();
        loop {
            let shared = Rc::clone(&self);
            let handler = move |request| Rc::clone(&shared).answer(group, port, request);
            let (open, closed) = oneshot::channel::<()>();
            let closed = async { drop(closed.await) };
            serving.spawn_local(http::serve(socket, Limits::default(), handler, closed));
            let refuses = self.wait_until_it_refuses(true, group, port, &stop).await;
            drop(open);
            if !refuses {
                break;
            }
            let kept = keep(address).await?;
            if !self.wait_until_it_refuses(false, group, port, &stop).await {
                break;
            }
            socket = kept.listen(BACKLOG)?;
        }
        while serving.join_next().await.is_some() {}
        Ok(())
    }

    /// Waits until a server refuses connections, or no longer does; false if told to stop before.
    async fn wait_until_it_refuses(
        &self,
        refuses: bool,
        group: usize,
        port: u16,
        stop: &Stop,
    ) -> bool {
        let mut stopped = std::pin::pin!(stop.clone().stopped());
        loop {
            let now = self.at(Instant::now());
            let change = match self.groups.borrow().get(group) {
                Some(servers) if servers.refuses(port, now) == refuses => return true,
                Some(servers) => servers.next_change(now),
                None => None,
            };
            let change = async {
                match change {
                    Some(at) => {
                        let due = self.start + Duration::from_nanos(at.as_nanos());
                        self.alarm.wait_until(due).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stopped => return false,
                () = change => {}
            }
        }
    }

    /// Time as the servers have it.
    fn at(&self, moment: Instant) -> Timestamp {
        let since = moment.duration_since(self.start).as_nanos();
        Timestamp::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }

    async fn answer(self: Rc<Self>, group: usize, port: u16, request: HttpRequest) -> HttpResponse {
        let arrived = Instant::now();
        if request.path != "/" {
            return HttpResponse::refusal(404, "attempts go to /");
        }
        if request.method != Method::Post {
            return HttpResponse::refusal(405, "attempts are made with POST");
        }
        let identifier = match http::identifier(&request) {
            Ok(identifier) => identifier,
            Err(refusal) => return refusal,
        };
        let at = self.at(arrived);
        let met = self.groups.borrow_mut().get_mut(group).and_then(|g| g.meet(port, at));
        let Some(Luck { outcome, latency, .. }) = met else {
            // Listeners are made from the servers, so each has its own.
            return HttpResponse::refusal(500, "there is no such server");
        };
        if let Some(log) = &self.log {
            // A log that cannot be written is reported at the end.
            let _ = log.send(Entry { at, port, identifier, outcome, latency });
        }
        let due = arrived + Duration::from_nanos(latency.as_nanos());
        self.alarm.wait_until(due).await;
        let late = Instant::now().saturating_duration_since(due).as_nanos();
        self.delays.borrow_mut().saturating_record(u64::try_from(late).unwrap_or(u64::MAX));
        match outcome {
            Outcome::Success => HttpResponse::json(200, r#"{"status":"ok"}"#),
            Outcome::RateLimited => HttpResponse::json(429, r#"{"status":"rate limited"}"#),
            Outcome::Failure | Outcome::TimedOut => {
                HttpResponse::json(500, r#"{"status":"error"}"#)
            }
        }
    }
}

/// Takes a port without listening at it, once its listener is gone.
async fn keep(address: SocketAddr) -> std::io::Result<TcpSocket> {
    loop {
        let socket = TcpSocket::new_v4()?;
        // Its last connections may still be closing.
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            bound => return bound.map(|()| socket),
        }
    }
}

// ---- Wakes tasks at exact times.
//
// Tokio's timer counts in whole milliseconds, which is as long as most servers take to answer.
// Here one thread sleeps until the earliest deadline on a condition variable, which the system
// serves to within microseconds once its timer slack is taken off (prctl(2), PR_SET_TIMERSLACK:
// 50 microseconds unless a thread asks for less).
//
// When not to use it: for times where a millisecond does not matter.

/// A thread that wakes tasks. Ends when it is dropped; tasks that still wait are woken then.
#[derive(Debug)]
struct Alarm {
    shared: Arc<Alarms>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Alarms {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Tasks that wait, by when they are due; numbers tell those of one moment apart.
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    numbered: u64,
    ended: bool,
}

impl Alarm {
    fn start() -> std::io::Result<Self> {
        let shared = Arc::<Alarms>::default();
        let of_thread = Arc::clone(&shared);
        let run = move || {
            no_timer_slack();
            of_thread.run();
        };
        let thread = thread::Builder::new().name("alarm".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Resolves at `due`.
    async fn wait_until(&self, due: Instant) {
        // An alarm that ended wakes by hanging up.
        let _ = self.register(due).await;
    }

    fn register(&self, due: Instant) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        let mut queue = self.shared.lock();
        queue.numbered += 1;
        let place = (due, queue.numbered);
        queue.waiting.insert(place, wake);
        let earliest = queue.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        drop(queue);
        if earliest {
            self.shared.changed.notify_one();
        }
        woken
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no way to panic, and nothing would depend on it any more.
            let _ = thread.join();
        }
    }
}

impl Alarms {
    /// The queue. Nothing that holds the lock can fail halfway, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut queue = self.lock();
        while !queue.ended {
            let now = Instant::now();
            let due = queue.waiting.first_key_value().map(|((due, _), _)| *due);
            queue = match due {
                Some(due) if due <= now => {
                    if let Some((_, wake)) = queue.waiting.pop_first() {
                        // Nobody waits any more when the connection was given up.
                        let _ = wake.send(());
                    }
                    queue
                }
                Some(due) => {
                    let waited = self.changed.wait_timeout(queue, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        queue.waiting.clear();
    }
}

#[cfg(target_os = "linux")]
fn no_timer_slack() {
    // Without it, tasks are woken some 50 microseconds late; no reason to stop.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(not(target_os = "linux"))]
fn no_timer_slack() {}

/// Where servers listen, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On their ports in the model.
    Model,
    /// The server on port `origin` in the model listens on `base`, the others as far from it as
    /// in the model.
    Moved {
        /// A port in the model, at most that of any server.
        origin: u16,
        /// Where it is moved.
        base: u16,
    },
    /// On ports from the system.
    System,
}

/// Sockets that listen.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    /// Which of the groups of servers it belongs to.
    group: usize,
    /// Its server's port in the model.
    port: u16,
    socket: TcpListener,
    address: SocketAddr,
}

/// Servers that cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Ports of two models overlap, and a log could not tell their servers apart.
    #[error(
        "port {0} belongs to two models, {1} and {2}; give one of them other ports \
         ([ports] in its file), or serve them one after the other"
    )]
    Overlap(u16, String, String),
    /// Moving goes beyond the last port.
    #[error(
        "port {0} of model {1} cannot be moved that far: ports end at 65535; choose a \
         smaller --port-base"
    )]
    NoSuchPort(u16, String),
    /// Others listen there.
    #[error(transparent)]
    Taken(#[from] PortsTaken),
    /// The system does not allow it.
    #[error("cannot listen on {0}")]
    Refused(SocketAddr, #[source] std::io::Error),
}

impl Place {
    /// The port that a server listens on; 0 leaves it to the system.
    fn port(self, model_port: u16) -> Option<u16> {
        match self {
            Self::Model => Some(model_port),
            Self::System => Some(0),
            Self::Moved { origin, base } => {
                model_port.checked_sub(origin)?.checked_add(base).filter(|port| *port > 0)
            }
        }
    }
}

impl Listeners {
    /// Listens for all servers of all groups, or for none.
    pub fn bind(groups: &[Servers], place: Place) -> Result<Self, BindError> {
        let mut sockets: Vec<Listener> = Vec::new();
        let mut taken = Vec::new();
        let mut seen: Vec<(u16, &str)> = Vec::new();
        for (group, servers) in groups.iter().enumerate() {
            let model = servers.truth().name.as_str();
            for port in servers.ports() {
                if let Some((_, first)) = seen.iter().find(|(other, _)| *other == port) {
                    return Err(BindError::Overlap(port, (*first).to_owned(), model.to_owned()));
                }
                seen.push((port, model));
                let Some(real) = place.port(port) else {
                    return Err(BindError::NoSuchPort(port, model.to_owned()));
                };
                let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, real));
                let bound = TcpListener::bind(wanted).and_then(|socket| {
                    let address = socket.local_addr()?;
                    Ok(Listener { group, port, socket, address })
                });
                match bound {
                    Ok(listener) => sockets.push(listener),
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        taken.push(wanted);
                    }
                    Err(error) => return Err(BindError::Refused(wanted, error)),
                }
            }
        }
        if !taken.is_empty() {
            return Err(PortsTaken { addresses: taken }.into());
        }
        Ok(Self { sockets })
    }

    /// The servers' ports in the models, and where they listen.
    pub fn addresses(&self) -> impl Iterator<Item = (u16, SocketAddr)> {
        self.sockets.iter().map(|listener| (listener.port, listener.address))
    }
}

// ---- The servers' own log: one line an attempt, in the order in which the servers met them, whether
// or not the client was still there for the answer; written off the path of requests.
// results/README.md explains the columns.

/// Whoever reads along sees a line at most this much late.
const FLUSHED_EVERY: Duration = Duration::from_millis(100);

const HEADER: &str = "at_s,port,request_id,outcome,latency_ms";

/// What a server met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    at: Timestamp,
    port: u16,
    identifier: Identifier,
    outcome: Outcome,
    latency: Span,
}

/// A log that is being written by a thread of its own.
#[derive(Debug)]
pub struct ServerLog {
    path: PathBuf,
    entries: Sender<Entry>,
    writer: JoinHandle<std::io::Result<()>>,
}

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the servers' log {path}; choose another file with --log")]
pub struct LogError {
    path: String,
    source: std::io::Error,
}

impl ServerLog {
    /// A file of that name is replaced.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let (entries, received) = channel();
        let begin = || {
            let mut file = BufWriter::new(File::create(path)?);
            writeln!(file, "{HEADER}")?;
            file.flush()?;
            let write = move || write(file, &received);
            thread::Builder::new().name("server log".to_owned()).spawn(write)
        };
        let path = path.to_owned();
        match begin() {
            Ok(writer) => Ok(Self { path, entries, writer }),
            Err(source) => Err(LogError { path: path.display().to_string(), source }),
        }
    }

    /// Ends the log when the last handle is gone: everything is in the file then.
    pub fn finish(self) -> Result<(), LogError> {
        drop(self.entries);
        let lost = || Err(std::io::Error::other("the writer ended early"));
        let written = self.writer.join().unwrap_or_else(|_| lost());
        written.map_err(|source| LogError { path: self.path.display().to_string(), source })
    }
}

fn write(mut file: BufWriter<File>, entries: &Receiver<Entry>) -> std::io::Result<()> {
    while let Ok(first) = entries.recv() {
        let due = Instant::now() + FLUSHED_EVERY;
        let left = || due.saturating_duration_since(Instant::now());
        line(&mut file, &first)?;
        while !left().is_zero()
            && let Ok(entry) = entries.recv_timeout(left())
        {
            line(&mut file, &entry)?;
        }
        file.flush()?;
    }
    Ok(())
}

fn line(file: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
    let Entry { at, port, identifier, outcome, latency } = entry;
    // To the nanosecond, so that limiters can be asked again and say the same.
    let (at, latency) = (at.as_nanos(), latency.as_nanos());
    writeln!(
        file,
        "{}.{:09},{port},{identifier},{},{}.{:06}",
        at / 1_000_000_000,
        at % 1_000_000_000,
        outcome.name(),
        latency / 1_000_000,
        latency % 1_000_000
    )
}

/// A server of which everything is known, to measure the path to it: one server on port 4000 in the
/// model. It answers after exactly 1 ms, fails every second attempt on average, so that retries are
/// measured too, and never refuses.
pub fn null_model() -> Model {
    Model { name: "null".to_owned(), ..Model::of_rates(&[0.5]) }
}

/// One draw of a model's servers.
#[derive(Debug)]
pub struct Servers {
    first_port: u16,
    truth: Model,
    latency: Latency,
    stations: Stations,
    /// By server.
    luck: Vec<LuckStream>,
}

impl Servers {
    /// The servers of one replication of a model: its error rates, limiters, conditions and luck are
    /// those that the simulator has there. Where the model has a posterior, the population of error
    /// rates and the limit are one row each, for as long as these servers run.
    pub fn draw(model: &Model, seed: u64, replication: u64) -> Self {
        let streams = Streams::new(seed);
        let mut truth = model.drawn(&streams, replication);
        // TOML has no whole numbers of 64 bits without a sign.
        truth.provenance.insert("seed".to_owned(), seed.to_string().into());
        truth.provenance.insert("replication".to_owned(), replication.to_string().into());
        let instance = Instance::draw(model, &streams, replication);
        let luck = |id: ServerId| {
            LuckStream::new(instance.error_rates[id.index()], id, &streams, replication)
        };
        Self {
            first_port: model.ports.first,
            truth,
            latency: model.latency.clone(),
            stations: Stations::new(&instance, &model.latency),
            luck: ServerId::all(model.servers()).map(luck).collect(),
        }
    }

    /// What was drawn, as a model: known to whoever asks these servers, and to nobody who asks
    /// real ones.
    pub fn truth(&self) -> &Model {
        &self.truth
    }

    /// The servers' ports in the model, in order.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = u16> + Clone + use<> {
        let first = self.first_port;
        (0..self.truth.ports.count).map(move |i| first + i)
    }

    /// What an attempt at the server with this port in the model meets that arrives `at` this
    /// time after the start; times must not decrease. None if there is no such server.
    pub fn meet(&mut self, port: u16, at: Timestamp) -> Option<Luck> {
        let server = ServerId(port.checked_sub(self.first_port)?);
        let luck = self.luck.get_mut(server.index())?;
        Some(self.stations.meet(server, at, || luck.draw(&self.latency)))
    }

    /// Whether the server with this port in the model refuses connections.
    fn refuses(&self, port: u16, at: Timestamp) -> bool {
        port.checked_sub(self.first_port).is_some_and(|i| self.stations.refuses(ServerId(i), at))
    }

    /// When that may change next, after `now`.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.stations.next_change(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_sim::world::RateLimit;

    #[test]
    fn tasks_are_woken_in_the_order_they_are_due_and_never_early() {
        let alarm = Alarm::start().unwrap();
        let begin = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let woken = std::cell::RefCell::new(Vec::new());
        let sleep = async |ms: u64| {
            let due = begin + Duration::from_millis(ms);
            alarm.wait_until(due).await;
            assert!(Instant::now() >= due);
            woken.borrow_mut().push(ms);
        };
        runtime.block_on(async { tokio::join!(sleep(40), sleep(5), sleep(20), sleep(0)) });
        assert_eq!(woken.take(), [0, 5, 20, 40]);
    }

    #[test]
    fn an_alarm_that_ends_leaves_nobody_waiting() {
        let alarm = Arc::new(Alarm::start().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let shared = Arc::clone(&alarm.shared);
        thread::spawn(move || {
            while shared.lock().waiting.is_empty() {
                thread::yield_now();
            }
            shared.lock().ended = true;
            shared.changed.notify_one();
        });
        runtime.block_on(alarm.wait_until(Instant::now() + Duration::from_secs(3600)));
    }

    /// Of 2,000 starts as many have a limit of a kind as the posterior has rows of it: within 4.5
    /// standard deviations, false alarm 7e-6.
    #[test]
    fn every_start_draws_its_limit_from_the_rows_as_it_draws_its_rates() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/config-1.toml");
        let model = Model::read(&path).unwrap();
        let rows = model.rate_limit_posterior.rows();
        let window = |limit: &RateLimit| matches!(limit, RateLimit::FixedWindow { .. });
        let share = rows.iter().filter(|limit| window(limit)).count() as f64 / rows.len() as f64;
        assert!((0.1..0.9).contains(&share));
        let truths: Vec<Model> =
            (0..2_000).map(|seed| Servers::draw(&model, seed, 0).truth).collect();
        assert!(truths.iter().all(|truth| rows.contains(&truth.rate_limit)));
        let windows = truths.iter().filter(|truth| window(&truth.rate_limit)).count() as f64;
        let expected = 2_000.0 * share;
        assert!((windows - expected).abs() < 4.5 * (expected * (1.0 - share)).sqrt(), "{windows}");
        let mut limits: Vec<String> =
            truths.iter().map(|truth| format!("{:?}", truth.rate_limit)).collect();
        limits.sort();
        limits.dedup();
        assert!(limits.len() > 100, "{}", limits.len());
        assert_eq!(Servers::draw(&model, 9, 0).truth, truths[9], "the seed draws the same again");
    }

    #[test]
    fn a_base_moves_all_ports_alike() {
        let place = Place::Moved { origin: 4000, base: 14_000 };
        assert_eq!([4000, 4009, 6003].map(|p| place.port(p)), [14_000, 14_009, 16_003].map(Some));
        assert_eq!(place.port(3999), None);
        assert_eq!(Place::Moved { origin: 4000, base: 65_000 }.port(5000), None);
    }
}
