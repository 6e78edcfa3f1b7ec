//! Points lost, request by request, one line a strategy, and where it was predicted to end.
//!
//! Scores themselves run along a diagonal on which no two strategies can be told apart, so the
//! chart shows what is missing from it: requests not answered 200, and penalties.

use super::{LiveRuns, page};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::number::fixed;
use crate::report::charts::oracle_regret::{NamedLine, frame_of_lines, name_lines};
use crate::report::charts::page::{Page, SMALL};
use crate::report::charts::palette::{GRID, TEXT};
use crate::report::charts::scene::{Anchor, Point};
use crate::report::charts::{Chart, ChartError};
use crate::report::text::list;
use crate::stats::Interval;
use crate::validate::forecast::{LiveRun, MetricForecast, RequestEnd, RunMetric};

/// Width of a strategy's predicted end.
const LANE: f64 = 22.0;
/// Most points of a line; more are thinned.
const POINTS: usize = 400;

/// The chart.
pub(super) fn chart(of: &LiveRuns) -> Result<Chart, ChartError> {
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
    page.finish("live-lost", caption(of))
}

/// Points lost at the end by the prediction of the score.
fn predicted_loss(of: &LiveRuns, forecast: &MetricForecast) -> (f64, Interval) {
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

fn plot(page: &mut Page, of: &LiveRuns) {
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
        page.scene.text(
            "predicted",
            ((plot.right + edge) / 2.0, plot.top - 14.0),
            Anchor::Middle,
            SMALL,
            TEXT,
        );
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

fn caption(of: &LiveRuns) -> String {
    let (mut within, mut beyond) = (0, Vec::new());
    for run in of.runs {
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
