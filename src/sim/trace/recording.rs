//! A recording as a fit needs it: the attempts at one group of servers in one file, 24 bytes each.
//!
//! When not to use it: to write traces, or where identifiers matter; those are
//! [`Row`](super::Row)s.

use std::path::PathBuf;

use crate::trace::group::Group;
use crate::trace::notes::{Notes, Oddity};
use flakelab_core::domain::Outcome;

/// One attempt, as far as a fit cares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When it was sent: Unix time in seconds. After a clock that was set back, what the clock
    /// would have shown otherwise: times go on where they stood (see
    /// [`Recording::clock_jumps`]).
    pub at_s: f64,
    /// Time to the answer in milliseconds; 0 in a row without it, see
    /// [`Recording::tells_latency`].
    pub latency_ms: f32,
    /// The position of its request within the recording, from 0 in order of first attempts.
    pub request: u32,
    /// Its number within the request, from 1.
    pub attempt: u16,
    /// The server's position within the group.
    pub server: u8,
    /// What the client observed. A 429 of a recorder that does not tell is a `Failure`.
    pub outcome: Outcome,
    /// The position in [`Recording::strategies`] of the strategy that chose the server.
    pub strategy: u8,
    /// The first byte of the identifier, to test whether identifiers matter; 0 without one.
    pub identifier_byte: u8,
}

impl Observed {
    /// Whether it counts as an error of the server: not a success, and not known to be refused.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failure | Outcome::TimedOut)
    }

    /// Whether it is known to have been refused by a rate limiter.
    pub fn refused(&self) -> bool {
        self.outcome == Outcome::RateLimited
    }
}

/// The attempts at one group of servers in one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file, for messages.
    pub path: PathBuf,
    /// The servers.
    pub group: Group,
    /// Which strategies chose the servers, sorted.
    pub strategies: Vec<String>,
    /// Whether the recorder told 429 from other failures, in every row.
    pub tells_refusals: bool,
    /// Whether every row has a latency; else those there are not to be used.
    pub tells_latency: bool,
    /// In order of time, those of the same instant in the order of the file; at least one.
    pub attempts: Vec<Observed>,
    /// Where the file says that the servers were started anew: positions in `attempts`, with the
    /// file's name for the start. Empty when the file is silent; else the first one is at 0.
    pub declared_starts: Vec<(usize, String)>,
    /// Positions in `attempts` before which the clock jumped, in rising order: it was set back by
    /// more than a second, or there is a gap of more than an hour. What a rate limiter did between
    /// is unknown.
    pub clock_jumps: Vec<usize>,
    /// What is odd about the file, as sentences that open with `file:line:`.
    pub warnings: Vec<String>,
    /// Identifier of the first attempt, or a hash of all attempts where they have none, to find
    /// recordings handed in twice.
    pub first_identifier: String,
}

impl Recording {
    /// The file's name without its folder, so that results do not depend on where traces lie.
    pub fn file(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// When the first attempt was sent, Unix time in seconds.
    pub fn started_at_s(&self) -> f64 {
        self.attempts.first().map_or(0.0, |attempt| attempt.at_s)
    }
}

// ---- The order of attempts in time, and where the recorder's clock cannot be believed.
//
// Rows that stand a little out of order are sorted. A clock that was set back is something else:
// sorting would shuffle what happened before with what happened after. There the file's order is
// kept, and all later times are moved by one constant so that the time line goes on where it
// stood: the true pause is unknown and taken as zero. `at_s` therefore always rises; after such a
// jump it is what the clock would have shown had it not been set back.
//
// When not to use it: to tell a clock set forward from a night without requests; both are gaps.

/// A clock that goes back by more than this, in seconds, was set; less is rows out of order.
const BACK_S: f64 = 1.0;

/// A gap of more than this, in seconds, is worth a word.
const FORWARD_S: f64 = 3600.0;

/// In a file with more steps back than one and one in this many rows, rows are out of order.
const ROWS_PER_STEP_BACK: usize = 100;

/// Brings the attempts in order of time. Returns the positions before which the clock jumped.
///
/// `in_order_of_ends`: rows stand in the order in which requests ended; that they do not stand in the
/// order of their starts says nothing of the clock.
pub(crate) fn order(table: &mut Table, in_order_of_ends: bool, notes: &mut Notes) -> Vec<usize> {
    let mut jumps = if in_order_of_ends { Vec::new() } else { set_back(&table.attempts) };
    for jump in &jumps {
        notes.add(Oddity::ClockBack, table.line(*jump));
    }
    follow_on(&mut table.attempts, &jumps);
    let mut latest = f64::NEG_INFINITY;
    for (index, attempt) in table.attempts.iter().enumerate() {
        if attempt.at_s < latest && !in_order_of_ends {
            notes.add(Oddity::OutOfOrder, table.line(index));
        }
        latest = latest.max(attempt.at_s);
    }
    table.sort_by_time();
    for (index, pair) in table.attempts.windows(2).enumerate() {
        if pair[1].at_s - pair[0].at_s > FORWARD_S {
            notes.add(Oddity::ClockForward, table.line(index + 1));
            jumps.push(index + 1);
        }
    }
    jumps.sort_unstable();
    jumps
}

/// Where, in the order of the file, the clock was set back.
///
/// Both neighbours on either side must agree: one row that was written late, or one wrong time, is
/// a row out of order.
fn set_back(attempts: &[Observed]) -> Vec<usize> {
    let at = |index: usize| attempts[index].at_s;
    let back = |index: &usize| at(*index) < at(*index - 1) - BACK_S;
    let steps = (1..attempts.len()).filter(back);
    if steps.clone().count() > 1 + attempts.len() / ROWS_PER_STEP_BACK {
        return Vec::new();
    }
    let lasting = |index: &usize| {
        let (before, after) = (index.checked_sub(2), index + 1);
        let before = before.is_some_and(|before| at(before) > at(*index));
        before && after < attempts.len() && at(after) < at(*index - 1)
    };
    steps.filter(lasting).collect()
}

/// Moves the times after each jump so that the earliest of them is the latest before it.
fn follow_on(attempts: &mut [Observed], jumps: &[usize]) {
    let mut latest = f64::NEG_INFINITY;
    let starts = [0].into_iter().chain(jumps.iter().copied());
    let ends = jumps.iter().copied().chain([attempts.len()]);
    for (start, end) in starts.zip(ends) {
        let segment = &mut attempts[start..end];
        let earliest = segment.iter().map(|a| a.at_s).fold(f64::INFINITY, f64::min);
        let shift = if start == 0 { 0.0 } else { latest - earliest };
        for attempt in segment {
            // Rounding must not bring it before the jump.
            attempt.at_s =
                if start == 0 { attempt.at_s } else { (attempt.at_s + shift).max(latest) };
        }
        let segment = &attempts[start..end];
        latest = segment.iter().map(|a| a.at_s).fold(latest, f64::max);
    }
}

/// The attempts of a recording while it is being read, in the order of the file and then in order
/// of time; the columns have equal lengths.
///
/// 28 bytes an attempt, 32 where the file names starts, so that ten million rows fit in under half
/// a gigabyte with what [`collect`](super::collect) needs beside them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) attempts: Vec<Observed>,
    /// The line that each stands on.
    pub(crate) lines: Vec<u32>,
    /// What the file calls the start that each met, as a number; empty where it does not say.
    pub(crate) starts: Vec<u32>,
}

impl Table {
    pub(crate) fn line(&self, index: usize) -> u64 {
        self.lines.get(index).copied().unwrap_or(0).into()
    }

    /// Drops the attempts at these positions, which rise.
    pub(crate) fn drop_all(&mut self, dropped: &[u32]) {
        if dropped.is_empty() {
            return;
        }
        fn keep<T>(column: &mut Vec<T>, dropped: &[u32]) {
            let (mut index, mut next) = (0, dropped.iter().peekable());
            column.retain(|_| {
                let drop = next.next_if_eq(&&index).is_some();
                index += 1;
                !drop
            });
        }
        keep(&mut self.attempts, dropped);
        keep(&mut self.lines, dropped);
        keep(&mut self.starts, dropped);
    }

    /// Sorts by time; attempts of the same instant keep their order.
    fn sort_by_time(&mut self) {
        if self.attempts.is_sorted_by(|a, b| a.at_s <= b.at_s) {
            return;
        }
        // Positions are sorted, not attempts: that takes a third of the memory.
        let mut order: Vec<u32> = (0..self.attempts.len() as u32).collect();
        let at = |position: &u32| self.attempts[*position as usize].at_s;
        order.sort_by(|a, b| at(a).total_cmp(&at(b)));
        let mut moved = order.clone();
        permute(&mut self.attempts, &mut moved);
        moved.copy_from_slice(&order);
        permute(&mut self.lines, &mut moved);
        if !self.starts.is_empty() {
            permute(&mut self.starts, &mut order);
        }
    }
}

/// Moves the element at `order[k]` to place `k`, for each `k`, cycle by cycle; `order`, a
/// permutation, becomes the identity.
fn permute<T: Copy>(column: &mut [T], order: &mut [u32]) {
    for start in 0..column.len() {
        let first = column[start];
        let mut place = start;
        loop {
            let from = order[place] as usize;
            order[place] = place as u32;
            if from == start {
                column[place] = first;
                break;
            }
            column[place] = column[from];
            place = from;
        }
    }
}
