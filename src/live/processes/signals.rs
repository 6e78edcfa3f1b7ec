//! Ending a process group: asked first, then made to.
//!
//! A stopped process does not see SIGTERM until it goes on, so SIGCONT follows it; SIGKILL ends
//! whoever is left, stopped or not. Systems without process groups end the process alone.

use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use self::system::ask_to_end;
pub(super) use self::system::{ask_group, continue_group, kill_group, own_group};

/// How often one looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until a process ends, at most `patience`; None if it still runs.
pub(super) fn wait(process: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
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
    pub(in super::super) fn own_group(command: &mut Command) {
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
    pub(in super::super) fn ask_group(leader: u32) {
        signal(leader, Signal::SIGTERM);
        signal(leader, Signal::SIGCONT);
    }

    /// Lets stopped processes of a group go on.
    pub(in super::super) fn continue_group(leader: u32) {
        signal(leader, Signal::SIGCONT);
    }

    /// Ends what is left of a group, whose leader may be gone.
    pub(in super::super) fn kill_group(leader: u32) {
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

    pub(in super::super) fn own_group(_command: &mut Command) {}

    pub(in super::super) fn ask_group(_leader: u32) {}

    pub(in super::super) fn continue_group(_leader: u32) {}

    pub(in super::super) fn kill_group(_leader: u32) {}
}

/// Ends the group that `process` leads: asks, gives it `patience`, and ends what is left, members
/// that outlived their leader among it. The process is reaped.
pub(super) fn end_group(process: &mut Child, patience: Duration) -> std::io::Result<ExitStatus> {
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
