//! How many restarts to expect inside a file: so many that about one file in 200 raises a false
//! alarm.
//!
//! Bayes factors have a mean of 1 without a restart, but their typical size depends on how often
//! each server was tried: 0.5 in 100 requests, 0.01 in 3,000 requests to ten servers in turn. The
//! few that come out large are about the same multiple of the typical one. So the number of
//! restarts that is expected beforehand is 1 / ([`MARGIN`] x typical Bayes factor), but at most
//! one.
//!
//! The typical Bayes factor of one place is that of its mean logarithm. For a server whose rate
//! has prior variance v, whose attempts have variance w, with m before the place and n after,
//! twice the logarithm is in the normal limit
//!
//! ```text
//! -ln(1 + r) + z^2 r / (1 + r)   with r = 2 v / w x m n / (m + n), z standard normal
//! ```
//!
//! When not to use it: to judge evidence. The Bayes factor does that; this is the prior it meets.

use std::ops::Range;

use rayon::prelude::*;

use crate::rates::{RatePrior, Tally};
use flakelab_core::stats::{ln_beta, ln_gamma, normal_cdf};

/// How far above the typical Bayes factor that of a restart has to be. False alarms so measured,
/// ten servers with rates from Beta(2, 2), tried in turn: 9, 61 and 65 of 20,000 files of 100, 200
/// and 300 requests, 5 of 1,000 of 1,000 requests, 22 of 4,000 of 3,000. With Thompson's rule fewer:
/// 5, 27 and 30 of 20,000, then 1 and 2 of 1,000. `tests/calibration/starts.rs` repeats the study.
const MARGIN: f64 = 100.0;

/// No more restarts are expected in a file.
const AT_MOST: f64 = 1.0;

/// What the prior says of two attempts at one server.
pub(crate) struct Expectation {
    /// Twice the variance of rates over the mean variance of an attempt.
    ratio: f64,
}

impl Expectation {
    pub(crate) fn new(prior: &RatePrior) -> Self {
        let once = libm::exp(prior.log_marginal(Tally { failures: 1, successes: 0 }));
        let twice = libm::exp(prior.log_marginal(Tally { failures: 2, successes: 0 }));
        let of_rates = (twice - once * once).max(0.0);
        Self { ratio: 2.0 * of_rates / (once - twice).max(f64::MIN_POSITIVE) }
    }

    /// How many restarts to expect at the places between the pieces of one file.
    pub(crate) fn restarts(&self, file: &[Piece], servers: usize) -> f64 {
        (1.0 / (MARGIN * self.typical(file, servers))).min(AT_MOST)
    }

    /// The typical Bayes factor without a restart, averaged over the places.
    fn typical(&self, file: &[Piece], servers: usize) -> f64 {
        let mut all = vec![0.0; servers];
        for (server, tally) in file.iter().flatten() {
            all[usize::from(*server)] += tally.attempts() as f64;
        }
        let mut before = vec![0.0; servers];
        let mut logs = vec![0.0; servers];
        let mut sum = 0.0;
        for piece in &file[..file.len() - 1] {
            for (server, tally) in piece {
                let server = usize::from(*server);
                before[server] += tally.attempts() as f64;
                let r = self.ratio * before[server] * (1.0 - before[server] / all[server]);
                logs[server] = 0.5 * (r / (1.0 + r) - libm::log1p(r));
            }
            sum += libm::exp(logs.iter().sum::<f64>());
        }
        (sum / (file.len() - 1) as f64).max(f64::MIN_POSITIVE)
    }
}

// ---- `ln` of a server's likelihood averaged over its error rate, looked up.
//
// The probability q(f, s) of f failures and s successes in f + s attempts, whatever their order,
// obeys
//
// ```text
// (f + s + 1) q(f, s) = (f + 1) q(f + 1, s) + (s + 1) q(f, s + 1)
// ```
//
// because one attempt more either fails or succeeds. So the tallies with the most failures and
// those with the most successes give all others by additions of positive numbers: no digits are
// lost. The likelihood of one order of outcomes is q(f, s) / binomial(f + s, f).
//
// A server beyond the table with more than [`MANY`] attempts has a narrow and nearly normal
// posterior: its likelihood is B(f+1, s+1) times the density of rates averaged over that curve.

/// The table holds at most so many failures, or successes, and at most the square over two of
/// tallies.
const TABLED: usize = 2_000;

/// Attempts from which on the normal curve will do.
const MANY: u64 = 2_000;

/// Cells of the density of rates.
const CELLS: usize = 512;

/// Cells further than this many standard deviations from the mean hold nothing.
const REACH: f64 = 8.0;

/// With fewer failures or successes than this the posterior is too skewed for a normal curve.
const SKEWED: u64 = 100;

/// Below this the recursion has lost its digits, or all, to underflow.
const SMALLEST_PROBABILITY: f64 = 1e-280;

/// Below this the normal curve has lost its digits.
const SMALLEST_MASS: f64 = 1e-10;

/// Averaged likelihoods of tallies.
pub(crate) struct Marginals<'a> {
    prior: &'a RatePrior,
    /// `ln` of the averaged likelihood of f failures and s successes at f columns + s.
    table: Vec<f64>,
    columns: usize,
    /// The density of rates in each cell; empty if no tally needs it.
    density: Vec<f64>,
}

impl<'a> Marginals<'a> {
    /// For tallies of up to so many failures and successes.
    pub(crate) fn new(prior: &'a RatePrior, most: Tally) -> Self {
        let [failures, successes] =
            [most.failures, most.successes].map(|most| most.min(TABLED as u64) as usize);
        let failures = failures.min(TABLED * TABLED / 2 / (successes + 1));
        let mut density = Vec::new();
        if most.attempts() > MANY {
            let below = |i: usize| prior.posterior_cdf(Tally::default(), i as f64 / CELLS as f64);
            let below: Vec<f64> = (0..=CELLS).map(below).collect();
            density.extend(below.windows(2).map(|ends| (ends[1] - ends[0]) * CELLS as f64));
        }
        let table = table(prior, failures, successes);
        Self { prior, table, columns: successes + 1, density }
    }

    /// `ln` of p^f (1-p)^s averaged over the prior.
    #[inline]
    pub(crate) fn log_marginal(&self, tally: Tally) -> f64 {
        if tally.successes < self.columns as u64 && tally.failures <= TABLED as u64 {
            let place = tally.failures as usize * self.columns + tally.successes as usize;
            if let Some(value) = self.table.get(place) {
                return *value;
            }
        }
        self.by_normal_curve(tally).unwrap_or_else(|| self.prior.log_marginal(tally))
    }

    fn by_normal_curve(&self, tally: Tally) -> Option<f64> {
        if tally.attempts() <= MANY || tally.failures.min(tally.successes) < SKEWED {
            return None;
        }
        let (a, b) = (tally.failures as f64 + 1.0, tally.successes as f64 + 1.0);
        let mean = a / (a + b);
        let sd = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
        let edge = |cell: usize| cell as f64 / CELLS as f64;
        let place = |rate: f64| (rate * CELLS as f64).max(0.0) as usize;
        let cells = place(mean - REACH * sd)..(place(mean + REACH * sd) + 1).min(CELLS);
        let mut below = normal_cdf((edge(cells.start) - mean) / sd);
        let mut mass = 0.0;
        for cell in cells {
            let next = normal_cdf((edge(cell + 1) - mean) / sd);
            mass += self.density.get(cell)? * (next - below);
            below = next;
        }
        (mass > SMALLEST_MASS).then(|| libm::log(mass) + ln_beta(a, b))
    }
}

fn table(prior: &RatePrior, failures: usize, successes: usize) -> Vec<f64> {
    let log_factorial: Vec<f64> =
        (0..=failures + successes).map(|n| ln_gamma(n as f64 + 1.0)).collect();
    let log_orders =
        |f: usize, s: usize| log_factorial[f + s] - log_factorial[f] - log_factorial[s];
    let exactly =
        |f: usize, s: usize| prior.log_marginal(Tally { failures: f as u64, successes: s as u64 });
    let columns = successes + 1;
    let mut table = vec![0.0; (failures + 1) * columns];
    // q of one failure more, then of this number of failures, for each number of successes.
    let mut q = vec![0.0; columns];
    for f in (0..=failures).rev() {
        for s in (0..columns).rev() {
            let known = f == failures || s == successes;
            let value = if known {
                libm::exp(exactly(f, s) + log_orders(f, s))
            } else {
                ((f + 1) as f64 * q[s] + (s + 1) as f64 * q[s + 1]) / (f + s + 1) as f64
            };
            q[s] = value;
            // Impossible for all rates that the prior allows, or nearly: no digits are left.
            table[f * columns + s] = if f + s == 0 {
                0.0
            } else if value > SMALLEST_PROBABILITY {
                libm::log(value) - log_orders(f, s)
            } else {
                exactly(f, s)
            };
        }
    }
    table
}

// ---- All ways to cut a row of pieces into starts, summed by forward and backward recursion.
//
// A start is likely as the product over servers of their averaged likelihoods; a cut multiplies
// by its prior odds (Barry and Hartigan, "Product partition models for change point problems",
// Ann. Statist. 20 (1992), 260-279). Restarts inside a file are counted: the mass of exactly k
// cuts in it, for k = 0, 1, ..., comes from recursions that start at cuts before the file and end
// at cuts after it. Memory is 4 bytes times the square of the number of pieces and time grows
// likewise, so pieces must be few (`find` sees to that).

/// The tallies of the servers that a piece has tried.
pub(crate) type Piece = Vec<(u8, Tally)>;

/// A sum of exponentials, of which only the logarithm fits into a number.
#[derive(Clone, Copy)]
pub(crate) struct LogSum {
    max: f64,
    sum: f64,
}

impl LogSum {
    const EMPTY: Self = Self { max: f64::NEG_INFINITY, sum: 0.0 };

    #[inline]
    pub(crate) fn add(&mut self, x: f64) {
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

    pub(crate) fn ln(self) -> f64 {
        self.max + libm::log(self.sum)
    }

    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut sum = Self::EMPTY;
        values.into_iter().for_each(|x| sum.add(x));
        sum.ln()
    }
}

/// Pieces in order, with the mass of all ways to cut them.
pub(crate) struct Partition {
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
pub(crate) struct Inside {
    /// `ln` mass of exactly 0, 1, ... cuts, as far as it was worth counting.
    pub(crate) log_mass: Vec<f64>,
    /// `ln` mass of any number of cuts above 0.
    pub(crate) log_mass_of_some: f64,
    /// `ln` mass of a single cut at each place.
    pub(crate) single: Vec<f64>,
    /// The most probable places of the median number of cuts.
    pub(crate) places: Vec<usize>,
    /// The probability of at least 1, 2, ... cuts, as many as `places`.
    pub(crate) at_least: Vec<f64>,
}

impl Partition {
    /// All cuts of the pieces; `cut[k]` is the `ln` prior odds of a cut before piece k.
    pub(crate) fn new(
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
    fn segment(&self, i: usize, j: usize) -> f64 {
        self.rows[i][j - i - 1]
    }

    fn pieces(&self) -> usize {
        self.rows.len()
    }

    /// `ln` mass of all ways to cut the pieces.
    pub(crate) fn log_mass(&self) -> f64 {
        self.forward[self.pieces()]
    }

    /// `ln` posterior odds of a cut before each piece.
    pub(crate) fn log_odds(&self) -> Vec<f64> {
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
    pub(crate) fn inside(&self, file: Range<usize>) -> Inside {
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
    pub(crate) fn most_probable(&self, free: &[usize], forced: &[usize]) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::tally;
    use flakelab_sim::world::ErrorFamily;

    #[test]
    fn more_attempts_make_a_chance_alarm_rarer_and_a_restart_easier_to_believe() {
        let prior = RatePrior::of(&ErrorFamily::Beta { alpha: 2.0, beta: 2.0 });
        let expectation = Expectation::new(&prior);
        // Beta(2, 2): rates vary by 1/20, attempts at one server by 1/5 on average.
        assert!((expectation.ratio - 0.5).abs() < 1e-3);
        let in_turn = |requests: u8| -> Vec<Piece> {
            (0..requests).map(|i| vec![(i % 10, tally(10, 0))]).collect()
        };
        let expected = [10, 100, 200].map(|n| expectation.restarts(&in_turn(n), 10));
        assert!(expected.is_sorted() && expected[2] > 0.5, "{expected:?}");
        // Servers that stand on one side of each place say nothing: Bayes factors are 1.
        assert!((expected[0] - 1.0 / MARGIN).abs() < 1e-12);
        let nothing = [vec![(0, tally(1, 0))], vec![]];
        assert!((expectation.restarts(&nothing, 1) - 1.0 / MARGIN).abs() < 1e-12);
    }

    #[test]
    fn the_table_holds_the_averages_over_the_prior() {
        for population in [
            ErrorFamily::FLAT,
            ErrorFamily::Uniform { low: 0.3, high: 0.35 },
            ErrorFamily::Beta { alpha: 2.0, beta: 2.0 },
        ] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, tally(1_000, 900));
            for (f, s) in [(0, 0), (1, 0), (0, 1), (7, 3), (300, 700), (0, 900), (1_000, 0)] {
                let (got, expected) =
                    (marginals.log_marginal(tally(f, s)), prior.log_marginal(tally(f, s)));
                assert!((got - expected).abs() < 1e-3, "{population:?} {f} {s} {got} {expected}");
            }
        }
    }

    #[test]
    fn the_normal_curve_takes_over_where_the_table_ends() {
        for population in [ErrorFamily::FLAT, ErrorFamily::Uniform { low: 0.041, high: 0.686 }] {
            let prior = RatePrior::of(&population);
            let marginals = Marginals::new(&prior, tally(1_000_000, 1_000_000));
            let tallies = [(110, 1_940), (1_025, 1_025), (1_410, 640), (0, 2_050), (2_050, 0)];
            for (f, s) in tallies.into_iter().chain([(4_000, 6_100), (300_000, 700_000)]) {
                let t = tally(f, s);
                let (got, expected) = (marginals.log_marginal(t), prior.log_marginal(t));
                assert!((got - expected).abs() < 0.06, "{population:?} {t:?} {got} {expected}");
            }
        }
    }
}
