//! What was found: starts as stretches of recordings, the evidence at every boundary, and outages.
//!
//! When not to use it: as one number. A restart with a probability near 1/2 is doubtful either
//! way, and its place is known no better than its interval says.

mod find;
mod outages;
mod partition;

use std::ops::Range;

use crate::runs::Start;
use flakelab_core::stats::Interval;
use flakelab_sim::trace::Recording;

pub use self::find::find_starts;
pub(crate) use self::find::{find_around, find_outages};

/// Attempts of one recording without a restart, an outage or a jump of the clock among them.
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

/// A stretch of a recording in which all servers were down, or perhaps only one. Its attempts belong to
/// no start.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageSpan {
    /// The position of the recording.
    pub recording: usize,
    /// The server that may have been down alone; none if all are known to have been.
    pub perhaps_only: Option<usize>,
    /// Positions of its attempts, refused ones included.
    pub attempts: Range<usize>,
    /// How many of them were not refused.
    pub accepted: usize,
    /// How many of those failed.
    pub failures: usize,
    /// When the first one was sent, in seconds since the recording's first attempt.
    pub from_s: f64,
    /// When the first one after the outage was sent; the last one in it if none follows.
    pub until_s: f64,
    /// `ln` of the Bayes factor for an outage just here against none in the recording, whatever
    /// restarts it may hold.
    pub log_bayes_factor: f64,
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
    /// Outages of all servers, in order of time.
    pub outages: Vec<OutageSpan>,
}

impl Starts {
    /// The attempts of each start; the recordings are those that were searched.
    pub(crate) fn of<'a>(&self, recordings: &[&'a Recording]) -> Vec<Start<'a>> {
        let stretch = |s: &Stretch| &recordings[s.recording].attempts[s.attempts.clone()];
        let start =
            |span: &StartSpan| Start { stretches: span.stretches.iter().map(stretch).collect() };
        self.starts.iter().map(start).collect()
    }

    /// Whether an attempt of a recording, by its position, was sent in an outage.
    pub(crate) fn in_outage(&self, recording: usize, attempt: usize) -> bool {
        let holds = |o: &OutageSpan| o.recording == recording && o.attempts.contains(&attempt);
        self.outages.iter().any(holds)
    }
}

/// Starts from the places (recording, attempt) at which they begin, in order, with their labels;
/// outages are left out.
pub(crate) fn spans(
    recordings: &[&Recording],
    cuts: &[(usize, usize, Option<&str>)],
    outages: &[OutageSpan],
) -> Vec<StartSpan> {
    let mut spans: Vec<StartSpan> = Vec::new();
    let mut open = 0;
    for (index, recording) in recordings.iter().enumerate() {
        let mut from = 0;
        let end = recording.attempts.len();
        let here = |at: usize| cuts.iter().position(|cut| (cut.0, cut.1) == (index, at));
        let mut places: Vec<usize> = cuts.iter().filter(|c| c.0 == index).map(|c| c.1).collect();
        places.extend(recording.clock_jumps.iter().filter(|at| **at < end));
        let outages = || outages.iter().filter(|o| o.recording == index).map(|o| &o.attempts);
        places.extend(outages().flat_map(|outage| [outage.start, outage.end]));
        places.sort_unstable();
        places.dedup();
        places.push(end);
        for to in places {
            if outages().any(|outage| outage.contains(&from)) {
                from = to;
            }
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
    spans.retain(|span| !span.stretches.is_empty());
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::{RatePrior, Tally};
    use crate::starts::find::{find_in_pieces, log_evidence};
    use crate::synthetic::{observed, recording};
    use flakelab_core::domain::{Outcome, Purpose, Streams};
    use flakelab_core::stats::uniform01;
    use flakelab_sim::world::ErrorFamily;

    const SERVERS: usize = 4;

    /// Error rates of two starts, of an outage, of an outage that one server is spared, and of an
    /// outage of one server.
    const RATES: [[f64; 4]; 5] = [
        [0.1, 0.8, 0.3, 0.6],
        [0.7, 0.2, 0.6, 0.1],
        [1.0; 4],
        [0.1, 1.0, 1.0, 1.0],
        [1.0, 0.8, 0.3, 0.6],
    ];
    const DOWN: usize = 2;

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
        let all = (start(0..5).exp() + some) / (1.0 + search.prior_odds);
        let evidence = log_evidence(&recording(observed(&outcomes)), 2, &prior);
        assert!((evidence - all.ln()).abs() < 1e-5);
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

    fn outages(starts: &Starts) -> Vec<(usize, Range<usize>)> {
        starts.outages.iter().map(|o| (o.recording, o.attempts.clone())).collect()
    }

    #[test]
    fn outages_of_all_servers_are_no_restarts_and_belong_to_no_start() {
        let clear = made(&[(120, 0)], 40);
        let mut dark = made(&[(150, 0), (60, DOWN), (150, 0), (50, DOWN), (150, 0)], 41);
        dark.attempts[170].outcome = Outcome::Success;
        let starts = found(&[&clear, &dark]);
        let [(1, first), (1, second)] = &outages(&starts)[..] else { panic!("{starts:?}") };
        // Failures by chance on either side go with an outage.
        let near = |a: usize, b: usize| a <= b && b - a <= 4;
        assert!(near(first.start, 150) && near(210, first.end), "{first:?}");
        assert!(near(second.start, 360) && near(410, second.end), "{second:?}");
        let left =
            [(0, 0, 120), (1, 0, first.start), (1, first.end, second.start), (1, second.end, 560)];
        assert_eq!(stretches(&starts), [left]);
        let outage = &starts.outages[0];
        assert_eq!((outage.accepted, outage.failures), (first.len(), first.len() - 1));
        assert!((outage.from_s - 0.1 * first.start as f64).abs() < 1e-9);
        assert!((outage.until_s - 0.1 * first.end as f64).abs() < 1e-9);
        assert!(starts.in_outage(1, first.start) && !starts.in_outage(0, first.start));
    }

    #[test]
    fn an_outage_may_begin_or_end_a_recording_and_servers_may_come_back_with_other_rates() {
        let starts = found(&[&made(&[(60, DOWN), (200, 0), (60, DOWN), (200, 1), (60, DOWN)], 42)]);
        let found: Vec<Range<usize>> = outages(&starts).into_iter().map(|(_, of)| of).collect();
        let [first, between, last] = &found[..] else { panic!("{starts:?}") };
        assert_eq!((first.start, last.end, starts.starts.len()), (0, 580, 2));
        let restart = &starts.boundaries[0].place;
        let Place::Inside { attempts, .. } = restart else { panic!("{restart:?}") };
        assert!(attempts.contains(&between.end), "{restart:?}");
    }

    #[test]
    fn what_is_no_outage_of_all_servers_is_not_called_one() {
        for (case, rates) in [
            ("a restart", &[(200, 0), (160, 1)][..]),
            ("two restarts", &[(200, 0), (60, 1), (200, 0)]),
            ("one server is spared", &[(200, 0), (60, 3), (200, 0)]),
            ("one server is down", &[(200, 0), (60, 4), (200, 0)]),
            ("nothing but an outage", &[(100, DOWN)]),
        ] {
            for seed in 43..48 {
                let starts = found(&[&made(rates, seed)]);
                assert!(starts.outages.is_empty() && !starts.starts.is_empty(), "{case}");
            }
        }
    }

    /// Servers in turn, but in a stretch only server 0, which fails.
    fn stays(down: Range<usize>) -> Recording {
        let mut stays = made(&[(300, 0)], 48);
        for attempt in &mut stays.attempts[down] {
            (attempt.server, attempt.outcome) = (0, Outcome::Failure);
        }
        stays
    }

    #[test]
    fn an_outage_in_which_one_server_is_asked_is_no_restart_and_perhaps_of_that_server_alone() {
        let starts = found(&[&stays(150..190)]);
        let [outage] = &starts.outages[..] else { panic!("{starts:?}") };
        assert_eq!((outage.perhaps_only, starts.starts.len()), (Some(0), 1));
        assert!(outage.attempts.start <= 150 && 190 <= outage.attempts.end, "{outage:?}");
        // All are known to be down where others are asked, too.
        let mut all = stays(150..190);
        for attempt in all.attempts[150..190].iter_mut().step_by(4) {
            attempt.server = 2;
        }
        let starts = found(&[&all]);
        assert_eq!(starts.outages[0].perhaps_only, None);
    }

    #[test]
    fn a_server_that_goes_bad_for_good_is_not_in_an_outage() {
        // Nobody asks it again, or it never answers again.
        let mut bad = stays(150..190);
        for attempt in &mut bad.attempts[190..] {
            attempt.outcome = if attempt.server == 0 { Outcome::Failure } else { attempt.outcome };
        }
        // A restart draws no rate that fits it, which leaves an outage the likelier of the two.
        let narrow = RatePrior::of(&ErrorFamily::Uniform { low: 0.05, high: 0.85 });
        for made in [stays(260..300), bad] {
            for prior in [RatePrior::flat(), narrow.clone()] {
                let starts = find_starts(&[&made], SERVERS, &prior);
                assert!(starts.outages.is_empty(), "{starts:?}");
            }
        }
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
            let starts =
                find_in_pieces(&files, Vec::new(), SERVERS, &RatePrior::flat(), most_pieces);
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
