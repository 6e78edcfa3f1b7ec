//! Units grouped into few enough pieces, so that time and memory stay bounded.
//!
//! Up to [`PIECES`] units each is a piece. Above that, the requests of each file are grouped into
//! blocks of equal numbers, never across files; `refine` later moves each restart found to its
//! request.
//!
//! When not to use it: to find two restarts within one block; one at most is seen there.

use std::ops::Range;

use super::partition::Piece;
use super::units::{Gap, Unit};
use crate::fit::error_rates::Tally;
use crate::trace::{Observed, Recording};

/// The most pieces that requests are grouped into; each file is at least one more.
pub(super) const PIECES: usize = 1_000;

/// Pieces: where each begins.
pub(super) struct Pieces {
    /// The first unit of each piece.
    pub(super) firsts: Vec<usize>,
    /// Requests in a block.
    pub(super) stride: usize,
    pub(super) units: usize,
}

impl Pieces {
    pub(super) fn new(units: &[Unit], most: usize) -> Self {
        let inside = units.iter().filter(|unit| unit.gap == Gap::Inside).count();
        let stride = inside.div_ceil(most).max(1);
        let mut since = 0;
        let begins = |unit: &Unit| {
            since = if unit.gap == Gap::Inside { (since + 1) % stride } else { 0 };
            unit.gap != Gap::Same && since == 0
        };
        let begin: Vec<bool> = units.iter().map(begins).collect();
        let firsts = (0..units.len()).filter(|i| begin[*i] || *i == 0).collect();
        Self { firsts, stride, units: units.len() }
    }

    /// The units of a piece.
    pub(super) fn units(&self, piece: usize) -> Range<usize> {
        self.firsts[piece]..self.firsts.get(piece + 1).copied().unwrap_or(self.units)
    }
}

/// The attempts of a unit.
pub(super) fn attempts<'a>(
    recordings: &[&'a Recording],
    units: &[Unit],
    unit: usize,
) -> &'a [Observed] {
    let Unit { recording, first, .. } = units[unit];
    let all = &recordings[recording as usize].attempts;
    let end = match units.get(unit + 1) {
        Some(next) if next.recording == recording => next.first as usize,
        _ => all.len(),
    };
    &all[first as usize..end]
}

/// What the servers did in these units; those beyond `servers` and refusals are left out.
pub(super) fn piece(
    recordings: &[&Recording],
    units: &[Unit],
    of: Range<usize>,
    servers: usize,
) -> Piece {
    let mut tallies = vec![Tally::default(); servers];
    for attempt in of.flat_map(|unit| attempts(recordings, units, unit)) {
        if let (false, Some(tally)) =
            (attempt.refused(), tallies.get_mut(usize::from(attempt.server)))
        {
            tally.record(attempt.failed());
        }
    }
    let tried = |(server, tally): (u8, Tally)| (tally.attempts() > 0).then_some((server, tally));
    (0..=u8::MAX).zip(tallies).filter_map(tried).collect()
}
