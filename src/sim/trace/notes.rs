//! What is odd about a file, counted by kind, so that a million odd rows make one sentence.
//!
//! When not to use it: for what makes counts wrong; that is a [`super::TraceError`].

use std::collections::BTreeMap;

/// A kind of oddity, noted once with how often it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// A line that is something else than a request.
    NoRequest,
    /// A header again, further down.
    HeaderAgain,
    /// A last line that does not end.
    CutShort,
    /// A request without a server.
    NoServer,
    /// An attempt whose client left.
    ClientLeft,
    /// A request with earlier attempts that the log does not show.
    Unseen,
    /// An identifier that is not of the game.
    Identifier,
    /// A request that succeeded without a success.
    Contradiction,
    /// An attempt without a latency.
    NoLatency,
    /// A connection that was refused.
    Refused,
    /// A row that stands there twice.
    Duplicate,
    /// A row that is older than one further up.
    OutOfOrder,
    /// A request that lacks an attempt.
    Gap,
    /// A request that goes on after a success.
    AfterSuccess,
    /// A clock that was set back.
    ClockBack,
    /// A long gap.
    ClockForward,
    /// A clock without fractions.
    WholeSeconds,
    /// The same, where lines of one second were spread over it.
    SpreadSeconds,
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

    /// Adds those of another, which are of other kinds.
    pub(crate) fn extend(&mut self, others: &Self) {
        self.seen.extend(&others.seen);
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
        Oddity::NoRequest => ("line", "is", "are", "no request", "; left out."),
        Oddity::HeaderAgain => ("row", "is", "are", "the header again", "; left out."),
        Oddity::CutShort => {
            return "the last line does not end and cannot be read; left out, as the log was cut \
                    short there."
                .to_owned();
        }
        Oddity::ClientLeft => {
            let then = "; left out, as how it would have ended is unknown.";
            ("attempt", "was", "were", "given up by the client (499)", then)
        }
        Oddity::Unseen => {
            let then = ": they failed at servers that it does not name, so error rates come out \
                        too low. Where failures are rare, go on; else let the proxy log attempts.";
            ("request", "had", "had", "earlier attempts that the log does not show", then)
        }
        Oddity::SpreadSeconds => {
            return "times have a resolution of 1 s, and the lines of a second are taken as spread \
                    evenly over it: rate limits and bursts cannot be seen."
                .to_owned();
        }
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
        Oddity::Refused => {
            let then = "; they count as failures, although no server looked at them.";
            ("attempt", "met", "met", "a refused connection", then)
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
