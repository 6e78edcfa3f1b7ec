//! One page of a run that is going on: headline numbers, live against predicted, servers, the
//! last latencies.
//!
//! When not to use it: for finished runs, whose charts are those of a sweep.

use super::axis::{Axis, range};
use super::lettering::fitted;
use super::number::{counted, percent, significant};
use super::page::{MARGIN, Page, SMALL, WIDTH};
use super::palette::{ACCENT, GRID, Look, Mark, QUIET, RULE, TEXT, WHITE, colour};
use super::panel::Panel;
use super::rows::{Row, frame};
use super::scene::{Anchor, Type};
use super::{Chart, ChartError, lettering};
use crate::report::numbers::thousands;
use crate::stats::Interval;

/// What the page shows; everything final, nothing computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct OngoingPicture {
    /// Strategy and config.
    pub name: String,
    /// How far the run is, in words.
    pub state: String,
    /// Names and values.
    pub headline: Vec<(String, String)>,
    /// In order of the model.
    pub servers: Vec<OngoingServer>,
    /// The last latencies, oldest first, in milliseconds.
    pub latencies_ms: Vec<f64>,
    /// Quantiles of them, with their names.
    pub quantiles_ms: Vec<(String, f64)>,
    /// Whether the run is as long as the predicted one. Before, being outside means little.
    pub is_whole: bool,
    /// Live against predicted; empty without a prediction.
    pub compared: Vec<OngoingMetric>,
    /// What was compared, or why nothing was.
    pub comparison_note: String,
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct OngoingServer {
    /// Its port.
    pub name: String,
    /// Its share of all attempts, 0 to 1.
    pub share: f64,
    /// Attempts sent to it.
    pub attempts: u64,
    /// Attempts that succeeded as a share of its attempts; none without attempts.
    pub success_rate: Option<f64>,
    /// The success rate that the strategy would bet on, if it has a belief.
    pub belief: Option<f64>,
    /// Attempts refused with 429.
    pub rate_limited: u64,
    /// Mean latency of its attempts in milliseconds; none without attempts.
    pub latency_ms: Option<f64>,
}

/// A number of the run and its prediction, in the same unit.
#[derive(Debug, Clone, PartialEq)]
pub struct OngoingMetric {
    /// Its name.
    pub name: String,
    /// `value` as it is written.
    pub value_text: String,
    /// `interval` as it is written.
    pub interval_text: String,
    /// Observed, at the pace of the whole run where it grows; none before there is one.
    pub value: Option<f64>,
    /// 95 % of predicted runs lie here.
    pub interval: Interval,
    /// Mean of the prediction.
    pub mean: f64,
    /// Where the value lies.
    pub place: OngoingPlace,
}

/// Where a value lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OngoingPlace {
    /// Within the interval.
    Inside,
    /// Outside, with the word for it.
    Outside(String),
    /// Not to be told, with the reason.
    Unknown(String),
}

const SECTION: Type = Type { size: 18.0, bold: true };
const VALUE: Type = Type { size: 22.0, bold: true };
const METRIC_ROW: f64 = 26.0;
const SERVER_ROW: f64 = 26.0;
const RIGHT: f64 = WIDTH - MARGIN;

/// Draws the page.
///
/// # Errors
/// See [`ChartError`].
pub fn draw_ongoing(picture: &OngoingPicture) -> Result<Chart, ChartError> {
    lettering::ready()?;
    let title = format!("Live: {}, {}", picture.name, picture.state);
    let mut page = Page::headed(&picture.name, title, &picture.state, "");
    headline(&mut page, &picture.headline);
    section(&mut page, "Live against predicted");
    comparison(&mut page, picture);
    section(&mut page, "Servers");
    servers(&mut page, &picture.servers);
    section(&mut page, "Latency");
    latencies(&mut page, picture);
    page.finish("live", caption(picture))
}

fn section(page: &mut Page, name: &str) {
    page.y += 22.0;
    page.scene.line((MARGIN, page.y), (RIGHT, page.y), GRID, 2.0);
    page.y += 26.0;
    page.scene.text(name, (MARGIN, page.y), Anchor::Start, SECTION, TEXT);
    page.y += 8.0;
}

/// Six a row, name above value.
fn headline(page: &mut Page, pairs: &[(String, String)]) {
    const COLUMNS: usize = 6;
    let width = (RIGHT - MARGIN) / COLUMNS as f64;
    for row in pairs.chunks(COLUMNS) {
        for (i, (name, value)) in row.iter().enumerate() {
            let x = MARGIN + i as f64 * width;
            let value = fitted(value, VALUE, width - 8.0);
            page.scene.text(name, (x, page.y + 14.0), Anchor::Start, SMALL, QUIET);
            page.scene.text(&value, (x, page.y + 40.0), Anchor::Start, VALUE, TEXT);
        }
        page.y += 54.0;
    }
}

/// Every interval has the same length here, so that one look says where all values lie.
fn comparison(page: &mut Page, picture: &OngoingPicture) {
    page.paragraph(&picture.comparison_note);
    if picture.compared.is_empty() {
        return;
    }
    let (left, right) = (MARGIN + 140.0, RIGHT - 330.0);
    let third = (right - left) / 4.0;
    let (low, high) = (left + third, right - third);
    let columns = [RIGHT - 236.0, RIGHT - 90.0, RIGHT];
    page.y += 22.0;
    for (text, end) in ["live", "95 % predicted", ""].into_iter().zip(columns) {
        page.scene.text(text, (end, page.y), Anchor::End, SMALL, QUIET);
    }
    let top = page.y + 8.0;
    for metric in &picture.compared {
        let y = page.y + METRIC_ROW / 2.0 + 8.0;
        let scale = |x: f64| match metric.interval.width() {
            w if w.is_finite() && w > 0.0 => low + (x - metric.interval.low) / w * (high - low),
            // No width: the number itself in the middle, everything else at an end.
            _ if x == metric.interval.low => (low + high) / 2.0,
            _ if x < metric.interval.low => left,
            _ => right,
        };
        page.scene.text(&metric.name, (MARGIN, y + 5.5), Anchor::Start, SMALL, TEXT);
        page.scene.line((left, y), (right, y), GRID, 1.5);
        page.scene.line((low, y), (high, y), RULE, 7.0);
        let mean = scale(metric.mean);
        if mean.is_finite() {
            let mean = mean.clamp(left, right);
            page.scene.line((mean, y - 8.0), (mean, y + 8.0), QUIET, 2.0);
        }
        let (ink, word) = match &metric.place {
            OngoingPlace::Inside => (ACCENT, "inside"),
            OngoingPlace::Outside(word) if picture.is_whole => (colour(3), word.as_str()),
            OngoingPlace::Outside(word) => (TEXT, word.as_str()),
            OngoingPlace::Unknown(why) => (QUIET, why.as_str()),
        };
        if let Some(x) = metric.value.map(scale).filter(|x| x.is_finite()) {
            let mark = match x {
                x if x < left || x > right => Mark::Diamond,
                _ => Mark::Circle,
            };
            mark.draw(&mut page.scene, (x.clamp(left, right), y), 6.5, ink);
        }
        let cells = [metric.value_text.as_str(), metric.interval_text.as_str(), word];
        for (text, end) in cells.into_iter().zip(columns) {
            page.scene.text(text, (end, y + 5.5), Anchor::End, SMALL, TEXT);
        }
        page.y += METRIC_ROW;
    }
    page.y += 8.0;
    for x in [low, high] {
        page.scene.line((x, top), (x, page.y), GRID, 1.5);
    }
    page.y += 18.0;
    page.centred(
        "the predicted intervals, drawn equally long; tick: mean",
        (low + high) / 2.0,
        page.y,
    );
}

fn servers(page: &mut Page, servers: &[OngoingServer]) {
    if servers.is_empty() {
        page.nothing("no servers are known yet");
        return;
    }
    page.paragraph("Bar: share of all attempts. Circle: success rate. Ring: what the strategy believes it to be.");
    page.y += 8.0;
    let or_dash = |x: Option<f64>, text: fn(f64) -> String| x.map_or("-".to_owned(), text);
    let look = Look { ink: ACCENT, mark: Mark::Square, dash: &[] };
    let rows: Vec<Row> = servers
        .iter()
        .map(|s| Row {
            label: &s.name,
            look,
            cells: vec![
                thousands(s.attempts),
                percent(s.share),
                or_dash(s.success_rate, percent),
                or_dash(s.belief, percent),
                thousands(s.rate_limited),
                or_dash(s.latency_ms, significant),
            ],
            reference: false,
        })
        .collect();
    let axis = Axis::between("share of attempts, success rate", 0.0, 1.0);
    let headers = ["attempts", "share", "success", "belief", "429s", "ms"];
    let plot = frame(page, &rows, SERVER_ROW, &headers, &axis);
    for (server, y) in servers.iter().zip(&plot.centres) {
        let end = plot.x(&axis, server.share);
        page.scene.rectangle((plot.left, y - 8.0), (end, y + 8.0), ACCENT.faint(0.35));
        if let Some(belief) = server.belief.filter(|b| b.is_finite()) {
            Mark::Circle.draw_ring(&mut page.scene, (plot.x(&axis, belief), *y), 8.0, TEXT);
        }
        if let Some(rate) = server.success_rate.filter(|r| r.is_finite()) {
            Mark::Circle.draw(&mut page.scene, (plot.x(&axis, rate), *y), 4.5, colour(3));
        }
    }
}

fn latencies(page: &mut Page, picture: &OngoingPicture) {
    let sound = |x: &f64| x.is_finite() && *x > 0.0;
    let values: Vec<f64> = picture.latencies_ms.iter().copied().filter(sound).collect();
    if values.is_empty() {
        page.nothing("no request was answered yet");
        return;
    }
    let last = counted(values.len() as u64, "answer");
    let x = Axis::between(format!("last {last}, oldest first"), 0.0, values.len() as f64);
    let y = Axis::log("ms, log scale", range(values.iter().copied()));
    page.y += 4.0;
    let panel = Panel::new(page, 220.0, x, y);
    let width = values.len() as f64;
    let quantiles = || picture.quantiles_ms.iter().filter(|(_, q)| sound(q)).enumerate();
    for (i, (_, q)) in quantiles() {
        let ends = [panel.at(0.0, *q), panel.at(width, *q)];
        let pattern: &[f64] = if i == 0 { &[] } else { &[10.0, 6.0] };
        page.scene.dashed(&ends, colour(3 + i), 2.0, pattern);
    }
    let radius = if values.len() > 300 { 2.0 } else { 3.5 };
    for (i, value) in values.iter().enumerate() {
        let at = panel.at(i as f64 + 0.5, *value);
        Mark::Circle.draw_plain(&mut page.scene, at, radius, ACCENT.faint(0.8));
    }
    // Above the points, on a ground of their own; the lower quantile's name below its line.
    for (i, (name, q)) in quantiles() {
        let (right, y) = panel.at(width, *q);
        let text = format!("{name} {} ms", significant(*q));
        let baseline = if i == 0 { y + 20.0 } else { y - 6.0 };
        let left = right - lettering::width(&text, SMALL) - 8.0;
        page.scene.rectangle((left, baseline - 15.0), (right, baseline + 4.0), WHITE.faint(0.85));
        page.scene.text(&text, (right - 4.0, baseline), Anchor::End, SMALL, TEXT);
    }
}

fn caption(picture: &OngoingPicture) -> String {
    let outside: Vec<&str> = picture
        .compared
        .iter()
        .filter(|m| matches!(m.place, OngoingPlace::Outside(_)))
        .map(|m| m.name.as_str())
        .collect();
    let busiest = picture.servers.iter().max_by(|a, b| a.share.total_cmp(&b.share));
    let mut caption = match busiest.filter(|s| s.attempts > 0) {
        Some(s) => format!("Server {} got {} of the attempts.", s.name, percent(s.share)),
        None => "No attempt was made yet.".to_owned(),
    };
    if !picture.compared.is_empty() {
        caption += &match outside.as_slice() {
            [] => " Nothing that was compared lies outside its predicted interval".to_owned(),
            some => format!(" Outside its predicted interval: {}", some.join(", ")),
        };
        caption += if picture.is_whole { "." } else { " so far." };
    }
    caption
}

#[cfg(test)]
mod tests;
