//! Quantiles of request latency, a panel a strategy, both axes logarithmic: as many pixels from
//! 90 to 99 % as from 0 to 90 %, because the slow few are what p99 is about.

use super::grid::{BELOW, Panel};
use super::{LivePicture, RunPicture, looks, page};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::number::{counted, significant};
use crate::report::charts::page::{MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, QUIET, TEXT};
use crate::report::charts::scene::{Anchor, Point};
use crate::report::charts::{Chart, ChartError};
use crate::stats::Interval;
use crate::validate::forecast::RunMetric;

/// Panels in a row.
const ACROSS: usize = 3;
const HEIGHT: f64 = 190.0;
const GAP: f64 = 30.0;
/// Room for the labels of the vertical axis.
const LEFT: f64 = MARGIN + 52.0;
/// Most points of a curve.
const POINTS: usize = 300;
const QUANTILES: [(RunMetric, f64); 2] =
    [(RunMetric::LatencyP50, 0.5), (RunMetric::LatencyP99, 0.99)];

/// The chart.
pub(super) fn chart(picture: &LivePicture) -> Result<Chart, ChartError> {
    let reading = "Line: share of requests answered within so long, from when they were due. Bars: \
                   95 % of the simulated p50 and p99, by the sharpest prediction; upright tick: \
                   what was seen of them";
    let mut page = page("Request latency", picture, reading);
    let positive = |ms: &f64| ms.is_finite() && *ms > 0.0;
    let seen = picture.runs.iter().flat_map(|run| run.latencies_ms.iter().copied());
    let bars = picture.runs.iter().flat_map(predicted).flat_map(|(_, i, _)| [i.low, i.high]);
    let ends = range(seen.chain(bars).filter(positive));
    if picture.runs.iter().all(|run| run.latencies_ms.is_empty()) {
        page.nothing("no request was answered");
        return page.finish("live-latency", caption(picture));
    }
    let axis = Axis::log("request latency (ms, log scale)", ends);
    let most = picture.runs.iter().map(|run| run.latencies_ms.len()).max().unwrap_or(1);
    let top = rank(1.0 - 0.4 / most.max(50) as f64);
    let shares = Axis::between("requests answered", 0.0, top);
    let name = "requests answered within";
    page.scene.text(name, (MARGIN, page.y + 14.0), Anchor::Start, SMALL, QUIET);
    page.y += 20.0;
    let indices: Vec<usize> = (0..picture.runs.len()).collect();
    let looks = looks(picture);
    for line in indices.chunks(ACROSS) {
        let mut bottom = page.y;
        for (n, i) in line.iter().enumerate() {
            let panel = Panel::beside(&page, (LEFT, WIDTH - MARGIN), (n, ACROSS), HEIGHT, GAP);
            bottom = panel.bottom;
            let run = &picture.runs[*i];
            panel.draw(&mut page, &run.strategy, &axis);
            levels(&mut page, &panel, &shares, n == 0);
            curve(&mut page, &panel, (&axis, &shares), run, looks[*i].ink);
        }
        page.y = bottom + BELOW + 6.0;
    }
    let used = Panel::beside(
        &page,
        (LEFT, WIDTH - MARGIN),
        (picture.runs.len().min(ACROSS) - 1, ACROSS),
        HEIGHT,
        GAP,
    );
    page.centred(&axis.name, (LEFT + used.right) / 2.0, page.y + 8.0);
    page.y += 14.0;
    page.finish("live-latency", caption(picture))
}

/// Where a share lies on the vertical axis: how many tenfold steps from all.
fn rank(share: f64) -> f64 {
    -libm::log10((1.0 - share).max(1e-12))
}

/// Grid lines of round shares.
fn levels(page: &mut Page, panel: &Panel, shares: &Axis, labelled: bool) {
    for (share, label) in
        [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")]
    {
        if !shares.contains(rank(share)) {
            continue;
        }
        let y = panel.y(shares, rank(share));
        page.scene.line((panel.left, y), (panel.right, y), GRID, 1.5);
        if labelled {
            page.scene.text(label, (panel.left - 8.0, y + 5.5), Anchor::End, SMALL, TEXT);
        }
    }
}

/// What was predicted of p50 and p99 by the sharpest basis, and what was seen; nothing of a part
/// of a run.
fn predicted(run: &RunPicture) -> Vec<(f64, Interval, f64)> {
    QUANTILES
        .into_iter()
        .filter_map(|(metric, share)| {
            let found = run.metrics.iter().find(|m| m.metric == metric && run.whole)?;
            let (_, forecast) = found.forecasts.iter().max_by_key(|(basis, _)| *basis)?;
            let Interval { low, high } = forecast.interval;
            (low > 0.0 && high.is_finite()).then_some((share, forecast.interval, found.observed))
        })
        .collect()
}

fn curve(
    page: &mut Page,
    panel: &Panel,
    (axis, shares): (&Axis, &Axis),
    run: &RunPicture,
    ink: crate::report::charts::palette::Ink,
) {
    for (share, interval, _) in predicted(run) {
        let y = panel.y(shares, rank(share));
        let (low, high) = (panel.x(axis, interval.low), panel.x(axis, interval.high));
        page.scene.rectangle((low, y - 8.0), (high.max(low + 2.0), y + 8.0), ink.faint(0.3));
    }
    let n = run.latencies_ms.len();
    if n == 0 {
        let at = ((panel.left + panel.right) / 2.0, (panel.top + panel.bottom) / 2.0);
        page.scene.text("no answer", at, Anchor::Middle, SMALL, TEXT);
        return;
    }
    // Every point of the tail, few of the rest.
    let every = n.div_ceil(POINTS).max(1);
    let points: Vec<Point> = run
        .latencies_ms
        .iter()
        .enumerate()
        .filter(|(i, _)| i.is_multiple_of(every) || n - i <= 50)
        .map(|(i, ms)| {
            let share = (i as f64 + 0.5) / n as f64;
            (panel.x(axis, *ms), panel.y(shares, rank(share)))
        })
        .collect();
    page.scene.stroke(points, ink, 2.5);
    for (share, _, observed) in predicted(run) {
        if observed.is_finite() {
            let (x, y) = (panel.x(axis, observed), panel.y(shares, rank(share)));
            page.scene.line((x, y - 11.0), (x, y + 11.0), TEXT, 2.5);
        }
    }
}

fn caption(picture: &LivePicture) -> String {
    let of = |metric: RunMetric| {
        range(picture.runs.iter().flat_map(|run| {
            run.metrics.iter().filter(move |m| m.metric == metric).map(|m| m.observed)
        }))
    };
    let span = |(low, high): (f64, f64)| {
        let (low, high) = (significant(low), significant(high));
        if low == high { format!("{low} ms") } else { format!("{low} to {high} ms") }
    };
    let Some((p50, p99)) = of(RunMetric::LatencyP50).zip(of(RunMetric::LatencyP99)) else {
        return "No request was answered.".to_owned();
    };
    let mut text = format!(
        "Half of the requests were answered within {}, 99 of 100 within {}{}.",
        span(p50),
        span(p99),
        if picture.runs.len() > 1 { ", depending on the strategy" } else { "" }
    );
    let unanswered: usize = picture.runs.iter().map(|run| run.unanswered).sum();
    if unanswered > 0 {
        text += &format!(
            " {} without an answer {} left out.",
            counted(unanswered as u64, "request"),
            if unanswered == 1 { "is" } else { "are" }
        );
    }
    text
}
