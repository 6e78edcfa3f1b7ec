//! What became of every request of a load, and the figures that sum it up.
//!
//! Quantiles are nearest ranks, so each is a latency that happened. Lost requests have no latency
//! and are counted beside: a quantile without that count would hide the worst.

use std::time::Duration;

use crate::domain::Identifier;
use crate::stats::quantile::nearest_rank;

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
    #[must_use]
    pub const fn from_status(status: u16) -> Self {
        match status {
            200 => Self::Ok,
            500 => Self::Error,
            other => Self::Refused(other),
        }
    }

    /// The status of the answer, if there was one.
    #[must_use]
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
    #[must_use]
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
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.sent.iter().for_each(|sent| counts.add(&sent.end));
        counts
    }

    /// Latencies of the requests that were answered, with whatever status.
    #[must_use]
    pub fn latency(&self) -> Option<Quantiles> {
        Quantiles::of(self.sent.iter().filter_map(|sent| sent.latency))
    }

    /// How late requests left.
    #[must_use]
    pub fn drift(&self) -> Option<Quantiles> {
        Quantiles::of(self.sent.iter().map(|sent| sent.drift))
    }

    /// The reasons for losses with their numbers, the most frequent first.
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_happened() {
        let lengths = (1..=100).map(Duration::from_millis);
        let expected = Quantiles { p50_ms: 50.0, p90_ms: 90.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(Quantiles::of(lengths), Some(expected));
        assert_eq!(Quantiles::of([]), None);
    }

    #[test]
    fn every_status_is_one_end() {
        let statuses = [200, 500, 204, 429, 400, 503];
        let mut counts = Counts::default();
        for status in statuses {
            let end = End::from_status(status);
            assert_eq!(end.status(), Some(status));
            counts.add(&end);
        }
        counts.add(&End::Lost(Loss::TimedOut));
        assert_eq!(counts, Counts { requests: 7, ok: 1, error: 1, refused: 4, lost: 1 });
    }
}
