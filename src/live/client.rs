//! One attempt over HTTP: `POST /` with the identifier, a new connection, the outcome.
//!
//! DESIGN section 2: 2xx is success, 429 is rate limited, every other status, a refused
//! connection or a timeout is a failure. No proxy, no redirects, nothing but the target.

use std::time::{Duration, Instant};

use super::Target;
use crate::domain::Outcome;

/// Sends attempts.
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
            .body(identifier.to_owned())
            .send();
        let outcome = match answer {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => Outcome::Success,
                429 => Outcome::RateLimited,
                _ => Outcome::Failure,
            },
            Err(error) if error.is_timeout() => Outcome::TimedOut,
            Err(_) => Outcome::Failure,
        };
        (outcome, begin.elapsed())
    }
}
