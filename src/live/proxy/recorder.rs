//! The recorder: a thread that writes down what was decided, off the path of requests.
//!
//! The trace line by line, the events log in blocks, the metrics file whole. A file that cannot
//! be written any more is named once, on stderr, and again as the error at the end; requests are
//! served all the same.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::Settings;
use super::attempts::{AttemptLog, Labels};
use super::events::EventWriter;
use super::files::{Begun, FileError, Files, replace};
use super::front::Newest;
use super::notes::{Note, State};
use super::tally::Collector;
use crate::live::calendar::Clock;

/// A recorder at work; it ends with the first error, if there was one.
pub(super) type Recording = JoinHandle<Result<(), FileError>>;

/// Where things are written.
#[derive(Debug)]
pub(super) struct Recorder {
    collector: Collector,
    newest: Newest,
    metrics: Option<PathBuf>,
    trace: Option<(PathBuf, AttemptLog<File>)>,
    events: Option<(PathBuf, EventWriter<BufWriter<File>>)>,
    failed: Option<FileError>,
}

impl Recorder {
    /// Begins all files; none that is new is left behind if one cannot be begun.
    pub(super) fn open(
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
                let log = AttemptLog::new(file, clock, Labels::of(settings));
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
    pub(super) fn start(self) -> io::Result<(Sender<Note>, Recording)> {
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
