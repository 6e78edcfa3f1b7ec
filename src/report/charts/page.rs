//! The sheet every chart is drawn on: heading above, caption below, height as needed.

use super::lettering::{fitted, width, wrapped};
use super::number::fixed;
use super::palette::{QUIET, TEXT};
use super::scene::{Anchor, Scene, Type};
use super::{Chart, ChartError, paint};
use crate::experiment::ScenarioSummary;
use crate::report::numbers::counted;

/// Width of every chart.
pub(crate) const WIDTH: f64 = 1000.0;
/// White on all sides.
pub(crate) const MARGIN: f64 = 24.0;

/// Strategy names.
pub(super) const LABEL: Type = Type { size: 18.0, bold: false };
/// Everything else, still legible at half size.
pub(crate) const SMALL: Type = Type { size: 16.0, bold: false };
const HEADING: Type = Type { size: 25.0, bold: true };
const LINE: f64 = 22.0;

pub(super) use crate::report::text::config_name;

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

    /// Lines of small text over the whole width.
    pub fn paragraph(&mut self, text: &str) {
        for line in wrapped(text, SMALL, WIDTH - 2.0 * MARGIN) {
            self.y += LINE;
            self.scene.text(&line, (MARGIN, self.y), Anchor::Start, SMALL, QUIET);
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
        self.scene.text(&text, (x, y), Anchor::Middle, SMALL, TEXT);
    }

    /// What to draw when there is nothing to draw.
    pub fn nothing(&mut self, text: &str) {
        self.y += 60.0;
        self.centred(text, WIDTH / 2.0, self.y);
        self.y += 60.0;
    }

    /// The finished chart, with its caption below.
    pub fn finish(mut self, name: &'static str, caption: String) -> Result<Chart, ChartError> {
        self.y += 10.0;
        for line in wrapped(&caption, SMALL, WIDTH - 2.0 * MARGIN) {
            self.y += LINE;
            self.scene.text(&line, (MARGIN, self.y), Anchor::Start, SMALL, TEXT);
        }
        self.scene.height = self.y + MARGIN - 4.0;
        let svg = paint::svg(&self.scene, &self.title, &caption)?;
        Ok(Chart { name, title: self.title, caption, svg, scene: self.scene })
    }
}
