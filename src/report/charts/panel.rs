//! A plot with two axes, for charts that show curves or points.

use crate::report::charts::axis::Axis;
use crate::report::charts::page::{MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, Ink, QUIET, RULE, TEXT};
use crate::report::charts::scene::{Anchor, Point};

/// Pixels for the labels of the vertical axis.
const LEFT: f64 = MARGIN + 62.0;

/// A frame with its axes drawn.
pub(super) struct Panel {
    x: Axis,
    y: Axis,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Panel {
    /// Draws grid, ticks and names of a panel of this height, and moves the page on.
    pub(super) fn new(page: &mut Page, height: f64, x: Axis, y: Axis) -> Self {
        page.scene.text(&y.name, (MARGIN, page.y + 14.0), Anchor::Start, SMALL, QUIET);
        let (left, right) = (LEFT, WIDTH - MARGIN);
        let (top, bottom) = (page.y + 28.0, page.y + 28.0 + height);
        let panel = Self { x, y, left, right, top, bottom };
        for tick in panel.x.ticks_along(right - left, 9, SMALL) {
            let at = left + panel.x.share(tick.value) * (right - left);
            page.scene.line((at, top), (at, bottom + 6.0), GRID, 1.5);
            page.scene.text(&tick.label, (at, bottom + 24.0), Anchor::Middle, SMALL, TEXT);
        }
        for tick in panel.y.ticks(6) {
            let at = bottom - panel.y.share(tick.value) * (bottom - top);
            page.scene.line((left, at), (right, at), GRID, 1.5);
            page.scene.text(&tick.label, (left - 8.0, at + 5.5), Anchor::End, SMALL, TEXT);
        }
        page.scene.line((left, bottom), (right, bottom), RULE, 1.5);
        page.centred(&panel.x.name, (left + right) / 2.0, bottom + 48.0);
        page.y = bottom + 56.0;
        panel
    }

    /// Where a pair of values lies; beyond the ends, at them.
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (
            self.left + self.x.share(x) * (self.right - self.left),
            self.bottom - self.y.share(y) * (self.bottom - self.top),
        )
    }

    /// A curve through these values; those that are not finite are left out.
    pub(super) fn curve(&self, page: &mut Page, points: &[(f64, f64)], ink: Ink, width: f64) {
        let finite = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let points: Vec<Point> = finite.map(|(x, y)| self.at(*x, *y)).collect();
        if points.len() > 1 {
            page.scene.stroke(points, ink, width);
        }
    }

    /// The area between two curves over the same x.
    pub(super) fn band(&self, page: &mut Page, points: &[(f64, (f64, f64))], ink: Ink) {
        let low = points.iter().map(|(x, (low, _))| self.at(*x, *low));
        let high = points.iter().rev().map(|(x, (_, high))| self.at(*x, *high));
        let outline: Vec<Point> = low.chain(high).collect();
        if outline.len() > 3 {
            page.scene.fill(outline, ink);
        }
    }

    /// A line of the legend inside the panel, `row` from 0, at the left top.
    pub(super) fn legend(&self, page: &mut Page, row: usize, text: &str, ink: Ink, width: f64) {
        let y = self.top + 20.0 + 24.0 * row as f64;
        page.scene.line((self.left + 14.0, y - 5.0), (self.left + 44.0, y - 5.0), ink, width);
        page.scene.text(text, (self.left + 52.0, y), Anchor::Start, SMALL, TEXT);
    }
}
