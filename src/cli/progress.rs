//! The progress bar of a sweep or a search: on stderr, on a terminal only, gone when the work is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::experiment::Progress;

/// A bar with ETA and the current leader.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar over `total` replications; hidden when `quiet` or off a terminal.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        Self::of(total, "replications", quiet)
    }

    /// A bar over `total` of anything, called `what`.
    pub(crate) fn of(total: u64, what: &str, quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = format!(
            "{{bar:30}} {{human_pos}}/{{human_len}} {what}  {{per_sec}}  ETA {{eta}}  {{msg}}"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Shows how far the sweep has come.
    pub(crate) fn show(&self, progress: &Progress) {
        let Progress { done, leader, leader_score, leader_half_width, .. } = progress;
        self.at(*done, format!("best {leader} {leader_score:.2} ±{leader_half_width:.2}"));
    }

    /// Shows how far the work has come, and what there is to say.
    pub(crate) fn at(&self, done: u64, message: String) {
        self.bar.set_position(done);
        self.bar.set_message(message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
