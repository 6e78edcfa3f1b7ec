//! One attempt over HTTP: `POST /` with the identifier, a new connection, the outcome.
//!
//! The rule of the game: 2xx is success, 429 is rate limited, every other status, a refused
//! connection or a timeout is a failure. The outcome is known with the head of the answer; the body
//! is not waited for. No proxy, no redirects, no second try, nothing but the target.
//!
//! What a server can do to it: hold an attempt for the timeout, whatever it sends in that time, and
//! some 400 kB of memory, the longest head that hyper takes (a longer one is a failure). A body
//! is read no further than the first buffer.
//!
//! When not to use it: for answers that somebody wants to read.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use flakelab_core::domain::{Cause, Outcome};

/// What every client of ours is: it contacts nothing but the target, once for each request.
pub(crate) fn bare_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .pool_max_idle_per_host(0)
}

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
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        let http = reqwest::blocking::ClientBuilder::from(bare_client()).timeout(timeout).build();
        Ok(Self { http: http.map_err(ClientError)? })
    }

    /// Sends an identifier and waits for the outcome, with its cause and the time that it took.
    pub fn attempt(&self, target: &Target, identifier: &str) -> (Outcome, Cause, Duration) {
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
        let (outcome, cause) = match answer {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => (Outcome::Success, Cause::Status),
                429 => (Outcome::RateLimited, Cause::Status),
                _ => (Outcome::Failure, Cause::Status),
            },
            Err(error) if error.is_timeout() => (Outcome::TimedOut, Cause::Status),
            Err(error) if was_refused(&error) => (Outcome::Failure, Cause::Refused),
            Err(error) if error.is_connect() => (Outcome::Failure, Cause::Status),
            Err(_) => (Outcome::Failure, Cause::NoHttp),
        };
        (outcome, cause, took)
    }
}

/// Whether the system said that nobody listens there (ECONNREFUSED), and not that a connection was
/// made and broke off.
fn was_refused(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

// ---- Which servers may be contacted: addresses as `host:port`, loopback only unless allowed.

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it was given, for messages and traces.
    pub name: String,
    /// Where attempts are sent.
    pub address: SocketAddr,
}

/// An address that will not be contacted.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not of the form `host:port` or `host:first-last`.
    #[error(
        "`{0}` is no target; expected host:port, as in 127.0.0.1:5000, or a range of ports, as in \
         127.0.0.1:5000-5009"
    )]
    Form(String),
    /// The name is not known.
    #[error("`{0}` cannot be resolved to an address")]
    Unknown(String),
    /// Another machine.
    #[error(
        "`{0}` is not on this machine; load on other people's servers can do harm. If they are \
         yours, add --allow-remote"
    )]
    Remote(String),
}

impl Target {
    /// The targets in a list such as `127.0.0.1:5000-5009,localhost:6000`.
    pub fn list(text: &str, allow_remote: bool) -> Result<Vec<Self>, TargetError> {
        let mut targets = Vec::new();
        for item in text.split(',').map(str::trim) {
            let form = || TargetError::Form(item.to_owned());
            let (host, ports) = item.rsplit_once(':').ok_or_else(form)?;
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let port = |text: &str| match text.parse::<u16>() {
                Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
                _ => Err(form()),
            };
            let (first, last) = (port(first)?, port(last)?);
            if host.is_empty() || first > last {
                return Err(form());
            }
            for port in first..=last {
                targets.push(Self::resolve(host, port, allow_remote)?);
            }
        }
        Ok(targets)
    }

    /// A port where nobody listens, and nobody else will as long as the socket lives.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> (tokio::net::TcpSocket, Self) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, Self { name: address.to_string(), address })
    }

    fn resolve(host: &str, port: u16, allow_remote: bool) -> Result<Self, TargetError> {
        let name = format!("{host}:{port}");
        let unknown = || TargetError::Unknown(name.clone());
        let address = name.to_socket_addrs().map_err(|_| unknown())?.next().ok_or_else(unknown)?;
        if !(address.ip().is_loopback() || allow_remote) {
            return Err(TargetError::Remote(name));
        }
        Ok(Self { name, address })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_spelled_out() {
        let targets = Target::list("127.0.0.1:5000-5002, 127.0.0.1:80", false).unwrap();
        let ports: Vec<u16> = targets.iter().map(|t| t.address.port()).collect();
        assert_eq!(ports, [5000, 5001, 5002, 80]);
        assert_eq!(targets[1].to_string(), "127.0.0.1:5001");
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_form_expected() {
        for text in ["", "5000", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:+5", ":5000", "h:9-8"] {
            let message = Target::list(text, false).unwrap_err().to_string();
            assert!(message.contains("host:port"), "{text}: {message}");
        }
    }
}
