//! Small panels side by side: where each lies, and its axis.

use crate::report::charts::axis::Axis;
use crate::report::charts::lettering::fitted;
use crate::report::charts::page::{Page, SMALL};
use crate::report::charts::palette::{GRID, RULE, TEXT};
use crate::report::charts::scene::{Anchor, Type};

/// Titles of panels.
const TITLE: Type = Type { size: 16.0, bold: true };

/// From the top of a panel's title to the top of its plot.
pub(super) const ABOVE: f64 = 26.0;
/// From the bottom of a panel's plot to what comes below its ticks.
pub(super) const BELOW: f64 = 30.0;

/// The plot of one panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Panel {
    /// The `n`-th of `across` panels of that height beside each other between two margins.
    pub fn beside(
        page: &Page,
        (left, right): (f64, f64),
        (n, across): (usize, usize),
        height: f64,
        gap: f64,
    ) -> Self {
        let across = across.max(1) as f64;
        let width = (right - left - gap * (across - 1.0)) / across;
        let left = left + n as f64 * (width + gap);
        let top = page.y + ABOVE;
        Self { left, right: left + width, top, bottom: top + height }
    }

    /// Draws title, grid and ticks along the horizontal axis.
    pub fn draw(&self, page: &mut Page, title: &str, axis: &Axis) {
        let room = self.right - self.left;
        let title = fitted(title, TITLE, room);
        page.scene.text(&title, (self.left, self.top - 9.0), Anchor::Start, TITLE, TEXT);
        for tick in axis.ticks_along(room, 5, SMALL) {
            let x = self.x(axis, tick.value);
            page.scene.line((x, self.top), (x, self.bottom + 5.0), GRID, 1.5);
            page.scene.text(&tick.label, (x, self.bottom + 22.0), Anchor::Middle, SMALL, TEXT);
        }
        page.scene.line((self.left, self.bottom), (self.right, self.bottom), RULE, 1.5);
    }

    /// The x of a value.
    pub fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.share(value) * (self.right - self.left)
    }

    /// The y of a value, small ones below.
    pub fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.share(value) * (self.bottom - self.top)
    }
}
