//! What a child says on its standard output before it is ready.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The lines of a pipe, read by a thread of its own to its end, so that the child never waits.
#[derive(Debug)]
pub(super) struct Lines(Receiver<String>);

/// How a child did not become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    /// Its output ended.
    Ended,
    /// It took too long.
    TimedOut,
    /// Nobody wants to wait any more.
    Interrupted,
}

/// How often one looks whether waiting is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longer lines are no news of ours; they are cut rather than kept.
const LONGEST_LINE: u64 = 4096;

impl Lines {
    pub(super) fn read(pipe: impl Read + Send + 'static) -> std::io::Result<Self> {
        let (lines, received) = channel();
        let read = move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = (&mut pipe).take(LONGEST_LINE).read_until(b'\n', &mut line) {
                // What comes after `ready` is of no interest to anybody.
                let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        };
        thread::Builder::new().name("child's output".to_owned()).spawn(read)?;
        Ok(Self(received))
    }

    /// The lines up to `ready`, without it.
    pub(super) fn until_ready(
        &self,
        timeout: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Vec<String>, NotReady> {
        let deadline = Instant::now() + timeout;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(line) if line == "ready" => return Ok(lines),
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return Err(NotReady::Ended),
                Err(RecvTimeoutError::Timeout) if !is_wanted() => {
                    return Err(NotReady::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) if left <= LOOK_EVERY => {
                    return Err(NotReady::TimedOut);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str) -> Result<Vec<String>, NotReady> {
        Lines::read(text.as_bytes()).unwrap().until_ready(Duration::from_secs(60), || true)
    }

    #[test]
    fn what_is_said_before_ready_is_kept() {
        assert_eq!(lines("listening a\nlistening b\r\nready\nmore\n").unwrap().len(), 2);
        assert_eq!(lines("listening a\nnot yet ready\n"), Err(NotReady::Ended));
    }

    #[test]
    fn silence_is_not_waited_for_forever() {
        let (pipe, _held) = std::io::pipe().unwrap();
        let lines = Lines::read(pipe).unwrap();
        let waited = lines.until_ready(Duration::from_millis(5), || true);
        assert_eq!(waited, Err(NotReady::TimedOut));
        let waited = lines.until_ready(Duration::from_secs(3600), || false);
        assert_eq!(waited, Err(NotReady::Interrupted));
    }
}
