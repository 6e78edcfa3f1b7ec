//! The nouns: time, server, request, attempt, outcome, rules, score, random streams.
//!
//! Nothing here decides, waits or computes statistics, and nothing here may import another
//! part of the program. Change a noun only when the game itself changes.

mod request;
mod rules;
mod server;
mod streams;
mod time;

pub use self::request::{
    Attempt, AttemptId, Cause, IDENTIFIER_LENGTH, Identifier, NotAnIdentifier, Outcome,
    PendingRequest, Request, RequestId,
};
pub use self::rules::{Rules, RulesError, Score};
pub use self::server::{
    Endpoint, Fleet, FleetError, MAX_SERVERS, ServerId, ServerOrder, ServerSet,
};
pub use self::streams::{Purpose, Streams};
pub use self::time::{Span, Timestamp, day};

/// The candidate that `name` is most likely a misspelling of, if there is one: at most one
/// edit (insertion, deletion, substitution, swap of neighbours) for every three letters.
pub fn closest_name<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = name.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_close_and_nothing_else() {
        let names = ["low", "high", "thompson", "thompson-scaled"];
        assert_eq!(closest_name("lwo", names), Some("low"));
        assert_eq!(closest_name("tompson", names), Some("thompson"));
        assert_eq!(closest_name("thomson-scaled", names), Some("thompson-scaled"));
        assert_eq!(closest_name("v6", ["v1", "v2"]), None);
        assert_eq!(closest_name("banana", names), None);
    }
}
