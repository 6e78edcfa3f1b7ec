//! The frame of the charts with one row a strategy: names left, axis below, numbers right.

use super::axis::Axis;
use super::lettering::{fitted, width};
use super::page::{LABEL, MARGIN, Page, SMALL, WIDTH};
use super::palette::{GRID, Look, QUIET, RULE, TEXT};
use super::scene::Anchor;
use super::scene::Type;

/// Most pixels of a strategy's name, enough for about 30 characters.
pub(super) const LABEL_ROOM: f64 = 300.0;
/// Up to here names are large.
const LARGE_ROOM: f64 = 230.0;
const MARK_ROOM: f64 = 28.0;
const GAP: f64 = 18.0;
/// Between ranked strategies and references.
const REFERENCE_GAP: f64 = 22.0;

/// One strategy.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub label: &'a str,
    pub look: Look,
    /// Cells of the columns at the right.
    pub cells: Vec<String>,
    /// References stand apart below.
    pub reference: bool,
}

/// Where the plot is.
#[derive(Debug)]
pub(super) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The middle of each row.
    pub centres: Vec<f64>,
}

impl Plot {
    /// The x of a value.
    pub fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.share(value) * (self.right - self.left)
    }
}

/// The lettering of these names, smaller when one is long.
pub(super) fn name_font<'a>(names: impl IntoIterator<Item = &'a str>) -> Type {
    let widest = names.into_iter().map(|name| width(name, LABEL)).fold(0.0, f64::max);
    if widest <= LARGE_ROOM { LABEL } else { SMALL }
}

/// The left end of a plot beside these names.
pub(super) fn left_of_plot(rows: &[Row]) -> f64 {
    let font = name_font(rows.iter().map(|r| r.label));
    let widest = rows.iter().map(|r| width(r.label, font)).fold(60.0, f64::max);
    MARGIN + MARK_ROOM + widest.min(LABEL_ROOM) + GAP
}

/// Draws names with their marks beside rows of this height; returns the middles and the bottom.
pub(super) fn names(page: &mut Page, rows: &[Row], height: f64, right: f64) -> (Vec<f64>, f64) {
    let font = name_font(rows.iter().map(|r| r.label));
    let mut y = page.y;
    let mut centres = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if row.reference && i > 0 && !rows[i - 1].reference {
            y += REFERENCE_GAP;
            let rule = y - REFERENCE_GAP / 2.0 + 1.0;
            page.scene.line((MARGIN, rule), (right, rule), GRID, 2.0);
        }
        let centre = y + height / 2.0;
        row.look.mark.draw(&mut page.scene, (MARGIN + 10.0, centre), 7.0, row.look.ink);
        let label = fitted(row.label, font, LABEL_ROOM);
        let at = (MARGIN + MARK_ROOM, centre + 6.0);
        page.scene.text(&label, at, Anchor::Start, font, TEXT);
        centres.push(centre);
        y += height;
    }
    (centres, y)
}

/// Draws names, columns, grid and axis for rows of this height, and moves the page on.
pub(super) fn frame(
    page: &mut Page,
    rows: &[Row],
    height: f64,
    headers: &[&str],
    axis: &Axis,
) -> Plot {
    let left = left_of_plot(rows);
    let columns: Vec<f64> = headers
        .iter()
        .enumerate()
        .map(|(i, header)| {
            let cells = rows.iter().filter_map(|r| r.cells.get(i)).map(|c| width(c, SMALL));
            cells.fold(width(header, SMALL), f64::max)
        })
        .collect();
    let mut ends = vec![WIDTH - MARGIN; columns.len()];
    for i in (1..columns.len()).rev() {
        ends[i - 1] = ends[i] - columns[i] - GAP;
    }
    let right = ends.first().zip(columns.first()).map_or(WIDTH - MARGIN, |(e, c)| e - c - GAP);
    let right = right.max(left + 120.0);

    for (header, end) in headers.iter().zip(&ends) {
        page.scene.text(header, (*end, page.y + 12.0), Anchor::End, SMALL, QUIET);
    }
    page.y += 20.0;
    let top = page.y;
    let (centres, bottom) = names(page, rows, height, WIDTH - MARGIN);
    for tick in axis.ticks_along(right - left, 8, SMALL) {
        let x = left + axis.share(tick.value) * (right - left);
        page.scene.line((x, top), (x, bottom + 6.0), GRID, 1.5);
        page.scene.text(&tick.label, (x, bottom + 24.0), Anchor::Middle, SMALL, TEXT);
    }
    page.scene.line((left, bottom), (right, bottom), RULE, 1.5);
    for (row, centre) in rows.iter().zip(&centres) {
        for (cell, end) in row.cells.iter().zip(&ends) {
            page.scene.text(cell, (*end, centre + 5.5), Anchor::End, SMALL, TEXT);
        }
    }
    page.centred(&axis.name, (left + right) / 2.0, bottom + 48.0);
    page.y = bottom + 54.0;
    Plot { left, right, top, bottom, centres }
}
