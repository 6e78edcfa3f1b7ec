//! Each server's error rate: the posterior as a line with its mean, the raw share as a hollow
//! mark. Where servers were chosen by their outcomes the raw share misleads, most with few
//! attempts; the line says how much is known.

use super::page;
use crate::fit::{ConfigFit, ServerSummary};
use crate::report::charts::axis::Axis;
use crate::report::charts::number::{fixed, percent};
use crate::report::charts::page::{MARGIN, SMALL, WIDTH};
use crate::report::charts::palette::{ACCENT, Mark, QUIET, TEXT};
use crate::report::charts::panel::Plot;
use crate::report::charts::scene::Anchor;
use crate::report::charts::{Chart, ChartError};

const ROW: f64 = 21.0;
const START_GAP: f64 = 12.0;
const LEFT: f64 = MARGIN + 170.0;
const RIGHT: f64 = WIDTH - MARGIN - 230.0;

/// The chart.
pub(super) fn chart(fit: &ConfigFit) -> Result<Chart, ChartError> {
    let reading = "Line: 95 % of the posterior; dot: its mean; ring: the raw share of failures, \
                   biased where servers were chosen by their outcomes";
    let mut page = page("Error rates of the servers", fit, reading);
    if fit.servers.is_empty() {
        page.nothing("no server was tried");
        return page.finish("fit-rates", String::new());
    }
    let axis = Axis::between("probability that an attempt fails", 0.0, 1.0);
    for (header, at) in [("failures / attempts", RIGHT + 130.0), ("mean", WIDTH - MARGIN)] {
        page.scene.text(header, (at, page.y + 12.0), Anchor::End, SMALL, QUIET);
    }
    let top = page.y + 22.0;
    let starts = fit.servers.windows(2).filter(|pair| pair[0].start != pair[1].start).count();
    let bottom = top + ROW * fit.servers.len() as f64 + START_GAP * starts as f64 + 8.0;
    let plot = Plot { left: LEFT, right: RIGHT, top, bottom };
    plot.grid(&mut page, &axis, 8);
    plot.base(&mut page);
    let x = |rate: f64| plot.x(&axis, rate);
    let mut y = top + ROW / 2.0 + 2.0;
    let mut last = None;
    for server in &fit.servers {
        if last != Some(server.start) {
            if last.is_some() {
                y += START_GAP;
            }
            let name = format!("start {}", server.start);
            page.scene.text(&name, (MARGIN, y + 5.5), Anchor::Start, SMALL, TEXT);
        }
        last = Some(server.start);
        let name = &fit.group.servers[server.server];
        page.scene.text(name, (LEFT - 12.0, y + 5.5), Anchor::End, SMALL, QUIET);
        let (low, high) = (x(server.interval.low), x(server.interval.high));
        page.scene.line((low, y), (high, y), ACCENT, 3.0);
        Mark::Circle.draw(&mut page.scene, (x(server.mean), y), 5.0, ACCENT);
        if let Some(raw) = raw(server) {
            Mark::Circle.draw_ring(&mut page.scene, (x(raw), y), 5.5, TEXT);
        }
        let counts = format!("{} / {}", server.tally.failures, server.tally.attempts());
        page.scene.text(&counts, (RIGHT + 130.0, y + 5.5), Anchor::End, SMALL, TEXT);
        let mean = fixed(server.mean, 3);
        page.scene.text(&mean, (WIDTH - MARGIN, y + 5.5), Anchor::End, SMALL, TEXT);
        y += ROW;
    }
    plot.name_below(&mut page, &axis);
    page.y = bottom + 56.0;
    page.finish("fit-rates", caption(&fit.servers))
}

fn raw(server: &ServerSummary) -> Option<f64> {
    let attempts = server.tally.attempts();
    (attempts > 0).then(|| server.tally.failures as f64 / attempts as f64)
}

fn caption(servers: &[ServerSummary]) -> String {
    let tried: Vec<&ServerSummary> = servers.iter().filter(|s| s.tally.attempts() > 0).collect();
    let n = tried.len().max(1) as f64;
    let raw = tried.iter().filter_map(|s| raw(s)).sum::<f64>() / n;
    let mean = tried.iter().map(|s| s.mean).sum::<f64>() / n;
    let few = tried.iter().filter(|s| s.tally.attempts() < 10).count();
    format!(
        "Averaged over the {} servers that were tried, the raw share of failures is {}, the \
         posterior mean {}. {few} of them got fewer than ten attempts.",
        tried.len(),
        percent(raw),
        percent(mean)
    )
}
