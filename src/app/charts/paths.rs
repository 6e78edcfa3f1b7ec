//! Lines over requests, as oracle regret is drawn, and request latency.
//!
//! Oracle regret request by request is what learning costs, one line a strategy. A line that flattens has learnt; one that keeps rising pays for ever. `random` is left out when it
//! would squash the others.

use crate::charts::draw::{
    Anchor, Chart, GRID, Ink, Look, Point, RULE, TEXT, Type, fitted, looks, width,
};
use crate::charts::number::{fixed, significant};
use crate::charts::page::{
    Axis, LABEL, LABEL_ROOM, MARGIN, Page, Plot, SMALL, WIDTH, contenders, frame, name_font, range,
    ranked_first,
};
use crate::report::{counted, list, thousands};
use flakelab_core::stats::Interval;
use flakelab_sim::experiment::{
    ContenderSummary, CurvePoint, FEWEST_REPLICATIONS, ScenarioSummary,
};

/// Height of the plot; more when the labels need it.
const HEIGHT: f64 = 400.0;

/// From one label's baseline to the next.
const LABEL_STEP: f64 = 25.0;

/// A reference that reaches more than so many times as high as the ranked ones is left out.
const SQUASHES: f64 = 2.0;

pub(crate) fn oracle_regret_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
    let reading = if scenario.spread_is_known() {
        "Mean over replications of the oracle's score minus the strategy's; bands: 95 % intervals"
            .to_owned()
    } else {
        format!(
            "The oracle's score minus the strategy's. Too few replications for bands, which take \
             {FEWEST_REPLICATIONS} or more"
        )
    };
    let mut page = Page::new("Oracle regret over requests", scenario, &reading);
    let (drawn, left_out) = choose(scenario);
    if drawn.is_empty() {
        page.nothing("no strategy has a curve");
    } else {
        plot(&mut page, scenario, &drawn);
    }
    page.finish("oracle-regret", oracle_regret_caption(scenario, &drawn, &left_out))
}

/// Positions of the contenders to draw, and of those that would squash them.
fn choose(scenario: &ScenarioSummary) -> (Vec<usize>, Vec<usize>) {
    let top = |c: &ContenderSummary| {
        range(c.oracle_regret_curve.iter().map(|p| p.mean.abs())).map_or(0.0, |(_, high)| high)
    };
    let highest = scenario.ranked().map(|(c, _)| top(c)).fold(0.0, f64::max);
    let has_curve = |i: &usize| {
        let c = &scenario.contenders[*i];
        (c.ranking.is_some() || c.strategy != "oracle") && !c.oracle_regret_curve.is_empty()
    };
    ranked_first(scenario).into_iter().filter(has_curve).partition(|i| {
        let c = &scenario.contenders[*i];
        c.ranking.is_some() || top(c) <= SQUASHES * highest
    })
}

/// The curve from the start, where nothing is lost yet.
fn curve(contender: &ContenderSummary) -> Vec<CurvePoint> {
    let interval = Interval { low: 0.0, high: 0.0 };
    let start = CurvePoint { requests: 0, mean: 0.0, interval: Some(interval) };
    let finite = |p: &CurvePoint| p.mean.is_finite();
    let points = contender.oracle_regret_curve.iter().copied().filter(finite);
    std::iter::once(start).chain(points).collect()
}

fn plot(page: &mut Page, scenario: &ScenarioSummary, drawn: &[usize]) {
    let looks = looks(&scenario.contenders);
    let curves: Vec<Vec<CurvePoint>> =
        drawn.iter().map(|i| curve(&scenario.contenders[*i])).collect();
    let band = |p: &CurvePoint| p.interval.unwrap_or(Interval { low: p.mean, high: p.mean });
    let ends = curves.iter().flatten().flat_map(|p| [p.mean, band(p).low, band(p).high]);
    let mut y_axis = Axis::linear("oracle regret (points)", range(ends));
    let x_axis = Axis::counts("requests so far", scenario.requests);
    if y_axis.low > -0.05 * (y_axis.high - y_axis.low) {
        y_axis.low = y_axis.low.min(0.0);
    }
    let lines: Vec<NamedLine> = drawn
        .iter()
        .zip(&curves)
        .map(|(i, curve)| {
            let (look, last) = (looks[*i], curve.last().map_or(f64::NAN, |p| p.mean));
            let name = scenario.contenders[*i].strategy.clone();
            NamedLine { name, look, value: points(last), end: last }
        })
        .collect();
    let (plot, _) = frame_of_lines(page, &lines, (&x_axis, &y_axis), ("", 0.0), RULE);
    let (x, y) = (|v: f64| plot.x(&x_axis, v), |v: f64| plot.y(&y_axis, v));
    for (i, curve) in drawn.iter().zip(&curves) {
        let along = |end: fn(Interval) -> f64| -> Vec<Point> {
            curve.iter().map(|p| (x(p.requests as f64), y(end(band(p))))).collect()
        };
        let mut area = along(|ends| ends.high);
        area.extend(along(|ends| ends.low).into_iter().rev());
        page.scene.fill(area, looks[*i].ink.faint(0.2));
    }
    for (order, (i, curve)) in drawn.iter().zip(&curves).enumerate().rev() {
        let points: Vec<Point> = curve.iter().map(|p| (x(p.requests as f64), y(p.mean))).collect();
        let Look { ink, mark, dash } = looks[*i];
        page.scene.dashed(&points, ink, 3.5, dash);
        // Marks of different lines stand at different requests, so that they do not hide
        // each other where lines run together.
        for (n, point) in points.iter().enumerate() {
            if n > 0 && (n + 3 * order) % 12 == 6 && n + 4 < points.len() {
                mark.draw(&mut page.scene, *point, 5.5, ink);
            }
        }
    }
    name_lines(page, &lines, &plot, &y_axis, plot.right);
    plot.name_below(page, &x_axis);
    page.y = plot.bottom + 54.0;
}

/// A line over requests that is named at its right end.
pub(crate) struct NamedLine {
    pub name: String,
    pub look: Look,
    /// What is written behind the name.
    pub value: String,
    /// The value where the line ends.
    pub end: f64,
}

impl NamedLine {
    /// The lettering of these lines' names, and the room of the widest name and value.
    fn room(lines: &[Self]) -> (Type, f64, f64) {
        let font = name_font(lines.iter().map(|line| line.name.as_str()));
        let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max);
        let names =
            widest(&mut lines.iter().map(|l| width(&fitted(&l.name, font, LABEL_ROOM), font)));
        let values = widest(&mut lines.iter().map(|line| width(&line.value, LABEL)));
        (font, names, values)
    }
}

/// Draws the axes of a plot of lines with room for their names at the right, under `header`, and
/// before them for something else that is so wide; gives the plot, and where that ends.
pub(crate) fn frame_of_lines(
    page: &mut Page,
    lines: &[NamedLine],
    (x_axis, y_axis): (&Axis, &Axis),
    (header, between): (&str, f64),
    zero: Ink,
) -> (Plot, f64) {
    let (_, names, values) = NamedLine::room(lines);
    let header_room = if header.is_empty() { 0.0 } else { width(header, SMALL) };
    let label_room = names + values.max(header_room) + 14.0;
    let height = HEIGHT.max(lines.len() as f64 * LABEL_STEP + 20.0);
    let y_ticks = y_axis.ticks((height / 60.0) as usize);
    let tick_room = y_ticks.iter().map(|t| width(&t.label, SMALL)).fold(0.0, f64::max);
    page.y += 6.0;
    page.text(&y_axis.name, (MARGIN, page.y + 12.0), Anchor::Start);
    if !header.is_empty() {
        page.text(header, (WIDTH - MARGIN, page.y + 12.0), Anchor::End);
    }
    let (top, bottom) = (page.y + 26.0, page.y + 26.0 + height);
    let edge = WIDTH - MARGIN - label_room - 62.0;
    let plot = Plot { left: MARGIN + tick_room + 10.0, right: edge - between, top, bottom };
    for tick in &y_ticks {
        let level = plot.y(y_axis, tick.value);
        let ink = if tick.value == 0.0 { zero } else { GRID };
        page.scene.line((plot.left, level), (edge, level), ink, 1.5);
        let at = (plot.left - 10.0, level + 5.5);
        page.text(&tick.label, at, Anchor::End);
    }
    for tick in x_axis.ticks_along(plot.right - plot.left, 8, SMALL) {
        let place = plot.x(x_axis, tick.value);
        page.scene.line((place, bottom), (place, bottom + 6.0), RULE, 1.5);
        page.text(&tick.label, (place, bottom + 24.0), Anchor::Middle);
    }
    page.scene.line((plot.left, bottom), (edge, bottom), RULE, 1.5);
    (plot, edge)
}

/// Names lines at the right of `edge`, each joined to its end.
pub(crate) fn name_lines(
    page: &mut Page,
    lines: &[NamedLine],
    plot: &Plot,
    y_axis: &Axis,
    edge: f64,
) {
    let (font, ..) = NamedLine::room(lines);
    let ends: Vec<f64> = lines.iter().map(|line| plot.y(y_axis, line.end)).collect();
    let levels = apart(&ends, LABEL_STEP, plot.top, plot.bottom);
    for ((line, from), level) in lines.iter().zip(ends).zip(levels) {
        let Look { ink, mark, .. } = line.look;
        let leader =
            [(edge + 3.0, from), (edge + 8.0, from), (edge + 26.0, level), (edge + 34.0, level)];
        page.scene.stroke(leader.to_vec(), ink, 2.0);
        mark.draw(&mut page.scene, (edge + 42.0, level), 7.0, ink);
        let name = fitted(&line.name, font, LABEL_ROOM);
        page.scene.text(&name, (edge + 58.0, level + 6.0), Anchor::Start, font, TEXT);
        let at = (WIDTH - MARGIN, level + 6.0);
        page.scene.text(&line.value, at, Anchor::End, LABEL, TEXT);
    }
}

/// Moves positions apart to at least `step`, in their order, within `top` and `bottom` if they
/// fit there.
fn apart(wanted: &[f64], step: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Neighbours that touch become a block centred on what its members wanted.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let span = |members: usize| (members.max(1) - 1) as f64 * step;
    let clamped = |middle: f64, members: usize| {
        let half = span(members) / 2.0;
        middle.min(bottom - half).max(top + half)
    };
    for i in &order {
        blocks.push((clamped(wanted[*i], 1), 1));
        while let [.., (a, n), (b, m)] = blocks[..] {
            if a + span(n) / 2.0 + step <= b - span(m) / 2.0 {
                break;
            }
            let middle = (a * n as f64 + b * m as f64) / (n + m) as f64;
            blocks.truncate(blocks.len() - 2);
            blocks.push((clamped(middle, n + m), n + m));
        }
    }
    let mut placed = vec![0.0; wanted.len()];
    let places = blocks.iter().flat_map(|(middle, members)| {
        let first = middle - span(*members) / 2.0;
        (0..*members).map(move |k| first + k as f64 * step)
    });
    for (i, place) in order.iter().zip(places) {
        placed[*i] = place;
    }
    placed
}

fn points(regret: f64) -> String {
    let decimals = match regret.abs() {
        size if size < 0.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    fixed(regret, decimals)
}

fn oracle_regret_caption(
    scenario: &ScenarioSummary,
    drawn: &[usize],
    left_out: &[usize],
) -> String {
    let last = |c: &ContenderSummary| c.oracle_regret_curve.last().map_or(f64::NAN, |p| p.mean);
    let halfway = |c: &ContenderSummary| {
        let half = scenario.requests.div_ceil(2);
        let point = c.oracle_regret_curve.iter().find(|p| p.requests >= half)?;
        (point.requests < scenario.requests && point.mean.is_finite()).then_some(*point)
    };
    let stands = |c: &ContenderSummary| {
        let side = if last(c) < 0.0 { "ahead of" } else { "behind" };
        let mut text = format!("{} is {} points {side} it", c.strategy, points(last(c).abs()));
        if let Some(point) = halfway(c) {
            text += &format!(" ({} after {})", points(point.mean), thousands(point.requests));
        }
        text
    };
    let mut ranked: Vec<&ContenderSummary> = drawn
        .iter()
        .map(|i| &scenario.contenders[*i])
        .filter(|c| c.ranking.is_some() && last(c).is_finite())
        .collect();
    ranked.sort_by(|a, b| last(a).total_cmp(&last(b)));
    let mut caption = String::from("The oracle is the line at 0; lower is better.");
    if let Some((best, others)) = ranked.split_first() {
        let requests = counted(scenario.requests, "request");
        caption += &format!(" After {requests} {}", stands(best));
        if let Some(worst) = others.last() {
            caption += &format!(", {}", stands(worst));
        }
        caption.push('.');
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out
            .iter()
            .map(|i| &scenario.contenders[*i])
            .map(|c| format!("{} (ends at {})", c.strategy, points(last(c))))
            .collect();
        caption += &format!(" Too high to be drawn: {}.", list(&names));
    }
    if !scenario.oracle_is_bound {
        caption += " Where servers refuse, fill up or go dark the oracle is greedy and no bound: regret can be negative.";
    }
    caption
}

// ---- Request latency quantiles on a logarithmic axis: a mark at the median, a line that thins
// towards the tail, ticks at p90, p99 and p99.9.

const ROW: f64 = 58.0;
const NAMES: [&str; 4] = ["p50", "p90", "p99", "p99.9"];

/// Pixels of the line from each quantile to the next.
const THICKNESS: [f64; 3] = [9.0, 5.0, 2.5];

pub(crate) fn latency_chart(scenario: &ScenarioSummary) -> anyhow::Result<Chart> {
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
    page.finish("latency", latency_caption(scenario))
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
            page.quiet(NAMES[i], (at, y - 15.0), Anchor::Middle);
        }
    }
}

fn latency_caption(scenario: &ScenarioSummary) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance_and_stay_inside() {
        assert_eq!(apart(&[50.0, 10.0], 20.0, 0.0, 100.0), [50.0, 10.0]);
        assert_eq!(apart(&[50.0, 50.0], 20.0, 0.0, 100.0), [40.0, 60.0]);
        assert_eq!(apart(&[99.0, 98.0, 97.0], 20.0, 0.0, 100.0), [100.0, 80.0, 60.0]);
        assert_eq!(apart(&[0.0, 2.0], 20.0, 0.0, 100.0), [0.0, 20.0]);
        assert!(apart(&[], 20.0, 0.0, 100.0).is_empty());
    }
}
