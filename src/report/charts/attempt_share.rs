//! Where the attempts went: server rank by true error rate x strategy, as a heat map.

use super::lettering::{fitted, width};
use super::number::{fixed, percent};
use super::page::{MARGIN, Page, SMALL, WIDTH};
use super::palette::{TEXT, ramp};
use super::rows::{contenders, left_of_plot, names};
use super::scene::Anchor;
use super::share_scale::{cell, share_scale};
use super::{Chart, ChartError};
use crate::experiment::{ContenderSummary, ScenarioSummary};

const ROW: f64 = 44.0;

/// More servers than this share columns.
const MOST_COLUMNS: usize = 50;

/// The chart.
pub(super) fn chart(scenario: &ScenarioSummary) -> Result<Chart, ChartError> {
    let reading = "Share of a strategy's attempts in %; servers ranked by true error rate in each replication";
    let mut page = Page::new("Where the attempts went", scenario, reading);
    let (listed, rows) = contenders(scenario, |_| Some(Vec::new()));
    let servers =
        scenario.contenders.iter().map(|c| c.attempt_share_by_rank.len()).max().unwrap_or(0);
    if servers == 0 {
        page.nothing("no attempts were made");
        return page.finish("attempt-share", caption(scenario));
    }
    let together = servers.div_ceil(MOST_COLUMNS);
    let columns = servers.div_ceil(together);
    let shares: Vec<Vec<f64>> =
        listed.iter().map(|c| grouped(&c.attempt_share_by_rank, together)).collect();
    let finite = shares.iter().flatten().copied().filter(|s| s.is_finite());
    let highest = finite.fold(0.0, f64::max).max(1e-9);
    let left = left_of_plot(&rows);
    let right = WIDTH - MARGIN;
    let width = (right - left) / columns as f64;
    let name = match together {
        1 => "server by true error rate".to_owned(),
        _ => format!("servers by true error rate, {together} together"),
    };
    page.centred(&name, (left + right) / 2.0, page.y + 12.0);
    page.y += 16.0;
    ranks(&mut page, columns, left, width);
    page.y += 26.0;
    let (centres, bottom) = names(&mut page, &rows, ROW, right);
    for (shares, y) in shares.iter().zip(&centres) {
        for (rank, share) in shares.iter().enumerate() {
            let from = left + rank as f64 * width;
            let texts = [(in_cell(*share), y + 5.5)];
            cell(&mut page, (from, width), (*y, ROW), ramp(share / highest), &texts);
        }
    }
    page.y = bottom + 14.0;
    share_scale(&mut page, left, right, "0 %", &fitted(&percent(highest), SMALL, 90.0));
    page.finish("attempt-share", caption(scenario))
}

/// Sums over so many neighbours each.
fn grouped(shares: &[f64], together: usize) -> Vec<f64> {
    shares.chunks(together.max(1)).map(|group| group.iter().sum()).collect()
}

/// Without the sign, which the heading has.
fn in_cell(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent > 0.0 && percent < 0.05 => "<0.1".to_owned(),
        _ => fixed(percent, usize::from(percent < 9.95 && percent != 0.0)),
    }
}

/// `best`, `2`, ..., `worst` above the columns, as many as fit.
fn ranks(page: &mut Page, servers: usize, left: f64, cell: f64) {
    let ends = width("worst", SMALL).max(width("best", SMALL)) + 10.0;
    let middle = width(&servers.to_string(), SMALL) + 8.0;
    let every = (middle / cell).ceil().max(1.0) as usize;
    for rank in 0..servers {
        let centre = left + (rank as f64 + 0.5) * cell;
        let at = (centre, page.y + 20.0);
        if rank == 0 {
            page.scene.text("best", at, Anchor::Middle, SMALL, TEXT);
        } else if rank + 1 == servers {
            page.scene.text("worst", at, Anchor::Middle, SMALL, TEXT);
        } else {
            let reach = (ends + middle) / 2.0;
            let clear = rank as f64 * cell >= reach && (servers - 1 - rank) as f64 * cell >= reach;
            if clear && (rank + 1).is_multiple_of(every) {
                page.scene.text(&(rank + 1).to_string(), at, Anchor::Middle, SMALL, TEXT);
            }
        }
    }
}

fn caption(scenario: &ScenarioSummary) -> String {
    let best_server = |c: &ContenderSummary| c.attempt_share_by_rank.first().copied();
    let mut ranked: Vec<(&ContenderSummary, f64)> = scenario
        .ranked()
        .filter_map(|(c, _)| best_server(c).map(|share| (c, share)))
        .filter(|(_, share)| share.is_finite())
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((most, share)) = ranked.first() else {
        return "No ranked strategy made an attempt.".to_owned();
    };
    let mut caption =
        format!("{} sent {} of its attempts to the best server", most.strategy, percent(*share));
    if let (Some((least, share)), true) = (ranked.last(), ranked.len() > 1) {
        caption += &format!(", {} only {}", least.strategy, percent(*share));
    }
    let oracle = scenario.references().find(|c| c.strategy == "oracle").and_then(best_server);
    if let Some(oracle) = oracle {
        caption += &format!("; the oracle {}", percent(oracle));
        if scenario.has_rate_limit {
            caption += ", because the best server refuses part of the traffic";
        }
    }
    caption.push('.');
    caption
}
