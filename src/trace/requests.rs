//! Which attempts belong to one request, which rows stand there twice, which are missing.
//!
//! A request is told apart by a hash of 64 bits of its session, number and identifier, 12 bytes an
//! attempt; among ten million requests two share a hash with probability 3e-6 (birthday bound,
//! n^2 / 2^65).
//!
//! When not to use it: it cannot find requests that nobody recorded.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Observed;
use super::attempt::{Attempt, NONE};
use super::notes::{Notes, Oddity};
use super::table::Table;
use crate::domain::Outcome;

/// An attempt and the hash of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// In two halves, so that a key takes 12 bytes and not 16.
    hash: [u32; 2],
    index: u32,
}

impl Key {
    /// `None` where the file does not tell requests apart.
    pub(super) fn of(attempt: &Attempt<'_>, index: u32) -> Option<Self> {
        if attempt.request_id.is_none() && attempt.request_number.is_none() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (attempt.session_id, attempt.request_number, attempt.request_id).hash(&mut hasher);
        if attempt.request_id == Some(NONE) && attempt.request_number.is_none() {
            // The log tells requests apart, but not this one: a request of its own.
            attempt.line.hash(&mut hasher);
        }
        let hash = hasher.finish();
        Some(Self { hash: [(hash >> 32) as u32, hash as u32], index })
    }
}

/// The same attempt of the same request on two lines, with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conflict {
    pub(super) line: u64,
    pub(super) earlier: u64,
    pub(super) attempt: u16,
}

/// Gives every request a number (in any order) and drops copies of rows.
///
/// `numbered`: the file numbers the attempts of a request; else they are numbered here, in order
/// of time. `probe`: the strategy that goes on after a success on purpose.
///
/// # Errors
/// The first conflict, by line.
pub(super) fn identify(
    table: &mut Table,
    mut keys: Vec<Key>,
    numbered: bool,
    probe: Option<u8>,
    notes: &mut Notes,
) -> Result<(), Conflict> {
    if keys.is_empty() {
        by_line(table, numbered);
        return Ok(());
    }
    keys.sort_unstable();
    let (mut dropped, mut conflict) = (Vec::new(), None::<Conflict>);
    for (number, request) in keys.chunk_by_mut(|a, b| a.hash == b.hash).enumerate() {
        sort(request, &table.attempts, numbered);
        let mut walk = Walk { probe, last: None, answered: false, gap: None, after: None };
        for key in request {
            let index = key.index as usize;
            let found = walk.step(table, index, numbered);
            table.attempts[index].request = number as u32;
            match found {
                Step::Next => {}
                Step::Copy => {
                    notes.add(Oddity::Duplicate, table.line(index));
                    dropped.push(key.index);
                }
                Step::Conflict(found) => {
                    conflict = Some(conflict.map_or(found, |first| first.min(found)));
                }
            }
        }
        for (oddity, line) in [(Oddity::Gap, walk.gap), (Oddity::AfterSuccess, walk.after)] {
            if let Some(line) = line {
                notes.add(oddity, line);
            }
        }
    }
    dropped.sort_unstable();
    table.drop_all(&dropped);
    conflict.map_or(Ok(()), Err)
}

/// Every row is a request of its own; a row with several upstreams is one request.
fn by_line(table: &mut Table, numbered: bool) {
    let (mut request, mut number) = (0_u32, 0_u16);
    for i in 0..table.attempts.len() {
        let same = i > 0 && table.lines[i] == table.lines[i - 1];
        request += u32::from(i > 0 && !same);
        number = if same { number.saturating_add(1) } else { 1 };
        let attempt = &mut table.attempts[i];
        attempt.request = request;
        if !numbered {
            attempt.attempt = number;
        }
    }
}

/// Sorts the attempts of a request by number, or by time where there are no numbers.
fn sort(request: &mut [Key], attempts: &[Observed], numbered: bool) {
    let of = |key: &Key| attempts[key.index as usize];
    if numbered {
        request.sort_unstable_by_key(|key| (of(key).attempt, key.index));
    } else {
        request
            .sort_unstable_by(|a, b| of(a).at_s.total_cmp(&of(b).at_s).then(a.index.cmp(&b.index)));
    }
}

/// A walk over the attempts of a request.
struct Walk {
    probe: Option<u8>,
    last: Option<usize>,
    answered: bool,
    /// Line of the first attempt that follows none.
    gap: Option<u64>,
    /// Line of the first attempt after a success.
    after: Option<u64>,
}

enum Step {
    Next,
    Copy,
    Conflict(Conflict),
}

impl Walk {
    fn step(&mut self, table: &mut Table, index: usize, numbered: bool) -> Step {
        let attempt = table.attempts[index];
        let before = self.last.map(|last| (last, table.attempts[last]));
        if let Some((last, before)) = before {
            let twice = !numbered || before.attempt == attempt.attempt;
            // A row may name one server twice; a copy stands on another line.
            let elsewhere = table.lines[last] != table.lines[index];
            if twice && elsewhere && same_row(&before, &attempt) {
                return Step::Copy;
            }
            if numbered && twice {
                let (here, there) = (table.line(index), table.line(last));
                let (line, earlier) = (here.max(there), here.min(there));
                return Step::Conflict(Conflict { line, earlier, attempt: attempt.attempt });
            }
        }
        let next = before.map_or(0, |(_, before)| before.attempt).saturating_add(1);
        if !numbered {
            table.attempts[index].attempt = next;
        } else if attempt.attempt != next {
            self.gap.get_or_insert(table.line(index));
        }
        if self.answered && self.probe != Some(attempt.strategy) {
            self.after.get_or_insert(table.line(index));
        }
        self.answered |= attempt.outcome == Outcome::Success;
        self.last = Some(index);
        Step::Next
    }
}

/// Whether two rows of one request say the same, in all that a fit reads.
fn same_row(a: &Observed, b: &Observed) -> bool {
    (a.at_s, a.latency_ms, a.server, a.outcome, a.strategy)
        == (b.at_s, b.latency_ms, b.server, b.outcome, b.strategy)
}
