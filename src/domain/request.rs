//! One identifier to deliver.

use super::{ServerId, ServerSet, Timestamp};

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
