//! Ending a process group: asked first, then made to. And the guard, which does it in place of a
//! supervisor that is gone.
//!
//! A stopped process does not see SIGTERM until it goes on, so SIGCONT follows it; SIGKILL ends
//! whoever is left, stopped or not. Systems without process groups end the process alone.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use self::system::ask_to_end;
pub(crate) use self::system::{ask_group, continue_group, kill_group, own_group};

/// How often one looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until a process ends, at most `patience`; None if it still runs.
pub(crate) fn wait(process: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(LOOK_EVERY);
    }
}

#[cfg(unix)]
mod system {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use nix::sys::signal::{Signal, kill, killpg};
    use nix::unistd::Pid;

    /// Gives a command that has not been started a process group of its own.
    pub(crate) fn own_group(command: &mut Command) {
        command.process_group(0);
    }

    /// Asks one process to end.
    pub fn ask_to_end(process: &std::process::Child) {
        if let Ok(id) = i32::try_from(process.id()) {
            // That it has ended already is what is wanted.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }

    /// Asks all processes of a group to end.
    pub(crate) fn ask_group(leader: u32) {
        signal(leader, Signal::SIGTERM);
        signal(leader, Signal::SIGCONT);
    }

    /// Lets stopped processes of a group go on.
    pub(crate) fn continue_group(leader: u32) {
        signal(leader, Signal::SIGCONT);
    }

    /// Ends what is left of a group, whose leader may be gone.
    pub(crate) fn kill_group(leader: u32) {
        signal(leader, Signal::SIGKILL);
    }

    /// That nobody of the group is left is what is wanted.
    fn signal(leader: u32, signal: Signal) {
        // Group 0 would be our own, and 1 that of the system.
        if let Some(leader) = i32::try_from(leader).ok().filter(|leader| *leader > 1) {
            let _ = killpg(Pid::from_raw(leader), signal);
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::process::Command;

    /// Asks one process to end.
    pub fn ask_to_end(_process: &std::process::Child) {}

    pub(crate) fn own_group(_command: &mut Command) {}

    pub(crate) fn ask_group(_leader: u32) {}

    pub(crate) fn continue_group(_leader: u32) {}

    pub(crate) fn kill_group(_leader: u32) {}
}

/// Ends the group that `process` leads: asks, gives it `patience`, and ends what is left, members
/// that outlived their leader among it. The process is reaped.
pub(crate) fn end_group(process: &mut Child, patience: Duration) -> std::io::Result<ExitStatus> {
    let leader = process.id();
    ask_group(leader);
    if let Some(status) = wait(process, patience)? {
        kill_group(leader);
        return Ok(status);
    }
    kill_group(leader);
    // Where there are no groups, and should the group have been left.
    process.kill()?;
    process.wait()
}

// ---- Stands between a supervisor and a program that knows nothing of it.
//
// When the guard's own standard input ends (the supervisor is gone, or wants it so) or it is told to stop, the program's whole
// process group is asked to end and, shortly after, made to. On Linux the guard also takes over
// whatever the program's processes leave behind (prctl(2), PR_SET_CHILD_SUBREAPER), so that
// daemons, which leave the group, end too.
//
// When not to use it: for programs that end by themselves when their standard input ends.

/// Between the request to end and the end.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often the guard looks.
const LOOK_FOR_OWNER_EVERY: Duration = Duration::from_millis(5);

/// A program that could not be guarded.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("cannot write the log {path}")]
    Log { path: PathBuf, source: std::io::Error },
    #[error("cannot start {program}; is it there, and may it be executed?")]
    Start { program: PathBuf, source: std::io::Error },
    #[error("cannot wait for the program")]
    Wait(#[source] std::io::Error),
}

/// Runs a program until it ends or `stop` is set; then no process of its is left.
///
/// Its standard input is empty, and its output is appended to `log`. `started` is called with the
/// id of its process group. At the end all children of the calling process are ended: it must be
/// a process of the guard's own.
pub fn guard(
    program: &Path,
    arguments: &[OsString],
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
    own_group(&mut command);
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
            kill_group(process.id());
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            return end_group(process, PATIENCE);
        }
        sleep(LOOK_FOR_OWNER_EVERY);
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
    pub(crate) fn take_over() {
        // Old kernels do without.
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }

    /// Ends all our children, and theirs as they come to us.
    pub(crate) fn end() {
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
    pub(crate) fn take_over() {}

    pub(crate) fn end() {}
}
