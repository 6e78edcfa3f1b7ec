//! The files of a proxy, and the thread that writes down what was decided, off the path of requests.
//!
//! All are begun before anything is served, so that one that cannot be written is known while
//! there is still time. One that cannot be written any more is named once, on stderr, and again as
//! the error at the end; requests are served all the same. The trace is written line by line, the
//! events log in blocks, the metrics file whole.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::{io, thread};

use crate::Clock;
use crate::metrics::{
    EVENTS_KEPT, LATENCIES_KEPT, MeshMetrics, Metrics, RecentEvent, SWITCHES_SHOWN, ServerMetrics,
    SwitchMetrics,
};
use crate::proxy::log::{AttemptLog, EventWriter};
use crate::proxy::messages::{Newest, Note, Settings, State};
use flakelab_core::balancer::ServerCounts;
use flakelab_core::domain::{Attempt, Cause, Outcome, RequestId, Span, Timestamp};
use flakelab_core::stats::nearest_rank;
use flakelab_core::strategy::Switch;

/// Which files a proxy writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The metrics file; one that is there is replaced.
    pub metrics: Option<PathBuf>,
    /// The trace.
    pub trace: Option<PathBuf>,
    /// The events log.
    pub events: Option<PathBuf>,
    /// Whether trace and events log may take the place of files that are there.
    pub force: bool,
}

/// A file that is not written, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Somebody may still want it.
    #[error("{0} is there already; name another file or add --force")]
    Exists(String),
    #[error("cannot write {path}")]
    Begin { path: String, source: io::Error },
    #[error("cannot write all of {path}; it is not complete")]
    End { path: String, source: io::Error },
}

impl FileError {
    fn begin(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Begin { path, source },
        }
    }
}

/// A file that is taken away again unless it is kept, as when another cannot be begun.
#[derive(Debug)]
struct Begun(Option<(PathBuf, File)>);

impl Begun {
    fn create(path: &Path, force: bool) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.write(true);
        if force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let file = options.open(path).map_err(|source| FileError::begin(path, source))?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    /// The file, to stay.
    fn keep(mut self) -> Option<(PathBuf, File)> {
        self.0.take()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // No devices, which `--force` may name.
        if let Some((path, _)) = self.0.take().filter(|(path, _)| path.is_file()) {
            // It is empty, and an error with more to say is on its way.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Replaces the file at `path` by these metrics, whole: renamed, so that a reader never sees half
/// of it, and not synced, since it is replaced twenty times a second and worth nothing after a
/// crash of the machine.
fn replace(path: &Path, metrics: &Metrics) -> io::Result<()> {
    let bytes = serde_json::to_vec(metrics)?;
    // One writer a file, so the name need not be unique; the prefix is that of temporary files of
    // results folders, which are cleared away there.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".flakelab-{name}-{}", std::process::id()));
    let written = std::fs::write(&temporary, bytes);
    let replaced = written.and_then(|()| std::fs::rename(&temporary, path));
    if replaced.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    replaced
}

/// Makes metrics of the balancer's ledger and of what only the recorder has seen.
#[derive(Debug)]
struct Collector {
    clock: Clock,
    settings: Settings,
    /// The moment of the newest event.
    now: Timestamp,
    /// The ports and outcomes of requests that are not answered yet.
    open: BTreeMap<RequestId, Vec<(u16, String)>>,
    /// Attempts that ended, and their milliseconds together, one pair a server.
    took: Vec<(u64, f64)>,
    /// Attempts without an answer that is HTTP, and connections refused, one pair a server.
    unanswered: Vec<(u64, u64)>,
    latencies: VecDeque<Span>,
    events: VecDeque<RecentEvent>,
}

impl Collector {
    fn new(settings: &Settings, clock: Clock) -> Self {
        Self {
            clock,
            settings: settings.clone(),
            now: Timestamp::ZERO,
            open: BTreeMap::new(),
            took: vec![(0, 0.0); settings.ports.len()],
            unanswered: vec![(0, 0); settings.ports.len()],
            latencies: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    fn take(&mut self, note: &Note) {
        if let Note::Arrived { at, .. } | Note::Finished { at, .. } | Note::WokeUp { at } = note {
            self.now = *at;
        }
        match note {
            Note::Arrived { request, .. } => {
                self.open.insert(request.id, Vec::new());
            }
            Note::Finished { attempt, outcome, cause, began, ended, .. } => {
                self.attempt_ended(attempt, *outcome, ended.since(*began));
                if let Some((no_http, refused)) = self.unanswered.get_mut(attempt.server.index()) {
                    *no_http += u64::from(*cause == Cause::NoHttp);
                    *refused += u64::from(*cause == Cause::Refused);
                }
            }
            Note::Answered(request, answer) => {
                push(&mut self.latencies, answer.latency, LATENCIES_KEPT);
                let event = RecentEvent {
                    at: self.clock.unix_s(self.now),
                    request: request.0 + 1,
                    ok: answer.ok,
                    attempts: self.open.remove(request).unwrap_or_default(),
                    latency_ms: answer.latency.as_millis_f64(),
                };
                push(&mut self.events, event, EVENTS_KEPT);
            }
            Note::WokeUp { .. } | Note::Sent(_) | Note::AlarmSet(_) | Note::State(_) => {}
        }
    }

    fn attempt_ended(&mut self, attempt: &Attempt, outcome: Outcome, took: Span) {
        let server = attempt.server.index();
        if let Some((ended, ms)) = self.took.get_mut(server) {
            *ended += 1;
            *ms += took.as_millis_f64();
        }
        let port = self.settings.ports.get(server).copied().unwrap_or_default();
        if let Some(attempts) = self.open.get_mut(&attempt.request) {
            attempts.push((port, outcome.name().to_owned()));
        }
    }

    /// The metrics of a state, all notes up to which were taken.
    fn metrics(&self, state: &State, ended: bool) -> Metrics {
        let ledger = &state.ledger;
        let score = ledger.score(&self.settings.rules);
        let mut nanos: Vec<u64> = self.latencies.iter().map(|span| span.as_nanos()).collect();
        let mut rank = |p| nearest_rank(&mut nanos, p).map_or(0.0, |ns| ns as f64 * 1e-6);
        Metrics {
            total_requests: ledger.arrived,
            total_success: ledger.answered_ok,
            total_failure: ledger.answered_error,
            total_retries: ledger.retries,
            total_rate_limited: ledger.rate_limited(),
            total_penalty: score.penalty,
            global_regret: ledger.answered_error as f64,
            best_guess_score: ledger.answered_ok as f64 - score.penalty,
            latency_p50: rank(0.5),
            latency_p99: rank(0.99),
            latencies: self.latencies.iter().map(|span| span.as_millis_f64()).collect(),
            per_server: self.servers(state),
            last_update: self.clock.unix_s(state.at),
            strategy: self.settings.strategy.label(),
            config: self.settings.config.clone(),
            seed: self.settings.seed,
            started: self.clock.unix_s(Timestamp::ZERO),
            total_attempts: ledger.attempts,
            total_extra_attempts: ledger.extra_attempts,
            total_timed_out: ledger.timed_out(),
            waiting: state.waiting,
            in_service: state.in_service,
            ended,
            events: self.events.iter().cloned().collect(),
            mesh: self.mesh(state),
        }
    }

    fn mesh(&self, state: &State) -> Option<MeshMetrics> {
        let notes = state.of_strategy.as_ref()?;
        let hidden = notes.switches.len().saturating_sub(SWITCHES_SHOWN);
        let switch = |switch: &Switch| SwitchMetrics {
            at: self.clock.unix_s(switch.at),
            from: switch.from.to_owned(),
            to: switch.to.to_owned(),
            reason: switch.reason.clone(),
        };
        Some(MeshMetrics {
            selections: state.ledger.servers.iter().map(|server| server.attempts).collect(),
            filtered_by_health: notes.filtered_by_health,
            load_variance: notes.load_variance,
            num_switches: notes.switched,
            switches: notes.switches.iter().skip(hidden).map(switch).collect(),
        })
    }

    fn servers(&self, state: &State) -> Vec<ServerMetrics> {
        let servers = self.settings.ports.iter().zip(&state.ledger.servers).enumerate();
        let server = |(i, (port, counts)): (usize, (&u16, &ServerCounts))| {
            let (ended, ms) = self.took.get(i).copied().unwrap_or_default();
            let (num_no_http, num_refused) = self.unanswered.get(i).copied().unwrap_or_default();
            ServerMetrics {
                port: *port,
                num_requests: counts.attempts,
                num_success: counts.successes,
                num_failure: counts.failures + counts.timed_out,
                num_rate_limited: counts.rate_limited,
                num_timed_out: counts.timed_out,
                num_no_http,
                num_refused,
                success_rate: counts.successes as f64 / counts.attempts.max(1) as f64,
                avg_latency_ms: ms / ended.max(1) as f64,
                belief: state.beliefs.get(i).copied().flatten(),
            }
        };
        servers.map(server).collect()
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(new);
}

/// A recorder at work; it ends with the first error, if there was one.
pub(crate) type Recording = JoinHandle<Result<(), FileError>>;

/// Where things are written.
#[derive(Debug)]
pub(crate) struct Recorder {
    collector: Collector,
    newest: Newest,
    metrics: Option<PathBuf>,
    trace: Option<(PathBuf, AttemptLog<File>)>,
    events: Option<(PathBuf, EventWriter<BufWriter<File>>)>,
    failed: Option<FileError>,
}

impl Recorder {
    /// Begins all files; none that is new is left behind if one cannot be begun.
    pub(crate) fn open(
        settings: &Settings,
        clock: Clock,
        newest: Newest,
        files: &Files,
    ) -> Result<Self, FileError> {
        let begin = |path: &Option<PathBuf>| -> Result<Option<Begun>, FileError> {
            path.as_deref().map(|path| Begun::create(path, files.force)).transpose()
        };
        let (trace, events) = (begin(&files.trace)?, begin(&files.events)?);
        let collector = Collector::new(settings, clock);
        let nothing = collector.metrics(&State::before_all(settings.ports.len()), false);
        if let Some(path) = &files.metrics {
            replace(path, &nothing).map_err(|source| FileError::begin(path, source))?;
        }
        newest.set(nothing);
        let trace = match trace.and_then(Begun::keep) {
            Some((path, file)) => {
                let log = AttemptLog::new(file, clock, settings.clone());
                let log = log.map_err(|source| FileError::begin(&path, source))?;
                Some((path, log))
            }
            None => None,
        };
        let events = events.and_then(Begun::keep);
        let events = events.map(|(path, file)| (path, EventWriter::new(BufWriter::new(file))));
        let metrics = files.metrics.clone();
        Ok(Self { collector, newest, metrics, trace, events, failed: None })
    }

    /// Records from a thread of its own until the notes end.
    pub(crate) fn start(self) -> io::Result<(Sender<Note>, Recording)> {
        let (sender, notes) = channel();
        let builder = thread::Builder::new().name("recorder".to_owned());
        Ok((sender, builder.spawn(move || self.run(&notes))?))
    }

    fn run(mut self, notes: &Receiver<Note>) -> Result<(), FileError> {
        let mut last = None;
        for note in notes {
            self.take(&note);
            if let Note::State(state) = note {
                self.show(&state, false);
                last = Some(state);
            }
        }
        let trace = self.trace.as_mut().map_or(Ok(()), |(_, log)| log.end());
        self.check(trace, |recorder| recorder.trace.take().map(|(path, _)| path));
        if let Some(state) = last {
            self.show(&state, true);
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn take(&mut self, note: &Note) {
        self.collector.take(note);
        let trace = self.trace.as_mut().map_or(Ok(()), |(_, log)| log.take(note));
        self.check(trace, |recorder| recorder.trace.take().map(|(path, _)| path));
        let events = self.events.as_mut().map_or(Ok(()), |(_, log)| log.write(note));
        self.check(events, |recorder| recorder.events.take().map(|(path, _)| path));
    }

    /// Shows a state to those who look at the metrics.
    fn show(&mut self, state: &State, ended: bool) {
        let metrics = self.collector.metrics(state, ended);
        let replaced = self.metrics.as_ref().map_or(Ok(()), |path| replace(path, &metrics));
        // The next time it may be possible again, so it is not given up.
        self.check(replaced, |recorder| recorder.metrics.clone());
        let events = self.events.as_mut().map_or(Ok(()), |(_, log)| log.flush());
        self.check(events, |recorder| recorder.events.take().map(|(path, _)| path));
        self.newest.set(metrics);
    }

    /// Keeps the first error. `file` gives the file up and says which it was.
    fn check(&mut self, result: io::Result<()>, file: impl FnOnce(&mut Self) -> Option<PathBuf>) {
        let Err(source) = result else { return };
        let Some(path) = file(self) else { return };
        let path = path.display().to_string();
        if self.failed.is_none() {
            // Nobody may read stderr any more.
            let _ = writeln!(
                io::stderr(),
                "warning: cannot write {path}: {source}; requests are served all the same"
            );
            self.failed = Some(FileError::End { path, source });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use flakelab_core::balancer::{Answer, Ledger};
    use flakelab_core::domain::{AttemptId, Request, ServerId};
    use flakelab_core::strategy::Notes;

    #[test]
    fn metrics_are_replaced_whole_and_leave_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        for total_requests in 0..3 {
            let metrics = Metrics { total_requests, ..Metrics::default() };
            replace(&path, &metrics).unwrap();
            assert_eq!(Metrics::read(&path).unwrap(), metrics);
        }
        assert!(replace(&folder.path().join("nowhere/m.json"), &Metrics::default()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    fn collector() -> Collector {
        Collector::new(&Settings::of_two(), Clock::start_in(Duration::ZERO))
    }

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    /// One request with one attempt of `took` milliseconds, answered after `latency`.
    fn serve(collector: &mut Collector, number: u64, took: u64, latency: u64, outcome: Outcome) {
        let (id, attempt) = (RequestId(number), AttemptId(number));
        let identifier = "abcdefghijklmnopqrstuvWX".parse().unwrap();
        let request = Request { id, arrived_at: ms(0) };
        let server = ServerId((number % 2) as u16);
        let sent = Attempt { id: attempt, request: id, number: 0, server, sent_at: ms(1) };
        let ok = outcome.is_success();
        let latency = Span::from_nanos(latency * 1_000_000);
        for note in [
            Note::Arrived { at: ms(1), request, identifier },
            Note::Sent(sent),
            Note::Finished {
                at: ms(9),
                attempt: sent,
                outcome,
                cause: if ok { Cause::Status } else { Cause::NoHttp },
                began: ms(1),
                ended: ms(1 + took),
            },
            Note::Answered(id, Answer { ok, attempts: 1, latency }),
        ] {
            collector.take(&note);
        }
    }

    #[test]
    fn the_ledgers_counts_are_shown_by_their_names() {
        let mut collector = collector();
        serve(&mut collector, 0, 2, 4, Outcome::Success);
        serve(&mut collector, 1, 5, 8, Outcome::TimedOut);
        let counts = |successes, failures, rate_limited, timed_out| ServerCounts {
            attempts: 10,
            successes,
            failures,
            rate_limited,
            timed_out,
        };
        let ledger = Ledger {
            arrived: 12,
            answered_ok: 7,
            answered_error: 3,
            attempts: 20,
            retries: 9,
            extra_attempts: 4,
            servers: vec![counts(4, 3, 2, 1), counts(0, 5, 0, 2)],
        };
        let state = State {
            at: ms(100),
            ledger: ledger.clone(),
            beliefs: vec![Some(0.4), None],
            waiting: 1,
            in_service: 1,
            of_strategy: Some(Notes {
                filtered_by_health: 9,
                load_variance: 0.5,
                switched: 1,
                switches: vec![Switch { at: ms(50), from: "a", to: "b", reason: "c".to_owned() }],
            }),
        };
        let metrics = collector.metrics(&state, true);
        assert_eq!(metrics.ledger(), ledger);
        assert_eq!((metrics.total_penalty, metrics.best_guess_score), (2.0, 5.0));
        assert_eq!((metrics.global_regret, metrics.total_rate_limited), (3.0, 2));
        assert_eq!((metrics.latency_p50, metrics.latency_p99), (4.0, 8.0));
        assert_eq!(metrics.latencies, [4.0, 8.0]);
        assert_eq!((metrics.strategy.as_str(), metrics.config.as_str()), ("V4 thompson", "mine"));
        assert_eq!(metrics.seed, 1, "a replay needs it");
        let mesh = metrics.mesh.as_ref().unwrap();
        assert_eq!((&mesh.selections[..], mesh.filtered_by_health), (&[10, 10][..], 9));
        assert_eq!((mesh.load_variance, mesh.num_switches), (0.5, 1));
        assert!((mesh.switches[0].at - metrics.started - 0.05).abs() < 1e-3);
        let first = &metrics.per_server[0];
        assert_eq!((first.port, first.num_failure, first.num_timed_out), (7000, 4, 1));
        assert_eq!((first.success_rate, first.avg_latency_ms, first.belief), (0.4, 2.0, Some(0.4)));
        assert_eq!(metrics.per_server[1].belief, None);
        let attempts = vec![(7001, "timed_out".to_owned())];
        let last = metrics.events.last().unwrap();
        assert_eq!((last.request, last.ok, &last.attempts), (2, false, &attempts));
        assert!((metrics.last_update - metrics.started - 0.1).abs() < 1e-6 && metrics.ended);
    }

    #[test]
    fn only_the_last_latencies_and_answers_are_kept() {
        let mut collector = collector();
        for number in 0..LATENCIES_KEPT as u64 + 5 {
            serve(&mut collector, number, 1, number, Outcome::Success);
        }
        let metrics = collector.metrics(&State::before_all(2), false);
        assert_eq!((metrics.latencies.len(), metrics.latencies[0]), (LATENCIES_KEPT, 5.0));
        assert_eq!((metrics.events.len(), metrics.events[0].request), (EVENTS_KEPT, 986));
        assert!(collector.open.is_empty());
    }
}
