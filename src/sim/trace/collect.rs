//! Attempts of files -> recordings, one for each group of servers in a file.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::trace::cells::{Attempt, NONE, PROBE, Server, outcome};
use crate::trace::group::{Config, Group};
use crate::trace::notes::{Notes, Oddity};
use crate::trace::read::{for_each_attempt, open};
use crate::trace::recording::{Observed, Recording, Table, order};
use crate::trace::{ReadOptions, TraceError};
use flakelab_core::domain::{Identifier, Outcome};

/// The most servers of one group. More than that in a log of attempts is most likely a column of
/// something else, such as the client's port.
const MOST_SERVERS: usize = 128;

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
    pub fn read_all<P: AsRef<Path>>(
        paths: &[P],
        options: &ReadOptions,
    ) -> Result<Vec<Self>, TraceError> {
        let mut reading = Reading::new(options);
        for path in paths.iter().map(AsRef::as_ref) {
            reading.csv(path, open(path)?)?;
        }
        Ok(reading.finish().0)
    }
}

/// Files on their way to becoming recordings, one after the other. A group of somebody's own has the
/// same servers in all of them.
///
/// When not to use it: for files of our own that are files; see [`Recording::read_all`].
pub struct Reading<'o> {
    options: &'o ReadOptions,
    servers: Names,
    recordings: Vec<Recording>,
    samples: Vec<Sample>,
}

impl<'o> Reading<'o> {
    /// Nothing read so far.
    pub fn new(options: &'o ReadOptions) -> Self {
        Self { options, servers: Names::default(), recordings: Vec::new(), samples: Vec::new() }
    }

    /// Reads a CSV text; `path` is what messages call it.
    ///
    /// # Errors
    /// The first cell or row that cannot be believed.
    pub fn csv(&mut self, path: &Path, input: impl Read) -> Result<(), TraceError> {
        let options = self.options;
        self.collect(path, options.dated_at_end, |sink| {
            let mut notes = std::mem::take(&mut sink.notes);
            let name = path.display().to_string();
            let read = |attempt: &Attempt<'_>| sink.collector.take(attempt, sink.servers);
            for_each_attempt(&name, input, options, &mut notes, read)?;
            sink.notes = notes;
            Ok(())
        })
    }

    /// Takes what `read`, a reader of another format, finds in a file of somebody's own servers.
    ///
    /// `in_order_of_ends`: lines were written when requests ended, so that those that took long stand
    /// below younger ones.
    ///
    /// # Errors
    /// Those of `read`, and attempts that contradict each other.
    pub fn collect(
        &mut self,
        path: &Path,
        in_order_of_ends: bool,
        read: impl FnOnce(&mut Sink<'_>) -> Result<(), TraceError>,
    ) -> Result<(), TraceError> {
        let foreign = self.options.is_foreign();
        let collector =
            Collector { path, foreign, in_order_of_ends, drafts: BTreeMap::new(), sample: None };
        let servers = &mut self.servers;
        let mut sink = Sink { collector, servers, notes: Notes::default() };
        read(&mut sink)?;
        let Sink { mut collector, notes, .. } = sink;
        self.samples.extend(collector.sample.take());
        self.recordings.extend(collector.finish(self.options.group.as_deref(), &notes)?);
        Ok(())
    }

    /// The recordings in the order of the files, and of each file one attempt as it was understood.
    pub fn finish(mut self) -> (Vec<Recording>, Vec<Sample>) {
        if let Some(name) = &self.options.group {
            share_servers(&mut self.recordings, name, self.servers);
        }
        (self.recordings, self.samples)
    }
}

/// Takes the attempts of one file.
pub struct Sink<'a> {
    collector: Collector<'a>,
    servers: &'a mut Names,
    notes: Notes,
}

impl Sink<'_> {
    /// Adds an attempt.
    ///
    /// # Errors
    /// Too many servers.
    pub fn take(&mut self, attempt: &Attempt<'_>) -> Result<(), TraceError> {
        if attempt.left_out {
            self.notes.add(Oddity::ClientLeft, attempt.line);
            return Ok(());
        }
        self.collector.take(attempt, self.servers)
    }

    /// Notes something odd, to be warned of.
    pub fn note(&mut self, oddity: Oddity, line: u64) {
        self.notes.add(oddity, line);
    }
}

/// The first failed attempt of a file, else its first, so that people see how it was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The line that it stands on.
    pub line: u64,
    /// What the file calls the server.
    pub server: String,
    /// Whether the server did its work, refused to, or failed.
    pub outcome: Outcome,
    /// The HTTP status where the file has it; 0 for no answer.
    pub status: Option<u16>,
    /// Time to the answer in milliseconds.
    pub latency_ms: Option<f64>,
    /// When it was sent: Unix time in seconds.
    pub at_s: f64,
}

impl Sample {
    fn of(attempt: &Attempt<'_>) -> Self {
        let server = match attempt.server {
            Server::Of(_, port) => port.to_string(),
            Server::Own(label) => label.to_owned(),
        };
        Self {
            line: attempt.line,
            server,
            outcome: outcome(attempt.success, attempt.rate_limited),
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            at_s: attempt.at_s,
        }
    }
}

/// Gives the recordings of a group one list of servers: ports by number, other labels by alphabet.
fn share_servers(recordings: &mut [Recording], name: &str, servers: Names) {
    let (labels, places) = servers.sorted(|label| label.parse::<u16>().map_or(u32::MAX, u32::from));
    let group = Group::own(name, labels);
    for recording in recordings {
        for attempt in &mut recording.attempts {
            attempt.server = places[usize::from(attempt.server)];
        }
        recording.group = group.clone();
    }
}

/// Names, numbered in the order in which they are first met.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The number of a name that was met and fits a byte.
    fn known(&self, name: &str) -> Option<u8> {
        self.numbers.get(name).and_then(|number| u8::try_from(*number).ok())
    }

    /// The names in an order of its own, and the place in it of each number.
    fn sorted<K: Ord>(self, key: impl Fn(&str) -> K) -> (Vec<String>, Vec<u8>) {
        let mut names: Vec<(String, u32)> = self.numbers.into_iter().collect();
        // Stable: names with equal keys stay in alphabetical order.
        names.sort_by_key(|(name, _)| key(name));
        let mut places = vec![0; names.len()];
        for (place, (_, number)) in names.iter().enumerate() {
            places[*number as usize] = place as u8;
        }
        (names.into_iter().map(|(name, _)| name).collect(), places)
    }
}

/// The groups of one file.
struct Collector<'a> {
    path: &'a Path,
    /// Whether identifiers need not be those of the game.
    foreign: bool,
    in_order_of_ends: bool,
    drafts: BTreeMap<Option<Config>, Draft>,
    sample: Option<Sample>,
}

/// A recording while it is being read.
#[derive(Default)]
struct Draft {
    table: Table,
    keys: Vec<Key>,
    strategies: Names,
    starts: Names,
    notes: Notes,
    numbered: bool,
    hides_refusals: bool,
    lacks_latency: bool,
    first: Option<(f64, String)>,
}

impl Collector<'_> {
    /// Adds an attempt. `servers` are those of somebody's own group.
    fn take(&mut self, attempt: &Attempt<'_>, servers: &mut Names) -> Result<(), TraceError> {
        let fault =
            |problem: &str| TraceError::at(&self.path.display().to_string(), attempt.line, problem);
        let (config, server) = match attempt.server {
            Server::Of(config, port) => (Some(config), usize::from(port - config.first_port())),
            Server::Own(label) => (None, servers.number(plain(label)) as usize),
        };
        if server >= MOST_SERVERS {
            return Err(fault(&format!(
                "more than {MOST_SERVERS} servers in one group\nhelp: name the column that holds \
                 the server (not the client) with `--map port=COLUMN`, or split the log into \
                 groups, each a file with a `--name` of its own"
            )));
        }
        let is_better = |sample: &Sample| sample.outcome == Outcome::Success && !attempt.success;
        if self.sample.as_ref().is_none_or(is_better) {
            self.sample = Some(Sample::of(attempt));
        }
        let draft = self.drafts.entry(config).or_default();
        let strategy = draft.strategies.number(attempt.strategy);
        let (Ok(strategy), Ok(line), Ok(index)) = (
            u8::try_from(strategy),
            u32::try_from(attempt.line),
            u32::try_from(draft.table.attempts.len()),
        ) else {
            return Err(fault(
                "more than 256 strategies, or more than 4 billion lines, in one file",
            ));
        };
        draft.note(attempt, self.foreign);
        draft.keys.extend(Key::of(attempt, index));
        let start = draft.starts.number(attempt.start);
        if !attempt.start.is_empty() || !draft.table.starts.is_empty() {
            // Rows above the first that tells were silent, so number 0 is silence.
            draft.table.starts.resize(index as usize, 0);
            draft.table.starts.push(start);
        }
        draft.table.lines.push(line);
        draft.table.attempts.push(Observed {
            at_s: attempt.at_s,
            latency_ms: attempt.latency_ms.unwrap_or(0.0) as f32,
            request: 0,
            attempt: attempt.attempt_number.unwrap_or(1),
            server: server as u8,
            outcome: outcome(attempt.success, attempt.rate_limited),
            strategy,
            identifier_byte: attempt.request_id.and_then(|id| id.bytes().next()).unwrap_or(0),
        });
        Ok(())
    }

    /// The recordings; servers of somebody's own still have numbers in the order of appearance.
    fn finish(self, group: Option<&str>, file: &Notes) -> Result<Vec<Recording>, TraceError> {
        let mut recordings = Vec::with_capacity(self.drafts.len());
        for (config, mut draft) in self.drafts {
            if recordings.is_empty() {
                draft.notes.extend(file);
            }
            let group = config.map_or_else(
                || Group::own(group.unwrap_or_default(), Vec::new()),
                Group::of_config,
            );
            recordings.push(draft.finish(self.path.to_owned(), group, self.in_order_of_ends)?);
        }
        Ok(recordings)
    }
}

impl Draft {
    fn note(&mut self, attempt: &Attempt<'_>, foreign: bool) {
        let line = attempt.line;
        let identifier = attempt.request_id.unwrap_or_default();
        if !foreign && identifier.parse::<Identifier>().is_err() {
            self.notes.add(Oddity::Identifier, line);
        }
        let incomplete = attempt.request_complete == Some(false) || !attempt.success;
        if attempt.request_success == Some(true) && incomplete {
            self.notes.add(Oddity::Contradiction, line);
        }
        if attempt.latency_ms.is_none() {
            self.lacks_latency = true;
            self.notes.add(Oddity::NoLatency, line);
        }
        if attempt.refused == Some(true) {
            self.notes.add(Oddity::Refused, line);
        }
        self.hides_refusals |= attempt.rate_limited.is_none();
        self.numbered |= attempt.attempt_number.is_some();
        let here = (attempt.at_s, identifier);
        if self.first.as_ref().is_none_or(|(at, id)| here < (*at, id)) {
            self.first = Some((attempt.at_s, identifier.to_owned()));
        }
    }

    fn finish(
        mut self,
        path: PathBuf,
        group: Group,
        in_order_of_ends: bool,
    ) -> Result<Recording, TraceError> {
        let (mut table, mut notes) = (self.table, self.notes);
        let told_apart = !self.keys.is_empty();
        let probe = self.strategies.known(PROBE);
        identify(&mut table, self.keys, self.numbered, probe, &mut notes).map_err(|conflict| {
            let problem = format!(
                "attempt {} of the same request stands here and on line {}, with other values; \
                 requests are told apart by session_id, request_number and request_id\n\
                 help: keep the row that is right and delete the other",
                conflict.attempt, conflict.earlier
            );
            TraceError::at(&path.display().to_string(), conflict.line, &problem)
        })?;
        let clock_jumps = order(&mut table, in_order_of_ends, &mut notes);
        let mut attempts = table.attempts;
        drop(table.lines);
        number_requests(&mut attempts);
        let (strategies, places) = self.strategies.sorted(str::to_owned);
        for attempt in &mut attempts {
            attempt.strategy = places[usize::from(attempt.strategy)];
        }
        attempts.shrink_to_fit();
        let first = self.first.take().filter(|_| told_apart).map(|(_, id)| id);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Recording {
            warnings: notes.sentences(&name),
            first_identifier: first
                .filter(|id| !matches!(id.as_str(), "" | NONE))
                .unwrap_or_else(|| print_of(&attempts)),
            declared_starts: declared(&table.starts, self.starts),
            tells_refusals: !self.hides_refusals,
            tells_latency: !self.lacks_latency,
            path,
            group,
            strategies,
            attempts,
            clock_jumps,
        })
    }
}

/// A port without leading zeros, so that it has one name.
fn plain(label: &str) -> &str {
    match label.trim_start_matches('0') {
        port if port.parse::<u16>().is_ok_and(|p| p > 0) && !port.starts_with('+') => port,
        _ => label,
    }
}

/// Numbers requests in order of their first attempts.
fn number_requests(attempts: &mut [Observed]) {
    const UNKNOWN: u32 = u32::MAX;
    let most = attempts.iter().map(|a| a.request as usize + 1).max().unwrap_or(0);
    let (mut numbers, mut next) = (vec![UNKNOWN; most], 0);
    for attempt in attempts {
        let number = &mut numbers[attempt.request as usize];
        if *number == UNKNOWN {
            *number = next;
            next += 1;
        }
        attempt.request = *number;
    }
}

/// Where the name of the start changes; silence means that it does not.
fn declared(starts: &[u32], names: Names) -> Vec<(usize, String)> {
    let mut texts = vec![String::new(); names.numbers.len()];
    for (text, number) in names.numbers {
        texts[number as usize] = text;
    }
    let mut changes: Vec<(usize, String)> = Vec::new();
    for (index, text) in starts.iter().map(|number| &texts[*number as usize]).enumerate() {
        if !text.is_empty() && changes.last().is_none_or(|(_, before)| before != text) {
            let at = if changes.is_empty() { 0 } else { index };
            changes.push((at, text.clone()));
        }
    }
    changes
}

/// What tells a recording without identifiers from others: a hash of all its attempts.
fn print_of(attempts: &[Observed]) -> String {
    let mut hasher = DefaultHasher::new();
    for a in attempts {
        (a.at_s.to_bits(), a.latency_ms.to_bits(), a.server, a.outcome).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

// ---- Which attempts belong to one request, which rows stand there twice, which are missing.
//
// A request is told apart by a hash of 64 bits of its session, number and identifier, 12 bytes an
// attempt; among ten million requests two share a hash with probability 3e-6 (birthday bound,
// n^2 / 2^65).
//
// When not to use it: it cannot find requests that nobody recorded.

/// An attempt and the hash of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// In two halves, so that a key takes 12 bytes and not 16.
    hash: [u32; 2],
    index: u32,
}

impl Key {
    /// `None` where the file does not tell requests apart.
    pub(crate) fn of(attempt: &Attempt<'_>, index: u32) -> Option<Self> {
        if attempt.request_id.is_none() && attempt.request_number.is_none() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (attempt.session_id, attempt.request_number, attempt.request_id).hash(&mut hasher);
        if attempt.request_id == Some(NONE) && attempt.request_number.is_none() {
            // The log tells requests apart, but not this one: a request of its own.
            attempt.line.hash(&mut hasher);
        }
        let hash = hasher.finish();
        Some(Self { hash: [(hash >> 32) as u32, hash as u32], index })
    }
}

/// The same attempt of the same request on two lines, with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conflict {
    pub(crate) line: u64,
    earlier: u64,
    pub(crate) attempt: u16,
}

/// Gives every request a number (in any order) and drops copies of rows.
///
/// `numbered`: the file numbers the attempts of a request; else they are numbered here, in order
/// of time. `probe`: the strategy that goes on after a success on purpose.
///
/// # Errors
/// The first conflict, by line.
fn identify(
    table: &mut Table,
    mut keys: Vec<Key>,
    numbered: bool,
    probe: Option<u8>,
    notes: &mut Notes,
) -> Result<(), Conflict> {
    if keys.is_empty() {
        by_line(table, numbered);
        return Ok(());
    }
    keys.sort_unstable();
    let (mut dropped, mut conflict) = (Vec::new(), None::<Conflict>);
    for (number, request) in keys.chunk_by_mut(|a, b| a.hash == b.hash).enumerate() {
        sort(request, &table.attempts, numbered);
        let mut walk = Walk { probe, last: None, answered: false, gap: None, after: None };
        for key in request {
            let index = key.index as usize;
            let found = walk.step(table, index, numbered);
            table.attempts[index].request = number as u32;
            match found {
                Step::Next => {}
                Step::Copy => {
                    notes.add(Oddity::Duplicate, table.line(index));
                    dropped.push(key.index);
                }
                Step::Conflict(found) => {
                    conflict = Some(conflict.map_or(found, |first| first.min(found)));
                }
            }
        }
        for (oddity, line) in [(Oddity::Gap, walk.gap), (Oddity::AfterSuccess, walk.after)] {
            if let Some(line) = line {
                notes.add(oddity, line);
            }
        }
    }
    dropped.sort_unstable();
    table.drop_all(&dropped);
    conflict.map_or(Ok(()), Err)
}

/// Every row is a request of its own; a row with several upstreams is one request.
fn by_line(table: &mut Table, numbered: bool) {
    let (mut request, mut number) = (0_u32, 0_u16);
    for i in 0..table.attempts.len() {
        let same = i > 0 && table.lines[i] == table.lines[i - 1];
        request += u32::from(i > 0 && !same);
        number = if same { number.saturating_add(1) } else { 1 };
        let attempt = &mut table.attempts[i];
        attempt.request = request;
        if !numbered {
            attempt.attempt = number;
        }
    }
}

/// Sorts the attempts of a request by number, or by time where there are no numbers.
fn sort(request: &mut [Key], attempts: &[Observed], numbered: bool) {
    let of = |key: &Key| attempts[key.index as usize];
    if numbered {
        request.sort_unstable_by_key(|key| (of(key).attempt, key.index));
    } else {
        request
            .sort_unstable_by(|a, b| of(a).at_s.total_cmp(&of(b).at_s).then(a.index.cmp(&b.index)));
    }
}

/// A walk over the attempts of a request.
struct Walk {
    probe: Option<u8>,
    last: Option<usize>,
    answered: bool,
    /// Line of the first attempt that follows none.
    gap: Option<u64>,
    /// Line of the first attempt after a success.
    after: Option<u64>,
}

enum Step {
    Next,
    Copy,
    Conflict(Conflict),
}

impl Walk {
    fn step(&mut self, table: &mut Table, index: usize, numbered: bool) -> Step {
        let attempt = table.attempts[index];
        let before = self.last.map(|last| (last, table.attempts[last]));
        if let Some((last, before)) = before {
            let twice = !numbered || before.attempt == attempt.attempt;
            // A row may name one server twice; a copy stands on another line.
            let elsewhere = table.lines[last] != table.lines[index];
            if twice && elsewhere && same_row(&before, &attempt) {
                return Step::Copy;
            }
            if numbered && twice {
                let (here, there) = (table.line(index), table.line(last));
                let (line, earlier) = (here.max(there), here.min(there));
                return Step::Conflict(Conflict { line, earlier, attempt: attempt.attempt });
            }
        }
        let next = before.map_or(0, |(_, before)| before.attempt).saturating_add(1);
        if !numbered {
            table.attempts[index].attempt = next;
        } else if attempt.attempt != next {
            self.gap.get_or_insert(table.line(index));
        }
        if self.answered && self.probe != Some(attempt.strategy) {
            self.after.get_or_insert(table.line(index));
        }
        self.answered |= attempt.outcome == Outcome::Success;
        self.last = Some(index);
        Step::Next
    }
}

/// Whether two rows of one request say the same, in all that a fit reads.
fn same_row(a: &Observed, b: &Observed) -> bool {
    (a.at_s, a.latency_ms, a.server, a.outcome, a.strategy)
        == (b.at_s, b.latency_ms, b.server, b.outcome, b.strategy)
}
