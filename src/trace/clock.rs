//! The order of attempts in time, and where the recorder's clock cannot be believed.
//!
//! Rows that stand a little out of order are sorted. A clock that was set back is something else:
//! sorting would shuffle what happened before with what happened after. There the file's order is
//! kept, and all later times are moved by one constant so that the time line goes on where it
//! stood: the true pause is unknown and taken as zero. `at_s` therefore always rises; after such a
//! jump it is what the clock would have shown had it not been set back.
//!
//! When not to use it: to tell a clock set forward from a night without requests; both are gaps.

use super::Observed;
use super::notes::{Notes, Oddity};
use super::table::Table;

/// A clock that goes back by more than this, in seconds, was set; less is rows out of order.
const BACK_S: f64 = 1.0;
/// A gap of more than this, in seconds, is worth a word.
const FORWARD_S: f64 = 3600.0;
/// In a file with more steps back than one and one in this many rows, rows are out of order.
const ROWS_PER_STEP_BACK: usize = 100;

/// Brings the attempts in order of time. Returns the positions before which the clock jumped.
pub(super) fn order(table: &mut Table, notes: &mut Notes) -> Vec<usize> {
    let mut jumps = set_back(&table.attempts);
    for jump in &jumps {
        notes.add(Oddity::ClockBack, table.line(*jump));
    }
    follow_on(&mut table.attempts, &jumps);
    let mut latest = f64::NEG_INFINITY;
    for (index, attempt) in table.attempts.iter().enumerate() {
        if attempt.at_s < latest {
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
