//! How late requests were sent: the load generator's own promise to keep, not the servers'.

use super::{LiveRuns, page, sorted};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::number::significant;
use crate::report::charts::page::SMALL;
use crate::report::charts::palette::{GRID, QUIET};
use crate::report::charts::rows::{NamedRow, frame};
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};
use crate::report::numbers::counted;
use crate::stats::quantile::quantile;
use crate::validate::forecast::{LiveRequest, LiveRun};

const ROW: f64 = 66.0;
/// Height of the largest drift.
const STRIP: f64 = 52.0;
/// Most upright lines of a strategy; more requests share one, which shows the latest of them.
const LINES: usize = 300;

/// The chart.
pub(super) fn chart(of: &LiveRuns) -> Result<Chart, ChartError> {
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
    let (plot, centres) = frame(&mut page, &rows, ROW, &["p50 ms", "p99 ms", "largest ms"], &axis);
    for (i, y) in centres.iter().enumerate() {
        let base = y + ROW / 2.0 - 8.0;
        page.scene.line((plot.left, base), (plot.right, base), GRID, 1.5);
        for (s, ms) in latest(&of.runs[i]) {
            let height = if largest > 0.0 { (ms / largest).clamp(0.0, 1.0) * STRIP } else { 0.0 };
            let x = plot.x(&axis, s);
            page.scene.line((x, base), (x, base - height.max(1.0)), looks[i].ink, 1.8);
        }
        if !of.is_whole(&of.runs[i]) {
            let at = (plot.right, y - ROW / 2.0 + 18.0);
            page.scene.text("stopped early", at, Anchor::End, SMALL, QUIET);
        }
    }
    page.finish("live-drift", caption(of))
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

fn caption(of: &LiveRuns) -> String {
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
