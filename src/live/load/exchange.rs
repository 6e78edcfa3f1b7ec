//! One request and its answer, and all of them beside each other on one thread.
//!
//! A 200 or a 500 is an answer only when the whole of it arrived: a proxy that dies in the middle
//! has not answered. Bodies are read and thrown away, whatever their size.
//!
//! When not to use it: for servers behind TLS, redirects or proxies; nothing but the target is
//! contacted.

use std::error::Error;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::pacing::Departure;
use super::{End, LoadError, Loss, Schedule, Sent};
use crate::domain::Identifier;

/// The header in which a proxy says how many attempts an answer took.
const ATTEMPTS: &str = "x-flakelab-attempts";

/// The longest timeout; moments much later than that need not exist.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Sends requests.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    client: Client,
    url: String,
    json: bool,
    timeout: Duration,
}

impl Exchange {
    pub(super) fn new(schedule: &Schedule) -> Result<Self, LoadError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(LoadError::Client)?;
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
pub(super) async fn send_all(
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
