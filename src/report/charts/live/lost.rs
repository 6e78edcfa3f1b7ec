//! Points lost, request by request, one line a strategy, and where it was predicted to end.
//!
//! Scores themselves run along a diagonal on which no two strategies can be told apart, so the
//! chart shows what is missing from it: requests not answered 200, and penalties.

use super::{Forecast, LivePicture, RunPicture, looks, page};
use crate::report::charts::axis::{Axis, range};
use crate::report::charts::lettering::{fitted, width};
use crate::report::charts::number::{fixed, list};
use crate::report::charts::oracle_regret::apart;
use crate::report::charts::page::{LABEL, MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{GRID, RULE, TEXT};
use crate::report::charts::rows::{LABEL_ROOM, name_font};
use crate::report::charts::scene::{Anchor, Point};
use crate::report::charts::{Chart, ChartError};
use crate::stats::Interval;

const HEIGHT: f64 = 400.0;
/// From one label's baseline to the next.
const LABEL_STEP: f64 = 25.0;
/// Width of a strategy's predicted end.
const LANE: f64 = 22.0;
/// Most points of a line; more are thinned.
const POINTS: usize = 400;

/// The chart.
pub(super) fn chart(picture: &LivePicture) -> Result<Chart, ChartError> {
    let predicted = picture.runs.iter().any(|run| run.predicted_score.is_some());
    let reading = if predicted {
        "Score is requests minus points lost. Bars at the end: 95 % of the simulated runs of the \
         sharpest prediction; tick: their mean"
    } else {
        "Score is requests minus points lost"
    };
    let mut page = page("Points lost over requests", picture, reading);
    if picture.runs.iter().all(|run| run.lost_points.is_empty()) {
        page.nothing("no request was sent");
    } else {
        plot(&mut page, picture);
    }
    page.finish("live-lost", caption(picture))
}

/// Points lost at the end by the prediction of the score.
fn predicted_loss(picture: &LivePicture, forecast: &Forecast) -> (f64, Interval) {
    let all = picture.requests as f64;
    let Interval { low, high } = forecast.interval;
    (all - forecast.mean, Interval { low: all - high, high: all - low })
}

/// The line from 0, thinned where there are many requests.
fn line(run: &RunPicture) -> Vec<(f64, f64)> {
    let every = run.lost_points.len().div_ceil(POINTS).max(1);
    let last = run.lost_points.len();
    let kept = run.lost_points.iter().enumerate().map(|(i, lost)| ((i + 1) as f64, *lost));
    let kept = kept.filter(|(n, _)| (*n as usize).is_multiple_of(every) || *n as usize == last);
    std::iter::once((0.0, 0.0)).chain(kept).collect()
}

fn plot(page: &mut Page, picture: &LivePicture) {
    let looks = looks(picture);
    let lines: Vec<Vec<(f64, f64)>> = picture.runs.iter().map(line).collect();
    let ends: Vec<f64> = lines.iter().map(|l| l.last().map_or(0.0, |p| p.1)).collect();
    let predicted: Vec<Option<(f64, Interval)>> = picture
        .runs
        .iter()
        .map(|run| run.predicted_score.map(|f| predicted_loss(picture, &f)))
        .collect();
    let bars = predicted.iter().flatten().flat_map(|(_, i)| [i.low, i.high]);
    let values = lines.iter().flatten().map(|(_, lost)| *lost).chain(bars).chain([0.0]);
    let mut y_axis = Axis::linear("points lost", range(values));
    y_axis.low = 0.0;
    let longest = lines.iter().map(Vec::len).max().unwrap_or(1) as u64;
    let x_axis = Axis::counts("requests so far", picture.requests.max(longest - 1));

    let font = name_font(picture.runs.iter().map(|run| run.strategy.as_str()));
    let labels: Vec<(String, String)> = picture
        .runs
        .iter()
        .map(|run| (fitted(&run.strategy, font, LABEL_ROOM), written(run.score)))
        .collect();
    let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max);
    let header = "score";
    let values_room =
        widest(&mut labels.iter().map(|(_, value)| width(value, LABEL))).max(width(header, SMALL));
    let label_room =
        widest(&mut labels.iter().map(|(name, _)| width(name, font))) + values_room + 14.0;
    let lanes = if predicted.iter().any(Option::is_some) { picture.runs.len() } else { 0 };
    let lanes_room = (lanes as f64 * LANE).min(200.0);
    let height = HEIGHT.max(labels.len() as f64 * LABEL_STEP + 20.0);
    let y_ticks = y_axis.ticks((height / 60.0) as usize);
    let tick_room = y_ticks.iter().map(|t| width(&t.label, SMALL)).fold(0.0, f64::max);

    page.y += 6.0;
    page.scene.text(&y_axis.name, (MARGIN, page.y + 12.0), Anchor::Start, SMALL, TEXT);
    page.scene.text(header, (WIDTH - MARGIN, page.y + 12.0), Anchor::End, SMALL, TEXT);
    let (top, bottom) = (page.y + 26.0, page.y + 26.0 + height);
    let left = MARGIN + tick_room + 10.0;
    let edge = WIDTH - MARGIN - label_room - 62.0;
    let right = edge - lanes_room;
    let x = |v: f64| left + x_axis.share(v) * (right - left);
    let y = |v: f64| bottom - y_axis.share(v) * (bottom - top);
    for tick in &y_ticks {
        let level = y(tick.value);
        page.scene.line((left, level), (edge, level), GRID, 1.5);
        page.scene.text(&tick.label, (left - 10.0, level + 5.5), Anchor::End, SMALL, TEXT);
    }
    for tick in x_axis.ticks_along(right - left, 8, SMALL) {
        let place = x(tick.value);
        page.scene.line((place, bottom), (place, bottom + 6.0), RULE, 1.5);
        page.scene.text(&tick.label, (place, bottom + 24.0), Anchor::Middle, SMALL, TEXT);
    }
    page.scene.line((left, bottom), (edge, bottom), RULE, 1.5);
    if lanes > 0 {
        page.scene.text(
            "predicted",
            ((right + edge) / 2.0, top - 14.0),
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
            let centre = right + (i as f64 + 0.5) * lane;
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
    let wanted: Vec<f64> = ends.iter().map(|end| y(*end)).collect();
    for (i, level) in apart(&wanted, LABEL_STEP, top, bottom).into_iter().enumerate() {
        let from = wanted[i];
        let leader =
            [(edge + 3.0, from), (edge + 8.0, from), (edge + 26.0, level), (edge + 34.0, level)];
        page.scene.stroke(leader.to_vec(), looks[i].ink, 2.0);
        looks[i].mark.draw(&mut page.scene, (edge + 42.0, level), 7.0, looks[i].ink);
        let (name, value) = &labels[i];
        page.scene.text(name, (edge + 58.0, level + 6.0), Anchor::Start, font, TEXT);
        page.scene.text(value, (WIDTH - MARGIN, level + 6.0), Anchor::End, LABEL, TEXT);
    }
    page.centred(&x_axis.name, (left + right) / 2.0, bottom + 48.0);
    page.y = bottom + 54.0;
}

fn written(score: f64) -> String {
    fixed(score, usize::from(score.fract() != 0.0))
}

fn caption(picture: &LivePicture) -> String {
    let (mut within, mut beyond) = (0, Vec::new());
    for run in &picture.runs {
        let Some(forecast) = run.predicted_score else { continue };
        if forecast.interval.contains(run.score) {
            within += 1;
        } else {
            let Interval { low, high } = forecast.interval;
            beyond.push(format!(
                "{} ({}, predicted {} to {})",
                run.strategy,
                written(run.score),
                written(low),
                written(high)
            ));
        }
    }
    let partial: Vec<String> =
        picture.runs.iter().filter(|run| !run.whole).map(|run| run.strategy.clone()).collect();
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
    if picture.runs.len() > 1 {
        text += " One run of each strategy is mostly luck: the order here is no ranking.";
    }
    text.trim_start().to_owned()
}
