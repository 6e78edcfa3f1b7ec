//! Acceptances and refusals by the length of a gap, in half octaves, monotone in the gap.
//!
//! Limits: gaps that differ by less than a half octave (up to 50 %) are not told apart.

use crate::domain::Span;

/// Half octaves from 2^16 ns (66 microseconds) to 2^34 ns (17 seconds).
pub(super) const BINS: usize = 36;
const FIRST_OCTAVE: u32 = 16;
/// Most outcomes that a cell remembers.
const MEMORY: f32 = 30.0;

/// Acceptances and refusals by gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    accepted: [f32; BINS],
    refused: [f32; BINS],
}

impl Table {
    /// Nothing seen.
    pub(super) const EMPTY: Self = Self { accepted: [0.0; BINS], refused: [0.0; BINS] };

    /// An acceptance after the gap `bin`; after longer ones it would have been accepted, too.
    pub(super) fn accept(&mut self, bin: usize) {
        for b in bin..BINS {
            self.accepted[b] += 1.0;
            self.forget(b);
        }
    }

    /// A refusal after the gap `bin`; after shorter ones it would have been refused, too.
    pub(super) fn refuse(&mut self, bin: usize) {
        for b in 0..=bin {
            self.refused[b] += 1.0;
            self.forget(b);
        }
    }

    #[inline]
    fn forget(&mut self, b: usize) {
        if self.accepted[b] + self.refused[b] > MEMORY {
            self.accepted[b] *= MEMORY / (MEMORY + 1.0);
            self.refused[b] *= MEMORY / (MEMORY + 1.0);
        }
    }

    /// The chance of acceptance, `prior` counting as one outcome.
    #[inline]
    pub(super) fn chance(&self, b: usize, prior: f32) -> f32 {
        (self.accepted[b] + prior) / (self.accepted[b] + self.refused[b] + 1.0)
    }
}

/// The half octave of a gap.
#[inline]
pub(super) fn bin(gap: Span) -> usize {
    let ns = gap.as_nanos() | 1;
    let octave = ns.ilog2();
    if octave < FIRST_OCTAVE {
        return 0;
    }
    let half = (ns >> (octave - 1) & 1) as usize;
    (2 * (octave - FIRST_OCTAVE) as usize + half).min(BINS - 1)
}

/// The shortest gap of a half octave.
pub(super) fn lower_edge(bin: usize) -> Span {
    let octave = 1_u64 << (FIRST_OCTAVE as usize + bin / 2);
    Span::from_nanos(if bin.is_multiple_of(2) { octave } else { octave + octave / 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIOR: f32 = 0.9;

    #[test]
    fn half_octaves_tile_the_gaps() {
        for b in 0..BINS {
            let edge = lower_edge(b).as_nanos();
            assert_eq!(bin(Span::from_nanos(edge)), b);
            if b > 0 {
                assert_eq!(bin(Span::from_nanos(edge - 1)), b - 1);
            }
        }
        assert_eq!((bin(Span::ZERO), bin(Span::from_nanos(u64::MAX))), (0, BINS - 1));
    }

    /// Evidence by a slow version: cells over all pairs of observation and cell.
    #[test]
    fn evidence_is_monotone_in_the_gap() {
        let mut table = Table::EMPTY;
        let seen = [(5, true), (3, false), (9, true), (4, false), (7, true)];
        for (b, accepted) in seen {
            if accepted { table.accept(b) } else { table.refuse(b) }
        }
        for b in 0..BINS {
            let accepted = seen.iter().filter(|(at, ok)| *ok && *at <= b).count();
            let refused = seen.iter().filter(|(at, ok)| !*ok && *at >= b).count();
            let expected = (accepted as f32 + PRIOR) / ((accepted + refused) as f32 + 1.0);
            assert_eq!(table.chance(b, PRIOR), expected);
            assert!(b == 0 || table.chance(b, PRIOR) >= table.chance(b - 1, PRIOR));
        }
    }
}
