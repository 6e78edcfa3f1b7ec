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

mod csv_file;
mod exchange;
mod log;
mod pacing;

pub use csv_file::write_requests;
pub use log::{Counts, End, LoadLog, Loss, Quantiles, Sent};

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc as departures, watch};

use super::calendar::Clock;
use crate::domain::Timestamp;

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
    #[must_use]
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
    let exchange = exchange::Exchange::new(schedule)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Start)?;
    let (depart, departing) = departures::unbounded_channel();
    let (end, ended) = mpsc::channel();
    let (abandon, abandoned) = watch::channel(false);
    let clock = Clock::start_in(pacing::LEAD);
    let mut sent = Vec::new();
    thread::scope(|scope| {
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let most = schedule.most_in_flight;
        thread("load-send")
            .spawn_scoped(scope, move || {
                runtime.block_on(exchange::send_all(exchange, most, departing, end, abandoned));
            })
            .map_err(LoadError::Start)?;
        thread("load-pace")
            .spawn_scoped(scope, move || pacing::pace(schedule, clock, stop, &depart))
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
