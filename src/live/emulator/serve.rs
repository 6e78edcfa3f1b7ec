//! Serving: all servers on one thread, each attempt answered after its latency.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::alarm::Alarm;
use super::log::Entry;
use super::{Listeners, ServerLog, Servers};
use crate::domain::{Outcome, Timestamp};
use crate::live::http::{self, HttpRequest, HttpResponse, Limits, Method};
use crate::world::Luck;

/// When told to stop, attempts whose answer is due within this time are still answered.
const PATIENCE: Duration = Duration::from_millis(200);

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
    /// Answers.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.0.len()
    }

    /// The delay in microseconds that a share `p` of answers stay below.
    #[must_use]
    pub fn quantile_us(&self, p: f64) -> f64 {
        self.0.value_at_quantile(p) as f64 * 1e-3
    }
}

/// Servers that could not serve.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The system does not give what is needed.
    #[error("cannot serve: the system does not give a thread or a socket")]
    System(#[from] std::io::Error),
    /// Counting is not possible.
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
///
/// # Errors
/// See [`EmulatorError`].
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
        log: log.map(ServerLog::entries),
        alarm: Alarm::start()?,
        start: Instant::now(),
    });
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut serving = JoinSet::new();
        for listener in listeners.sockets {
            listener.socket.set_nonblocking(true)?;
            let socket = tokio::net::TcpListener::from_std(listener.socket)?;
            let (group, port, shared) = (listener.group, listener.port, Rc::clone(&shared));
            let handler = move |request| Rc::clone(&shared).answer(group, port, request);
            let stopped = stop.clone().stopped();
            serving.spawn_local(http::serve(socket, Limits::default(), handler, stopped));
        }
        stop.clone().stopped().await;
        let all = async { while serving.join_next().await.is_some() {} };
        // What is due later than that stays without an answer, as at any server that ends.
        let _ = tokio::time::timeout(PATIENCE, all).await;
        Ok::<(), std::io::Error>(())
    })?;
    let delays = shared.delays.borrow().clone();
    Ok(Delays(delays))
}

impl Shared {
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
        let since = arrived.duration_since(self.start).as_nanos();
        let at = Timestamp::from_nanos(u64::try_from(since).unwrap_or(u64::MAX));
        let met = self.groups.borrow_mut().get_mut(group).and_then(|g| g.meet(port, at));
        let Some(Luck { outcome, latency }) = met else {
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
