//! What was found: starts as stretches of recordings, and the evidence at every boundary.
//!
//! When not to use it: as one number. A restart with a probability near 1/2 is doubtful either
//! way, and its place is known no better than its interval says.

use std::ops::Range;

use crate::fit::runs::Start;
use crate::stats::Interval;
use crate::trace::Recording;

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
    #[must_use]
    pub(in crate::fit) fn of<'a>(&self, recordings: &[&'a Recording]) -> Vec<Start<'a>> {
        let stretch = |s: &Stretch| &recordings[s.recording].attempts[s.attempts.clone()];
        let start =
            |span: &StartSpan| Start { stretches: span.stretches.iter().map(stretch).collect() };
        self.starts.iter().map(start).collect()
    }
}

/// Starts from the places (recording, attempt) at which they begin, in order, with their labels.
pub(super) fn spans(
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
