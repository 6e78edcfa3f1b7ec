//! Request latency quantiles on a logarithmic axis: a mark at the median, a line that thins
//! towards the tail, ticks at p90, p99 and p99.9.

use super::axis::{Axis, range};
use super::lettering::width;
use super::number::significant;
use super::page::{Page, SMALL};
use super::palette::QUIET;
use super::panel::Plot;
use super::rows::{contenders, frame};
use super::scene::Anchor;
use super::{Chart, ChartError};
use crate::experiment::{ContenderSummary, ScenarioSummary};

const ROW: f64 = 58.0;
const NAMES: [&str; 4] = ["p50", "p90", "p99", "p99.9"];
/// Pixels of the line from each quantile to the next.
const THICKNESS: [f64; 3] = [9.0, 5.0, 2.5];

/// The chart.
pub(super) fn chart(scenario: &ScenarioSummary) -> Result<Chart, ChartError> {
    let reading = "From arrival to answer, with waiting and retries. Mark: p50; the line thins at p90 \
                   and p99, ends at p99.9";
    let mut page = Page::new("Request latency", scenario, reading);
    let (listed, rows) = contenders(scenario, |c| Some(quantiles(c).map(significant).to_vec()));
    let positive = |q: &f64| *q > 0.0;
    let values = scenario.contenders.iter().flat_map(|c| quantiles(c).into_iter().filter(positive));
    let axis = Axis::log("request latency (ms, log scale)", range(values));
    let headers = ["p50 ms", "p90 ms", "p99 ms", "p99.9 ms"];
    let (plot, centres) = frame(&mut page, &rows, ROW, &headers, &axis);
    for ((c, row), y) in listed.into_iter().zip(&rows).zip(&centres) {
        let quantiles = quantiles(c);
        if quantiles.iter().any(|q| !q.is_finite()) {
            continue;
        }
        let y = y + 6.0;
        let x = quantiles.map(|q| plot.x(&axis, q));
        let ink = row.look.ink;
        for (pair, thickness) in x.windows(2).zip(THICKNESS) {
            page.scene.line((pair[0], y), (pair[1], y), ink, thickness);
        }
        for end in &x[1..] {
            page.scene.line((*end, y - 9.0), (*end, y + 9.0), ink, 3.0);
        }
        row.look.mark.draw(&mut page.scene, (x[0], y), 7.5, ink);
        labels(&mut page, &plot, x, y);
    }
    page.finish("latency", caption(scenario))
}

fn quantiles(c: &ContenderSummary) -> [f64; 4] {
    [c.latency_p50_ms, c.latency_p90_ms, c.latency_p99_ms, c.latency_p999_ms]
}

/// Names above the quantiles: the first and the last always, the others where there is room.
fn labels(page: &mut Page, plot: &Plot, x: [f64; 4], y: f64) {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for i in [0, 3, 2, 1] {
        let half = width(NAMES[i], SMALL) / 2.0 + 3.0;
        let at = x[i].clamp(plot.left + half, (plot.right - half).max(plot.left + half));
        if taken.iter().all(|(from, to)| at + half <= *from || at - half >= *to) {
            taken.push((at - half, at + half));
            page.scene.text(NAMES[i], (at, y - 15.0), Anchor::Middle, SMALL, QUIET);
        }
    }
}

fn caption(scenario: &ScenarioSummary) -> String {
    let mut ranked: Vec<&ContenderSummary> =
        scenario.ranked().map(|(c, _)| c).filter(|c| c.latency_p99_ms.is_finite()).collect();
    ranked.sort_by(|a, b| a.latency_p99_ms.total_cmp(&b.latency_p99_ms));
    let Some((fastest, others)) = ranked.split_first() else {
        return "No latency was measured.".to_owned();
    };
    let quickest = fastest.latency_p99_ms;
    let mut caption = format!(
        "Of 100 requests, {} answers 99 within {} ms",
        fastest.strategy,
        significant(quickest)
    );
    if let Some(slowest) = others.last() {
        let slow = slowest.latency_p99_ms;
        caption += &format!(", {} within {} ms", slowest.strategy, significant(slow));
        let times = slow / quickest;
        if times.is_finite() && times >= 1.05 {
            caption += &format!(" ({} times as long)", significant(times));
        }
    }
    caption += ". Half of all requests are answered within ";
    let medians = range(ranked.iter().map(|c| c.latency_p50_ms)).unwrap_or((f64::NAN, f64::NAN));
    let (low, high) = (significant(medians.0), significant(medians.1));
    caption += &if low == high {
        format!("{low} ms.")
    } else {
        format!("{low} to {high} ms, depending on the strategy.")
    };
    caption
}
