//! Runs: recordings of one group in order of time, and the stretches that met one start.

use std::collections::BTreeMap;

use super::FitError;
use super::error_rates::Tally;
use crate::trace::{Observed, Recording};

/// The recordings of each group, in order of time; configs first.
pub(super) type Runs<'a> = BTreeMap<(bool, String), Vec<&'a Recording>>;

/// The attempts that met one start of the servers: stretches between which the record, or the
/// clock, has a gap, in order of time.
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
pub(super) fn tallies<'a>(
    attempts: impl IntoIterator<Item = &'a Observed>,
    servers: usize,
) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); servers];
    for attempt in attempts.into_iter().filter(|a| !a.refused()) {
        tallies[usize::from(attempt.server)].record(attempt.failed());
    }
    tallies
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
pub(super) fn collect(recordings: &[Recording]) -> Result<Runs<'_>, FitError> {
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
        runs.sort_by(|a, b| {
            a.started_at_s().total_cmp(&b.started_at_s()).then_with(|| a.file().cmp(&b.file()))
        });
        for pair in runs.windows(2) {
            let same = pair[0].first_identifier == pair[1].first_identifier
                && pair[0].started_at_s() == pair[1].started_at_s();
            if same {
                let [a, b] = [0, 1].map(|i| pair[i].file());
                return Err(FitError::SameRunTwice { a, b });
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
