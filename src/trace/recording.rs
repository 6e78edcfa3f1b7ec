//! A recording as a fit needs it: the attempts at one group of servers in one file, 24 bytes each.
//!
//! When not to use it: to write traces, or where identifiers matter; those are [`super::Row`]s.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::attempt::Attempt;
use super::collect::{Collector, Names};
use super::notes::Notes;
use super::read::{for_each_attempt, open};
use super::{Group, ReadOptions, Trace, TraceError};
use crate::domain::Outcome;

/// One attempt, as far as a fit cares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When it was sent: Unix time in seconds. After a clock that was set back, what the clock
    /// would have shown otherwise: times go on where they stood (see
    /// [`Recording::clock_jumps`]).
    pub at_s: f64,
    /// Time to the answer in milliseconds; 0 in a row without it, see
    /// [`Recording::tells_latency`].
    pub latency_ms: f32,
    /// The position of its request within the recording, from 0 in order of first attempts.
    pub request: u32,
    /// Its number within the request, from 1.
    pub attempt: u16,
    /// The server's position within the group.
    pub server: u8,
    /// What the client observed. A 429 of a recorder that does not tell is a `Failure`.
    pub outcome: Outcome,
    /// The position in [`Recording::strategies`] of the strategy that chose the server.
    pub strategy: u8,
    /// The first byte of the identifier, to test whether identifiers matter; 0 without one.
    pub identifier_byte: u8,
}

impl Observed {
    /// Whether it counts as an error of the server: not a success, and not known to be refused.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failure | Outcome::TimedOut)
    }

    /// Whether it is known to have been refused by a rate limiter.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.outcome == Outcome::RateLimited
    }
}

/// The attempts at one group of servers in one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file, for messages.
    pub path: PathBuf,
    /// The servers.
    pub group: Group,
    /// Which strategies chose the servers, sorted.
    pub strategies: Vec<String>,
    /// Whether the recorder told 429 from other failures, in every row.
    pub tells_refusals: bool,
    /// Whether every row has a latency; else those there are not to be used.
    pub tells_latency: bool,
    /// In order of time, those of the same instant in the order of the file; at least one.
    pub attempts: Vec<Observed>,
    /// Where the file says that the servers were started anew: positions in `attempts`, with the
    /// file's name for the start. Empty when the file is silent; else the first one is at 0.
    pub declared_starts: Vec<(usize, String)>,
    /// Positions in `attempts` before which the clock jumped, in rising order: it was set back by
    /// more than a second, or there is a gap of more than an hour. What a rate limiter did between
    /// is unknown.
    pub clock_jumps: Vec<usize>,
    /// What is odd about the file, as sentences that open with `file:line:`.
    pub warnings: Vec<String>,
    /// Identifier of the first attempt, or a hash of all attempts where they have none, to find
    /// recordings handed in twice.
    pub first_identifier: String,
}

impl Recording {
    /// The recordings in a file, one for each group of servers in it.
    ///
    /// One pass; no text of a row is kept. Ten million rows take some 400 MB while they are read
    /// and 240 MB afterwards.
    ///
    /// # Errors
    /// A file that cannot be read, and the first cell or row that cannot be believed: see
    /// [`TraceError`].
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Vec<Self>, TraceError> {
        Self::read_all(&[path], options)
    }

    /// The recordings in several files, in the order of the files. A group of somebody's own has
    /// the same servers in all of them.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    pub fn read_all<P: AsRef<Path>>(
        paths: &[P],
        options: &ReadOptions,
    ) -> Result<Vec<Self>, TraceError> {
        let mut servers = Names::default();
        let mut recordings = Vec::new();
        for path in paths.iter().map(AsRef::as_ref) {
            recordings.extend(parse(path, open(path)?, options, &mut servers)?);
        }
        if let Some(name) = &options.group {
            share_servers(&mut recordings, name, servers);
        }
        Ok(recordings)
    }

    /// The recordings in a trace, one for each config.
    ///
    /// # Errors
    /// Rows that contradict each other, or a port that is not of the row's config.
    pub fn of_trace(trace: &Trace) -> Result<Vec<Self>, TraceError> {
        let mut collector = Collector::new(&trace.path, false);
        for (i, row) in trace.rows.iter().enumerate() {
            collector.take(&Attempt::of_row(row, trace.line(i)), &mut Names::default())?;
        }
        collector.finish(None, &Notes::default())
    }

    /// The file's name without its folder, so that results do not depend on where traces lie.
    #[must_use]
    pub fn file(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// When the first attempt was sent, Unix time in seconds.
    #[must_use]
    pub fn started_at_s(&self) -> f64 {
        self.attempts.first().map_or(0.0, |attempt| attempt.at_s)
    }
}

/// The recordings in a CSV text; servers of somebody's own keep the numbers of `servers`.
pub(super) fn parse(
    path: &Path,
    input: impl Read,
    options: &ReadOptions,
    servers: &mut Names,
) -> Result<Vec<Recording>, TraceError> {
    let mut collector = Collector::new(path, options.is_foreign());
    let mut notes = Notes::default();
    for_each_attempt(&path.display().to_string(), input, options, &mut notes, |attempt| {
        collector.take(attempt, servers)
    })?;
    collector.finish(options.group.as_deref(), &notes)
}

/// Gives the recordings of a group one list of servers: ports by number, other labels by alphabet.
pub(super) fn share_servers(recordings: &mut [Recording], name: &str, servers: Names) {
    let (labels, places) = servers.sorted(|label| label.parse::<u16>().map_or(u32::MAX, u32::from));
    let group = Group::own(name, labels);
    for recording in recordings {
        for attempt in &mut recording.attempts {
            attempt.server = places[usize::from(attempt.server)];
        }
        recording.group = group.clone();
    }
}
