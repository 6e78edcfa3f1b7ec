//! The frame of the charts with one row a strategy: names left, axis below, numbers right.

use super::axis::Axis;
use super::lettering::{fitted, width};
use super::page::{LABEL, MARGIN, Page, SMALL, WIDTH};
use super::palette::{GRID, Look, QUIET, TEXT, looks};
use super::panel::Plot;
use super::scene::{Anchor, Type};
use crate::experiment::{ContenderSummary, ScenarioSummary};

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
pub(crate) struct NamedRow<'a> {
    pub label: &'a str,
    pub look: Look,
    /// Cells of the columns at the right.
    pub cells: Vec<String>,
    /// References stand apart below.
    pub reference: bool,
}

/// Positions of the contenders as charts list them: ranked ones from the best, then references.
pub(super) fn ranked_first(scenario: &ScenarioSummary) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scenario.contenders.len()).collect();
    order.sort_by_key(|i| scenario.contenders[*i].ranking.map_or(usize::MAX, |r| r.rank));
    order
}

/// The contenders as charts list them, with rows of these cells; those without cells are left out.
pub(super) fn contenders<'a>(
    scenario: &'a ScenarioSummary,
    cells: impl Fn(&ContenderSummary) -> Option<Vec<String>>,
) -> (Vec<&'a ContenderSummary>, Vec<NamedRow<'a>>) {
    let looks = looks(&scenario.contenders);
    let row = |i: usize| {
        let c = &scenario.contenders[i];
        let (look, reference) = (looks[i], c.ranking.is_none());
        Some((c, NamedRow { label: &c.strategy, look, cells: cells(c)?, reference }))
    };
    ranked_first(scenario).into_iter().filter_map(row).unzip()
}

/// The lettering of these names, smaller when one is long.
pub(super) fn name_font<'a>(names: impl IntoIterator<Item = &'a str>) -> Type {
    let widest = names.into_iter().map(|name| width(name, LABEL)).fold(0.0, f64::max);
    if widest <= LARGE_ROOM { LABEL } else { SMALL }
}

/// The left end of a plot beside these names.
pub(super) fn left_of_plot(rows: &[NamedRow]) -> f64 {
    let font = name_font(rows.iter().map(|r| r.label));
    let widest = rows.iter().map(|r| width(r.label, font)).fold(60.0, f64::max);
    MARGIN + MARK_ROOM + widest.min(LABEL_ROOM) + GAP
}

/// Draws names with their marks beside rows of this height; returns the middles and the bottom.
pub(super) fn names(
    page: &mut Page,
    rows: &[NamedRow],
    height: f64,
    right: f64,
) -> (Vec<f64>, f64) {
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

/// Draws names, columns, grid and axis for rows of this height, and moves the page on; returns the
/// plot and the middles of the rows.
pub(crate) fn frame(
    page: &mut Page,
    rows: &[NamedRow],
    height: f64,
    headers: &[&str],
    axis: &Axis,
) -> (Plot, Vec<f64>) {
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
    let plot = Plot { left, right, top, bottom };
    plot.grid(page, axis, 8);
    plot.base(page);
    for (row, centre) in rows.iter().zip(&centres) {
        for (cell, end) in row.cells.iter().zip(&ends) {
            page.scene.text(cell, (*end, centre + 5.5), Anchor::End, SMALL, TEXT);
        }
    }
    plot.name_below(page, axis);
    page.y = bottom + 54.0;
    (plot, centres)
}
