//! A child process: started, heard, ended; never left behind.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::processes::guard;
use crate::processes::ports::{WaitError, wait_until_open};

/// How often one looks whether waiting is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longer lines are no news of ours; they are cut rather than kept.
const LONGEST_LINE: u64 = 4096;

/// The lines of a pipe, read by a thread of its own to its end, so that the child never waits.
fn lines(pipe: impl Read + Send + 'static) -> std::io::Result<Receiver<String>> {
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
    Ok(received)
}

/// Between the request to end and the end, once a child had its time to end by itself. Longer
/// than a guard's own patience, which must not be killed while it is at it.
const GRACE: Duration = Duration::from_millis(500);

/// What is told of a log.
const LAST_LINES: usize = 10;

const LAST_BYTES: usize = 4096;

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What messages call it, as in "the servers".
    pub name: String,
    /// The program; for children of ours [`std::env::current_exe`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where its messages are appended.
    pub log: PathBuf,
}

/// A child that ends when its standard input ends, in a process group of its own.
///
/// Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Leader of the group that it guards, if it is a guard.
    guarded: Option<u32>,
    ended: Option<ExitStatus>,
    interrupted: Arc<AtomicBool>,
}

/// A child that did not start: its name, what went wrong, and the last lines of its messages.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system does not start it.
    #[error("cannot start {0} ({1})")]
    Spawn(String, String, #[source] std::io::Error),
    /// It ended before it was ready.
    #[error("{0} ended at once ({1}){2}")]
    Ended(String, String, String),
    /// It did not become ready.
    #[error("{0} did not become ready within {1} s; allow more with --start-timeout{2}")]
    TimedOut(String, f64, String),
    /// It did not open its ports.
    #[error("{0}: {1}{2}")]
    Ports(String, WaitError, String),
    /// Waiting for it was given up.
    #[error("interrupted before {0} was ready")]
    Interrupted(String),
}

impl Launch {
    /// A program that does not know us, under the guard of `own`, which is this program; both
    /// write into one log.
    pub fn guarded(
        name: &str,
        own: PathBuf,
        program: &Path,
        arguments: &[OsString],
        log: PathBuf,
    ) -> Self {
        let mut all: Vec<OsString> = vec!["guard".into(), "--log".into(), log.clone().into()];
        all.extend(["--".into(), program.into()]);
        all.extend_from_slice(arguments);
        Self { name: name.to_owned(), program: own, arguments: all, log }
    }

    /// Starts it. Its standard input is held open for as long as it may live.
    pub fn start(&self) -> Result<Child, StartError> {
        let program = self.program.display().to_string();
        let failed = |error| StartError::Spawn(self.name.clone(), program.clone(), error);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        guard::own_group(&mut command);
        let mut process = command.spawn().map_err(failed)?;
        let stdin = process.stdin.take();
        let lines = match process.stdout.take() {
            Some(stdout) => lines(stdout),
            None => lines(std::io::empty()),
        };
        match lines {
            Ok(lines) => Ok(Child {
                name: self.name.clone(),
                log: self.log.clone(),
                process,
                stdin,
                lines,
                guarded: None,
                ended: None,
                interrupted: Arc::default(),
            }),
            Err(source) => {
                let _ = guard::end_group(&mut process, Duration::ZERO);
                Err(failed(source))
            }
        }
    }
}

impl Child {
    /// Its process id, which is also that of its group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waiting for this child is given up once the flag is set.
    pub fn give_up_on(&mut self, interrupted: Arc<AtomicBool>) {
        self.interrupted = interrupted;
    }

    /// Waits until it says `ready` and returns what it said before, without the word
    /// `listening` where a line begins with it.
    pub fn wait_until_ready(&mut self, timeout: Duration) -> Result<Vec<String>, StartError> {
        let deadline = Instant::now() + timeout;
        let mut news = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(line) if line == "ready" => return Ok(news),
                Ok(line) => match line.split_once(' ') {
                    Some(("listening", what)) => news.push(what.to_owned()),
                    Some(("guarding", leader)) => self.guarded = leader.parse().ok(),
                    _ => news.push(line),
                },
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended_early(timeout)),
                Err(RecvTimeoutError::Timeout) if self.interrupted.load(Ordering::Relaxed) => {
                    return Err(self.given_up());
                }
                Err(RecvTimeoutError::Timeout) if left <= LOOK_EVERY => {
                    let (name, seconds) = (self.name.clone(), timeout.as_secs_f64());
                    return Err(StartError::TimedOut(name, seconds, self.last_messages()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits until these addresses accept connections.
    pub fn wait_until_open(
        &mut self,
        addresses: &[SocketAddr],
        timeout: Duration,
    ) -> Result<(), StartError> {
        let interrupted = Arc::clone(&self.interrupted);
        let is_wanted = || !interrupted.load(Ordering::Relaxed);
        let opened = wait_until_open(addresses, timeout, || is_wanted() && self.is_alive());
        opened.map_err(|source| match source {
            WaitError::Ended(_) if !is_wanted() => self.given_up(),
            ports => StartError::Ports(self.name.clone(), ports, self.last_messages()),
        })
    }

    fn given_up(&self) -> StartError {
        StartError::Interrupted(self.name.clone())
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        if self.ended.is_none() {
            // A process of which the system knows nothing does not run.
            let status = self.process.try_wait().unwrap_or(Some(ExitStatus::default()));
            if let Some(status) = status {
                self.note_end(status);
            }
        }
        self.ended.is_none()
    }

    /// The last lines of its messages, to be put behind one of ours; empty if there are none.
    pub fn last_messages(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let tail = bytes.get(bytes.len().saturating_sub(LAST_BYTES)..).unwrap_or_default();
        let text = String::from_utf8_lossy(tail);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        if last.is_empty() {
            return String::new();
        }
        format!(". It said:\n  {}", last.join("\n  "))
    }

    /// Ends it: closes its standard input, gives it `patience` to end by itself, asks its process
    /// group to end, and ends what is left. It is reaped; stopping it again changes nothing.
    pub fn stop(&mut self, patience: Duration) -> std::io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.ended {
            return Ok(status);
        }
        // One that was stopped could not see that its input ended.
        guard::continue_group(self.process.id());
        let status = match guard::wait(&mut self.process, patience)? {
            Some(status) => {
                guard::kill_group(self.process.id());
                status
            }
            None => guard::end_group(&mut self.process, GRACE)?,
        };
        self.note_end(status);
        Ok(status)
    }

    fn note_end(&mut self, status: ExitStatus) {
        self.ended = Some(status);
        // A guard ends with these codes once nobody is left; one that was killed has not ended
        // what it guarded.
        let has_done_it = matches!(status.code(), Some(0 | 2));
        if let Some(leader) = self.guarded.take().filter(|_| !has_done_it) {
            guard::kill_group(leader);
        }
    }

    fn ended_early(&mut self, timeout: Duration) -> StartError {
        let name = self.name.clone();
        // Its output ends a moment before it does.
        let status = match guard::wait(&mut self.process, timeout.min(GRACE)) {
            Ok(Some(status)) => {
                self.note_end(status);
                status.to_string()
            }
            _ => "it closed its output".to_owned(),
        };
        StartError::Ended(name, status, self.last_messages())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.stop(GRACE);
    }
}

/// Calls `end` once, from a thread of its own, when standard input ends: the supervisor holds its
/// other end, and the system closes that however the supervisor ends, kill -9 included. Not for a
/// process whose standard input is a terminal or a file.
pub fn when_stdin_ends(end: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let wait = move || {
        let (mut stdin, mut buffer) = (std::io::stdin().lock(), [0; 256]);
        while matches!(stdin.read(&mut buffer), Ok(1..)) {}
        end();
    };
    thread::Builder::new().name("supervised".to_owned()).spawn(wait).map(drop)
}
