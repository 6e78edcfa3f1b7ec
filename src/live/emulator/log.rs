//! The servers' own log: one line an attempt, written off the path of requests.
//!
//! `at_s,port,request_id,outcome,latency_ms`: when the request had been read, in seconds since the
//! start; the server's port in the model; the identifier; `success`, `failure` or `rate_limited`;
//! after how many milliseconds the answer was due. Attempts stand in the order in which the servers
//! met them, whether or not the client was still there for the answer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::domain::{Identifier, Outcome, Span, Timestamp};

/// Whoever reads along sees a line at most this much late.
const FLUSHED_EVERY: Duration = Duration::from_millis(100);

const HEADER: &str = "at_s,port,request_id,outcome,latency_ms";

/// What a server met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) port: u16,
    pub(super) identifier: Identifier,
    pub(super) outcome: Outcome,
    pub(super) latency: Span,
}

/// A log that is being written by a thread of its own.
#[derive(Debug)]
pub struct ServerLog {
    path: PathBuf,
    entries: Sender<Entry>,
    writer: JoinHandle<std::io::Result<()>>,
}

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the servers' log {path}; choose another file with --log")]
pub struct LogError {
    /// The file.
    path: String,
    /// Why.
    source: std::io::Error,
}

impl ServerLog {
    /// Begins a log; a file of that name is replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let (entries, received) = channel();
        let begin = || {
            let mut file = BufWriter::new(File::create(path)?);
            writeln!(file, "{HEADER}")?;
            file.flush()?;
            let write = move || write(file, &received);
            thread::Builder::new().name("server log".to_owned()).spawn(write)
        };
        let path = path.to_owned();
        match begin() {
            Ok(writer) => Ok(Self { path, entries, writer }),
            Err(source) => Err(LogError { path: path.display().to_string(), source }),
        }
    }

    /// A handle that entries are given to. A log that broke takes them, and says so at its end.
    pub(super) fn entries(&self) -> Sender<Entry> {
        self.entries.clone()
    }

    /// Ends the log when the last handle is gone: everything is in the file then.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn finish(self) -> Result<(), LogError> {
        drop(self.entries);
        let lost = || Err(std::io::Error::other("the writer ended early"));
        let written = self.writer.join().unwrap_or_else(|_| lost());
        written.map_err(|source| LogError { path: self.path.display().to_string(), source })
    }
}

fn write(mut file: BufWriter<File>, entries: &Receiver<Entry>) -> std::io::Result<()> {
    let mut flushed = Instant::now();
    let mut is_new = false;
    loop {
        let wait = if is_new { FLUSHED_EVERY.saturating_sub(flushed.elapsed()) } else { FOREVER };
        match entries.recv_timeout(wait) {
            Ok(entry) => {
                if !is_new {
                    (flushed, is_new) = (Instant::now(), true);
                }
                line(&mut file, &entry)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return file.flush(),
        }
        if is_new && flushed.elapsed() >= FLUSHED_EVERY {
            file.flush()?;
            is_new = false;
        }
    }
}

/// Without new lines there is nothing to wake up for.
const FOREVER: Duration = Duration::from_secs(3600);

fn line(file: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
    let Entry { at, port, identifier, outcome, latency } = entry;
    // To the nanosecond, so that limiters can be asked again and say the same.
    let (at, latency) = (at.as_nanos(), latency.as_nanos());
    writeln!(
        file,
        "{}.{:09},{port},{identifier},{},{}.{:06}",
        at / 1_000_000_000,
        at % 1_000_000_000,
        outcome.name(),
        latency / 1_000_000,
        latency % 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            at: Timestamp::from_secs_f64(1.5),
            port: 4003,
            identifier: "abcdefghijklmnopqrstuvwx".parse().unwrap(),
            outcome: Outcome::RateLimited,
            latency: Span::from_millis_f64(0.75),
        }
    }

    const LINE: &str = "1.500000000,4003,abcdefghijklmnopqrstuvwx,rate_limited,0.750000\n";

    #[test]
    fn a_line_is_in_the_file_while_the_log_goes_on_and_all_are_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let log = ServerLog::create(&path).unwrap();
        let entries = log.entries();
        entries.send(entry()).unwrap();
        // Waits for as long as it takes: the promise is a matter of milliseconds.
        while std::fs::read_to_string(&path).unwrap() != format!("{HEADER}\n{LINE}") {
            thread::sleep(Duration::from_millis(5));
        }
        entries.send(entry()).unwrap();
        drop(entries);
        log.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEADER}\n{LINE}{LINE}"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = ServerLog::create(Path::new("/no/such/folder/log.csv")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/log.csv"));
    }
}
