//! One send of a request to one server.

use super::{RequestId, ServerId, Timestamp};

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
