//! A chart of the metrics instead of a screen, drawn again whenever they change: headline numbers,
//! live against predicted, servers, the last latencies.
//!
//! When not to use it: for the charts of a finished run, which are drawn from its results.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::charts::{
    ACCENT, Anchor, Axis, Chart, GRID, Look, MARGIN, Mark, NamedRow, Page, Panel, QUIET, RULE,
    SMALL, TEXT, Type, WHITE, WIDTH, fitted, frame, palette_colour, percent, range, significant,
};
use crate::report::{counted, thousands, write_atomically};
use crate::watch::compare::{Against, Place, against};
use crate::watch::figures::{count, duration, interval, value};
use crate::watch::follow::{
    Files, Follow, Predicted, Seen, answered, headline, is_sound, running_s, share,
    sound_latencies, title,
};
use crate::watch::until_ended;
use flakelab_live::{Metrics, ServerMetrics};

/// Draws the chart at `to` whenever the metrics have changed, until the run has ended (true) or
/// `stop` is set (false). With `beyond_end` it waits for another run to take the file. What it
/// waits for goes to `note`.
pub fn svg(
    files: Files,
    to: &Path,
    beyond_end: bool,
    stop: &AtomicBool,
    mut note: impl FnMut(&str),
) -> anyhow::Result<bool> {
    let mut follow = Follow::new(files);
    until_ended(beyond_end, stop, || {
        let read = follow.tick();
        follow.complaint().iter().for_each(|trouble| note(trouble));
        let seen = follow.seen();
        let (true, None, Some(metrics)) = (read, &seen.trouble, &seen.metrics) else {
            return Ok(false);
        };
        write_atomically(to, draw(metrics, seen)?.svg.as_bytes())?;
        Ok(metrics.ended)
    })
}

const SECTION: Type = Type { size: 18.0, bold: true };
const VALUE: Type = Type { size: 22.0, bold: true };
const METRIC_ROW: f64 = 26.0;
const SERVER_ROW: f64 = 26.0;
const RIGHT: f64 = WIDTH - MARGIN;

fn draw(metrics: &Metrics, seen: &Seen) -> anyhow::Result<Chart> {
    crate::charts::ready()?;
    let name = title(metrics);
    let state = format!(
        "{} after {}, {} requests answered",
        if metrics.ended { "ended" } else { "running" },
        running_s(metrics).map_or("an unknown time".to_owned(), duration),
        count(answered(metrics)),
    );
    let against = match &seen.prediction {
        Predicted::File(file) => {
            against(metrics, file).map_err(|why| format!("Not compared: {why}."))
        }
        _ => Err("No prediction to compare with.".to_owned()),
    };
    let mut page = Page::headed(&name, format!("Live: {name}, {state}"), &state, "");
    headlines(&mut page, metrics);
    section(&mut page, "Live against predicted");
    match &against {
        Ok(against) => comparison(&mut page, against),
        Err(why) => page.paragraph(why),
    }
    section(&mut page, "Servers");
    servers(&mut page, metrics);
    section(&mut page, "Latency");
    latencies(&mut page, metrics);
    page.finish("live", caption(metrics, against.ok().as_ref()))
}

fn section(page: &mut Page, name: &str) {
    page.y += 22.0;
    page.scene.line((MARGIN, page.y), (RIGHT, page.y), GRID, 2.0);
    page.y += 26.0;
    page.scene.text(name, (MARGIN, page.y), Anchor::Start, SECTION, TEXT);
    page.y += 8.0;
}

/// Six a row, name above value.
fn headlines(page: &mut Page, metrics: &Metrics) {
    const COLUMNS: usize = 6;
    let mut pairs = headline(metrics);
    pairs.retain(|(name, _)| *name != "timed out");
    pairs.insert(COLUMNS, ("requests", count(metrics.total_requests)));
    let width = (RIGHT - MARGIN) / COLUMNS as f64;
    for row in pairs.chunks(COLUMNS) {
        for (i, (name, value)) in row.iter().enumerate() {
            let x = MARGIN + i as f64 * width;
            let value = fitted(value, VALUE, width - 8.0);
            page.quiet(name, (x, page.y + 14.0), Anchor::Start);
            page.scene.text(&value, (x, page.y + 40.0), Anchor::Start, VALUE, TEXT);
        }
        page.y += 54.0;
    }
}

/// Every interval has the same length here, so that one look says where all values lie.
fn comparison(page: &mut Page, against: &Against) {
    let how = match against.is_whole {
        true => "The whole run.".to_owned(),
        false => format!(
            "The intervals are of runs that have answered {} of {} requests.",
            count(against.answered),
            count(against.requests)
        ),
    };
    page.paragraph(&format!(
        "Predicted by: {}. {how} p50 and p99: live as the proxy sees them, predicted as the client \
         does.",
        against.basis.name()
    ));
    if against.rows.is_empty() {
        return;
    }
    let (left, right) = (MARGIN + 140.0, RIGHT - 330.0);
    let third = (right - left) / 4.0;
    let (low, high) = (left + third, right - third);
    let columns = [RIGHT - 236.0, RIGHT - 90.0, RIGHT];
    page.y += 22.0;
    for (text, end) in ["live", "95 % predicted", ""].into_iter().zip(columns) {
        page.quiet(text, (end, page.y), Anchor::End);
    }
    let top = page.y + 8.0;
    for row in &against.rows {
        let y = page.y + METRIC_ROW / 2.0 + 8.0;
        let scale = |x: f64| match row.interval.width() {
            w if w.is_finite() && w > 0.0 => low + (x - row.interval.low) / w * (high - low),
            // No width: the number itself in the middle, everything else at an end.
            _ if x == row.interval.low => (low + high) / 2.0,
            _ if x < row.interval.low => left,
            _ => right,
        };
        page.text(row.metric.name().trim_end_matches(" ms"), (MARGIN, y + 5.5), Anchor::Start);
        page.scene.line((left, y), (right, y), GRID, 1.5);
        page.scene.line((low, y), (high, y), RULE, 7.0);
        let mean = scale(row.mean);
        if mean.is_finite() && row.mean.is_finite() {
            let mean = mean.clamp(left, right);
            page.scene.line((mean, y - 8.0), (mean, y + 8.0), QUIET, 2.0);
        }
        let (ink, word) = match row.place {
            Place::Inside => (ACCENT, "inside"),
            Place::Above | Place::Below => (palette_colour(3), row.place.word()),
            Place::Nothing => (QUIET, "not predicted"),
            Place::NotJudged => (QUIET, "not judged"),
        };
        let is_known = row.place != Place::Nothing;
        if let Some(x) = row.value.map(scale).filter(|x| x.is_finite() && is_known) {
            let mark = match x {
                x if x < left || x > right => Mark::Diamond,
                _ => Mark::Circle,
            };
            mark.draw(&mut page.scene, (x.clamp(left, right), y), 6.5, ink);
        }
        let live = value(row.metric, row.value);
        let cells = [live, interval(row.metric, row.interval), word.to_owned()];
        for (text, end) in cells.iter().zip(columns) {
            page.text(text, (end, y + 5.5), Anchor::End);
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

fn servers(page: &mut Page, metrics: &Metrics) {
    let servers = &metrics.per_server;
    if servers.is_empty() {
        page.nothing("no servers are known yet");
        return;
    }
    page.paragraph("Bar: share of all attempts. Circle: success rate. Ring: what the strategy believes it to be.");
    page.y += 8.0;
    let or_dash = |x: Option<f64>, text: fn(f64) -> String| x.map_or("-".to_owned(), text);
    let look = Look { ink: ACCENT, mark: Mark::Square, dash: &[] };
    let share = |server: &ServerMetrics| share(server.num_requests, metrics).unwrap_or(0.0);
    let tried = |server: &ServerMetrics, x: f64| (server.num_requests > 0).then_some(x);
    let ports: Vec<String> = servers.iter().map(|s| s.port.to_string()).collect();
    let rows: Vec<NamedRow> = servers
        .iter()
        .zip(&ports)
        .map(|(s, port)| NamedRow {
            label: port,
            look,
            cells: vec![
                thousands(s.num_requests),
                percent(share(s)),
                or_dash(tried(s, s.success_rate), percent),
                or_dash(s.belief, percent),
                thousands(s.num_rate_limited),
                or_dash(tried(s, s.avg_latency_ms), significant),
            ],
            reference: false,
        })
        .collect();
    let axis = Axis::between("share of attempts, success rate", 0.0, 1.0);
    let headers = ["attempts", "share", "success", "belief", "429s", "ms"];
    let (plot, centres) = frame(page, &rows, SERVER_ROW, &headers, &axis);
    for (server, y) in servers.iter().zip(&centres) {
        let end = plot.x(&axis, share(server));
        page.scene.rectangle((plot.left, y - 8.0), (end, y + 8.0), ACCENT.faint(0.35));
        if let Some(belief) = server.belief.filter(|b| b.is_finite()) {
            Mark::Circle.draw_ring(&mut page.scene, (plot.x(&axis, belief), *y), 8.0, TEXT);
        }
        if let Some(rate) = tried(server, server.success_rate).filter(|r| r.is_finite()) {
            Mark::Circle.draw(&mut page.scene, (plot.x(&axis, rate), *y), 4.5, palette_colour(3));
        }
    }
}

fn latencies(page: &mut Page, metrics: &Metrics) {
    let values = sound_latencies(metrics);
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
    let quantiles = [("p50", metrics.latency_p50), ("p99", metrics.latency_p99)];
    let quantiles = || quantiles.into_iter().filter(|(_, q)| is_sound(q)).enumerate();
    for (i, (_, q)) in quantiles() {
        let ends = [panel.at(0.0, q), panel.at(width, q)];
        let pattern: &[f64] = if i == 0 { &[] } else { &[10.0, 6.0] };
        page.scene.dashed(&ends, palette_colour(3 + i), 2.0, pattern);
    }
    let radius = if values.len() > 300 { 2.0 } else { 3.5 };
    for (i, value) in values.iter().enumerate() {
        let at = panel.at(i as f64 + 0.5, *value);
        Mark::Circle.draw_plain(&mut page.scene, at, radius, ACCENT.faint(0.8));
    }
    // Above the points, on a ground of their own; the lower quantile's name below its line.
    for (i, (name, q)) in quantiles() {
        let (right, y) = panel.at(width, q);
        let text = format!("{name} {} ms", significant(q));
        let baseline = if i == 0 { y + 20.0 } else { y - 6.0 };
        let left = right - crate::charts::width(&text, SMALL) - 8.0;
        page.scene.rectangle((left, baseline - 15.0), (right, baseline + 4.0), WHITE.faint(0.85));
        page.text(&text, (right - 4.0, baseline), Anchor::End);
    }
}

fn caption(metrics: &Metrics, against: Option<&Against>) -> String {
    let share = |server: &ServerMetrics| share(server.num_requests, metrics).unwrap_or(0.0);
    let busiest = metrics.per_server.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    let mut caption = match busiest.filter(|s| s.num_requests > 0) {
        Some(s) => format!("Server {} got {} of the attempts.", s.port, percent(share(s))),
        None => "No attempt was made yet.".to_owned(),
    };
    if let Some(against) = against.filter(|against| !against.rows.is_empty()) {
        let outside =
            against.rows.iter().filter(|r| matches!(r.place, Place::Above | Place::Below));
        let outside: Vec<&str> =
            outside.map(|row| row.metric.name().trim_end_matches(" ms")).collect();
        caption += &match outside.as_slice() {
            [] => " Nothing that was compared lies outside its predicted interval".to_owned(),
            some => format!(" Outside its predicted interval: {}", some.join(", ")),
        };
        caption += if against.is_whole { "." } else { " so far." };
    }
    caption
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::assert_well_formed;
    use crate::watch::testing;

    fn drawn(metrics: &Metrics) -> Chart {
        let prediction = Predicted::File(Box::new(testing::prediction()));
        let chart = draw(metrics, &Seen { prediction, ..Seen::default() }).unwrap();
        assert_well_formed(&chart.svg);
        assert!(!chart.svg.contains("NaN"), "{}", chart.svg);
        chart
    }

    #[test]
    fn the_page_names_every_server_and_metric_and_what_lies_outside() {
        let chart = drawn(&testing::ended());
        for text in ["4000", "4009", "score", "penalty", "above", "not judged", "p99 23.7 ms"] {
            assert!(chart.svg.contains(&format!(">\n{text}\n<")), "{text}");
        }
        let port = "Server 4003 got ";
        assert!(chart.caption.contains(port), "{}", chart.caption);
        assert!(chart.caption.contains("Outside its predicted interval: "), "{}", chart.caption);
        let mut early = testing::middle();
        (early.total_success, early.total_failure) = (7, 0);
        assert!(drawn(&early).svg.contains(">\nnot predicted\n<"));
    }

    #[test]
    fn nothing_and_nonsense_can_be_drawn() {
        drawn(&testing::waiting_for_first());
        drawn(&testing::one_server());
        drawn(&testing::many_servers());
        let mut strange = testing::huge();
        strange.strategy = "<&\u{1}>".to_owned();
        strange.latencies = vec![f64::NAN, -1.0, 0.0, f64::INFINITY, 1e300];
        strange.per_server[0].belief = Some(f64::NAN);
        for x in [f64::NAN, f64::INFINITY, -1e300, 1e300] {
            (strange.best_guess_score, strange.total_penalty) = (x, x);
            drawn(&strange);
            let mut file = testing::prediction();
            for metric in file.configs[0].runs.iter_mut().flat_map(|run| &mut run.metrics) {
                (metric.interval.low, metric.interval.high) = (x, x);
            }
            let prediction = Predicted::File(Box::new(file));
            let chart = draw(&testing::middle(), &Seen { prediction, ..Seen::default() }).unwrap();
            assert!(!chart.svg.contains("NaN"), "{}", chart.svg);
        }
        let empty = draw(&Metrics::default(), &Seen::default()).unwrap();
        assert!(empty.svg.contains("no servers are known yet"));
    }
}
