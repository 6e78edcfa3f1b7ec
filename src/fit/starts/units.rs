//! The places where servers may have been started anew: before each request, and between files.
//!
//! A unit is what no start can split: the attempts of one request, or all attempts between two
//! declared starts. Where recordings declare their starts, nothing is left to find.
//!
//! When not to use it: requests whose attempts interleave are cut where a row of another request
//! begins, so a start may fall between attempts of one of them.

use crate::trace::{Observed, Recording};

/// What stands between a unit and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
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
pub(super) struct Unit {
    pub(super) recording: u32,
    /// The position of its first attempt in the recording.
    pub(super) first: u32,
    pub(super) gap: Gap,
}

/// All units of the recordings, in order.
pub(super) fn units(recordings: &[&Recording]) -> Vec<Unit> {
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

#[cfg(test)]
mod tests {
    use super::super::made::recording;
    use super::*;

    fn places(recordings: &[&Recording]) -> Vec<(u32, u32, Gap)> {
        units(recordings).iter().map(|u| (u.recording, u.first, u.gap)).collect()
    }

    #[test]
    fn a_start_falls_between_requests_and_never_into_one() {
        let mut made = recording(&[(0, true), (1, true), (2, false), (0, false), (1, true)]);
        for (attempt, request) in made.attempts.iter_mut().zip([0, 0, 0, 1, 2]) {
            attempt.request = request;
        }
        let expected = [(0, 0, Gap::Between), (0, 3, Gap::Inside), (0, 4, Gap::Inside)];
        assert_eq!(places(&[&made]), expected);
        // Refusals say nothing: a request that met nothing else is no place for a start.
        made.attempts[3].outcome = crate::domain::Outcome::RateLimited;
        assert_eq!(places(&[&made]), [(0, 0, Gap::Between), (0, 4, Gap::Inside)]);
    }

    #[test]
    fn declared_starts_are_taken_as_given() {
        let silent = recording(&[(0, true), (1, true)]);
        let declares = |labels: &[(usize, &str)]| {
            let mut made = recording(&[(0, true), (1, true)]);
            made.declared_starts = labels.iter().map(|(at, l)| (*at, (*l).to_owned())).collect();
            made
        };
        let (ab, b, c) =
            (declares(&[(0, "a"), (1, "b")]), declares(&[(0, "b")]), declares(&[(0, "c")]));
        let gaps: Vec<Gap> =
            units(&[&silent, &ab, &silent, &b, &c]).iter().map(|unit| unit.gap).collect();
        use Gap::{Between, Declared, Inside, Same};
        assert_eq!(gaps, [Between, Inside, Between, Declared, Same, Same, Same, Declared]);
    }
}
