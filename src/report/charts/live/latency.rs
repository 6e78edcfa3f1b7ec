//! Quantiles of request latency, a panel a strategy, both axes logarithmic: as many pixels from
//! 90 to 99 % as from 0 to 90 %, because the slow few are what p99 is about.

use super::grid::{BELOW, beside, panel};
use super::{LiveRuns, page, sorted};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::number::significant;
use crate::report::charts::page::{MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, QUIET, TEXT};
use crate::report::charts::panel::Plot;
use crate::report::charts::scene::{Anchor, Ink, Point};
use crate::report::charts::{Chart, ChartError};
use crate::report::numbers::counted;
use crate::stats::Interval;
use crate::validate::forecast::{LiveRun, RunMetric};

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
pub(super) fn chart(of: &LiveRuns) -> Result<Chart, ChartError> {
    let reading = "Line: share of requests answered within so long, from when they were due. Bars: \
                   95 % of the simulated p50 and p99, by the sharpest prediction; upright tick: \
                   what was seen of them";
    let mut page = page("Request latency", of, reading);
    let positive = |ms: &f64| ms.is_finite() && *ms > 0.0;
    let latencies: Vec<Vec<f64>> = of
        .runs
        .iter()
        .map(|run| sorted(run.requests.iter().filter_map(|request| request.latency_ms)))
        .collect();
    let most = latencies.iter().map(Vec::len).max().unwrap_or(0);
    let bars = of.runs.iter().flat_map(|run| predicted(of, run));
    let bars = bars.flat_map(|(_, interval, _)| [interval.low, interval.high]);
    let ends = range(latencies.iter().flatten().copied().chain(bars).filter(positive));
    if most == 0 {
        page.nothing("no request was answered");
        return page.finish("live-latency", caption(of, &latencies));
    }
    let axis = Axis::log("request latency (ms, log scale)", ends);
    let top = rank(1.0 - 0.4 / most.max(50) as f64);
    let shares = Axis::between("requests answered", 0.0, top);
    let name = "requests answered within";
    page.scene.text(name, (MARGIN, page.y + 14.0), Anchor::Start, SMALL, QUIET);
    page.y += 20.0;
    let indices: Vec<usize> = (0..of.runs.len()).collect();
    let (looks, labels) = (of.looks(), of.labels());
    for line in indices.chunks(ACROSS) {
        let mut bottom = page.y;
        for (n, i) in line.iter().enumerate() {
            let plot = beside(&page, (LEFT, WIDTH - MARGIN), (n, ACROSS), HEIGHT, GAP);
            bottom = plot.bottom;
            panel(&mut page, &plot, &labels[*i], &axis);
            levels(&mut page, &plot, &shares, n == 0);
            let predicted = predicted(of, &of.runs[*i]);
            curve(&mut page, &plot, (&axis, &shares), &latencies[*i], &predicted, looks[*i].ink);
        }
        page.y = bottom + BELOW + 6.0;
    }
    let used =
        beside(&page, (LEFT, WIDTH - MARGIN), (of.runs.len().min(ACROSS) - 1, ACROSS), HEIGHT, GAP);
    page.centred(&axis.name, (LEFT + used.right) / 2.0, page.y + 8.0);
    page.y += 14.0;
    page.finish("live-latency", caption(of, &latencies))
}

/// Where a share lies on the vertical axis: how many tenfold steps from all.
fn rank(share: f64) -> f64 {
    -libm::log10((1.0 - share).max(1e-12))
}

/// Grid lines of round shares.
fn levels(page: &mut Page, plot: &Plot, shares: &Axis, labelled: bool) {
    for (share, label) in
        [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")]
    {
        if !shares.contains(rank(share)) {
            continue;
        }
        let y = plot.y(shares, rank(share));
        page.scene.line((plot.left, y), (plot.right, y), GRID, 1.5);
        if labelled {
            page.scene.text(label, (plot.left - 8.0, y + 5.5), Anchor::End, SMALL, TEXT);
        }
    }
}

/// What was predicted of p50 and p99 by the sharpest basis, and what was seen; nothing of a part
/// of a run.
fn predicted(of: &LiveRuns, run: &LiveRun) -> Vec<(f64, Interval, f64)> {
    QUANTILES
        .into_iter()
        .filter_map(|(metric, share)| {
            let interval = of.sharpest(run, metric)?.interval;
            let known = interval.low > 0.0 && interval.high.is_finite();
            known.then(|| (share, interval, run.value(metric)))
        })
        .collect()
}

fn curve(
    page: &mut Page,
    plot: &Plot,
    (axis, shares): (&Axis, &Axis),
    latencies_ms: &[f64],
    predicted: &[(f64, Interval, f64)],
    ink: Ink,
) {
    for (share, interval, _) in predicted {
        let y = plot.y(shares, rank(*share));
        let (low, high) = (plot.x(axis, interval.low), plot.x(axis, interval.high));
        page.scene.rectangle((low, y - 8.0), (high.max(low + 2.0), y + 8.0), ink.faint(0.3));
    }
    let n = latencies_ms.len();
    if n == 0 {
        let at = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        page.scene.text("no answer", at, Anchor::Middle, SMALL, TEXT);
        return;
    }
    // Every point of the tail, few of the rest.
    let every = n.div_ceil(POINTS).max(1);
    let points: Vec<Point> = latencies_ms
        .iter()
        .enumerate()
        .filter(|(i, _)| i.is_multiple_of(every) || n - i <= 50)
        .map(|(i, ms)| {
            let share = (i as f64 + 0.5) / n as f64;
            (plot.x(axis, *ms), plot.y(shares, rank(share)))
        })
        .collect();
    page.scene.stroke(points, ink, 2.5);
    for (share, _, observed) in predicted {
        if observed.is_finite() {
            let (x, y) = (plot.x(axis, *observed), plot.y(shares, rank(*share)));
            page.scene.line((x, y - 11.0), (x, y + 11.0), TEXT, 2.5);
        }
    }
}

fn caption(of: &LiveRuns, latencies: &[Vec<f64>]) -> String {
    let seen = |metric| range(of.runs.iter().map(|run| run.value(metric)));
    let span = |(low, high): (f64, f64)| {
        let (low, high) = (significant(low), significant(high));
        if low == high { format!("{low} ms") } else { format!("{low} to {high} ms") }
    };
    let Some((p50, p99)) = seen(RunMetric::LatencyP50).zip(seen(RunMetric::LatencyP99)) else {
        return "No request was answered.".to_owned();
    };
    let mut text = format!(
        "Half of the requests were answered within {}, 99 of 100 within {}{}.",
        span(p50),
        span(p99),
        if of.runs.len() > 1 { ", depending on the strategy" } else { "" }
    );
    let sent: usize = of.runs.iter().map(|run| run.requests.len()).sum();
    let unanswered = sent - latencies.iter().map(Vec::len).sum::<usize>();
    if unanswered > 0 {
        text += &format!(
            " {} without an answer {} left out.",
            counted(unanswered as u64, "request"),
            if unanswered == 1 { "is" } else { "are" }
        );
    }
    text
}
