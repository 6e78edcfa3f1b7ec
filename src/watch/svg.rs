//! A chart of the metrics instead of a screen, drawn again whenever they change.
//!
//! When not to use it: for the charts of a finished run, which are drawn from its results.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use super::follow::{Files, Follow};
use super::picture::picture;
use super::ticker;
use crate::report::charts::{ChartError, draw_ongoing};
use crate::report::{WriteError, write_atomically};

/// A chart that could not be kept up.
#[derive(Debug, thiserror::Error)]
pub enum SvgError {
    /// It cannot be drawn.
    #[error(transparent)]
    Draw(#[from] ChartError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system gives no thread.
    #[error("cannot start a thread that waits: {0}")]
    Thread(#[from] std::io::Error),
}

/// Draws the chart at `to` whenever the metrics have changed, until the run has ended (true) or
/// `stop` is set (false). With `beyond_end` it waits for another run to take the file. What it
/// waits for goes to `note`.
///
/// # Errors
/// See [`SvgError`].
pub fn svg(
    files: Files,
    to: &Path,
    beyond_end: bool,
    stop: &AtomicBool,
    mut note: impl FnMut(&str),
) -> Result<bool, SvgError> {
    let (sender, ticks) = sync_channel(1);
    ticker::start(sender, || ())?;
    let mut follow = Follow::new(files);
    let mut noted = None;
    loop {
        let read = follow.tick();
        let seen = follow.seen();
        if seen.trouble != noted {
            seen.trouble.iter().for_each(|trouble| note(trouble));
            noted.clone_from(&seen.trouble);
        }
        if let (true, None, Some(metrics)) = (read, &seen.trouble, &seen.metrics) {
            let chart = draw_ongoing(&picture(metrics, seen))?;
            write_atomically(to, chart.svg.as_bytes())?;
            if metrics.ended && !beyond_end {
                return Ok(true);
            }
        }
        if stop.load(Ordering::Relaxed) || ticks.recv().is_err() {
            return Ok(false);
        }
    }
}
