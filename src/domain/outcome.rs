//! What the client observed of an attempt.

use serde::{Deserialize, Serialize};

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
