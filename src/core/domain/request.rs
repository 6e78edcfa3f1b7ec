//! A request, which delivers one identifier, its attempts, and what the client sees of them.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::domain::server::{ServerId, ServerSet};
use crate::domain::time::Timestamp;

/// A request's number in order of arrival, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// When it arrived; latency counts from here.
    pub arrived_at: Timestamp,
}

/// A request in service: what a strategy may know of it when it chooses the next server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRequest {
    /// Its number.
    pub id: RequestId,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// Attempts made so far; also the number of the attempt to decide on, counted from 0.
    pub attempts: u32,
    /// How many attempts cost nothing.
    pub free_attempts: u32,
    /// Servers that this request has been sent to.
    pub tried: ServerSet,
}

impl PendingRequest {
    /// A request that has not been attempted yet.
    #[inline]
    pub const fn new(request: Request, free_attempts: u32) -> Self {
        Self {
            id: request.id,
            arrived_at: request.arrived_at,
            attempts: 0,
            free_attempts,
            tried: ServerSet::EMPTY,
        }
    }

    /// Whether the next attempt costs nothing.
    #[inline]
    pub const fn is_free(&self) -> bool {
        self.attempts < self.free_attempts
    }

    /// Notes that the next attempt went to `server`.
    #[inline]
    pub fn record_attempt(&mut self, server: ServerId) {
        self.attempts += 1;
        self.tried.insert(server);
    }
}

/// An attempt's number within a run, from 0 in order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// One send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its number within the run.
    pub id: AttemptId,
    /// The request that it serves.
    pub request: RequestId,
    /// Its number within the request, from 0.
    pub number: u32,
    /// Where it went.
    pub server: ServerId,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// Length of an identifier in bytes.
pub const IDENTIFIER_LENGTH: usize = 24;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What a request delivers: 24 ASCII letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier([u8; IDENTIFIER_LENGTH]);

/// Text that is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is 24 ASCII letters and digits")]
pub struct NotAnIdentifier;

impl Identifier {
    /// The identifier that these bytes spell.
    ///
    /// # Errors
    /// Any other length or character.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnIdentifier> {
        match <[u8; IDENTIFIER_LENGTH]>::try_from(bytes) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(bytes)),
            _ => Err(NotAnIdentifier),
        }
    }

    /// A random one.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(std::array::from_fn(|_| LETTERS[(rng.next_u64() % 62) as usize]))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        // They are ASCII by construction.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Identifier {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The client's view of how an attempt ended.
///
/// A server's failure is data, never an error of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A status of 200 to 299.
    Success,
    /// Any other status than 2xx and 429, or a refused or broken connection.
    Failure,
    /// Status 429: the server's rate limiter refused the attempt.
    RateLimited,
    /// No answer within the attempt timeout.
    TimedOut,
}

impl Outcome {
    /// What files call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::RateLimited => "rate_limited",
            Self::TimedOut => "timed_out",
        }
    }

    /// Whether the request is answered with this.
    #[inline]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }
}

/// What an outcome rests on. The rules ask for it; strategies and counts see the outcome alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The status that it answered, its silence, or a connection that could not be made for any
    /// other reason than that it was refused.
    #[default]
    Status,
    /// The connection was refused: nobody listens at its port.
    Refused,
    /// It took the connection, but its answer was no HTTP, or it hung up before one was complete.
    NoHttp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::streams::{Purpose, Streams};

    #[test]
    fn other_lengths_and_characters_are_refused() {
        let good = "abcdefghijklmnopqrstuvWX";
        assert_eq!(good.parse::<Identifier>().unwrap().to_string(), good);
        for bad in ["", &good[1..], "abcdefghijklmnopqrstuvWXY", "abcdefghijklmnopqrstuv-X"] {
            assert_eq!(bad.parse::<Identifier>(), Err(NotAnIdentifier), "{bad}");
        }
        assert!(Identifier::from_bytes("abcdefghijklmnopqrstuvé".as_bytes()).is_err());
    }

    #[test]
    fn random_ones_are_identifiers_and_differ() {
        let mut rng = Streams::new(1).stream(Purpose::Traffic, 0, 0);
        let (a, b) = (Identifier::random(&mut rng), Identifier::random(&mut rng));
        assert_ne!(a, b);
        assert_eq!(Identifier::from_bytes(a.as_str().as_bytes()), Ok(a));
    }
}
