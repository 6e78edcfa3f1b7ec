//! Finds the starts among the recordings of one group, between files and inside them.
//!
//! At a start all servers draw new error rates together. Between two files a restart is as
//! probable as not. Inside a file the places share the number of restarts that `Expectation` allows,
//! at most one and mostly far fewer, and a restart is declared when it is more probable than not:
//! when the Bayes factor for "at least one restart, wherever", averaged over their places, exceeds
//! the inverse of its prior odds. Without a restart that factor is 1 on average, so by Markov's
//! inequality it exceeds K in at most 1 of K files, however the servers were chosen. Where prior
//! odds near 1 make that bound idle, `Expectation` states what was measured. The number of restarts
//! found in a file is the median of its posterior: a second one must be more probable than not too.
//!
//! Source: Barry and Hartigan, "Product partition models for change point problems", Ann. Statist.
//! 20 (1992), 260-279; Bayes factors: Kass and Raftery, JASA 90 (1995), 773-795.
//!
//! When not to use it: when one server alone is restarted, when rates drift, or when refusals by
//! a rate limiter hide among failures: those can look like a restart, or hide one.

use std::ops::Range;

use crate::rates::{RatePrior, Tally};
use crate::starts::outages::{outages_by, silenced};
use crate::starts::partition::{Expectation, LogSum, Marginals, Partition, Piece};
use crate::starts::{FileSearch, OutageSpan, Place, StartBoundary, Starts, spans};
use flakelab_core::stats::Interval;
use flakelab_sim::trace::{Observed, Recording};

/// A restart is located among the places of the blocks around it, and at least among so many.
const LEAST_PLACES: usize = 5_000;

/// Finds the starts among recordings of one group in order of time, and outages of all servers.
///
/// `servers` is the number of servers of the group; attempts at others and refused attempts say
/// nothing. Up to about 1,000 requests every place is weighed exactly; above that blocks of
/// requests are, and the restarts found are then located to the request.
pub fn find_starts(recordings: &[&Recording], servers: usize, prior: &RatePrior) -> Starts {
    let outages = find_outages(recordings, servers, prior);
    find_around(recordings, outages, servers, prior)
}

/// Finds outages of all servers: stretches that are more likely to be one than to be explained by
/// any restarts.
pub(crate) fn find_outages(
    recordings: &[&Recording],
    servers: usize,
    prior: &RatePrior,
) -> Vec<OutageSpan> {
    outages_by(recordings, servers, |one| log_evidence(one, servers, prior))
}

/// `ln` of the probability of a recording's outcomes, averaged over error rates and over all ways
/// to cut it into starts.
pub(crate) fn log_evidence(recording: &Recording, servers: usize, prior: &RatePrior) -> f64 {
    Search::new(&[recording], servers, prior, PIECES).log_evidence()
}

/// Finds the starts around known outages.
pub(crate) fn find_around(
    recordings: &[&Recording],
    outages: Vec<OutageSpan>,
    servers: usize,
    prior: &RatePrior,
) -> Starts {
    let silent = silenced(recordings, &outages);
    let view: Vec<&Recording> =
        if silent.is_empty() { recordings.to_vec() } else { silent.iter().collect() };
    find_in_pieces(&view, outages, servers, prior, PIECES)
}

/// With another limit on the number of pieces.
pub(crate) fn find_in_pieces(
    recordings: &[&Recording],
    outages: Vec<OutageSpan>,
    servers: usize,
    prior: &RatePrior,
    most_pieces: usize,
) -> Starts {
    Search::new(recordings, servers, prior, most_pieces).run(outages)
}

/// A restart that was found inside a file.
struct Cut {
    unit: usize,
    gap: Gap,
    probability: f64,
    log_bayes_factor: f64,
    interval: (usize, usize),
}

struct Search<'a> {
    recordings: &'a [&'a Recording],
    units: Vec<Unit>,
    servers: usize,
    marginals: Marginals<'a>,
    expectation: Expectation,
    most_pieces: usize,
}

/// Pieces, weighed.
struct Weighed {
    partition: Partition,
    /// The pieces of each file with places inside it.
    files: Vec<Range<usize>>,
    /// The odds of at least one restart in each of these, before the data.
    prior_odds: Vec<f64>,
}

/// What the windows found, in order.
#[derive(Default)]
struct Found {
    /// Where starts begin, the first unit apart.
    cuts: Vec<Cut>,
    /// Gaps between files: unit, probability and `ln` Bayes factor.
    gaps: Vec<(usize, f64, f64)>,
    searches: Vec<FileSearch>,
}

impl<'a> Search<'a> {
    fn new(
        recordings: &'a [&'a Recording],
        servers: usize,
        prior: &'a RatePrior,
        most_pieces: usize,
    ) -> Self {
        let units = units(recordings);
        let all = piece(recordings, &units, 0..units.len(), servers);
        let most = |count: fn(&Tally) -> u64| all.iter().map(|(_, t)| count(t)).max().unwrap_or(0);
        let most = Tally { failures: most(|t| t.failures), successes: most(|t| t.successes) };
        let marginals = Marginals::new(prior, most);
        let expectation = Expectation::new(prior);
        Self { recordings, units, servers, marginals, expectation, most_pieces }
    }
}

impl Search<'_> {
    fn run(&self, outages: Vec<OutageSpan>) -> Starts {
        let pieces = Pieces::new(&self.units, self.most_pieces);
        let mut found = Found::default();
        let mut from = 0;
        for to in 1..=pieces.firsts.len() {
            let declared = pieces.firsts.get(to).map(|unit| self.units[*unit].gap == Gap::Declared);
            if declared == Some(false) {
                continue;
            }
            self.section(&pieces, from..to, &mut found);
            from = to;
            if declared == Some(true) {
                let unit = pieces.firsts[to];
                found.cuts.push(Cut {
                    unit,
                    gap: Gap::Declared,
                    probability: 1.0,
                    log_bayes_factor: f64::INFINITY,
                    interval: (unit, unit),
                });
            }
        }
        self.refine(&mut found, pieces.stride);
        self.report(found, outages)
    }

    /// That of a single recording.
    fn log_evidence(&self) -> f64 {
        let pieces = Pieces::new(&self.units, self.most_pieces);
        let declared = |k: &usize| self.units[pieces.firsts[*k]].gap == Gap::Declared;
        let mut ends: Vec<usize> = (1..pieces.firsts.len()).filter(declared).collect();
        ends.push(pieces.firsts.len());
        let mut from = 0;
        let of_section = |to: usize| {
            let spans: Vec<Range<usize>> =
                (std::mem::replace(&mut from, to)..to).map(|k| pieces.units(k)).collect();
            let weighed = self.weigh(&spans);
            let prior: f64 = weighed.prior_odds.iter().map(|odds| libm::log1p(*odds)).sum();
            weighed.partition.log_mass() - prior
        };
        ends.into_iter().map(of_section).sum()
    }

    /// Weighs the pieces between two declared starts, window by window.
    fn section(&self, pieces: &Pieces, section: Range<usize>, found: &mut Found) {
        let gap = |k: usize| self.units[pieces.firsts[k]].gap;
        // The end, or the last gap between files before `k`.
        let file_end = |k: usize, from: usize| {
            if k >= section.end {
                return section.end;
            }
            let last = (from + 1..=k).rev().find(|k| gap(*k) == Gap::Between);
            last.or_else(|| (k..section.end).find(|k| gap(*k) == Gap::Between))
                .unwrap_or(section.end)
        };
        // Twice the pieces inside files fit in, so each file fits into half a window.
        let window = 2 * self.most_pieces + 2;
        let mut from = section.start;
        let mut carried: Option<Range<usize>> = None;
        loop {
            let to = file_end(from + window, from);
            let settled = if to == section.end { to } else { file_end(from + window / 2, from) };
            let mut spans: Vec<Range<usize>> = carried.clone().into_iter().collect();
            spans.extend((from..to).map(|k| pieces.units(k)));
            let last_cut = self.window(&spans, settled - from + spans.len() - (to - from), found);
            if settled == section.end {
                return;
            }
            let open = last_cut
                .or(carried.map(|range| range.start))
                .unwrap_or(pieces.firsts[section.start]);
            carried = Some(open..pieces.firsts[settled]);
            from = settled;
        }
    }

    /// Weighs all ways to cut pieces, given by their units.
    fn weigh(&self, spans: &[Range<usize>]) -> Weighed {
        let tally =
            |of: &Range<usize>| piece(self.recordings, &self.units, of.clone(), self.servers);
        let tallies: Vec<Piece> = spans.iter().map(tally).collect();
        // Files with places inside them: pieces up to the next gap that is not inside.
        let mut files: Vec<Range<usize>> = Vec::new();
        for k in (1..spans.len()).filter(|k| self.units[spans[*k].start].gap == Gap::Inside) {
            match files.last_mut() {
                Some(file) if file.end == k => file.end += 1,
                _ => files.push(k - 1..k + 1),
            }
        }
        let mut cut = vec![0.0; spans.len()];
        let mut prior_odds = Vec::new();
        for file in &files {
            let places = (file.len() - 1) as f64;
            let odds = self.expectation.restarts(&tallies[file.clone()], self.servers) / places;
            cut[file.start + 1..file.end].fill(libm::log(odds));
            // Of at least one restart.
            prior_odds.push(libm::expm1(places * libm::log1p(odds)));
        }
        let partition = Partition::new(&tallies, cut, self.servers, &self.marginals);
        Weighed { partition, files, prior_odds }
    }

    /// Weighs pieces, given by their units, and reports on the first `settled` of them. Returns
    /// the unit of the last restart among those.
    fn window(&self, spans: &[Range<usize>], settled: usize, found: &mut Found) -> Option<usize> {
        let gap = |k: usize| self.units[spans[k].start].gap;
        let Weighed { partition, files, prior_odds } = self.weigh(spans);
        let mut forced = Vec::new();
        let mut inside = Vec::new();
        for (file, prior_odds) in files.into_iter().zip(prior_odds) {
            let cuts = partition.inside(file.clone());
            let log_odds = cuts.log_mass_of_some - cuts.log_mass[0];
            let log_bayes_factor = log_odds - libm::log(prior_odds);
            let first = |k: usize| self.units[spans[k].start].first as usize;
            if file.end <= settled {
                found.searches.push(FileSearch {
                    recording: self.units[spans[file.start].start].recording as usize,
                    restarts: cuts.places.len(),
                    probability: 1.0 / (1.0 + libm::exp(-log_odds)),
                    log_bayes_factor,
                    prior_odds,
                    places: (file.start + 1..file.end).map(first).collect(),
                    given_one: cuts
                        .single
                        .iter()
                        .map(|x| libm::exp(x - cuts.log_mass[1]))
                        .collect(),
                });
            }
            for (place, probability) in cuts.places.iter().zip(&cuts.at_least) {
                forced.push(*place);
                inside.push((*place, *probability, log_bayes_factor));
            }
        }
        let free: Vec<usize> = (1..spans.len()).filter(|k| gap(*k) == Gap::Between).collect();
        let restarts = partition.most_probable(&free, &forced);
        let log_odds = if free.is_empty() { Vec::new() } else { partition.log_odds() };
        for k in free.iter().filter(|k| **k < settled) {
            let log_odds = log_odds[*k];
            found.gaps.push((spans[*k].start, 1.0 / (1.0 + libm::exp(-log_odds)), log_odds));
        }
        for k in restarts.iter().filter(|k| **k < settled) {
            let unit = spans[*k].start;
            let known = inside.iter().find(|(place, ..)| place == k);
            let (_, probability, log_bayes_factor) = known.copied().unwrap_or((0, 0.0, 0.0));
            let interval = (unit, unit);
            found.cuts.push(Cut { unit, gap: gap(*k), probability, log_bayes_factor, interval });
        }
        restarts.iter().rfind(|k| **k < settled).map(|k| spans[*k].start)
    }

    /// Locates the restarts inside files to the request. Twice, as each is located given its
    /// neighbours.
    fn refine(&self, found: &mut Found, stride: usize) {
        let reach = (2 * stride).max(LEAST_PLACES);
        let cuts = found.cuts.len();
        for k in (0..2).flat_map(|_| 0..cuts) {
            let Cut { unit, gap: Gap::Inside, .. } = found.cuts[k] else { continue };
            let of_file = |u: usize| self.units[u].recording == self.units[unit].recording;
            let from = if k == 0 { 0 } else { found.cuts[k - 1].unit };
            let to = found.cuts.get(k + 1).map_or(self.units.len(), |next| next.unit);
            let low = unit.saturating_sub(reach).max(from + 1);
            let high = (unit + reach + 1).min(to);
            let inside = |u: usize| of_file(u) && self.units[u].gap == Gap::Inside;
            let low = (low..=unit).find(|u| inside(*u)).unwrap_or(unit);
            let high = (unit..high).rev().find(|u| inside(*u)).unwrap_or(unit);
            if let Some(located) = self.locate(from..to, low..high + 1) {
                (found.cuts[k].unit, found.cuts[k].interval) = located;
            }
        }
    }

    fn report(&self, found: Found, outages: Vec<OutageSpan>) -> Starts {
        let units = &self.units;
        let place = |unit: usize, interval: (usize, usize)| {
            let recording = units[unit].recording as usize;
            if unit == 0 || units[unit - 1].recording != units[unit].recording {
                let before = units[unit.saturating_sub(1)].recording as usize;
                return Place::Between { before, after: recording };
            }
            let attempts = &self.recordings[recording].attempts;
            let [attempt, low, high] =
                [unit, interval.0, interval.1].map(|unit| units[unit].first as usize);
            let (earliest, latest) = (attempts[low.max(1) - 1].at_s, attempts[high].at_s);
            Place::Inside {
                recording,
                attempt,
                at_s: attempts[attempt].at_s,
                into_file_s: attempts[attempt].at_s - attempts[0].at_s,
                interval_s: Interval { low: earliest.min(latest), high: earliest.max(latest) },
                attempts: low..high + 1,
            }
        };
        let restarts = |unit: usize| found.cuts.binary_search_by_key(&unit, |cut| cut.unit).is_ok();
        let mut boundaries: Vec<(usize, StartBoundary)> = Vec::new();
        let mut add = |unit, interval, restart, (probability, log_bayes_factor), declared| {
            let place = place(unit, interval);
            let boundary =
                StartBoundary { place, restart, probability, log_bayes_factor, declared };
            boundaries.push((unit, boundary));
        };
        for (unit, probability, log_bayes_factor) in &found.gaps {
            let evidence = (*probability, *log_bayes_factor);
            add(*unit, (*unit, *unit), restarts(*unit), evidence, false);
        }
        for cut in found.cuts.iter().filter(|cut| cut.gap != Gap::Between) {
            let evidence = (cut.probability, cut.log_bayes_factor);
            add(cut.unit, cut.interval, true, evidence, cut.gap == Gap::Declared);
        }
        for unit in 1..units.len() {
            let follows = units[unit].recording != units[unit - 1].recording;
            if follows && units[unit].gap == Gap::Same {
                add(unit, (unit, unit), false, (0.0, f64::NEG_INFINITY), true);
            }
        }
        boundaries.sort_by_key(|(unit, _)| *unit);
        let first = (!units.is_empty()).then_some(0);
        let begins: Vec<(usize, usize, Option<&str>)> = first
            .into_iter()
            .chain(found.cuts.iter().map(|cut| cut.unit))
            .map(|unit| {
                let Unit { recording, first, .. } = units[unit];
                let label = self.recordings[recording as usize]
                    .declared_starts
                    .iter()
                    .find(|(at, _)| *at == first as usize)
                    .map(|(_, label)| label.as_str());
                (recording as usize, first as usize, label)
            })
            .collect();
        Starts {
            starts: spans(self.recordings, &begins, &outages),
            boundaries: boundaries.into_iter().map(|(_, boundary)| boundary).collect(),
            searches: found.searches,
            outages,
        }
    }
}

// ---- The places where servers may have been started anew: before each request, and between files.
//
// A unit is what no start can split: the attempts of one request, or all attempts between two
// declared starts. Where recordings declare their starts, nothing is left to find. Requests whose
// attempts interleave are cut where a row of another request begins.

/// What stands between a unit and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Two requests of one file.
    Inside,
    /// Two files.
    Between,
    /// A restart that a file declares.
    Declared,
    /// No restart: files declare the same start on both sides.
    Same,
}

/// Attempts that no start can split, up to the next unit's first or the end of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    recording: u32,
    /// The position of its first attempt in the recording.
    first: u32,
    gap: Gap,
}

fn units(recordings: &[&Recording]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    // The label that was declared last, and how many units there were then.
    let mut declared: Option<(&str, usize)> = None;
    for (index, recording) in recordings.iter().enumerate() {
        let unit = |first: usize, gap| Unit { recording: index as u32, first: first as u32, gap };
        if recording.declared_starts.is_empty() {
            let mut gap = Gap::Between;
            for first in requests(&recording.attempts) {
                units.push(unit(first, gap));
                gap = Gap::Inside;
            }
            continue;
        }
        for (first, label) in &recording.declared_starts {
            let gap = match declared {
                Some((last, known)) if last == label => {
                    // What lies between two mentions of a start belongs to it.
                    units[known..].iter_mut().for_each(|unit| unit.gap = Gap::Same);
                    Gap::Same
                }
                Some(_) => Gap::Declared,
                None => Gap::Between,
            };
            units.push(unit(*first, gap));
            declared = Some((label, units.len()));
        }
    }
    units
}

/// Positions of the first attempts of requests. Requests of which nothing but refusals is known
/// say nothing about error rates and count to the one before.
fn requests(attempts: &[Observed]) -> impl Iterator<Item = usize> + '_ {
    let mut first_of_request = 0;
    // The first attempt of the request that met the last coin, if any did.
    let mut of_last_coin = None;
    attempts.iter().enumerate().filter_map(move |(i, attempt)| {
        if i > 0 && attempt.request != attempts[i - 1].request {
            first_of_request = i;
        }
        if attempt.refused() {
            return (i == 0).then_some(0);
        }
        let splits = of_last_coin.is_some_and(|last| last != first_of_request);
        of_last_coin = Some(first_of_request);
        (i == 0 || splits).then_some(first_of_request)
    })
}

// ---- Units grouped into few enough pieces, so that time and memory stay bounded.
//
// Up to [`PIECES`] units each is a piece. Above that, the requests of each file are grouped into
// blocks of equal numbers, never across files; of two restarts within one block, one is seen.
// `refine` later moves each restart found to its request.

/// The most pieces that requests are grouped into; each file is at least one more.
const PIECES: usize = 1_000;

struct Pieces {
    /// The first unit of each piece.
    firsts: Vec<usize>,
    /// Requests in a block.
    stride: usize,
    units: usize,
}

impl Pieces {
    fn new(units: &[Unit], most: usize) -> Self {
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

    fn units(&self, piece: usize) -> Range<usize> {
        self.firsts[piece]..self.firsts.get(piece + 1).copied().unwrap_or(self.units)
    }
}

fn attempts<'a>(recordings: &[&'a Recording], units: &[Unit], unit: usize) -> &'a [Observed] {
    let Unit { recording, first, .. } = units[unit];
    let all = &recordings[recording as usize].attempts;
    let end = match units.get(unit + 1) {
        Some(next) if next.recording == recording => next.first as usize,
        _ => all.len(),
    };
    &all[first as usize..end]
}

/// What the servers did in these units; those beyond `servers` and refusals are left out.
fn piece(recordings: &[&Recording], units: &[Unit], of: Range<usize>, servers: usize) -> Piece {
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

// ---- Where exactly was a restart? Each place between the neighbouring restarts is as likely as the
// attempts before it and after it, each a start of its own; the places were equally probable
// before.

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

impl Search<'_> {
    /// Locates the one restart in a start's `span` of units among `places`, which lie strictly
    /// inside: the most probable unit to begin the new start, the first and the last one of the
    /// 95 % interval.
    fn locate(&self, span: Range<usize>, places: Range<usize>) -> Option<(usize, (usize, usize))> {
        let piece = |of: Range<usize>| piece(self.recordings, &self.units, of, self.servers);
        let sums = |of: Range<usize>| Sums::new(&piece(of), self.servers, &self.marginals);
        let (mut before, mut after) =
            (sums(span.start..places.start), sums(places.start..span.end));
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
        Some((first + best, (first + low.unwrap_or(0), first + high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starts::find::Gap::{Between, Declared, Inside, Same};
    use crate::synthetic::{observed, recording};
    use flakelab_core::domain::Outcome;

    fn places(recordings: &[&Recording]) -> Vec<(u32, u32, Gap)> {
        units(recordings).iter().map(|u| (u.recording, u.first, u.gap)).collect()
    }

    #[test]
    fn a_start_falls_between_requests_and_never_into_one() {
        let mut made =
            recording(observed(&[(0, true), (1, true), (2, false), (0, false), (1, true)]));
        for (attempt, request) in made.attempts.iter_mut().zip([0, 0, 0, 1, 2]) {
            attempt.request = request;
        }
        let expected = [(0, 0, Between), (0, 3, Inside), (0, 4, Inside)];
        assert_eq!(places(&[&made]), expected);
        // Refusals say nothing: a request that met nothing else is no place for a start.
        made.attempts[3].outcome = Outcome::RateLimited;
        assert_eq!(places(&[&made]), [(0, 0, Between), (0, 4, Inside)]);
    }

    #[test]
    fn declared_starts_are_taken_as_given() {
        let silent = recording(observed(&[(0, true), (1, true)]));
        let declares = |labels: &[(usize, &str)]| {
            let mut made = recording(observed(&[(0, true), (1, true)]));
            made.declared_starts = labels.iter().map(|(at, l)| (*at, (*l).to_owned())).collect();
            made
        };
        let (ab, b, c) =
            (declares(&[(0, "a"), (1, "b")]), declares(&[(0, "b")]), declares(&[(0, "c")]));
        let gaps: Vec<Gap> =
            units(&[&silent, &ab, &silent, &b, &c]).iter().map(|unit| unit.gap).collect();
        assert_eq!(gaps, [Between, Inside, Between, Declared, Same, Same, Same, Declared]);
    }
}
