//! Where values are drawn: the rectangle of a plot, and a panel with two axes for charts that show
//! curves or points.

use crate::report::charts::axis::Axis;
use crate::report::charts::page::{MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, QUIET, RULE, TEXT};
use crate::report::charts::scene::{Anchor, Ink, Point};

/// Pixels for the labels of the vertical axis.
const LEFT: f64 = MARGIN + 62.0;

/// The rectangle that values are drawn in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Plot {
    /// The x of a value.
    pub fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.share(value) * (self.right - self.left)
    }

    /// The y of a value, small ones below.
    pub fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.share(value) * (self.bottom - self.top)
    }

    /// Draws the grid lines of a horizontal axis with the values below them, at most so many.
    pub fn grid(&self, page: &mut Page, axis: &Axis, most: usize) {
        for tick in axis.ticks_along(self.right - self.left, most, SMALL) {
            let x = self.x(axis, tick.value);
            page.scene.line((x, self.top), (x, self.bottom + 6.0), GRID, 1.5);
            page.scene.text(&tick.label, (x, self.bottom + 24.0), Anchor::Middle, SMALL, TEXT);
        }
    }

    /// Draws the line at the bottom.
    pub fn base(&self, page: &mut Page) {
        page.scene.line((self.left, self.bottom), (self.right, self.bottom), RULE, 1.5);
    }

    /// Writes the name of a horizontal axis below its values.
    pub fn name_below(&self, page: &mut Page, axis: &Axis) {
        page.centred(&axis.name, (self.left + self.right) / 2.0, self.bottom + 48.0);
    }
}

/// A frame with its axes drawn.
pub(crate) struct Panel {
    x: Axis,
    y: Axis,
    plot: Plot,
}

impl Panel {
    /// Draws grid, ticks and names of a panel of this height, and moves the page on.
    pub fn new(page: &mut Page, height: f64, x: Axis, y: Axis) -> Self {
        page.scene.text(&y.name, (MARGIN, page.y + 14.0), Anchor::Start, SMALL, QUIET);
        let (top, bottom) = (page.y + 28.0, page.y + 28.0 + height);
        let plot = Plot { left: LEFT, right: WIDTH - MARGIN, top, bottom };
        plot.grid(page, &x, 9);
        for tick in y.ticks(6) {
            let at = plot.y(&y, tick.value);
            page.scene.line((plot.left, at), (plot.right, at), GRID, 1.5);
            let label = (plot.left - 8.0, at + 5.5);
            page.scene.text(&tick.label, label, Anchor::End, SMALL, TEXT);
        }
        plot.base(page);
        plot.name_below(page, &x);
        page.y = bottom + 56.0;
        Self { x, y, plot }
    }

    /// Where a pair of values lies; beyond the ends, at them.
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.plot.x(&self.x, x), self.plot.y(&self.y, y))
    }

    /// A curve through these values; those that are not finite are left out.
    pub fn curve(&self, page: &mut Page, points: &[(f64, f64)], ink: Ink, width: f64) {
        let finite = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let points: Vec<Point> = finite.map(|(x, y)| self.at(*x, *y)).collect();
        if points.len() > 1 {
            page.scene.stroke(points, ink, width);
        }
    }

    /// The area between two curves over the same x.
    pub fn band(&self, page: &mut Page, points: &[(f64, (f64, f64))], ink: Ink) {
        let low = points.iter().map(|(x, (low, _))| self.at(*x, *low));
        let high = points.iter().rev().map(|(x, (_, high))| self.at(*x, *high));
        let outline: Vec<Point> = low.chain(high).collect();
        if outline.len() > 3 {
            page.scene.fill(outline, ink);
        }
    }

    /// A line of the legend inside the panel, `row` from 0, at the left top.
    pub fn legend(&self, page: &mut Page, row: usize, text: &str, ink: Ink, width: f64) {
        let (left, y) = (self.plot.left, self.plot.top + 20.0 + 24.0 * row as f64);
        page.scene.line((left + 14.0, y - 5.0), (left + 44.0, y - 5.0), ink, width);
        page.scene.text(text, (left + 52.0, y), Anchor::Start, SMALL, TEXT);
    }
}
