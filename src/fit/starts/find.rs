//! Finds the starts among the recordings of one group, between files and inside them.
//!
//! At a start all servers draw new error rates together. Between two files a restart is as
//! probable as not. Inside a file the places share the number of restarts that `expected` allows,
//! at most one and mostly far fewer, and a restart is declared when it is more probable than not:
//! when the Bayes factor for "at least one restart, wherever", averaged over their places, exceeds
//! the inverse of its prior odds. Without a restart that factor is 1 on average, so by Markov's
//! inequality it exceeds K in at most 1 of K files, however the servers were chosen. Where prior
//! odds near 1 make that bound idle, `expected` states what was measured. The number of restarts
//! found in a file is the median of its posterior: a second one must be more probable than not too.
//!
//! Source: Barry and Hartigan, "Product partition models for change point problems", Ann. Statist.
//! 20 (1992), 260-279; Bayes factors: Kass and Raftery, JASA 90 (1995), 773-795.
//!
//! When not to use it: when one server alone is restarted, when rates drift, or when refusals by
//! a rate limiter hide among failures: those can look like a restart, or hide one.

use std::ops::Range;

use super::expected::Expectation;
use super::marginals::Marginals;
use super::partition::{Partition, Piece};
use super::pieces::{PIECES, Pieces, piece};
use super::refine::{Located, locate};
use super::report::{FileSearch, Place, StartBoundary, Starts, spans};
use super::units::{Gap, Unit, units};
use crate::fit::error_rates::{RatePrior, Tally};
use crate::stats::Interval;
use crate::trace::Recording;

/// A restart is located among the places of the blocks around it, and at least among so many.
const LEAST_PLACES: usize = 5_000;

/// Finds the starts among recordings of one group in order of time.
///
/// `servers` is the number of servers of the group; attempts at others and refused attempts say
/// nothing. Up to about 1,000 requests every place is weighed exactly; above that blocks of
/// requests are, and the restarts found are then located to the request.
#[must_use]
pub fn find_starts(recordings: &[&Recording], servers: usize, prior: &RatePrior) -> Starts {
    find_in_pieces(recordings, servers, prior, PIECES)
}

/// With another limit on the number of pieces.
pub(super) fn find_in_pieces(
    recordings: &[&Recording],
    servers: usize,
    prior: &RatePrior,
    most_pieces: usize,
) -> Starts {
    let units = units(recordings);
    let all = piece(recordings, &units, 0..units.len(), servers);
    let most = |count: fn(&Tally) -> u64| all.iter().map(|(_, t)| count(t)).max().unwrap_or(0);
    let most = Tally { failures: most(|t| t.failures), successes: most(|t| t.successes) };
    let marginals = Marginals::new(prior, most);
    let expectation = Expectation::new(prior);
    Search { recordings, units, servers, marginals, expectation, most_pieces }.run()
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

/// What the windows found, in order.
#[derive(Default)]
struct Found {
    /// Where starts begin, the first unit apart.
    cuts: Vec<Cut>,
    /// Gaps between files: unit, probability and `ln` Bayes factor.
    gaps: Vec<(usize, f64, f64)>,
    searches: Vec<FileSearch>,
}

impl Search<'_> {
    fn run(&self) -> Starts {
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
        self.report(found)
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

    /// Weighs pieces, given by their units, and reports on the first `settled` of them. Returns
    /// the unit of the last restart among those.
    fn window(&self, spans: &[Range<usize>], settled: usize, found: &mut Found) -> Option<usize> {
        let gap = |k: usize| self.units[spans[k].start].gap;
        let tally =
            |of: &Range<usize>| piece(self.recordings, &self.units, of.clone(), self.servers);
        let tallies: Vec<Piece> = spans.iter().map(tally).collect();
        // Files with places inside them: pieces up to the next gap that is not inside.
        let mut files: Vec<Range<usize>> = Vec::new();
        for k in (1..spans.len()).filter(|k| gap(*k) == Gap::Inside) {
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
            let located = locate(
                self.recordings,
                &self.units,
                from..to,
                low..high + 1,
                self.servers,
                &self.marginals,
            );
            if let Some(Located { best, interval }) = located {
                found.cuts[k].unit = best;
                found.cuts[k].interval = interval;
            }
        }
    }

    fn report(&self, found: Found) -> Starts {
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
        for (unit, probability, log_bayes_factor) in &found.gaps {
            boundaries.push((
                *unit,
                StartBoundary {
                    place: place(*unit, (*unit, *unit)),
                    restart: restarts(*unit),
                    probability: *probability,
                    log_bayes_factor: *log_bayes_factor,
                    declared: false,
                },
            ));
        }
        for cut in found.cuts.iter().filter(|cut| cut.gap != Gap::Between) {
            boundaries.push((
                cut.unit,
                StartBoundary {
                    place: place(cut.unit, cut.interval),
                    restart: true,
                    probability: cut.probability,
                    log_bayes_factor: cut.log_bayes_factor,
                    declared: cut.gap == Gap::Declared,
                },
            ));
        }
        for unit in (1..units.len()).filter(|u| {
            units[*u].gap == Gap::Same && units[*u].recording != units[*u - 1].recording
        }) {
            boundaries.push((
                unit,
                StartBoundary {
                    place: place(unit, (unit, unit)),
                    restart: false,
                    probability: 0.0,
                    log_bayes_factor: f64::NEG_INFINITY,
                    declared: true,
                },
            ));
        }
        boundaries.sort_by_key(|(unit, _)| *unit);
        let begins = found.cuts.iter().map(|cut| cut.unit);
        let begins: Vec<(usize, usize, Option<&str>)> = (!units.is_empty())
            .then_some(0)
            .into_iter()
            .chain(begins)
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
            starts: spans(self.recordings, &begins),
            boundaries: boundaries.into_iter().map(|(_, boundary)| boundary).collect(),
            searches: found.searches,
        }
    }
}
