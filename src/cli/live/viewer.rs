//! The viewer of a run, a process of its own: on this terminal, or drawing a chart beside it.

use std::io::IsTerminal;
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::LivePlan;
use super::children::{PATIENCE, own};
use super::folder::Folder;
use crate::live::processes::{Child, ask_to_end};

/// How often the viewer on the terminal is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A viewer that runs.
pub(super) enum Viewer {
    /// Draws `live.svg` again and again.
    Chart(Child),
    /// Has the terminal; the flag says that it is being ended.
    Screen(Arc<Mutex<Process>>, Arc<AtomicBool>),
}

impl Viewer {
    /// Starts it.
    pub(super) fn start(plan: &LivePlan, folder: &Folder) -> anyhow::Result<Self> {
        // Off a terminal there is no screen to show.
        let screen = plan.arguments.watch && std::io::stdout().is_terminal();
        if screen { Self::screen(plan, folder) } else { Self::chart(folder) }
    }

    fn chart(folder: &Folder) -> anyhow::Result<Self> {
        let arguments = vec![
            "watch".to_owned(),
            "--supervised".to_owned(),
            format!("--svg={}", folder.path().join("live.svg").display()),
            folder.metrics().display().to_string(),
        ];
        Ok(Self::Chart(own("the viewer", arguments, folder.log("viewer"))?.start()?))
    }

    /// A viewer that has the terminal takes Ctrl-C as a key and ends with 130; the run then ends.
    fn screen(plan: &LivePlan, folder: &Folder) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let process = Command::new(program)
            .arg("watch")
            .arg(format!("--with-parent={}", std::process::id()))
            .arg(folder.metrics())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the viewer")?;
        let (process, ending) = (Arc::new(Mutex::new(process)), Arc::new(AtomicBool::new(false)));
        let (watched, is_ended) = (Arc::clone(&process), Arc::clone(&ending));
        let interrupt = Arc::clone(&plan.interrupt);
        let quiet = plan.output.quiet;
        let look = move || {
            loop {
                thread::sleep(GLANCE);
                let Ok(mut process) = watched.lock() else { return };
                match process.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => {
                        if is_ended.load(Ordering::Relaxed) {
                            // Asked to end, it says the same as after Ctrl-C.
                        } else if status.code() == Some(130) {
                            interrupt.store(true, Ordering::Relaxed);
                        } else if !quiet {
                            eprintln!("the viewer is closed; the run goes on");
                        }
                        return;
                    }
                    Err(_) => return,
                }
            }
        };
        thread::Builder::new().name("viewer".to_owned()).spawn(look)?;
        Ok(Self::Screen(process, ending))
    }

    /// Ends it; the terminal is as it was.
    pub(super) fn stop(self) {
        match self {
            Self::Chart(mut child) => {
                // What cannot be stopped is ended when it is dropped.
                let _ = child.stop(PATIENCE);
            }
            Self::Screen(process, ending) => {
                ending.store(true, Ordering::Relaxed);
                let Ok(mut process) = process.lock() else { return };
                ask_to_end(&process);
                let _ = process.wait();
            }
        }
    }
}
