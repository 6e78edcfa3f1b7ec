//! What charts are laid out with: the sheet, with its heading above and caption below; axes; plots
//! and panels; the frame of charts with one row a strategy; cells of heat maps.

use crate::charts::draw::{
    Anchor, Chart, GRID, Ink, Look, Point, QUIET, RULE, Scene, TEXT, Type, fitted, looks, ramp,
    readable_on, svg, width, wrapped,
};
use crate::charts::number::{fixed, significant};
use crate::report::{config_name, counted};
use flakelab_sim::experiment::{ContenderSummary, ScenarioSummary};

/// Width of every chart.
pub(crate) const WIDTH: f64 = 1000.0;

/// White on all sides.
pub(crate) const MARGIN: f64 = 24.0;

/// Strategy names.
pub(crate) const LABEL: Type = Type { size: 18.0, bold: false };

/// Everything else, still legible at half size.
pub(crate) const SMALL: Type = Type { size: 16.0, bold: false };

const HEADING: Type = Type { size: 25.0, bold: true };
const LINE: f64 = 22.0;

/// A chart in the making; `y` is where the next part goes.
#[derive(Debug)]
pub(crate) struct Page {
    pub scene: Scene,
    pub y: f64,
    title: String,
}

impl Page {
    /// A sheet of a sweep with its heading, what was run, and how to read the marks.
    pub fn new(heading: &str, scenario: &ScenarioSummary, reading: &str) -> Self {
        let requests = counted(scenario.requests, "request");
        let replications = counted(scenario.replications, "replication");
        let config = config_name(&scenario.config);
        let title = format!("{heading}: {config}, {requests} per run, {replications}");
        let rate = scenario.requests_per_second;
        let rate = fixed(rate, if rate.fract() == 0.0 { 0 } else { 2 });
        let run = format!("{config} · {requests} per run at {rate} per second · {replications}");
        Self::headed(heading, title, &run, reading)
    }

    /// A sheet of one config with its heading, what it rests on, and how to read the marks.
    pub fn of_config(heading: &str, config: &str, data: &str, reading: &str) -> Self {
        let config = config_name(config);
        let title = format!("{heading}: {config}, {data}");
        Self::headed(heading, title, &format!("{config} · {data}"), reading)
    }

    /// A sheet with its heading, what it shows, and how to read the marks.
    pub fn headed(heading: &str, title: String, what: &str, reading: &str) -> Self {
        let scene = Scene { width: WIDTH, height: 0.0, shapes: Vec::new() };
        let mut page = Self { scene, y: MARGIN + 20.0, title };
        let room = WIDTH - 2.0 * MARGIN;
        let heading = fitted(heading, HEADING, room);
        page.scene.text(&heading, (MARGIN, page.y), Anchor::Start, HEADING, TEXT);
        page.y += 8.0;
        page.paragraph(what);
        page.paragraph(reading);
        page.y += 14.0;
        page
    }

    /// Small text, its baseline at `at`.
    pub fn text(&mut self, text: &str, at: Point, anchor: Anchor) {
        self.scene.text(text, at, anchor, SMALL, TEXT);
    }

    /// Small text of second importance.
    pub fn quiet(&mut self, text: &str, at: Point, anchor: Anchor) {
        self.scene.text(text, at, anchor, SMALL, QUIET);
    }

    /// Lines of small text over the whole width.
    pub fn paragraph(&mut self, text: &str) {
        for line in wrapped(text, SMALL, WIDTH - 2.0 * MARGIN) {
            self.y += LINE;
            self.quiet(&line, (MARGIN, self.y), Anchor::Start);
        }
    }

    /// A text centred on `x` as far as the margins allow, baseline at `y`.
    pub fn centred(&mut self, text: &str, x: f64, y: f64) {
        let half = width(text, SMALL) / 2.0;
        let room = WIDTH - 2.0 * MARGIN;
        let text = fitted(text, SMALL, room);
        let x = if 2.0 * half < room {
            x.clamp(MARGIN + half, WIDTH - MARGIN - half)
        } else {
            WIDTH / 2.0
        };
        self.text(&text, (x, y), Anchor::Middle);
    }

    /// What to draw when there is nothing to draw.
    pub fn nothing(&mut self, text: &str) {
        self.y += 60.0;
        self.centred(text, WIDTH / 2.0, self.y);
        self.y += 60.0;
    }

    /// The finished chart, with its caption below.
    pub fn finish(mut self, name: &'static str, caption: String) -> anyhow::Result<Chart> {
        self.y += 10.0;
        for line in wrapped(&caption, SMALL, WIDTH - 2.0 * MARGIN) {
            self.y += LINE;
            self.text(&line, (MARGIN, self.y), Anchor::Start);
        }
        self.scene.height = self.y + MARGIN - 4.0;
        let svg = svg(&self.scene, &self.title, &caption)?;
        Ok(Chart { name, title: self.title, caption, svg, scene: self.scene })
    }
}

/// Values beyond are cut: no chart needs them, and sums of them stay finite.
const LARGEST: f64 = 1e15;

/// A range of values, its name with unit, and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub name: String,
    pub low: f64,
    pub high: f64,
    log: bool,
    /// Ticks are no closer than this.
    least_step: f64,
    /// The ticks of an axis of names; empty for numbers.
    names: &'static [&'static str],
}

/// A round value and how to write it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub label: String,
}

/// The smallest and largest finite value.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

impl Axis {
    /// A linear axis with room for these values and a little more; for no value, 0 to 1.
    pub fn linear(name: impl Into<String>, values: Option<(f64, f64)>) -> Self {
        let (low, high) = values.unwrap_or((0.0, 1.0));
        let (low, high) = (low.max(-LARGEST), high.min(LARGEST));
        let spread = high - low;
        let size = low.abs().max(high.abs());
        let room = if spread > size * 1e-9 { spread * 0.04 } else { (size * 1e-3).max(0.5) };
        Self { low: low - room, high: high + room, ..Self::between(name, 0.0, 1.0) }
    }

    /// A linear axis with exactly these ends, which must differ.
    pub fn between(name: impl Into<String>, low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { name: name.into(), low, high, log: false, least_step: 0.0, names: &[] }
    }

    /// An axis of counts from 0.
    pub fn counts(name: impl Into<String>, high: u64) -> Self {
        Self { least_step: 1.0, ..Self::between(name, 0.0, high as f64) }
    }

    /// An axis of names, the first at 0, the second at 1, and so on.
    pub fn names(name: impl Into<String>, names: &'static [&'static str]) -> Self {
        Self { names, ..Self::between(name, -0.5, names.len() as f64 - 0.5) }
    }

    /// A logarithmic axis with room for these positive values; for no value, 1 to 10.
    pub fn log(name: impl Into<String>, values: Option<(f64, f64)>) -> Self {
        let (low, high) = values.unwrap_or((1.0, 10.0));
        let (low, high) = (low.max(1.0 / LARGEST), high.clamp(1.0 / LARGEST, LARGEST));
        let room = libm::pow(high / low, 0.04).max(if high / low < 1.5 { 1.6 } else { 1.0 });
        Self { low: low / room, high: high * room, log: true, ..Self::between(name, 0.0, 1.0) }
    }

    /// Where a value lies between the ends, from 0 to 1; values beyond an end lie at it.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            let low = libm::log(self.low);
            (libm::log(value.max(self.low)) - low) / (libm::log(self.high) - low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// As many ticks as fit, at most `most`, their labels side by side on `room` pixels.
    pub fn ticks_along(&self, room: f64, most: usize, font: Type) -> Vec<Tick> {
        let fits = |ticks: &Vec<Tick>| {
            let places: Vec<(f64, f64)> = ticks
                .iter()
                .map(|t| (self.share(t.value) * room, width(&t.label, font) / 2.0))
                .collect();
            places.windows(2).all(|p| p[0].0 + p[0].1 + 12.0 <= p[1].0 - p[1].1)
        };
        (2..=most).rev().map(|n| self.ticks(n)).find(fits).unwrap_or_else(|| {
            let mut ticks = self.ticks(2);
            if ticks.len() > 2 {
                ticks.drain(1..ticks.len() - 1);
            }
            ticks.truncate(if fits(&ticks) { 2 } else { 1 });
            ticks
        })
    }

    /// About `n` round values within the range.
    pub fn ticks(&self, n: usize) -> Vec<Tick> {
        if !self.names.is_empty() {
            let tick = |(i, name): (usize, &&str)| Tick { value: i as f64, label: (*name).into() };
            return self.names.iter().enumerate().map(tick).collect();
        }
        if self.log { self.log_ticks(n) } else { self.linear_ticks(n) }
    }

    fn linear_ticks(&self, n: usize) -> Vec<Tick> {
        let step = nice_step((self.high - self.low) / n.max(1) as f64).max(self.least_step);
        let decimals = (-libm::floor(libm::log10(step) + 1e-9)).clamp(0.0, 9.0) as usize;
        let first = libm::ceil(self.low / step - 1e-9);
        let last = libm::floor(self.high / step + 1e-9);
        let count = if (0.0..1e3).contains(&(last - first)) { (last - first) as u32 } else { 0 };
        (0..=count)
            .map(|i| (first + f64::from(i)) * step)
            .map(|value| Tick { value, label: fixed(value, decimals) })
            .collect()
    }

    fn log_ticks(&self, n: usize) -> Vec<Tick> {
        let low = libm::floor(libm::log10(self.low)) as i32;
        let high = libm::ceil(libm::log10(self.high)) as i32;
        let within = |digits: &[f64], every: i32| -> Vec<Tick> {
            (low..=high)
                .filter(|decade| decade.rem_euclid(every) == 0)
                .flat_map(|decade| {
                    digits.iter().map(move |d| d * libm::pow(10.0, f64::from(decade)))
                })
                .filter(|value| self.contains(*value))
                .map(|value| {
                    let label = significant(value);
                    let label = match label.split_once('.') {
                        Some(_) => label.trim_end_matches('0').trim_end_matches('.').to_owned(),
                        None => label,
                    };
                    Tick { value, label }
                })
                .collect()
        };
        const FINE: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        const MIDDLE: [f64; 6] = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0];
        let sets: [(&[f64], i32); 6] = [
            (&FINE, 1),
            (&MIDDLE, 1),
            (&[1.0, 2.0, 5.0], 1),
            (&[1.0, 3.0], 1),
            (&[1.0], 1),
            (&[1.0], 3),
        ];
        let candidates = sets.map(|(digits, every)| within(digits, every));
        let best = candidates.iter().find(|ticks| (1..=n).contains(&ticks.len()));
        best.unwrap_or(&candidates[5]).clone()
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
pub(crate) fn nice_step(rough: f64) -> f64 {
    let rough = if rough.is_finite() && rough > 1e-12 { rough } else { 1e-12 };
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| d * power >= rough * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

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
            page.text(&tick.label, (x, self.bottom + 24.0), Anchor::Middle);
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

/// A plot with both axes drawn, for curves and points.
pub(crate) struct Panel {
    x: Axis,
    y: Axis,
    plot: Plot,
}

impl Panel {
    /// Draws grid, ticks and names of a panel of this height, and moves the page on.
    pub fn new(page: &mut Page, height: f64, x: Axis, y: Axis) -> Self {
        page.quiet(&y.name, (MARGIN, page.y + 14.0), Anchor::Start);
        let (top, bottom) = (page.y + 28.0, page.y + 28.0 + height);
        let plot = Plot { left: LEFT, right: WIDTH - MARGIN, top, bottom };
        plot.grid(page, &x, 9);
        for tick in y.ticks(6) {
            let at = plot.y(&y, tick.value);
            page.scene.line((plot.left, at), (plot.right, at), GRID, 1.5);
            let label = (plot.left - 8.0, at + 5.5);
            page.text(&tick.label, label, Anchor::End);
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
        page.text(text, (left + 52.0, y), Anchor::Start);
    }
}

// ---- One row a strategy: names left, axis below, numbers right.

/// Most pixels of a strategy's name, enough for about 30 characters.
pub(crate) const LABEL_ROOM: f64 = 300.0;

/// Up to here names are large.
const LARGE_ROOM: f64 = 230.0;

const MARK_ROOM: f64 = 28.0;
const GAP: f64 = 18.0;

/// Between ranked strategies and references.
const REFERENCE_GAP: f64 = 22.0;

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
pub(crate) fn ranked_first(scenario: &ScenarioSummary) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scenario.contenders.len()).collect();
    order.sort_by_key(|i| scenario.contenders[*i].ranking.map_or(usize::MAX, |r| r.rank));
    order
}

/// The contenders as charts list them, with rows of these cells; those without cells are left out.
pub(crate) fn contenders<'a>(
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
pub(crate) fn name_font<'a>(names: impl IntoIterator<Item = &'a str>) -> Type {
    let widest = names.into_iter().map(|name| width(name, LABEL)).fold(0.0, f64::max);
    if widest <= LARGE_ROOM { LABEL } else { SMALL }
}

/// The left end of a plot beside these names.
pub(crate) fn left_of_plot(rows: &[NamedRow]) -> f64 {
    let font = name_font(rows.iter().map(|r| r.label));
    let widest = rows.iter().map(|r| width(r.label, font)).fold(60.0, f64::max);
    MARGIN + MARK_ROOM + widest.min(LABEL_ROOM) + GAP
}

/// Draws names with their marks beside rows of this height; returns the middles and the bottom.
pub(crate) fn names(
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
        page.quiet(header, (*end, page.y + 12.0), Anchor::End);
    }
    page.y += 20.0;
    let top = page.y;
    let (centres, bottom) = names(page, rows, height, WIDTH - MARGIN);
    let plot = Plot { left, right, top, bottom };
    plot.grid(page, axis, 8);
    plot.base(page);
    for (row, centre) in rows.iter().zip(&centres) {
        for (cell, end) in row.cells.iter().zip(&ends) {
            page.text(cell, (*end, centre + 5.5), Anchor::End);
        }
    }
    plot.name_below(page, axis);
    page.y = bottom + 54.0;
    (plot, centres)
}

// ---- Heat maps: cells and the colour scale. Not for what has no natural zero.

/// A cell of a heat map, `left` and as wide, `middle` and as high, with as many of these texts as
/// fit at their baselines.
pub(crate) fn cell(
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
pub(crate) fn share_scale(page: &mut Page, left: f64, right: f64, low: &str, high: &str) {
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
    page.quiet(low, (start - 8.0, bottom - 2.5), Anchor::End);
    page.quiet(high, (end + 8.0, bottom - 2.5), Anchor::Start);
    page.y = bottom + 4.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::draw::ready;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::between("score", 968.2, 998.9);
        assert_eq!(labels(&axis.ticks(7)), ["970", "975", "980", "985", "990", "995"]);
        let axis = Axis::between("regret", -0.04, 0.31);
        assert_eq!(labels(&axis.ticks(4)), ["0.0", "0.1", "0.2", "0.3"]);
        let axis = Axis::log("ms", Some((0.9, 210.0)));
        assert_eq!(labels(&axis.ticks(8)), ["1", "2", "5", "10", "20", "50", "100", "200"]);
        assert_eq!(labels(&axis.ticks(4)), ["1", "10", "100"]);
        assert_eq!(labels(&Axis::counts("requests", 1).ticks(8)), ["0", "1"]);
    }

    #[test]
    fn strange_ranges_still_have_an_axis() {
        for range in [None, Some((5.0, 5.0)), Some((0.0, 0.0)), Some((-1e300, 1e300))] {
            let linear = Axis::linear("x", range);
            assert!(linear.low < linear.high && !linear.ticks(6).is_empty(), "{linear:?}");
            let log = Axis::log("x", range);
            assert!(log.low > 0.0 && log.low < log.high, "{log:?}");
            assert!((0.0..=1.0).contains(&log.share(-3.0)));
            assert!(log.ticks(6).len() < 20);
        }
        assert_eq!(Axis::linear("x", None).share(f64::NAN), 0.0);
        assert_eq!(range([f64::NAN, 2.0, f64::INFINITY, 1.0]), Some((1.0, 2.0)));
    }

    #[test]
    fn labels_never_touch() {
        ready().unwrap();
        let axis = Axis::counts("requests", 100_000_000);
        assert_eq!(labels(&axis.ticks_along(180.0, 8, SMALL)), ["0", "100,000,000"]);
    }
}
