//! The cells and the colour scale of charts that show shares, or losses, as colours.
//!
//! When not to use it: for what has no natural zero.

use super::lettering::width;
use super::page::{Page, SMALL};
use super::palette::{QUIET, ramp, readable_on};
use super::scene::{Anchor, Ink};

/// A cell of a heat map, `left` and as wide, `middle` and as high, with as many of these texts as
/// fit at their baselines.
pub(super) fn cell(
    page: &mut Page,
    (left, wide): (f64, f64),
    (middle, high): (f64, f64),
    ink: Ink,
    texts: &[(String, f64)],
) {
    let gap = if wide > 12.0 { 1.5 } else { 0.0 };
    let (top, bottom) = (middle - high / 2.0 + 1.5, middle + high / 2.0 - 1.5);
    page.scene.rectangle((left + gap, top), (left + wide - gap, bottom), ink);
    for (text, baseline) in texts {
        if width(text, SMALL) <= wide - 2.0 * gap {
            let at = (left + wide / 2.0, *baseline);
            page.scene.text(text, at, Anchor::Middle, SMALL, readable_on(ink));
        }
    }
}

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
