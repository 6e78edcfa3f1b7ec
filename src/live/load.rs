//! The load generator: an open loop, requests leave when they are due.
//!
//! ```text
//! pacing thread --departures--> sending thread (reqwest on tokio) --ends--> the caller's thread
//! waits for due moments         any number of requests in flight            log, progress, Ctrl-C
//! ```
//!
//! Request n is due at start + n / rate, whatever became of those before it, and its latency
//! counts from there. A generator that waits for answers sends less while the server is slow, and
//! so leaves out the very requests that would have waited ("coordinated omission": G. Tene, "How
//! NOT to Measure Latency", 2013; open against closed loops: B. Schroeder, A. Wierman, M.
//! Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006). The drift, how late a
//! request really left, is recorded with each.
//!
//! When not to use it: to find the highest rate that a server sustains; overload makes the
//! generator itself late, which the drift then shows.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{io, thread};

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{mpsc as departures, watch};
use tokio::task::JoinSet;

use crate::Clock;
use crate::target::bare_client;
use flakelab_core::domain::{Identifier, Purpose, Streams, Timestamp};
use flakelab_core::stats::nearest_rank;

/// How long answers are waited for once the load is stopped: long enough for those that are on
/// their way, short enough for a whole program to end within two seconds of Ctrl-C.
const GRACE: Duration = Duration::from_millis(300);

/// How long a wish to stop may go unnoticed.
const LOOK: Duration = Duration::from_millis(20);

/// What is sent where, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The server: `POST /` over a connection of its own for every request.
    pub target: SocketAddr,
    /// How many requests.
    pub requests: u64,
    /// Requests due in a second; finite and above 0.
    pub requests_per_second: f64,
    /// A request without a whole answer this long after it was due is lost.
    pub timeout: Duration,
    /// Where the identifiers come from.
    pub seed: u64,
    /// Tells loads of one seed apart: each number has identifiers of its own.
    pub replication: u64,
    /// The identifier goes as `{"id": "..."}` rather than as plain text.
    pub json: bool,
    /// A request that would be in flight beside this many others is lost instead. Each is an open
    /// file; where the system allows fewer, requests beyond that are lost as not connected.
    pub most_in_flight: usize,
}

impl Schedule {
    /// 100 plain requests, 10 a second, 10 s until one is lost, at most 10,000 in flight.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            requests: 100,
            requests_per_second: 10.0,
            timeout: Duration::from_secs(10),
            seed: 42,
            replication: 0,
            json: false,
            most_in_flight: 10_000,
        }
    }
}

/// Why no load could be sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No rate.
    #[error("{0} requests per second is no rate; expected a finite number above 0")]
    Rate(f64),
    /// The system gave no thread or no event queue.
    #[error("cannot start the load generator")]
    Start(#[source] io::Error),
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client of the load generator")]
    Client(#[source] reqwest::Error),
}

/// Sends the load and returns when every request has ended.
///
/// `on_end` is called on this thread once for every request, in the order in which they end;
/// however slow it is, the schedule is kept. When `stop` becomes true nothing more is sent, and
/// what has no answer a second later is lost.
///
/// # Errors
/// Before anything was sent: see [`LoadError`].
pub fn run(
    schedule: &Schedule,
    stop: &AtomicBool,
    mut on_end: impl FnMut(&Sent),
) -> Result<LoadLog, LoadError> {
    let rate = schedule.requests_per_second;
    if !(rate.is_finite() && rate > 0.0) {
        return Err(LoadError::Rate(rate));
    }
    let exchange = Exchange::new(schedule)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Start)?;
    let (depart, departing) = departures::unbounded_channel();
    let (end, ended) = mpsc::channel();
    let (abandon, abandoned) = watch::channel(false);
    let clock = Clock::start_in(LEAD);
    let mut sent = Vec::new();
    thread::scope(|scope| {
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let most = schedule.most_in_flight;
        thread("load-send")
            .spawn_scoped(scope, move || {
                runtime.block_on(send_all(exchange, most, departing, end, abandoned));
            })
            .map_err(LoadError::Start)?;
        thread("load-pace")
            .spawn_scoped(scope, move || pace(schedule, clock, stop, &depart))
            .map_err(LoadError::Start)?;
        let mut deadline = None;
        loop {
            match ended.recv_timeout(LOOK) {
                Ok(one) => {
                    on_end(&one);
                    sent.push(one);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if stop.load(Ordering::Relaxed) {
                let now = Instant::now();
                if now >= *deadline.get_or_insert(now + GRACE) {
                    abandon.send_replace(true);
                }
            }
        }
    })?;
    sent.sort_unstable_by_key(|one: &Sent| one.number);
    let whole = sent.len() as u64 == schedule.requests;
    let stopped = !whole || sent.iter().any(|one| one.end == End::Lost(Loss::Stopped));
    Ok(LoadLog { started_unix_s: clock.unix_s(Timestamp::ZERO), stopped, sent })
}

const HEADER: [&str; 8] =
    ["number", "request_id", "due_s", "drift_ms", "latency_ms", "status", "attempts", "end"];

/// Writes `requests.csv`: a line for every request of a load, in the order in which they were due.
/// Cells that are not known stay empty; results/README.md explains the columns. It knows requests,
/// not attempts: models are fitted to the trace of the proxy.
pub fn write_requests(out: impl Write, log: &LoadLog) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(HEADER)?;
    for sent in &log.sent {
        let ms = |length: Duration| (length.as_nanos() as f64 / 1e6).to_string();
        let end = match &sent.end {
            End::Ok => "ok".to_owned(),
            End::Error => "error".to_owned(),
            End::Refused(_) => "refused".to_owned(),
            End::Lost(loss) => format!("lost: {loss}"),
        };
        writer.write_record([
            sent.number.to_string(),
            sent.identifier.to_string(),
            (sent.due.as_nanos() as f64 / 1e9).to_string(),
            ms(sent.drift),
            sent.latency.map(ms).unwrap_or_default(),
            sent.end.status().map(|status| status.to_string()).unwrap_or_default(),
            sent.attempts.map(|attempts| attempts.to_string()).unwrap_or_default(),
            end,
        ])?;
    }
    writer.flush()
}

// ---- One request and its answer, and all of them beside each other on one thread.
//
// A 200 or a 500 is an answer only when the whole of it arrived: a proxy that dies in the middle
// has not answered. Bodies are read and thrown away, whatever their size.

/// The header in which a proxy says how many attempts an answer took.
const ATTEMPTS: &str = "x-flakelab-attempts";

/// The longest timeout; moments much later than that need not exist.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
struct Exchange {
    client: Client,
    url: String,
    json: bool,
    timeout: Duration,
}

impl Exchange {
    fn new(schedule: &Schedule) -> Result<Self, LoadError> {
        let client = bare_client().build().map_err(LoadError::Client)?;
        let url = format!("http://{}/", schedule.target);
        let timeout = schedule.timeout.min(LONGEST);
        Ok(Self { client, url, json: schedule.json, timeout })
    }

    /// Sends one request; how it ended and how many attempts the answer says it took.
    async fn exchange(&self, identifier: Identifier) -> (End, Option<u32>) {
        let request = self.client.post(&self.url);
        let request = if self.json {
            request
                .header(CONTENT_TYPE, "application/json")
                .body(format!("{{\"id\": \"{identifier}\"}}"))
        } else {
            request.header(CONTENT_TYPE, "text/plain").body(identifier.to_string())
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return (End::Lost(Loss::NotConnected(cause(&error))), None);
            }
            Err(error) => return (End::Lost(Loss::NoAnswer(cause(&error))), None),
        };
        loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (End::Lost(Loss::NoAnswer(cause(&error))), None),
            }
        }
        (End::from_status(answer.status().as_u16()), attempts(answer.headers()))
    }

    /// The whole life of a request, which ends by its timeout, or when it is abandoned.
    async fn complete(self, departure: Departure, mut abandoned: watch::Receiver<bool>) -> Sent {
        let Departure { number, identifier, due, due_at } = departure;
        let drift = Instant::now().saturating_duration_since(due_at);
        let (end, attempts) = tokio::select! {
            biased;
            answered = self.exchange(identifier) => answered,
            () = tokio::time::sleep_until((due_at + self.timeout).into()) => {
                (End::Lost(Loss::TimedOut), None)
            }
            _ = abandoned.wait_for(|abandoned| *abandoned) => (End::Lost(Loss::Stopped), None),
        };
        let answered = !matches!(end, End::Lost(_));
        let latency = answered.then(|| due_at.elapsed());
        Sent { number, identifier, due, drift, latency, end, attempts }
    }
}

/// Sends everything that departs, and reports how each request ended, once.
async fn send_all(
    exchange: Exchange,
    most_in_flight: usize,
    mut departing: UnboundedReceiver<Departure>,
    ended: Sender<Sent>,
    abandoned: watch::Receiver<bool>,
) {
    let mut in_flight = JoinSet::new();
    while let Some(departure) = departing.recv().await {
        // Not a sleep, as tokio's timers tick once in a millisecond. And here, not in the request's
        // own task: several that are due at once would leave in any order.
        while Instant::now() < departure.due_at {
            tokio::task::yield_now().await;
        }
        while in_flight.try_join_next().is_some() {}
        if in_flight.len() >= most_in_flight {
            let _ = ended.send(never_sent(departure));
            continue;
        }
        let life = exchange.clone().complete(departure, abandoned.clone());
        let ended = ended.clone();
        // The receiver outlives all requests; nobody is left to tell if it does not.
        in_flight.spawn(async move { drop(ended.send(life.await)) });
    }
    while in_flight.join_next().await.is_some() {}
}

fn never_sent(departure: Departure) -> Sent {
    let Departure { number, identifier, due, due_at } = departure;
    let drift = due_at.elapsed();
    let end = End::Lost(Loss::TooManyInFlight);
    Sent { number, identifier, due, drift, latency: None, end, attempts: None }
}

fn attempts(headers: &HeaderMap) -> Option<u32> {
    headers.get(ATTEMPTS)?.to_str().ok()?.parse().ok()
}

/// The innermost cause: "connection refused" rather than "error sending request for url".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

// ---- What became of every request of a load, and the figures that sum it up.
//
// Quantiles are nearest ranks, so each is a latency that happened. Lost requests have no latency
// and are counted beside: a quantile without that count would hide the worst.

/// A request of a load, ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its number, from 0.
    pub number: u64,
    /// What it carried.
    pub identifier: Identifier,
    /// When it was due, after the start.
    pub due: Duration,
    /// How much later than due it left, or would have left.
    pub drift: Duration,
    /// From the moment it was due until the whole answer was there; `None` when lost.
    pub latency: Option<Duration>,
    /// How it ended.
    pub end: End,
    /// Attempts it took, if the answer said so.
    pub attempts: Option<u32>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// 200: delivered.
    Ok,
    /// 500: given up.
    Error,
    /// Any other status.
    Refused(u16),
    /// No whole answer.
    Lost(Loss),
}

impl End {
    /// How a request with a whole answer of this status ended.
    pub const fn from_status(status: u16) -> Self {
        match status {
            200 => Self::Ok,
            500 => Self::Error,
            other => Self::Refused(other),
        }
    }

    /// The status of the answer, if there was one.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Ok => Some(200),
            Self::Error => Some(500),
            Self::Refused(status) => Some(*status),
            Self::Lost(_) => None,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// Time is up.
    #[error("timed out")]
    TimedOut,
    /// No connection.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// A connection, but nothing on it that is a whole answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// It was not sent, because as many as may be were in flight.
    #[error("too many in flight")]
    TooManyInFlight,
    /// The load was stopped before the answer came.
    #[error("stopped")]
    Stopped,
}

/// How many requests ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Answered 200.
    pub ok: u64,
    /// Answered 500.
    pub error: u64,
    /// Answered otherwise.
    pub refused: u64,
    /// Not answered.
    pub lost: u64,
}

impl Counts {
    /// Counts one more.
    pub const fn add(&mut self, end: &End) {
        self.requests += 1;
        match end {
            End::Ok => self.ok += 1,
            End::Error => self.error += 1,
            End::Refused(_) => self.refused += 1,
            End::Lost(_) => self.lost += 1,
        }
    }
}

/// Quantiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// The median.
    pub p50_ms: f64,
    /// 90 of 100 are at most this.
    pub p90_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

impl Quantiles {
    /// Those of some lengths of time; `None` for none.
    pub fn of(lengths: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut ns: Vec<u64> = lengths.into_iter().map(|l| l.as_nanos() as u64).collect();
        let mut ms = |p| nearest_rank(&mut ns, p).map(|ns| ns as f64 / 1e6);
        Some(Self { p50_ms: ms(0.5)?, p90_ms: ms(0.9)?, p99_ms: ms(0.99)?, max_ms: ms(1.0)? })
    }
}

/// A load that was sent, whole or in part.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadLog {
    /// The moment from which dues count, in Unix seconds.
    pub started_unix_s: f64,
    /// Whether it was stopped before every request of the schedule had ended by itself.
    pub stopped: bool,
    /// Every request that was due, in order.
    pub sent: Vec<Sent>,
}

impl LoadLog {
    /// How many requests ended how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.sent.iter().for_each(|sent| counts.add(&sent.end));
        counts
    }

    /// Latencies of the requests that were answered, with whatever status.
    pub fn latency(&self) -> Option<Quantiles> {
        Quantiles::of(self.sent.iter().filter_map(|sent| sent.latency))
    }

    /// How late requests left.
    pub fn drift(&self) -> Option<Quantiles> {
        Quantiles::of(self.sent.iter().map(|sent| sent.drift))
    }

    /// The reasons for losses with their numbers, the most frequent first.
    pub fn losses(&self) -> Vec<(String, u64)> {
        let mut losses: Vec<(String, u64)> = Vec::new();
        for sent in &self.sent {
            let End::Lost(loss) = &sent.end else { continue };
            let reason = loss.to_string();
            match losses.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => losses.push((reason, 1)),
            }
        }
        losses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        losses
    }
}

// ---- When requests leave: at moments fixed by the start alone, so that errors never add up.
//
// A sleeping thread wakes late, by 0.06 ms at best and by several when cores are busy, and waking
// another from an idle core costs as much again. So this thread sleeps until shortly before the
// moment and hands the request over; the sending thread, awake by then, sends it to the
// microsecond, and looks after answers until it does. What is spun away is at most 1 ms a
// request (1 % of a core at 10 a second) and a tenth of a core.
//
// When not to use it: on a machine whose cores are all busy; whoever spins may be put aside.

/// How long before it is due a request is handed over, at low rates. With 0.3 ms one request in ten
/// was still late by 0.05 ms, beside a compiler on two cores.
const EARLY: Duration = Duration::from_millis(1);

/// Between setting the clock and the first request: time for the threads to be there.
const LEAD: Duration = Duration::from_millis(5);

/// A request on its way out.
#[derive(Debug, Clone, Copy)]
struct Departure {
    number: u64,
    identifier: Identifier,
    /// When it is due, after the start.
    due: Duration,
    /// The same as a moment.
    due_at: Instant,
}

/// When request `number` is due: the schedule of the simulator, to the nanosecond.
fn due(number: u64, requests_per_second: f64) -> Duration {
    let due = Timestamp::from_secs_f64(number as f64 / requests_per_second);
    Duration::from_nanos(due.as_nanos())
}

/// Hands every request over just before it is due; ends early on `stop` or when nobody listens.
fn pace(
    schedule: &Schedule,
    clock: Clock,
    stop: &AtomicBool,
    departures: &UnboundedSender<Departure>,
) {
    let mut rng = Streams::new(schedule.seed).stream(Purpose::Traffic, 0, schedule.replication);
    let early = EARLY.min(Duration::from_secs_f64(0.1 / schedule.requests_per_second));
    for number in 0..schedule.requests {
        let identifier = Identifier::random(&mut rng);
        let due = due(number, schedule.requests_per_second);
        let due_at = clock.epoch() + due;
        if !sleep_until(due_at - early, stop) {
            return;
        }
        if departures.send(Departure { number, identifier, due, due_at }).is_err() {
            return;
        }
    }
}

/// Sleeps until a moment; false as soon as `stop` is seen.
fn sleep_until(moment: Instant, stop: &AtomicBool) -> bool {
    while !stop.load(Ordering::Relaxed) {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_a_line_and_what_is_not_known_stays_empty() {
        let identifier = Identifier::from_bytes(b"abcdefghijklmnopqrstuvWX").unwrap();
        let sent = |number, end: End, latency, attempts| Sent {
            number,
            identifier,
            due: Duration::from_millis(100 * number),
            drift: Duration::from_micros(50),
            latency,
            end,
            attempts,
        };
        let log = LoadLog {
            started_unix_s: 1.8e9,
            stopped: false,
            sent: vec![
                sent(0, End::Ok, Some(Duration::from_micros(1_500)), Some(2)),
                sent(1, End::Refused(503), Some(Duration::from_millis(3)), None),
                sent(2, End::Lost(Loss::NoAnswer("reset, by \"peer\"".to_owned())), None, None),
            ],
        };
        let mut bytes = Vec::new();
        write_requests(&mut bytes, &log).unwrap();
        let expected = "\
number,request_id,due_s,drift_ms,latency_ms,status,attempts,end
0,abcdefghijklmnopqrstuvWX,0,0.05,1.5,200,2,ok
1,abcdefghijklmnopqrstuvWX,0.1,0.05,3,503,,refused
2,abcdefghijklmnopqrstuvWX,0.2,0.05,,,,\"lost: no answer: reset, by \"\"peer\"\"\"
";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn quantiles_are_lengths_that_happened() {
        let lengths = (1..=100).map(Duration::from_millis);
        let expected = Quantiles { p50_ms: 50.0, p90_ms: 90.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(Quantiles::of(lengths), Some(expected));
        assert_eq!(Quantiles::of([]), None);
    }

    #[test]
    fn due_moments_do_not_drift_apart_over_a_day() {
        for rate in [0.3, 7.0, 10.0, 33.3, 2000.0] {
            for number in [1, 3, 1_000, 86_399, 10_000_000] {
                let exact = (number as f64 / rate) * 1e9;
                assert!((due(number, rate).as_nanos() as f64 - exact).abs() <= 1.0);
            }
        }
        assert_eq!(due(600, 10.0), Duration::from_secs(60));
        assert_eq!(due(1, 3.0).as_nanos(), 333_333_333);
    }

    #[test]
    fn requests_are_handed_over_in_order_and_not_much_before_they_are_due() {
        let mut schedule = Schedule::new(([127, 0, 0, 1], 1).into());
        (schedule.requests, schedule.requests_per_second) = (50, 5000.0);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let clock = Clock::start_in(LEAD);
        pace(&schedule, clock, &AtomicBool::new(false), &sender);
        assert!(Instant::now() >= clock.epoch() + due(49, 5000.0) - EARLY);
        let mut numbers = Vec::new();
        while let Ok(departure) = receiver.try_recv() {
            assert_eq!(departure.due, due(departure.number, 5000.0));
            numbers.push(departure.number);
        }
        assert!(numbers.iter().copied().eq(0..50));
    }
}
