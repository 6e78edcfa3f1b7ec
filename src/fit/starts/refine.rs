//! Where exactly was a restart? Each place between the neighbouring restarts is as likely as the
//! attempts before it and after it, each a start of its own; the places were equally probable
//! before.
//!
//! When not to use it: to decide whether there was a restart.

use std::ops::Range;

use super::marginals::Marginals;
use super::partition::{LogSum, Piece};
use super::pieces;
use super::units::Unit;
use crate::fit::error_rates::Tally;
use crate::trace::Recording;

/// Half of the probability outside an interval of 95 %.
const TAIL: f64 = 0.025;

/// The tallies of all servers and the `ln` of their likelihood.
struct Sums<'a> {
    marginals: &'a Marginals<'a>,
    tallies: Vec<Tally>,
    values: Vec<f64>,
}

impl<'a> Sums<'a> {
    fn new(of: &Piece, servers: usize, marginals: &'a Marginals<'a>) -> Self {
        let mut sums = Self {
            marginals,
            tallies: vec![Tally::default(); servers],
            values: vec![0.0; servers],
        };
        for (server, tally) in of {
            sums.set(usize::from(*server), *tally);
        }
        sums
    }

    fn set(&mut self, server: usize, tally: Tally) {
        self.tallies[server] = tally;
        self.values[server] = self.marginals.log_marginal(tally);
    }

    fn change(&mut self, by: &Piece, add: bool) {
        for (server, tally) in by {
            let server = usize::from(*server);
            let mut sum = self.tallies[server];
            if add {
                sum.add(*tally);
            } else {
                sum.failures -= tally.failures;
                sum.successes -= tally.successes;
            }
            self.set(server, sum);
        }
    }

    fn log_likelihood(&self) -> f64 {
        self.values.iter().sum()
    }
}

/// The posterior of the place of one restart.
pub(super) struct Located {
    /// The most probable unit to begin the new start.
    pub(super) best: usize,
    /// The first and the last unit of the 95 % interval.
    pub(super) interval: (usize, usize),
}

/// Locates the one restart in a start's `span` of units among `places`, which lie strictly inside.
pub(super) fn locate(
    recordings: &[&Recording],
    units: &[Unit],
    span: Range<usize>,
    places: Range<usize>,
    servers: usize,
    marginals: &Marginals<'_>,
) -> Option<Located> {
    let piece = |of: Range<usize>| pieces::piece(recordings, units, of, servers);
    let mut before = Sums::new(&piece(span.start..places.start), servers, marginals);
    let mut after = Sums::new(&piece(places.start..span.end), servers, marginals);
    let value = |unit: usize| {
        let value = before.log_likelihood() + after.log_likelihood();
        let moved = piece(unit..unit + 1);
        before.change(&moved, true);
        after.change(&moved, false);
        value
    };
    let values: Vec<f64> = places.clone().map(value).collect();
    let total = LogSum::of(values.iter().copied());
    let best = (0..values.len()).reduce(|a, b| if values[b] > values[a] { b } else { a })?;
    let mut below = 0.0;
    let (mut low, mut high) = (None, values.len() - 1);
    for (i, value) in values.iter().enumerate() {
        below += libm::exp(value - total);
        if below > TAIL && low.is_none() {
            low = Some(i);
        }
        if below >= 1.0 - TAIL {
            high = i;
            break;
        }
    }
    let first = places.start;
    Some(Located { best: first + best, interval: (first + low.unwrap_or(0), first + high) })
}
