//! What was found: starts as stretches of recordings, and the evidence at every boundary.
//!
//! When not to use it: as one number. A restart with a probability near 1/2 is doubtful either
//! way, and its place is known no better than its interval says.

mod find;
mod partition;

use std::ops::Range;

use crate::runs::Start;
use flakelab_core::stats::Interval;
use flakelab_sim::trace::Recording;

pub use self::find::find_starts;

/// Attempts of one recording without a restart or a jump of the clock among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The position of the recording among those handed in.
    pub recording: usize,
    /// Positions in its attempts, refused ones included.
    pub attempts: Range<usize>,
}

/// The attempts that met one start of the servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartSpan {
    /// In order of time; never empty.
    pub stretches: Vec<Stretch>,
    /// What a file calls this start, if one declares it.
    pub label: Option<String>,
}

/// Where a restart is, or could be.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Between two recordings that follow each other.
    Between {
        /// The position of the earlier recording.
        before: usize,
        /// The position of the later one.
        after: usize,
    },
    /// Inside a recording.
    Inside {
        /// The position of the recording.
        recording: usize,
        /// The position of the first attempt after the restart.
        attempt: usize,
        /// When that attempt was sent: Unix time in seconds, and seconds into the file.
        at_s: f64,
        /// The same in seconds since the recording's first attempt.
        into_file_s: f64,
        /// Holds the time of the restart with a probability of at least 95 %, given that there is
        /// one between the neighbouring restarts: Unix time in seconds, from the last attempt
        /// before to the first attempt after. Of a declared restart: around that one place.
        interval_s: Interval,
        /// Positions of the first attempt after the restart that are in the interval.
        attempts: Range<usize>,
    },
}

/// A possible restart and its evidence: each gap between recordings, and each restart inside one.
#[derive(Debug, Clone, PartialEq)]
pub struct StartBoundary {
    /// Where.
    pub place: Place,
    /// Whether the starts are cut here.
    pub restart: bool,
    /// Between recordings: the posterior probability of a restart. Inside: that the recording
    /// holds at least so many restarts. 0 or 1 where declared.
    pub probability: f64,
    /// `ln` of the Bayes factor for a restart here (between), or for any restart inside the
    /// recording against none, averaged over their places. Infinite where declared.
    pub log_bayes_factor: f64,
    /// Whether files declare it (or declare that there is none).
    pub declared: bool,
}

/// The search for restarts inside one recording that declares none.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSearch {
    /// The position of the recording.
    pub recording: usize,
    /// How many restarts were found: the posterior median.
    pub restarts: usize,
    /// The posterior probability of at least one.
    pub probability: f64,
    /// `ln` of the Bayes factor for at least one against none, averaged over their places.
    /// Below 0 it is evidence against.
    pub log_bayes_factor: f64,
    /// The odds of at least one before the data; a restart is found when the Bayes factor exceeds
    /// their inverse.
    pub prior_odds: f64,
    /// Where a restart could be: positions of the first attempt after it. Each request of a
    /// recording that is searched exactly, else the first of each block.
    pub places: Vec<usize>,
    /// The probability of each place, given that the recording holds exactly one restart.
    pub given_one: Vec<f64>,
}

/// Starts among the recordings of one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Starts {
    /// In order of their first attempts.
    pub starts: Vec<StartSpan>,
    /// In order of time.
    pub boundaries: Vec<StartBoundary>,
    /// In order of time.
    pub searches: Vec<FileSearch>,
}

impl Starts {
    /// The attempts of each start; the recordings are those that were searched.
    pub(crate) fn of<'a>(&self, recordings: &[&'a Recording]) -> Vec<Start<'a>> {
        let stretch = |s: &Stretch| &recordings[s.recording].attempts[s.attempts.clone()];
        let start =
            |span: &StartSpan| Start { stretches: span.stretches.iter().map(stretch).collect() };
        self.starts.iter().map(start).collect()
    }
}

/// Starts from the places (recording, attempt) at which they begin, in order, with their labels.
pub(crate) fn spans(
    recordings: &[&Recording],
    cuts: &[(usize, usize, Option<&str>)],
) -> Vec<StartSpan> {
    let mut spans: Vec<StartSpan> = Vec::new();
    let mut open = 0;
    for (index, recording) in recordings.iter().enumerate() {
        let mut from = 0;
        let end = recording.attempts.len();
        let here = |at: usize| cuts.iter().position(|cut| (cut.0, cut.1) == (index, at));
        let mut places: Vec<usize> = cuts.iter().filter(|c| c.0 == index).map(|c| c.1).collect();
        places.extend(recording.clock_jumps.iter().filter(|at| **at < end));
        places.sort_unstable();
        places.dedup();
        places.push(end);
        for to in places {
            if to > from {
                let stretch = Stretch { recording: index, attempts: from..to };
                match spans.get_mut(open) {
                    Some(span) => span.stretches.push(stretch),
                    None => {
                        spans.push(StartSpan { stretches: vec![stretch], label: None });
                        open = spans.len() - 1;
                    }
                }
                from = to;
            }
            if let (Some(cut), true) = (here(to), to < end) {
                let label = cuts[cut].2.map(str::to_owned);
                // The same name later again is the same start.
                let known = spans.iter().position(|s| s.label.is_some() && s.label == label);
                open = known.unwrap_or(spans.len());
                if known.is_none() {
                    spans.push(StartSpan { stretches: Vec::new(), label });
                }
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::{RatePrior, Tally};
    use crate::starts::find::find_in_pieces;
    use crate::synthetic::{observed, recording};
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::uniform01;
    use flakelab_sim::world::ErrorFamily;

    const SERVERS: usize = 4;

    /// Error rates of two starts.
    const RATES: [[f64; 4]; 2] = [[0.1, 0.8, 0.3, 0.6], [0.7, 0.2, 0.6, 0.1]];

    /// Servers in turn; `starts` says how many requests each start serves with which rates.
    fn made(starts: &[(usize, usize)], seed: u64) -> Recording {
        let mut rng = Streams::new(81).stream(Purpose::Analysis, 0, seed);
        let mut outcomes = Vec::new();
        for &(requests, rates) in starts {
            for _ in 0..requests {
                let server = outcomes.len() % SERVERS;
                outcomes.push((server, uniform01(&mut rng) < RATES[rates][server]));
            }
        }
        recording(observed(&outcomes))
    }

    fn found(recordings: &[&Recording]) -> Starts {
        find_starts(recordings, SERVERS, &RatePrior::flat())
    }

    fn stretches(starts: &Starts) -> Vec<Vec<(usize, usize, usize)>> {
        let of = |s: &Stretch| (s.recording, s.attempts.start, s.attempts.end);
        starts.starts.iter().map(|span| span.stretches.iter().map(of).collect()).collect()
    }

    #[test]
    fn the_evidence_of_a_short_file_is_the_sum_over_all_cuts() {
        // Five requests have 16 cuts: sum them all by hand.
        let outcomes = [(0, true), (0, true), (1, false), (0, false), (1, true)];
        let prior = RatePrior::of(&ErrorFamily::Beta { alpha: 2.0, beta: 2.0 });
        let search = &find_starts(&[&recording(observed(&outcomes))], 2, &prior).searches[0];
        let start = |range: Range<usize>| -> f64 {
            let tally = |server: usize| {
                let mut tally = Tally::default();
                let own = outcomes[range.clone()].iter().filter(|(s, _)| *s == server);
                own.for_each(|(_, failed)| tally.record(*failed));
                tally
            };
            (0..2).map(|server| prior.log_marginal(tally(server))).sum()
        };
        let odds = (1.0 + search.prior_odds).powf(0.25) - 1.0;
        let (mut some, mut single) = (0.0, [0.0; 4]);
        for cuts in 1_u32..16 {
            let mut places: Vec<usize> = (1..5).filter(|k| cuts >> (k - 1) & 1 == 1).collect();
            let prior = odds.powi(places.len() as i32);
            let alone = places.clone();
            places.push(5);
            let mut from = 0;
            let mut value = 0.0;
            for to in places {
                value += start(from..to);
                from = to;
            }
            some += prior * value.exp();
            if let [one] = alone[..] {
                single[one - 1] = value.exp();
            }
        }
        let expected = (some / start(0..5).exp()).ln() - search.prior_odds.ln();
        assert!((search.log_bayes_factor - expected).abs() < 1e-5);
        let total: f64 = single.iter().sum();
        for (got, expected) in search.given_one.iter().zip(single) {
            assert!((got - expected / total).abs() < 1e-5);
        }
        assert_eq!(search.places, [1, 2, 3, 4]);
    }

    #[test]
    fn two_restarts_in_one_file_are_found_where_they_are() {
        let made = made(&[(200, 0), (160, 1), (180, 0)], 1);
        let starts = found(&[&made]);
        assert_eq!(starts.starts.len(), 3, "{:?}", starts.boundaries);
        for (boundary, truth) in starts.boundaries.iter().zip([200_usize, 360]) {
            let Place::Inside { attempt, attempts, at_s, interval_s, .. } = &boundary.place else {
                panic!("{boundary:?}");
            };
            assert!(attempt.abs_diff(truth) <= 5 && attempts.contains(&truth), "{boundary:?}");
            assert!(interval_s.contains(*at_s) && boundary.probability > 0.99);
        }
    }

    #[test]
    fn files_of_one_start_stay_together_and_others_do_not() {
        let files: Vec<Recording> = [0, 0, 1, 1, 0]
            .iter()
            .zip(0..)
            .map(|(rates, i)| made(&[(80, *rates)], 10 + i))
            .collect();
        let files: Vec<&Recording> = files.iter().collect();
        let starts = found(&files);
        assert_eq!(
            stretches(&starts),
            [vec![(0, 0, 80), (1, 0, 80)], vec![(2, 0, 80), (3, 0, 80)], vec![(4, 0, 80)]]
        );
        assert_eq!(starts.boundaries.len(), 4);
        assert!(starts.searches.iter().all(|search| search.restarts == 0));
        assert_eq!(starts.of(&files)[1].attempts().count(), 160);
    }

    #[test]
    fn declared_starts_are_taken_and_clock_jumps_split_stretches() {
        let mut files = [made(&[(90, 0)], 20), made(&[(90, 0)], 21), made(&[(90, 1)], 22)];
        files[0].declared_starts = vec![(0, "a".to_owned()), (40, "b".to_owned())];
        files[1].declared_starts = vec![(0, "b".to_owned())];
        files[1].clock_jumps = vec![30];
        files[2].declared_starts = vec![(0, "a".to_owned())];
        let files: Vec<&Recording> = files.iter().collect();
        let starts = found(&files);
        let expected = [vec![(0, 0, 40), (2, 0, 90)], vec![(0, 40, 90), (1, 0, 30), (1, 30, 90)]];
        assert_eq!(stretches(&starts), expected);
        assert!(starts.searches.is_empty() && starts.boundaries.iter().all(|b| b.declared));
        assert_eq!(
            starts.boundaries.iter().map(|b| b.restart).collect::<Vec<_>>(),
            [true, false, true]
        );
    }

    #[test]
    fn long_recordings_are_searched_in_blocks_and_restarts_located_to_the_request() {
        let made = made(&[(30_000, 0), (20_000, 1)], 30);
        let starts = found(&[&made]);
        let Place::Inside { attempt, .. } = starts.boundaries[0].place else { panic!() };
        assert!(starts.starts.len() == 2 && attempt.abs_diff(30_000) <= 5, "{attempt}");
    }

    #[test]
    fn windows_find_what_the_whole_finds() {
        let rates = |i: usize| usize::from((30..70).contains(&i));
        let files: Vec<Recording> =
            (0..120).map(|i| made(&[(60, rates(i))], 100 + i as u64)).collect();
        let files: Vec<&Recording> = files.iter().collect();
        let begins = |starts: &Starts| -> Vec<usize> {
            starts.starts.iter().map(|s| s.stretches[0].recording).collect()
        };
        for most_pieces in [10, 25, 1_500] {
            let starts = find_in_pieces(&files, SERVERS, &RatePrior::flat(), most_pieces);
            assert_eq!(begins(&starts), [0, 30, 70], "{most_pieces}");
            assert_eq!(starts.boundaries.len(), 119);
        }
    }

    #[test]
    fn nothing_can_be_found_in_nothing() {
        assert_eq!(found(&[]), Starts::default());
        let starts = found(&[&recording(observed(&[(0, true)]))]);
        assert_eq!((starts.starts.len(), starts.boundaries.len()), (1, 0));
        // Servers beyond the group say nothing.
        let search = &found(&[&recording(observed(&[(9, true), (9, false)]))]).searches[0];
        assert!(search.log_bayes_factor.abs() < 1e-9);
    }
}
