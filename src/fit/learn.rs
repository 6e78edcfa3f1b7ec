//! What the recordings of one group of servers teach: starts, error rates and the rate limit.
//!
//! The three hang on each other: starts are seen against a population of rates, the population
//! is that of the servers of each start, refusals that hide among failures belong to neither, and
//! the limit that explains them is weighed against the rates. They are found in turn until none of
//! them changes.
//!
//! When not to use it: for several groups at once. A group whose population cannot be seen, since
//! refusals hide among its failures, is handed that of another.

use super::error_rates::{ErrorRateFit, RatePrior, Tally, fit_error_rates};
use super::limits::{Conclusion, LimitInference, LimitPrior, infer_limit, taken_for_refusals};
use super::runs::{Start, tallies};
use super::starts::{StartSpan, Starts, Stretch, find_starts};
use crate::domain::Outcome;
use crate::trace::{Observed, Recording};
use crate::world::RateLimit;

/// Rounds of starts, rates and limit; on real data two or three suffice.
const MOST_ROUNDS: usize = 8;

/// What recordings of one group taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// When the servers were started anew; positions are those of the recordings.
    pub starts: Starts,
    /// Error rates: those fitted, or those handed in.
    pub rates: ErrorRateFit,
    /// Whether the rates were handed in.
    pub borrowed: bool,
    /// The rate limit.
    pub limit: LimitInference,
    /// For each start, for each of its attempts in order of time: whether it was refused, as far
    /// as is known, or is taken to have been.
    pub refused: Vec<Vec<bool>>,
    /// Rounds until nothing changed.
    pub rounds: usize,
    /// Whether that was before the limit of rounds.
    pub settled: bool,
}

/// Learns from the recordings of one group, in order of time.
///
/// `borrowed` stands in for the population of error rates where the group's own cannot be seen.
/// `None` if every attempt was refused, or there is none.
#[must_use]
pub fn learn(recordings: &[&Recording], borrowed: Option<&ErrorRateFit>) -> Option<Learned> {
    let servers = recordings.iter().map(|r| r.group.servers.len()).max()?;
    let tells = recordings.iter().all(|recording| recording.tells_refusals);
    let limits = LimitPrior {
        // Config 1's limit is fixed by definition.
        may_swing: recordings.iter().all(|r| r.group.config.is_none_or(|c| c.number() != 1)),
        ..LimitPrior::default()
    };
    let mut prior = borrowed.map_or_else(RatePrior::flat, ErrorRateFit::prior);
    // Refusals as they are known, or taken to be: where they hide, attempts are marked here.
    let mut marked: Vec<Recording> = Vec::new();
    let mut last: Option<(Starts, RateLimit)> = None;
    let mut first: Option<Starts> = None;
    for round in 1.. {
        let view: Vec<&Recording> =
            if marked.is_empty() { recordings.to_vec() } else { marked.iter().collect() };
        let starts = find_starts(&view, servers, &prior);
        let rates = match borrowed {
            Some(rates) => rates.clone(),
            None => fit_error_rates(&tallies_of(&starts.of(&view), servers))?,
        };
        prior = rates.prior();
        if tells && round == 1 {
            // A limit that is marked says nothing of starts and rates: it is inferred once these
            // have been found again under the rates.
            first = Some(starts);
            continue;
        }
        let as_recorded = starts.of(recordings);
        let limit = match telling(recordings, &starts) {
            // Where some recordings mark 429, they say more than those that do not.
            Some(telling) => infer_limit(&telling, servers, true, &prior, &limits),
            None => infer_limit(&as_recorded, servers, false, &prior, &limits),
        };
        let estimate = limit.estimate();
        let refused = refusals(recordings, &starts, &estimate, servers);
        let now = (starts, estimate);
        let settled = last.as_ref().is_some_and(|last| same(last, &now))
            || first.take().is_some_and(|first| first.starts == now.0.starts);
        if settled || round == MOST_ROUNDS {
            let (starts, _) = now;
            let borrowed = borrowed.is_some();
            return Some(Learned {
                starts,
                rates,
                borrowed,
                limit,
                refused,
                rounds: round,
                settled,
            });
        }
        marked = if tells || estimate.is_none() {
            Vec::new()
        } else {
            mark(recordings, &now.0, &refused)
        };
        last = Some(now);
    }
    None
}

impl Learned {
    /// The attempts of each start; the recordings are those that were learned from.
    pub(super) fn starts_of<'a>(&self, recordings: &[&'a Recording]) -> Vec<Start<'a>> {
        self.starts.of(recordings)
    }

    /// Successes and failures of each server in each start, refusals left out.
    pub(super) fn tallies(&self, recordings: &[&Recording]) -> Vec<Vec<Tally>> {
        let servers = recordings.iter().map(|r| r.group.servers.len()).max().unwrap_or(0);
        let starts = self.starts_of(recordings);
        starts.iter().zip(&self.refused).map(|(s, refused)| accepted(s, refused, servers)).collect()
    }

    /// The limit found; none where nothing may be claimed.
    #[must_use]
    pub fn found_limit(&self) -> Option<RateLimit> {
        match self.limit.conclusion {
            Conclusion::Abstained { .. } => None,
            _ => Some(self.limit.estimate()),
        }
    }
}

/// The stretches of recordings that mark 429, start by start; `None` if no recording does.
fn telling<'a>(recordings: &[&'a Recording], starts: &Starts) -> Option<Vec<Start<'a>>> {
    if !recordings.iter().any(|recording| recording.tells_refusals) {
        return None;
    }
    let of_span = |span: &StartSpan| {
        let tell = span.stretches.iter().filter(|s| recordings[s.recording].tells_refusals);
        let attempts = |s: &Stretch| &recordings[s.recording].attempts[s.attempts.clone()];
        Start { stretches: tell.map(attempts).collect() }
    };
    let telling = starts.starts.iter().map(of_span).filter(|start| !start.stretches.is_empty());
    Some(telling.collect())
}

/// For each start, for each attempt: whether it was refused where the recording tells, or is taken
/// to have been by this limit where it does not.
fn refusals(
    recordings: &[&Recording],
    starts: &Starts,
    limit: &RateLimit,
    servers: usize,
) -> Vec<Vec<bool>> {
    let of_span = |span: &StartSpan| {
        let mut refused = Vec::new();
        // Runs of stretches that do not tell are replayed together: buckets outlive files.
        let mut silent: Vec<&[Observed]> = Vec::new();
        let replay = |silent: &mut Vec<&[Observed]>, refused: &mut Vec<bool>| {
            let start = Start { stretches: std::mem::take(silent) };
            refused.extend(taken_for_refusals(limit, &start, servers));
        };
        for stretch in &span.stretches {
            let recording = recordings[stretch.recording];
            let attempts = &recording.attempts[stretch.attempts.clone()];
            if recording.tells_refusals {
                replay(&mut silent, &mut refused);
                refused.extend(attempts.iter().map(Observed::refused));
            } else {
                silent.push(attempts);
            }
        }
        replay(&mut silent, &mut refused);
        refused
    };
    starts.starts.iter().map(of_span).collect()
}

/// Whether nothing that later rounds rest on has changed.
fn same(a: &(Starts, RateLimit), b: &(Starts, RateLimit)) -> bool {
    a.0.starts == b.0.starts && a.1 == b.1
}

fn tallies_of(starts: &[Start<'_>], servers: usize) -> Vec<Vec<Tally>> {
    starts.iter().map(|start| tallies(start.attempts(), servers)).collect()
}

/// Tallies of a start without the attempts that were refused or are taken to have been.
fn accepted(start: &Start<'_>, refused: &[bool], servers: usize) -> Vec<Tally> {
    let attempts = start.attempts().zip(refused).filter(|(_, refused)| !**refused);
    tallies(attempts.map(|(attempt, _)| attempt), servers)
}

/// The recordings with the attempts that are taken for refusals marked as such.
fn mark(recordings: &[&Recording], starts: &Starts, refused: &[Vec<bool>]) -> Vec<Recording> {
    let mut marked: Vec<Recording> = recordings.iter().map(|r| (*r).clone()).collect();
    for (span, refused) in starts.starts.iter().zip(refused) {
        let mut refused = refused.iter();
        for stretch in &span.stretches {
            let attempts = &mut marked[stretch.recording].attempts[stretch.attempts.clone()];
            for (attempt, _) in attempts.iter_mut().zip(&mut refused).filter(|(_, r)| **r) {
                attempt.outcome = Outcome::RateLimited;
            }
        }
    }
    marked
}
