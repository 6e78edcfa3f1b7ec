//! All ways to cut a row of pieces into starts, summed by forward and backward recursion.
//!
//! A start is likely as the product over servers of their averaged likelihoods; a cut multiplies
//! by its prior odds (Barry and Hartigan, "Product partition models for change point problems",
//! Ann. Statist. 20 (1992), 260-279). Restarts inside a file are counted: the mass of exactly k
//! cuts in it, for k = 0, 1, ..., comes from recursions that start at cuts before the file and end
//! at cuts after it.
//!
//! When not to use it: memory is 4 bytes times the square of the number of pieces and time grows
//! likewise, so pieces must be few (`find` sees to that).

use std::ops::Range;

use rayon::prelude::*;

use super::marginals::Marginals;
use crate::fit::error_rates::Tally;

/// The tallies of the servers that a piece has tried.
pub(super) type Piece = Vec<(u8, Tally)>;

/// A sum of exponentials, of which only the logarithm fits into a number.
#[derive(Clone, Copy)]
pub(super) struct LogSum {
    max: f64,
    sum: f64,
}

impl LogSum {
    pub(super) const EMPTY: Self = Self { max: f64::NEG_INFINITY, sum: 0.0 };

    #[inline]
    pub(super) fn add(&mut self, x: f64) {
        // Below e^-40 of the sum nothing would change.
        if x <= self.max - 40.0 || x == f64::NEG_INFINITY {
            return;
        }
        if x <= self.max {
            self.sum += libm::exp(x - self.max);
        } else {
            self.sum = self.sum * libm::exp(self.max - x) + 1.0;
            self.max = x;
        }
    }

    pub(super) fn ln(self) -> f64 {
        self.max + libm::log(self.sum)
    }

    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut sum = Self::EMPTY;
        values.into_iter().for_each(|x| sum.add(x));
        sum.ln()
    }
}

/// Pieces in order, with the mass of all ways to cut them.
pub(super) struct Partition {
    /// `ln` likelihood of one start that holds pieces i..=i+d, at `rows[i][d]`.
    rows: Vec<Vec<f64>>,
    /// `ln` prior odds of a cut before each piece; 0 at both ends.
    cut: Vec<f64>,
    /// `ln` mass of what is before a cut at each place, and the prior odds of that cut.
    forward: Vec<f64>,
    /// `ln` mass of what is after a cut at each place.
    backward: Vec<f64>,
}

/// The cuts inside one file, by their number.
pub(super) struct Inside {
    /// `ln` mass of exactly 0, 1, ... cuts, as far as it was worth counting.
    pub(super) log_mass: Vec<f64>,
    /// `ln` mass of any number of cuts above 0.
    pub(super) log_mass_of_some: f64,
    /// `ln` mass of a single cut at each place.
    pub(super) single: Vec<f64>,
    /// The most probable places of the median number of cuts.
    pub(super) places: Vec<usize>,
    /// The probability of at least 1, 2, ... cuts, as many as `places`.
    pub(super) at_least: Vec<f64>,
}

impl Partition {
    /// All cuts of the pieces; `cut[k]` is the `ln` prior odds of a cut before piece k.
    pub(super) fn new(
        pieces: &[Piece],
        cut: Vec<f64>,
        servers: usize,
        marginals: &Marginals<'_>,
    ) -> Self {
        let n = pieces.len();
        let rows: Vec<Vec<f64>> =
            (0..n).into_par_iter().map(|i| row(&pieces[i..], servers, marginals)).collect();
        let mut partition =
            Self { rows, cut, forward: vec![0.0; n + 1], backward: vec![0.0; n + 1] };
        partition.cut.resize(n + 1, 0.0);
        let mut sums = vec![LogSum::EMPTY; n + 1];
        sums[0].add(0.0);
        for i in 0..=n {
            let forward = sums[i].ln() + if i == 0 { 0.0 } else { partition.cut[i] };
            partition.forward[i] = forward;
            if i < n {
                let row = &partition.rows[i];
                sums[i + 1..].iter_mut().zip(row).for_each(|(sum, x)| sum.add(forward + x));
            }
        }
        for i in (0..n).rev() {
            let after = partition.cut[i + 1..].iter().zip(&partition.backward[i + 1..]);
            let terms = partition.rows[i].iter().zip(after).map(|(x, (cut, b))| x + cut + b);
            partition.backward[i] = LogSum::of(terms);
        }
        partition
    }

    /// `ln` likelihood of one start that holds pieces i..j.
    pub(super) fn segment(&self, i: usize, j: usize) -> f64 {
        self.rows[i][j - i - 1]
    }

    fn pieces(&self) -> usize {
        self.rows.len()
    }

    /// `ln` posterior odds of a cut before each piece.
    pub(super) fn log_odds(&self) -> Vec<f64> {
        let n = self.pieces();
        let total = self.forward[n];
        // The probability that a start spans each place, summed from the last end of a start
        // backwards: every term is positive, so small sums keep their digits.
        let mut spanned = vec![0.0; n + 1];
        for i in 0..n {
            let mut ends_later = 0.0;
            for j in (i + 2..=n).rev() {
                let log_mass =
                    self.forward[i] + self.segment(i, j) + self.cut[j] + self.backward[j] - total;
                if log_mass > -740.0 {
                    ends_later += libm::exp(log_mass);
                }
                spanned[j - 1] += ends_later;
            }
        }
        let log_odds = |k: usize| {
            let spanned = match spanned[k] {
                p if p > 1e-300 => libm::log(p),
                _ => self.log_mass_without(k..k + 1) - total,
            };
            self.forward[k] + self.backward[k] - total - spanned
        };
        (0..n).map(|k| if k == 0 { f64::INFINITY } else { log_odds(k) }).collect()
    }

    /// `ln` mass of no cut at the places in the range.
    fn log_mass_without(&self, places: Range<usize>) -> f64 {
        LogSum::of((0..places.start).flat_map(|i| {
            (places.end..=self.pieces())
                .map(move |j| self.forward[i] + self.segment(i, j) + self.cut[j] + self.backward[j])
        }))
    }

    /// The cuts strictly inside the file that holds pieces `file`.
    pub(super) fn inside(&self, file: Range<usize>) -> Inside {
        let places: Vec<usize> = (file.start + 1..file.end).collect();
        let total = self.forward[self.pieces()];
        let none = self.log_mass_without(file.start + 1..file.end);
        // ln(e^total - e^none), the mass of at least one cut.
        let some = total + libm::log(-libm::expm1((none - total).min(-f64::MIN_POSITIVE)));
        // after[k][c]: mass after a cut at places[c] that is followed by k more in this file.
        let last = |c: usize| {
            LogSum::of(
                (file.end..=self.pieces())
                    .map(|j| self.segment(c, j) + self.cut[j] + self.backward[j]),
            )
        };
        let mut after: Vec<Vec<f64>> = vec![places.iter().map(|c| last(*c)).collect()];
        let first = |c: usize| {
            self.cut[c] + LogSum::of((0..=file.start).map(|i| self.forward[i] + self.segment(i, c)))
        };
        let first: Vec<f64> = places.iter().map(|c| first(*c)).collect();
        let joined = |after: &[f64]| first.iter().zip(after).map(|(a, b)| a + b).collect();
        let single: Vec<f64> = joined(&after[0]);
        let mut log_mass = vec![none, LogSum::of(single.iter().copied())];
        let mut at_least = Vec::new();
        // The posterior median of the number of cuts: one more as long as that is more probable
        // than not. Above one the mass of each number is needed.
        let mut fewer = libm::exp(none - total);
        while fewer < 0.5 && at_least.len() < places.len() {
            at_least.push(1.0 - fewer);
            let k = at_least.len();
            fewer += libm::exp(log_mass[k] - total);
            let previous = &after[k - 1];
            let earlier = |(at, c): (usize, &usize)| {
                LogSum::of((at + 1..places.len()).map(|next| {
                    let to = places[next];
                    self.segment(*c, to) + self.cut[to] + previous[next]
                }))
            };
            let next: Vec<f64> = places.iter().enumerate().map(earlier).collect();
            let joined: Vec<f64> = joined(&next);
            log_mass.push(LogSum::of(joined));
            after.push(next);
        }
        let mut chosen: Vec<usize> = Vec::new();
        let mut from = 0;
        for k in (0..at_least.len()).rev() {
            let before = |at: usize| match chosen.last() {
                None => first[at],
                Some(last) => self.segment(*last, places[at]) + self.cut[places[at]],
            };
            let value = |at: usize| before(at) + after[k][at];
            let best = (from..places.len())
                .fold(from, |best, at| if value(at) > value(best) { at } else { best });
            chosen.push(places[best]);
            from = best + 1;
        }
        Inside { log_mass, log_mass_of_some: some, single, places: chosen, at_least }
    }

    /// The most probable choice of the free places, all others being cut if `forced` holds them
    /// and whole otherwise. Places are sorted.
    pub(super) fn most_probable(&self, free: &[usize], forced: &[usize]) -> Vec<usize> {
        let mut places: Vec<(usize, bool)> =
            free.iter().map(|k| (*k, false)).chain(forced.iter().map(|k| (*k, true))).collect();
        places.push((0, true));
        places.push((self.pieces(), true));
        places.sort_unstable();
        let mut best = vec![(0.0, 0); places.len()];
        for to in 1..places.len() {
            best[to] = (f64::NEG_INFINITY, 0);
            for from in (0..to).rev() {
                let (i, j) = (places[from].0, places[to].0);
                let value = best[from].0 + self.segment(i, j) + self.cut[j];
                // Ties (pieces that say nothing) stay whole.
                if value >= best[to].0 {
                    best[to] = (value, from);
                }
                if places[from].1 {
                    break;
                }
            }
        }
        let mut cuts = Vec::new();
        let mut at = places.len() - 1;
        while at > 0 {
            at = best[at].1;
            cuts.push(places[at].0);
        }
        cuts.retain(|k| *k > 0);
        cuts.reverse();
        cuts
    }
}

/// `ln` likelihood of one start that holds the first piece, the first two, and so on.
fn row(pieces: &[Piece], servers: usize, marginals: &Marginals<'_>) -> Vec<f64> {
    let mut sums = vec![(Tally::default(), 0.0); servers];
    let mut total = 0.0;
    let next = |piece: &Piece| {
        for (server, tally) in piece {
            let (sum, value) = &mut sums[usize::from(*server)];
            sum.add(*tally);
            let now = marginals.log_marginal(*sum);
            total += now - *value;
            *value = now;
        }
        total
    };
    pieces.iter().map(next).collect()
}
