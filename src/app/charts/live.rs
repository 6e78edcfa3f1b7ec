//! Charts of a live run, with `predicted`, which draws two of them: what was seen, and what had been
//! predicted of it.
//!
//! | Chart | Shows |
//! |---|---|
//! | `live-predicted` | every metric of every run on what was predicted of it |
//! | `live-lost` | points lost, request by request, and the predicted end |
//! | `live-servers` | which servers the attempts went to, and how many of them succeeded |
//! | `live-latency` | quantiles of request latency, with the predicted p50 and p99 |
//! | `live-drift` | how late requests were sent |
//!
//! When not to use them: to compare strategies. One run of each is mostly luck; the charts of a
//! sweep compare.

use crate::charts::draw::{
    Anchor, Chart, GRID, Look, Point, TEXT, Type, fitted, looks_of, ramp, width,
};
use crate::charts::number::{fixed, percent, significant};
use crate::charts::page::{
    Axis, MARGIN, NamedRow, Page, Plot, SMALL, WIDTH, cell, frame, left_of_plot, names, range,
    share_scale,
};
use crate::charts::paths::{NamedLine, frame_of_lines, name_lines};
use crate::report::{LivePage, counted, list, sorted, thousands};
use flakelab_core::balancer::ServerCounts;
use flakelab_core::stats::{Interval, quantile};
use flakelab_fit::{
    Basis, LiveRequest, LiveRun, MetricForecast, PredictedConfig, RequestEnd, RunMetric,
};

/// What charts ask of the runs of one config.
impl LivePage {
    pub(crate) fn labels(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.strategy.label()).collect()
    }

    /// How the strategies look, the same as in the charts of a sweep of the same strategies.
    pub(crate) fn looks(&self) -> Vec<Look> {
        let labels = self.labels();
        let ranked = |label: &str| label != "random" && label != "oracle";
        looks_of(&labels.iter().map(|l| (l.as_str(), ranked(l))).collect::<Vec<_>>())
    }

    /// What the predictions knew, the sharpest last.
    pub(crate) fn bases(&self) -> Vec<Basis> {
        let mut bases: Vec<Basis> = self.prediction.runs.iter().map(|run| run.basis).collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    /// Whether a run was played to the end; a part of a run is not what was predicted.
    pub(crate) fn is_whole(&self, run: &LiveRun) -> bool {
        run.requests.len() as u64 >= self.prediction.requests
    }

    pub(crate) fn stopped_early(&self) -> Vec<String> {
        let partial = self.runs.iter().filter(|run| !self.is_whole(run));
        partial.map(|run| run.strategy.label()).collect()
    }

    /// What was predicted of a metric of a run, the sharpest prediction last.
    pub(crate) fn forecasts(
        &self,
        run: &LiveRun,
        metric: RunMetric,
    ) -> Vec<(Basis, &MetricForecast)> {
        self.prediction.forecasts(&run.strategy.label(), metric)
    }

    /// The sharpest prediction, of a run that was played to the end.
    pub(crate) fn sharpest(&self, run: &LiveRun, metric: RunMetric) -> Option<&MetricForecast> {
        let (_, forecast) = self.forecasts(run, metric).pop()?;
        self.is_whole(run).then_some(forecast)
    }
}

pub(crate) fn page(heading: &str, of: &LivePage, reading: &str) -> Page {
    let PredictedConfig { config, requests, requests_per_second, .. } = &of.prediction;
    let data = format!(
        "{} requests per strategy at {requests_per_second} per second, one run of each{}",
        thousands(*requests),
        if of.interrupted { ", interrupted" } else { "" }
    );
    Page::of_config(heading, config, &data, reading)
}

// ---- How late requests were sent: the load generator's own promise to keep, not the servers'.

const DRIFT_ROW: f64 = 66.0;

/// Height of the largest drift.
const STRIP: f64 = 52.0;

/// Most upright lines of a strategy; more requests share one, which shows the latest of them.
const LINES: usize = 300;

pub(crate) fn drift_chart(of: &LivePage) -> anyhow::Result<Chart> {
    let requests = || of.runs.iter().flat_map(|run| &run.requests);
    let largest = range(requests().map(|r| r.drift_ms)).map_or(0.0, |(_, high)| high.max(0.0));
    let reading = format!(
        "Upright lines: how much later than due a request was sent; a full row is {} ms",
        significant(largest)
    );
    let mut page = page("How late requests were sent", of, &reading);
    let (looks, labels) = (of.looks(), of.labels());
    let rows: Vec<NamedRow> = of
        .runs
        .iter()
        .zip(&looks)
        .zip(&labels)
        .map(|((run, look), label)| NamedRow {
            label,
            look: *look,
            cells: quantiles(run).iter().map(|ms| significant(*ms)).collect(),
            reference: false,
        })
        .collect();
    if requests().next().is_none() {
        page.nothing("no request was sent");
        return page.finish("live-drift", String::new());
    }
    let times = range(requests().map(due_s));
    let axis = Axis::between(
        "when a request was due (s into the run)",
        0.0,
        times.map_or(1.0, |(_, high)| high.max(0.1) * 1.02),
    );
    let (plot, centres) =
        frame(&mut page, &rows, DRIFT_ROW, &["p50 ms", "p99 ms", "largest ms"], &axis);
    for (i, y) in centres.iter().enumerate() {
        let base = y + DRIFT_ROW / 2.0 - 8.0;
        page.scene.line((plot.left, base), (plot.right, base), GRID, 1.5);
        for (s, ms) in latest(&of.runs[i]) {
            let height = if largest > 0.0 { (ms / largest).clamp(0.0, 1.0) * STRIP } else { 0.0 };
            let x = plot.x(&axis, s);
            page.scene.line((x, base), (x, base - height.max(1.0)), looks[i].ink, 1.8);
        }
        if !of.is_whole(&of.runs[i]) {
            let at = (plot.right, y - DRIFT_ROW / 2.0 + 18.0);
            page.quiet("stopped early", at, Anchor::End);
        }
    }
    page.finish("live-drift", drift_caption(of))
}

/// When a request was due, in seconds.
fn due_s(request: &LiveRequest) -> f64 {
    request.due_ms / 1000.0
}

/// When the latest request of each of so many stretches of time was due, and its drift.
fn latest(run: &LiveRun) -> Vec<(f64, f64)> {
    let stretch = run.requests.len().div_ceil(LINES).max(1);
    let latest = run.requests.chunks(stretch).filter_map(|requests| {
        let known = requests.iter().filter(|request| request.drift_ms.is_finite());
        known.max_by(|a, b| a.drift_ms.total_cmp(&b.drift_ms))
    });
    latest.map(|request| (due_s(request), request.drift_ms)).collect()
}

/// p50, p99 and the largest.
fn quantiles(run: &LiveRun) -> [f64; 3] {
    let drift = sorted(run.requests.iter().map(|request| request.drift_ms));
    [0.5, 0.99, 1.0].map(|p| quantile(&drift, p))
}

fn drift_caption(of: &LivePage) -> String {
    let requests = of.runs.iter().flat_map(|run| &run.requests);
    let drift = sorted(requests.map(|request| request.drift_ms));
    format!(
        "Of all {}, 99 of 100 were sent at most {} ms later than due, the latest {} ms. Latencies \
         count from when a request was due, so they hold this drift.",
        counted(drift.len() as u64, "request"),
        significant(quantile(&drift, 0.99)),
        significant(quantile(&drift, 1.0))
    )
}

// ---- Small panels side by side: where each lies, and its axis.

/// Titles of panels.
const TITLE: Type = Type { size: 16.0, bold: true };

/// From the top of a panel's title to the top of its plot.
const ABOVE: f64 = 26.0;

/// From the bottom of a panel's plot to what comes below its ticks.
pub(crate) const BELOW: f64 = 30.0;

/// The `n`-th of `across` plots of that height beside each other between two margins.
pub(crate) fn beside(
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
pub(crate) fn panel(page: &mut Page, plot: &Plot, title: &str, axis: &Axis) {
    let room = plot.right - plot.left;
    let title = fitted(title, TITLE, room);
    page.scene.text(&title, (plot.left, plot.top - 9.0), Anchor::Start, TITLE, TEXT);
    for tick in axis.ticks_along(room, 5, SMALL) {
        let x = plot.x(axis, tick.value);
        page.scene.line((x, plot.top), (x, plot.bottom + 5.0), GRID, 1.5);
        page.text(&tick.label, (x, plot.bottom + 22.0), Anchor::Middle);
    }
    plot.base(page);
}

// ---- Points lost, request by request, one line a strategy, and where it was predicted to end.
//
// Scores themselves run along a diagonal on which no two strategies can be told apart, so the
// chart shows what is missing from it: requests not answered 200, and penalties.

/// Width of a strategy's predicted end.
const LANE: f64 = 22.0;

/// Most points of a line; more are thinned.
const POINTS: usize = 400;

pub(crate) fn lost_chart(of: &LivePage) -> anyhow::Result<Chart> {
    let predicted = of.runs.iter().any(|run| of.sharpest(run, RunMetric::Score).is_some());
    let reading = if predicted {
        "Score is requests minus points lost. Bars at the end: 95 % of the simulated runs of the \
         sharpest prediction; tick: their mean"
    } else {
        "Score is requests minus points lost"
    };
    let mut page = page("Points lost over requests", of, reading);
    if of.runs.iter().all(|run| run.requests.is_empty()) {
        page.nothing("no request was sent");
    } else {
        plot(&mut page, of);
    }
    page.finish("live-lost", lost_caption(of))
}

/// Points lost at the end by the prediction of the score.
fn predicted_loss(of: &LivePage, forecast: &MetricForecast) -> (f64, Interval) {
    let all = of.prediction.requests as f64;
    let Interval { low, high } = forecast.interval;
    (all - forecast.mean, Interval { low: all - high, high: all - low })
}

/// The line from 0, thinned where there are many requests.
fn line(run: &LiveRun) -> Vec<(f64, f64)> {
    let last = run.requests.len();
    let every = last.div_ceil(POINTS).max(1);
    let mut points = vec![(0.0, 0.0)];
    let mut lost = 0.0;
    for (n, request) in (1_usize..).zip(&run.requests) {
        let extra = u64::from(request.attempts.saturating_sub(run.rules.free_attempts));
        lost += run.rules.penalty(extra);
        lost += if request.end == RequestEnd::Ok { 0.0 } else { 1.0 };
        if n.is_multiple_of(every) || n == last {
            points.push((n as f64, lost));
        }
    }
    points
}

fn plot(page: &mut Page, of: &LivePage) {
    let (looks, names) = (of.looks(), of.labels());
    let lines: Vec<Vec<(f64, f64)>> = of.runs.iter().map(line).collect();
    let predicted: Vec<Option<(f64, Interval)>> = of
        .runs
        .iter()
        .map(|run| of.sharpest(run, RunMetric::Score).map(|f| predicted_loss(of, f)))
        .collect();
    let bars = predicted.iter().flatten().flat_map(|(_, i)| [i.low, i.high]);
    let values = lines.iter().flatten().map(|(_, lost)| *lost).chain(bars).chain([0.0]);
    let mut y_axis = Axis::linear("points lost", range(values));
    y_axis.low = 0.0;
    let longest = lines.iter().map(Vec::len).max().unwrap_or(1) as u64;
    let x_axis = Axis::counts("requests so far", of.prediction.requests.max(longest - 1));

    let named: Vec<NamedLine> = names
        .into_iter()
        .zip(&looks)
        .zip(of.runs.iter().zip(&lines))
        .map(|((name, look), (run, line))| NamedLine {
            name,
            look: *look,
            value: written(run.value(RunMetric::Score)),
            end: line.last().map_or(0.0, |point| point.1),
        })
        .collect();
    let lanes = if predicted.iter().any(Option::is_some) { of.runs.len() } else { 0 };
    let lanes_room = (lanes as f64 * LANE).min(200.0);
    let axes = (&x_axis, &y_axis);
    let (plot, edge) = frame_of_lines(page, &named, axes, ("score", lanes_room), GRID);
    let (x, y) = (|v: f64| plot.x(&x_axis, v), |v: f64| plot.y(&y_axis, v));
    if lanes > 0 {
        page.text("predicted", ((plot.right + edge) / 2.0, plot.top - 14.0), Anchor::Middle);
    }
    for (i, line) in lines.iter().enumerate() {
        // Points are lost at a request, not on the way to it.
        let mut points: Vec<Point> = Vec::new();
        for (n, lost) in line {
            points.extend(points.last().map(|(_, before)| (x(*n), *before)));
            points.push((x(*n), y(*lost)));
        }
        page.scene.dashed(&points, looks[i].ink, 3.0, looks[i].dash);
    }
    let lane = lanes_room / (lanes.max(1) as f64);
    for (i, (bar, line)) in predicted.iter().zip(&lines).enumerate() {
        let end = line.last().copied().unwrap_or((0.0, 0.0));
        if let Some((mean, interval)) = bar {
            let centre = plot.right + (i as f64 + 0.5) * lane;
            let half = (lane * 0.3).clamp(1.0, 7.0);
            page.scene.rectangle(
                (centre - half, y(interval.high)),
                (centre + half, y(interval.low).max(y(interval.high) + 2.0)),
                looks[i].ink.faint(0.35),
            );
            page.scene.line(
                (centre - half - 3.0, y(*mean)),
                (centre + half + 3.0, y(*mean)),
                looks[i].ink,
                3.0,
            );
            looks[i].mark.draw(&mut page.scene, (centre, y(end.1)), 5.0, looks[i].ink);
        } else {
            looks[i].mark.draw(&mut page.scene, (x(end.0), y(end.1)), 5.5, looks[i].ink);
        }
    }
    name_lines(page, &named, &plot, &y_axis, edge);
    plot.name_below(page, &x_axis);
    page.y = plot.bottom + 54.0;
}

fn written(score: f64) -> String {
    fixed(score, usize::from(score.fract() != 0.0))
}

fn lost_caption(of: &LivePage) -> String {
    let (mut within, mut beyond) = (0, Vec::new());
    for run in &of.runs {
        let Some(forecast) = of.sharpest(run, RunMetric::Score) else { continue };
        let score = run.value(RunMetric::Score);
        if forecast.interval.contains(score) {
            within += 1;
        } else {
            let Interval { low, high } = forecast.interval;
            beyond.push(format!(
                "{} ({}, predicted {} to {})",
                run.strategy.label(),
                written(score),
                written(low),
                written(high)
            ));
        }
    }
    let partial = of.stopped_early();
    let mut text = match (within, beyond.len()) {
        (0, 0) => String::new(),
        (1, 0) => "The score lies within its predicted interval.".to_owned(),
        (2, 0) => "Both scores lie within their predicted intervals.".to_owned(),
        (n, 0) => format!("All {n} scores lie within their predicted intervals."),
        (n, more) => format!(
            "{n} of {} scores lie within their predicted intervals; outside: {}.",
            n + more,
            list(&beyond)
        ),
    };
    if !partial.is_empty() {
        text += &format!(" Stopped early: {}.", list(&partial));
    }
    if of.runs.len() > 1 {
        text += " One run of each strategy is mostly luck: the order here is no ranking.";
    }
    text.trim_start().to_owned()
}

// ---- Where the attempts went: strategy x server, as a heat map, with each server's rate of success
// as that strategy saw it.

const SERVERS_ROW: f64 = 54.0;

pub(crate) fn servers_chart(of: &LivePage) -> anyhow::Result<Chart> {
    let reading = "Upper number, colour: share of the strategy's attempts, in %. Lower number: \
                   those that succeeded, in % (429 counts as no success)";
    let mut page = page("Where the attempts went", of, reading);
    let labels = of.labels();
    let rows: Vec<NamedRow> = labels
        .iter()
        .zip(of.looks())
        .map(|(label, look)| NamedRow { label, look, cells: Vec::new(), reference: false })
        .collect();
    let servers = of.runs.iter().map(|run| run.ledger.servers.len()).max().unwrap_or(0);
    let highest = of.runs.iter().flat_map(shares).fold(0.0, f64::max);
    if servers == 0 || highest == 0.0 {
        page.nothing("no attempts were made");
        return page.finish("live-servers", String::new());
    }
    let left = left_of_plot(&rows);
    let right = WIDTH - MARGIN;
    let width = (right - left) / servers as f64;
    page.centred("server (port in the model)", (left + right) / 2.0, page.y + 12.0);
    page.y += 16.0;
    ports(&mut page, of, servers, left, width);
    page.y += 26.0;
    let (centres, bottom) = names(&mut page, &rows, SERVERS_ROW, right);
    for (run, y) in of.runs.iter().zip(&centres) {
        for ((i, server), share) in run.ledger.servers.iter().enumerate().zip(shares(run)) {
            let from = left + i as f64 * width;
            let texts = [(in_cell(share), y - 5.0), (succeeded(server), y + 17.0)];
            cell(&mut page, (from, width), (*y, SERVERS_ROW), ramp(share / highest), &texts);
        }
    }
    page.y = bottom + 14.0;
    let high = format!("{} of the attempts", percent(highest));
    share_scale(&mut page, left, right, "0 %", &fitted(&high, SMALL, 220.0));
    page.finish("live-servers", servers_caption(of))
}

/// Each server's share of a run's attempts.
fn shares(run: &LiveRun) -> Vec<f64> {
    let servers = &run.ledger.servers;
    let all: u64 = servers.iter().map(|s| s.attempts).sum();
    servers.iter().map(|s| if all == 0 { 0.0 } else { s.attempts as f64 / all as f64 }).collect()
}

/// Without the sign, which the heading has.
fn in_cell(share: f64) -> String {
    let percent = share * 100.0;
    fixed(percent, usize::from(percent < 9.95 && percent != 0.0))
}

fn succeeded(server: &ServerCounts) -> String {
    if server.attempts == 0 {
        return String::new();
    }
    fixed(server.successes as f64 / server.attempts as f64 * 100.0, 0) + " ok"
}

/// Names above the columns, as many as fit.
fn ports(page: &mut Page, of: &LivePage, servers: usize, left: f64, cell: f64) {
    let names: Vec<String> = (0..servers)
        .map(|i| of.servers.get(i).cloned().unwrap_or_else(|| (i + 1).to_string()))
        .collect();
    let widest = names.iter().map(|name| width(name, SMALL)).fold(0.0, f64::max) + 10.0;
    // Long names, of hosts, are cut to what a column of a few holds.
    let room = widest.min(cell.max(60.0));
    let every = (room / cell).ceil().max(1.0) as usize;
    for (i, name) in names.iter().enumerate().step_by(every) {
        let at = (left + (i as f64 + 0.5) * cell, page.y + 20.0);
        page.text(&fitted(name, SMALL, room), at, Anchor::Middle);
    }
}

fn servers_caption(of: &LivePage) -> String {
    let busiest = |run: &LiveRun| shares(run).into_iter().fold(0.0, f64::max);
    let mut runs: Vec<(String, f64)> =
        of.runs.iter().map(|run| (run.strategy.label(), busiest(run))).collect();
    runs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((most, high)) = runs.first() else { return String::new() };
    let mut text =
        format!("{most} sent {} of its attempts to the server that it used most", percent(*high));
    if let (Some((least, low)), true) = (runs.last(), runs.len() > 1) {
        text += &format!(", {least} {}", percent(*low));
    }
    text + ". Rates of success rest on the strategy's own attempts, few at servers it avoided."
}
