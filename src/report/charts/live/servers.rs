//! Where the attempts went: strategy x server, as a heat map, with each server's rate of success
//! as that strategy saw it.

use super::{LiveRuns, page};
use crate::balancer::ServerCounts;
use crate::report::charts::lettering::{fitted, width};
use crate::report::charts::number::{fixed, percent};
use crate::report::charts::page::{MARGIN, Page, SMALL, WIDTH};
use crate::report::charts::palette::{TEXT, ramp};
use crate::report::charts::rows::{NamedRow, left_of_plot, names};
use crate::report::charts::scene::Anchor;
use crate::report::charts::share_scale::{cell, share_scale};
use crate::report::charts::{Chart, ChartError};
use crate::validate::forecast::LiveRun;

const ROW: f64 = 54.0;

/// The chart.
pub(super) fn chart(of: &LiveRuns) -> Result<Chart, ChartError> {
    let reading = "Upper number, colour: share of the strategy's attempts, in %. Lower number: \
                   those that succeeded, in % (429 counts as no success)";
    let mut page = page("Where the attempts went", of, reading);
    let labels = of.labels();
    let rows: Vec<NamedRow> = labels
        .iter()
        .zip(of.looks())
        .map(|(label, look)| NamedRow { label, look, cells: Vec::new(), reference: false })
        .collect();
    let servers = of.runs.iter().map(|run| run.ledger.servers.len()).max().unwrap_or(0);
    let highest = of.runs.iter().flat_map(shares).fold(0.0, f64::max);
    if servers == 0 || highest == 0.0 {
        page.nothing("no attempts were made");
        return page.finish("live-servers", String::new());
    }
    let left = left_of_plot(&rows);
    let right = WIDTH - MARGIN;
    let width = (right - left) / servers as f64;
    page.centred("server (port in the model)", (left + right) / 2.0, page.y + 12.0);
    page.y += 16.0;
    ports(&mut page, of, servers, left, width);
    page.y += 26.0;
    let (centres, bottom) = names(&mut page, &rows, ROW, right);
    for (run, y) in of.runs.iter().zip(&centres) {
        for ((i, server), share) in run.ledger.servers.iter().enumerate().zip(shares(run)) {
            let from = left + i as f64 * width;
            let texts = [(in_cell(share), y - 5.0), (succeeded(server), y + 17.0)];
            cell(&mut page, (from, width), (*y, ROW), ramp(share / highest), &texts);
        }
    }
    page.y = bottom + 14.0;
    let high = format!("{} of the attempts", percent(highest));
    share_scale(&mut page, left, right, "0 %", &fitted(&high, SMALL, 220.0));
    page.finish("live-servers", caption(of))
}

/// Each server's share of a run's attempts.
fn shares(run: &LiveRun) -> Vec<f64> {
    let servers = &run.ledger.servers;
    let all: u64 = servers.iter().map(|s| s.attempts).sum();
    servers.iter().map(|s| if all == 0 { 0.0 } else { s.attempts as f64 / all as f64 }).collect()
}

/// Without the sign, which the heading has.
fn in_cell(share: f64) -> String {
    let percent = share * 100.0;
    fixed(percent, usize::from(percent < 9.95 && percent != 0.0))
}

fn succeeded(server: &ServerCounts) -> String {
    if server.attempts == 0 {
        return String::new();
    }
    fixed(server.successes as f64 / server.attempts as f64 * 100.0, 0) + " ok"
}

/// Names above the columns, as many as fit.
fn ports(page: &mut Page, of: &LiveRuns, servers: usize, left: f64, cell: f64) {
    let names: Vec<String> = (0..servers)
        .map(|i| of.servers.get(i).cloned().unwrap_or_else(|| (i + 1).to_string()))
        .collect();
    let widest = names.iter().map(|name| width(name, SMALL)).fold(0.0, f64::max) + 10.0;
    // Long names, of hosts, are cut to what a column of a few holds.
    let room = widest.min(cell.max(60.0));
    let every = (room / cell).ceil().max(1.0) as usize;
    for (i, name) in names.iter().enumerate().step_by(every) {
        let at = (left + (i as f64 + 0.5) * cell, page.y + 20.0);
        page.scene.text(&fitted(name, SMALL, room), at, Anchor::Middle, SMALL, TEXT);
    }
}

fn caption(of: &LiveRuns) -> String {
    let busiest = |run: &LiveRun| shares(run).into_iter().fold(0.0, f64::max);
    let mut runs: Vec<(String, f64)> =
        of.runs.iter().map(|run| (run.strategy.label(), busiest(run))).collect();
    runs.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((most, high)) = runs.first() else { return String::new() };
    let mut text =
        format!("{most} sent {} of its attempts to the server that it used most", percent(*high));
    if let (Some((least, low)), true) = (runs.last(), runs.len() > 1) {
        text += &format!(", {least} {}", percent(*low));
    }
    text + ". Rates of success rest on the strategy's own attempts, few at servers it avoided."
}
