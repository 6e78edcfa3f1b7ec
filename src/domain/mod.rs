//! Layer 0, the nouns: time, server, request, attempt, outcome, rules, score, random streams.
//!
//! Nothing here decides, waits or computes statistics, and nothing here may import another
//! layer. Change a noun only when the game itself changes.

mod attempt;
mod date;
mod fleet;
mod identifier;
mod names;
mod outcome;
mod request;
mod rules;
mod score;
mod server;
mod streams;
mod time;

pub use attempt::{Attempt, AttemptId};
pub use date::day;
pub use fleet::{Endpoint, Fleet, FleetError};
pub use identifier::{IDENTIFIER_LENGTH, Identifier, NotAnIdentifier};
pub use names::closest_name;
pub use outcome::Outcome;
pub use request::{PendingRequest, Request, RequestId};
pub use rules::{Rules, RulesError};
pub use score::Score;
pub use server::{MAX_SERVERS, ServerId, ServerSet};
pub use streams::{Purpose, Streams};
pub use time::{Span, Timestamp};
