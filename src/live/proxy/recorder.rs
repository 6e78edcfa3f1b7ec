//! The recorder: a thread that writes down what was decided, off the path of requests.
//!
//! The trace line by line, the events log in blocks, the metrics file whole, under a temporary
//! name first, so that a reader never sees half of it. It is renamed, not synced: it is replaced
//! twenty times a second, and worth nothing after a crash of the machine.
//!
//! A file that cannot be written any more is named once, on stderr, and again as the error at the
//! end; requests are served all the same.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::attempts::AttemptLog;
use super::events::EventWriter;
use super::front::Newest;
use super::notes::{Note, State};
use super::tally::Tally;
use crate::metrics::Metrics;

/// Where things are written.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) tally: Tally,
    pub(super) newest: Newest,
    pub(super) metrics: Option<PathBuf>,
    pub(super) trace: Option<(PathBuf, AttemptLog<File>)>,
    pub(super) events: Option<(PathBuf, EventWriter<BufWriter<File>>)>,
    pub(super) failed: Option<RecordError>,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}, which is therefore not complete")]
pub struct RecordError {
    path: String,
    source: io::Error,
}

impl Recorder {
    /// Records from a thread of its own until the notes end.
    pub(super) fn start(self) -> io::Result<(Sender<Note>, JoinHandle<Result<(), RecordError>>)> {
        let (sender, notes) = channel();
        let builder = thread::Builder::new().name("recorder".to_owned());
        Ok((sender, builder.spawn(move || self.run(&notes))?))
    }

    fn run(mut self, notes: &Receiver<Note>) -> Result<(), RecordError> {
        let mut last = None;
        for note in notes {
            self.take(&note);
            if let Note::State(state) = note {
                // Of several states that have come meanwhile, each would be written and at once
                // replaced; they are rare enough.
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
        self.tally.take(note);
        let trace = self.trace.as_mut().map_or(Ok(()), |(_, log)| log.take(note));
        self.check(trace, |recorder| recorder.trace.take().map(|(path, _)| path));
        let events = self.events.as_mut().map_or(Ok(()), |(_, log)| log.write(note));
        self.check(events, |recorder| recorder.events.take().map(|(path, _)| path));
    }

    fn show(&mut self, state: &State, ended: bool) {
        let metrics = self.tally.metrics(state, ended);
        if let Some(path) = &self.metrics {
            let replaced = replace(path, &metrics);
            // It may succeed the next time, so it is not given up.
            self.check(replaced, |recorder| recorder.metrics.clone());
        }
        let events = self.events.as_mut().map_or(Ok(()), |(_, log)| log.flush());
        self.check(events, |recorder| recorder.events.take().map(|(path, _)| path));
        self.newest.set(metrics);
    }

    /// Notes the first error. `file` says which file it was, and gives it up.
    fn check(&mut self, result: io::Result<()>, file: impl FnOnce(&mut Self) -> Option<PathBuf>) {
        let Err(source) = result else { return };
        let Some(path) = file(self) else { return };
        let path = path.display().to_string();
        if self.failed.is_none() {
            eprintln!("warning: cannot write {path}: {source}; requests are served all the same");
            self.failed = Some(RecordError { path, source });
        }
    }
}

/// Replaces the file at `path` by these metrics, whole.
pub(super) fn replace(path: &Path, metrics: &Metrics) -> io::Result<()> {
    let bytes = serde_json::to_vec(metrics)?;
    // One writer a file, so the name need not be unique; the prefix is that of temporary files of
    // results folders, which are cleared away there.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".flakelab-{name}-{}", std::process::id()));
    let replaced =
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if replaced.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    replaced
}
