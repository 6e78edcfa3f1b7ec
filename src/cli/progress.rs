//! The progress bar of long work: on stderr, on a terminal only, gone when the work is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with what there is to say behind it.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar with speed and ETA over `total` of anything, called `what`; hidden when `quiet` or
    /// off a terminal.
    pub(crate) fn new(total: u64, what: &str, quiet: bool) -> Self {
        let counts = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}");
        Self::like(&(counts + "  {per_sec}  ETA {eta}  {msg}"), total, quiet)
    }

    /// A bar of that look.
    pub(crate) fn like(template: &str, total: u64, quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Shows how far the work has come, and what there is to say.
    pub(crate) fn at(&self, done: u64, message: String) {
        self.bar.set_position(done);
        self.bar.set_message(message);
    }

    /// Shows that one more is done, and what there is to say.
    pub(crate) fn one_more(&self, message: String) {
        self.at(self.bar.position() + 1, message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
