//! `flakelab watch`: a screen, lines or a chart that follow the metrics of a proxy.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::common::{Ending, OutputArguments, flag, flag_and, print};
use crate::watch::{Files, Leave, plain, restore_terminal, screen, svg};
use flakelab_live::when_stdin_ends;

const EXAMPLES: &str = "\
Examples:
  flakelab watch results/x/metrics.json                  a screen that follows the run; q quits
  flakelab watch metrics.json --plain >> log.txt         a line a second, until the run has ended
  flakelab watch metrics.json --svg now.svg              a chart, drawn again when things change

The strategies of a live run take the same file in turn; the screen and --follow go on with them.
The file may be missing, half-written or gone for a while: the viewer waits for it.";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct WatchArguments {
    /// The metrics file of a proxy; it may appear later
    #[arg(value_name = "METRICS")]
    metrics: PathBuf,
    /// The prediction to compare with [default: prediction.json beside the metrics]
    #[arg(long, value_name = "FILE")]
    prediction: Option<PathBuf>,
    /// Print a line a second when something has changed (the default off a terminal)
    #[arg(long, conflicts_with = "svg")]
    plain: bool,
    /// Draw a chart into this file instead, again and again until the run has ended
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// With --plain or --svg: go on after the end of a run, because another will take the file
    #[arg(long)]
    follow: bool,
    /// End when the process with this number, which started this one, has ended
    #[arg(long, hide = true)]
    with_parent: Option<u32>,
    /// End when standard input ends, and not before
    #[arg(long, hide = true)]
    supervised: bool,
}

pub(crate) fn run(arguments: &WatchArguments, output: &OutputArguments) -> anyhow::Result<Ending> {
    let files = Files::new(arguments.metrics.clone(), arguments.prediction.clone());
    let on_screen = !arguments.plain && !arguments.supervised && arguments.svg.is_none();
    let can_draw = std::env::var_os("TERM").is_none_or(|t| t != "dumb");
    if on_screen && can_draw && std::io::stdout().is_terminal() {
        let color = output.color.on_stdout().is_on();
        // A second signal gives the terminal back before it ends the program.
        let stop = flag_and(|| {}, restore_terminal)?;
        if let Some(parent) = arguments.with_parent {
            stop_with_parent(parent, &stop)?;
        }
        let leave = screen(files, color, &stop).context("cannot draw on the terminal")?;
        return Ok(match leave {
            Leave::Quit => Ending::Done,
            Leave::Interrupted => Ending::Interrupted,
        });
    }
    let (stop, orphaned) = (flag()?, Arc::new(AtomicBool::new(false)));
    if arguments.supervised {
        let (stop, orphaned) = (Arc::clone(&stop), Arc::clone(&orphaned));
        when_stdin_ends(move || {
            orphaned.store(true, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
        })
        .context("cannot listen to standard input")?;
    }
    let note = |text: &str| {
        if !output.quiet {
            eprintln!("{text}");
        }
    };
    let beyond_end = arguments.follow || arguments.supervised;
    let whole = match &arguments.svg {
        Some(chart) => {
            check_folder_of(chart)?;
            svg(files, chart, beyond_end, &stop, note)?
        }
        None => plain(files, beyond_end, &stop, print, note)?,
    };
    let told_to_end = whole || orphaned.load(Ordering::Relaxed);
    Ok(if told_to_end { Ending::Done } else { Ending::Interrupted })
}

/// Metrics may be long in coming; that the chart has nowhere to go is said at once.
fn check_folder_of(chart: &Path) -> anyhow::Result<()> {
    let folder = match chart.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("--svg {}: there is no folder {}; make it first", chart.display(), folder.display());
    }
    if chart.is_dir() {
        bail!("--svg {}: this is a folder, a file is wanted", chart.display());
    }
    Ok(())
}

/// Sets `stop` when whoever started this process is gone. A viewer that has the terminal cannot
/// be told by its standard input.
#[cfg(unix)]
fn stop_with_parent(parent: u32, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    use std::os::unix::process::parent_id;
    let stop = Arc::clone(stop);
    let look = move || {
        while parent_id() == parent {
            thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
    };
    thread::Builder::new().spawn(look).map(drop).context("cannot start a thread")
}

#[cfg(not(unix))]
fn stop_with_parent(_parent: u32, _stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    Ok(())
}
