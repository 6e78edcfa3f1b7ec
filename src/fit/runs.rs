//! Runs: recordings of one group in order of time, and the stretches that met one start.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::rates::Tally;
use flakelab_sim::trace::{Group, Observed, Recording};
use flakelab_sim::world::Violation;

/// Recordings that no model can be fitted to.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// There is nothing to fit.
    #[error("no attempts to fit a model to; give at least one trace file with attempts")]
    NoTraces,
    /// The same run was given twice and would count as twice the evidence.
    #[error("{a} and {b} hold the same run; leave one of them out")]
    SameRunTwice {
        /// One file.
        a: String,
        /// The other.
        b: String,
    },
    /// Two recordings hold some attempts both, which would count twice.
    #[error("{shared} attempts stand in {a} and in {b}; remove them from one of the files")]
    Overlap {
        /// One file.
        a: String,
        /// The other.
        b: String,
        /// How many.
        shared: usize,
    },
    /// All attempts of a group were refused, so nothing is known of its errors or latencies.
    #[error("{group}: the rate limiter refused every attempt; nothing is left to fit")]
    OnlyRefusals {
        /// `config 0`, or the name of somebody's own servers.
        group: String,
    },
    /// A model of these servers was asked for, but they were started anew, with other rates.
    #[error(
        "{group}: the recordings hold {starts} starts of the servers, each with rates of its own, and a \
         model of these servers is one of one start; give recordings of one start, or fit a fleet"
    )]
    SeveralStarts {
        /// `config 0`, or the name of somebody's own servers.
        group: String,
        /// How many.
        starts: usize,
    },
    /// The fitted values are out of the model's ranges.
    #[error("{group}: fitted {}: {}; expected {}", violation.key, violation.problem, violation.expected)]
    OutOfRange {
        /// `config 0`, or the name of somebody's own servers.
        group: String,
        /// The value in question.
        violation: Violation,
    },
}

/// What messages call a group: `config 0`, or the name of somebody's own servers.
pub fn group_name(group: &Group) -> String {
    match group.config {
        Some(config) => format!("config {config}"),
        None => group.name.clone(),
    }
}

/// The recordings of each group, in order of time; configs first.
pub(crate) type Runs<'a> = BTreeMap<(bool, String), Vec<&'a Recording>>;

/// The attempts that met one start of the servers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Start<'a> {
    /// Between two of them the record, or the clock, has a gap; each is in order of time.
    pub stretches: Vec<&'a [Observed]>,
}

impl<'a> Start<'a> {
    /// All its attempts in order of time.
    pub fn attempts(&self) -> impl Iterator<Item = &'a Observed> + '_ {
        self.stretches.iter().flat_map(|stretch| stretch.iter())
    }
}

/// Successes and failures of each server; attempts known to have been refused count as neither.
pub(crate) fn tallies<'a>(
    attempts: impl IntoIterator<Item = &'a Observed>,
    servers: usize,
) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); servers];
    for attempt in attempts.into_iter().filter(|a| !a.refused()) {
        tallies[usize::from(attempt.server)].record(attempt.failed());
    }
    tallies
}

pub(crate) fn by_time(a: &Recording, b: &Recording) -> Ordering {
    a.started_at_s().total_cmp(&b.started_at_s()).then_with(|| a.file().cmp(&b.file()))
}

pub(crate) fn same_run(a: &Recording, b: &Recording) -> bool {
    a.group == b.group
        && a.first_identifier == b.first_identifier
        && a.started_at_s() == b.started_at_s()
}

/// Attempts that stand in both recordings: alike to the last bit of time and latency.
fn shared_attempts(a: &Recording, b: &Recording) -> usize {
    let key = |attempt: &Observed| {
        (attempt.at_s.to_bits(), attempt.latency_ms.to_bits(), attempt.server, attempt.outcome)
    };
    let (mut i, mut shared) = (0, 0);
    for attempt in &b.attempts {
        while a.attempts.get(i).is_some_and(|other| other.at_s < attempt.at_s) {
            i += 1;
        }
        // Attempts of one instant are few.
        let same_time = a.attempts[i..].iter().take_while(|other| other.at_s == attempt.at_s);
        shared += usize::from(same_time.into_iter().any(|other| key(other) == key(attempt)));
    }
    shared
}

/// The recordings of every group, in order of time.
pub(crate) fn collect(recordings: &[Recording]) -> Result<Runs<'_>, FitError> {
    let mut runs = Runs::new();
    for recording in recordings {
        let group = &recording.group;
        let key = (group.config.is_none(), group.name.clone());
        runs.entry(key).or_default().push(recording);
    }
    if runs.is_empty() {
        return Err(FitError::NoTraces);
    }
    for runs in runs.values_mut() {
        runs.sort_by(|a, b| by_time(a, b));
        for [a, b] in runs.array_windows() {
            if same_run(a, b) {
                return Err(FitError::SameRunTwice { a: a.file(), b: b.file() });
            }
        }
        for (i, a) in runs.iter().enumerate() {
            let end = a.attempts.last().map_or(0.0, |last| last.at_s);
            for b in runs[i + 1..].iter().take_while(|b| b.started_at_s() <= end) {
                let shared = shared_attempts(a, b);
                if shared > 0 {
                    return Err(FitError::Overlap { a: a.file(), b: b.file(), shared });
                }
            }
        }
    }
    Ok(runs)
}
