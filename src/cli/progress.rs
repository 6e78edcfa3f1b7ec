//! The progress bar of a sweep: on stderr, on a terminal only, gone when the work is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::experiment::Progress;

/// A bar with ETA and the current leader.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar over `total` replications; hidden when `quiet` or off a terminal.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{bar:30} {human_pos}/{human_len} replications  {per_sec}  ETA {eta}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Shows how far the sweep has come.
    pub(crate) fn show(&self, progress: &Progress) {
        self.bar.set_position(progress.done);
        self.bar.set_message(format!(
            "best {} {:.2} ±{:.2}",
            progress.leader, progress.leader_score, progress.leader_half_width
        ));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
