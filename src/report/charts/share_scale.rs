//! The colour scale of charts that show shares, or losses, as colours.
//!
//! When not to use it: for what has no natural zero.

use super::lettering::width;
use super::page::{Page, SMALL};
use super::palette::{QUIET, ramp};
use super::scene::Anchor;

/// The scale of [`ramp`], from what `low` says (`0 %`) to what `high` says.
pub(super) fn share_scale(page: &mut Page, left: f64, right: f64, low: &str, high: &str) {
    const STEPS: u32 = 60;
    let (top, bottom) = (page.y, page.y + 16.0);
    let start = left + width(low, SMALL) + 8.0;
    let end = (start + 260.0).min(right - width(high, SMALL) - 8.0);
    let step = (end - start) / f64::from(STEPS);
    for i in 0..STEPS {
        let from = start + f64::from(i) * step;
        // A little wider than its step, so that no seam shows.
        let to = if i + 1 < STEPS { from + step + 0.5 } else { end };
        let ink = ramp((f64::from(i) + 0.5) / f64::from(STEPS));
        page.scene.rectangle((from, top), (to, bottom), ink);
    }
    page.scene.text(low, (start - 8.0, bottom - 2.5), Anchor::End, SMALL, QUIET);
    page.scene.text(high, (end + 8.0, bottom - 2.5), Anchor::Start, SMALL, QUIET);
    page.y = bottom + 4.0;
}
