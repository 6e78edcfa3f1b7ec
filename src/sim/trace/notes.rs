//! What is odd about a file, counted by kind, so that a million odd rows make one sentence.
//!
//! When not to use it: for what makes counts wrong; that is a [`super::TraceError`].

use std::collections::BTreeMap;

/// A kind of oddity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oddity {
    /// A row that names no server: it was answered without one.
    NoServer,
    /// An identifier that is not of the game.
    Identifier,
    /// `request_success` without `success` and `request_complete`.
    Contradiction,
    /// A row without latency.
    NoLatency,
    /// A row that stands there again.
    Duplicate,
    /// A row that was sent before a row further up.
    OutOfOrder,
    /// Attempt 2 without attempt 1.
    Gap,
    /// An attempt after a success of the same request.
    AfterSuccess,
    /// The clock was set back.
    ClockBack,
    /// Nothing for a long time, or the clock was set forward.
    ClockForward,
    /// All times are whole seconds, though several attempts fall into one.
    WholeSeconds,
}

/// Oddities with their number and first line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    seen: BTreeMap<Oddity, (u64, u64)>,
}

impl Notes {
    /// Adds one of a kind.
    pub(crate) fn add(&mut self, oddity: Oddity, line: u64) {
        let (count, first) = self.seen.entry(oddity).or_insert((0, line));
        *count += 1;
        *first = line.min(*first);
    }

    /// Adds all of another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (oddity, (more, line)) in &other.seen {
            let (count, first) = self.seen.entry(*oddity).or_insert((0, *line));
            *count += more;
            *first = (*line).min(*first);
        }
    }

    /// One sentence a kind, in the order of kinds.
    pub(crate) fn sentences(&self, file: &str) -> Vec<String> {
        let sentence = |(oddity, (count, line)): (&Oddity, &(u64, u64))| {
            format!("{file}:{line}: {}", sentence(*oddity, *count))
        };
        self.seen.iter().map(sentence).collect()
    }
}

/// Why what follows from a recording may be wrong.
const BIASED: &str = ". If attempts were left out because of how they ended, error rates are biased \
                      and the likelihood no longer holds.";

fn sentence(oddity: Oddity, count: u64) -> String {
    // Of what, what one of them does, what many do, the rest of it, and what follows.
    let (noun, one, many, rest, then) = match oddity {
        Oddity::NoServer => {
            ("row", "names", "name", "no server", "; left out, as answered without a server.")
        }
        Oddity::Identifier => {
            ("row", "has", "have", "a request_id that is not 24 letters and digits", ".")
        }
        Oddity::Contradiction => {
            ("row", "has", "have", "request_success without success and request_complete", ".")
        }
        Oddity::NoLatency => {
            let then = "; the latencies of this recording are not used.";
            ("row", "has", "have", "no latency", then)
        }
        Oddity::Duplicate => {
            ("row", "stands", "stand", "there twice", "; the copies were dropped.")
        }
        Oddity::OutOfOrder => {
            ("row", "was", "were", "sent before a row further up", "; sorted by time.")
        }
        Oddity::Gap => {
            ("request", "lacks", "lack", "an attempt (such as attempt 2 without 1)", BIASED)
        }
        Oddity::AfterSuccess => ("request", "goes", "go", "on after a success", BIASED),
        Oddity::ClockBack => {
            let then = "; rows stay in the file's order there, and later times are moved to \
                        follow on.";
            ("time", "the clock", "the clock", "was set back", then)
        }
        Oddity::ClockForward => {
            ("gap", "of", "of", "more than 1 h", ": no attempts, or the clock was set forward.")
        }
        Oddity::WholeSeconds => {
            return "times have a resolution of 1 s: rate limits and the order within a second \
                    cannot be seen."
                .to_owned();
        }
    };
    if count == 1 {
        format!("1 {noun} {one} {rest}{then}")
    } else {
        format!("{count} {noun}s {many} {rest}, this is the first{then}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_sentence_with_its_number_and_first_line() {
        let mut notes = Notes::default();
        for line in [7, 3, 9] {
            notes.add(Oddity::Duplicate, line);
        }
        let mut other = Notes::default();
        other.add(Oddity::Duplicate, 2);
        other.add(Oddity::NoServer, 5);
        notes.merge(&other);
        assert_eq!(
            notes.sentences("x.csv"),
            [
                "x.csv:5: 1 row names no server; left out, as answered without a server.",
                "x.csv:2: 4 rows stand there twice, this is the first; the copies were dropped.",
            ]
        );
    }
}
