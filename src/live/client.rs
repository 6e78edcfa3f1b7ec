//! One attempt over HTTP: `POST /` with the identifier, a new connection, the outcome.
//!
//! DESIGN section 2: 2xx is success, 429 is rate limited, every other status, a refused
//! connection or a timeout is a failure. The outcome is known with the head of the answer; the body
//! is not waited for. No proxy, no redirects, no second try, nothing but the target.
//!
//! What a server can do to it: hold an attempt for the timeout, whatever it sends in that time, and
//! some 400 kB of memory, the longest head that hyper takes (a longer one is a failure). A body
//! is read no further than the first buffer.
//!
//! When not to use it: for answers that somebody wants to read.

use std::time::{Duration, Instant};

use super::Target;
use crate::domain::Outcome;

/// Sends attempts, from any number of threads at once. Clones share one.
///
/// Beneath it is one thread that moves the bytes of all attempts. That is enough: on two busy cores,
/// which ran the server too, 32 threads made 6,400 attempts a second through one client and 5,500
/// through one each (`tests/suite/proxy/speed.rs`).
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::blocking::Client,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct ClientError(#[source] reqwest::Error);

impl Client {
    /// A client whose attempts end after `timeout`.
    ///
    /// # Errors
    /// When the system does not give it a thread or a socket.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        let http = reqwest::blocking::Client::builder()
            .timeout(timeout)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(ClientError)?;
        Ok(Self { http })
    }

    /// Sends an identifier and waits for the outcome, with the time that it took.
    pub fn attempt(&self, target: &Target, identifier: &str) -> (Outcome, Duration) {
        let begin = Instant::now();
        let answer = self
            .http
            .post(format!("http://{}/", target.address))
            .header("content-type", "text/plain")
            .header("connection", "close")
            .body(identifier.to_owned())
            .send();
        // Before the answer is dropped, which closes the connection.
        let took = begin.elapsed();
        let outcome = match answer {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => Outcome::Success,
                429 => Outcome::RateLimited,
                _ => Outcome::Failure,
            },
            Err(error) if error.is_timeout() => Outcome::TimedOut,
            Err(_) => Outcome::Failure,
        };
        (outcome, took)
    }
}
