//! How late requests were sent: the load generator's own promise to keep, not the servers'.

use super::{LivePicture, RunPicture, looks, page};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::number::{counted, significant};
use crate::report::charts::page::SMALL;
use crate::report::charts::palette::{GRID, QUIET};
use crate::report::charts::rows::{Row, frame};
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};
use crate::stats::quantile::quantile;

const ROW: f64 = 66.0;
/// Height of the largest drift.
const STRIP: f64 = 52.0;
/// Most upright lines of a strategy; more requests share one, which shows the latest of them.
const LINES: usize = 300;

/// The chart.
pub(super) fn chart(picture: &LivePicture) -> Result<Chart, ChartError> {
    let largest = picture.runs.iter().flat_map(|run| &run.drift).map(|(_, ms)| *ms);
    let largest = range(largest).map_or(0.0, |(_, high)| high.max(0.0));
    let reading = format!(
        "Upright lines: how much later than due a request was sent; a full row is {} ms",
        significant(largest)
    );
    let mut page = page("How late requests were sent", picture, &reading);
    let looks = looks(picture);
    let rows: Vec<Row> = picture
        .runs
        .iter()
        .zip(&looks)
        .map(|(run, look)| Row {
            label: &run.strategy,
            look: *look,
            cells: quantiles(run).iter().map(|ms| significant(*ms)).collect(),
            reference: false,
        })
        .collect();
    if picture.runs.iter().all(|run| run.drift.is_empty()) {
        page.nothing("no request was sent");
        return page.finish("live-drift", String::new());
    }
    let times = range(picture.runs.iter().flat_map(|run| &run.drift).map(|(s, _)| *s));
    let axis = Axis::between(
        "when a request was due (s into the run)",
        0.0,
        times.map_or(1.0, |(_, high)| high.max(0.1) * 1.02),
    );
    let plot = frame(&mut page, &rows, ROW, &["p50 ms", "p99 ms", "largest ms"], &axis);
    for (i, y) in plot.centres.iter().enumerate() {
        let base = y + ROW / 2.0 - 8.0;
        page.scene.line((plot.left, base), (plot.right, base), GRID, 1.5);
        for (s, ms) in latest(&picture.runs[i]) {
            let height = if largest > 0.0 { (ms / largest).clamp(0.0, 1.0) * STRIP } else { 0.0 };
            let x = plot.x(&axis, s);
            page.scene.line((x, base), (x, base - height.max(1.0)), looks[i].ink, 1.8);
        }
        if !picture.runs[i].whole {
            let at = (plot.right, y - ROW / 2.0 + 18.0);
            page.scene.text("stopped early", at, Anchor::End, SMALL, QUIET);
        }
    }
    page.finish("live-drift", caption(picture))
}

/// The latest request of each of so many stretches of time.
fn latest(run: &RunPicture) -> Vec<(f64, f64)> {
    let stretch = run.drift.len().div_ceil(LINES).max(1);
    let latest = run.drift.chunks(stretch).filter_map(|requests| {
        requests.iter().copied().filter(|(_, ms)| ms.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1))
    });
    latest.collect()
}

/// p50, p99 and the largest.
fn quantiles(run: &RunPicture) -> [f64; 3] {
    let mut drift: Vec<f64> = run.drift.iter().map(|(_, ms)| *ms).collect();
    drift.retain(|ms| ms.is_finite());
    drift.sort_by(f64::total_cmp);
    [0.5, 0.99, 1.0].map(|p| quantile(&drift, p))
}

fn caption(picture: &LivePicture) -> String {
    let mut drift: Vec<f64> =
        picture.runs.iter().flat_map(|run| &run.drift).map(|(_, ms)| *ms).collect();
    drift.retain(|ms| ms.is_finite());
    drift.sort_by(f64::total_cmp);
    format!(
        "Of all {}, 99 of 100 were sent at most {} ms later than due, the latest {} ms. Latencies \
         count from when a request was due, so they hold this drift.",
        counted(drift.len() as u64, "request"),
        significant(quantile(&drift, 0.99)),
        significant(quantile(&drift, 1.0))
    )
}
