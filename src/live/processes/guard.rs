//! Stands between a supervisor and a program that knows nothing of it.
//!
//! The guard holds the program's life in place of the supervisor: when the guard's own standard
//! input ends (the supervisor is gone, or wants it so) or it is told to stop, the program's whole
//! process group is asked to end and, shortly after, made to. On Linux the guard also takes over
//! whatever the program's processes leave behind (prctl(2), PR_SET_CHILD_SUBREAPER), so that
//! daemons, which leave the group, end too.
//!
//! When not to use it: for programs that end by themselves when their standard input ends.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use super::signals;

/// Between the request to end and the end.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the guard looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A program that could not be guarded.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Its log cannot be written.
    #[error("cannot write the log {path}")]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not start.
    #[error("cannot start {program}; is it there, and may it be executed?")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system does not say how it fares.
    #[error("cannot wait for the program")]
    Wait(#[source] std::io::Error),
}

/// Runs a program until it ends or `stop` is set; then no process of its is left.
///
/// Its standard input is empty, and its output is appended to `log`. `started` is called with the
/// id of its process group. At the end all children of the calling process are ended: it must be
/// a process of the guard's own.
///
/// # Errors
/// See [`GuardError`].
pub fn guard(
    program: &Path,
    arguments: &[std::ffi::OsString],
    log: &Path,
    stop: &AtomicBool,
    started: impl FnOnce(u32),
) -> Result<ExitStatus, GuardError> {
    let unwritable = |source| GuardError::Log { path: log.to_owned(), source };
    let out: File = OpenOptions::new().create(true).append(true).open(log).map_err(unwritable)?;
    let err = out.try_clone().map_err(unwritable)?;
    heirs::take_over();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err);
    signals::own_group(&mut command);
    let unstarted = |source| GuardError::Start { program: program.to_owned(), source };
    let mut process = command.spawn().map_err(unstarted)?;
    started(process.id());
    let ended = watch(&mut process, stop);
    heirs::end();
    ended.map_err(GuardError::Wait)
}

fn watch(process: &mut Child, stop: &AtomicBool) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = process.try_wait()? {
            signals::kill_group(process.id());
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            return signals::end_group(process, PATIENCE);
        }
        sleep(LOOK_EVERY);
    }
}

/// Processes that the program left behind.
#[cfg(target_os = "linux")]
mod heirs {
    use std::fs;

    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, waitpid};
    use nix::unistd::Pid;

    /// Ends of processes whose children come to us; a family is not deeper than that.
    const MOST_GENERATIONS: usize = 1000;

    /// From now on orphans among our descendants become our children.
    pub(super) fn take_over() {
        // Old kernels do without.
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }

    /// Ends all our children, and theirs as they come to us.
    pub(super) fn end() {
        for _ in 0..MOST_GENERATIONS {
            let children = children();
            if children.is_empty() {
                return;
            }
            for child in children {
                // A child that is gone already is what is wanted.
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, None::<WaitPidFlag>);
            }
        }
    }

    fn children() -> Vec<Pid> {
        let own = std::process::id();
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| parent(*pid) == Some(own)).map(Pid::from_raw).collect()
    }

    /// The fourth field of `/proc/PID/stat`; the second, a name in brackets, may hold anything.
    fn parent(pid: i32) -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_ascii_whitespace().nth(1)?.parse().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod heirs {
    pub(super) fn take_over() {}

    pub(super) fn end() {}
}
