//! Small panels side by side: where each lies, and its axis.

use crate::report::charts::axis::Axis;
use crate::report::charts::lettering::fitted;
use crate::report::charts::page::{Page, SMALL};
use crate::report::charts::palette::{GRID, TEXT};
use crate::report::charts::panel::Plot;
use crate::report::charts::scene::{Anchor, Type};

/// Titles of panels.
const TITLE: Type = Type { size: 16.0, bold: true };

/// From the top of a panel's title to the top of its plot.
pub(super) const ABOVE: f64 = 26.0;
/// From the bottom of a panel's plot to what comes below its ticks.
pub(super) const BELOW: f64 = 30.0;

/// The `n`-th of `across` plots of that height beside each other between two margins.
pub(super) fn beside(
    page: &Page,
    (left, right): (f64, f64),
    (n, across): (usize, usize),
    height: f64,
    gap: f64,
) -> Plot {
    let across = across.max(1) as f64;
    let width = (right - left - gap * (across - 1.0)) / across;
    let left = left + n as f64 * (width + gap);
    let top = page.y + ABOVE;
    Plot { left, right: left + width, top, bottom: top + height }
}

/// Draws title, grid and ticks along the horizontal axis.
pub(super) fn panel(page: &mut Page, plot: &Plot, title: &str, axis: &Axis) {
    let room = plot.right - plot.left;
    let title = fitted(title, TITLE, room);
    page.scene.text(&title, (plot.left, plot.top - 9.0), Anchor::Start, TITLE, TEXT);
    for tick in axis.ticks_along(room, 5, SMALL) {
        let x = plot.x(axis, tick.value);
        page.scene.line((x, plot.top), (x, plot.bottom + 5.0), GRID, 1.5);
        page.scene.text(&tick.label, (x, plot.bottom + 22.0), Anchor::Middle, SMALL, TEXT);
    }
    plot.base(page);
}
