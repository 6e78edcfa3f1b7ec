//! The table of results: one row a run, in the order of play. No ranks.

use std::collections::BTreeSet;

use super::metric::count;
use super::{LivePage, LiveRow};
use crate::report::numbers::{fixed, percent, significant, thousands};
use crate::report::table::Table;
use crate::report::text::{folded, is_number};

/// Columns of a terminal that show the whole table.
const WIDE: usize = 150;

/// The table with its heading, ready to print on a terminal `width` characters wide; without a
/// width on lines as long as they need to be.
pub fn live_table(page: &LivePage, width: Option<usize>) -> String {
    let as_planned = page.runs.iter().all(|r| r.requests.len() as u64 == page.prediction.requests);
    // The heading says how many requests there were.
    let with_requests = !as_planned || width.is_none_or(|width| width >= WIDE);
    format!(
        "{}\n{}\n{}",
        folded(&heading(page), "", width),
        table(page, with_requests).on_terminal(width),
        folded(&no_ranking(page), "", width)
    )
}

/// The same table in Markdown, without heading.
pub fn markdown_table(page: &LivePage) -> String {
    table(page, true).markdown()
}

/// What was run.
pub fn heading(page: &LivePage) -> String {
    let played = page.runs.len();
    let planned = strategies(page);
    let partial = match () {
        () if page.interrupted && planned > played => {
            format!("; interrupted in run {} of {planned}", played.max(1))
        }
        () if page.interrupted => "; interrupted".to_owned(),
        () => String::new(),
    };
    format!(
        "{}: {} requests per strategy at {} per second, one run of each{partial}; drift p99: how \
         late requests were sent, ms",
        page.title(),
        thousands(page.prediction.requests),
        page.prediction.requests_per_second,
    )
}

/// Strategies that were to be played.
pub fn strategies(page: &LivePage) -> usize {
    let labels: BTreeSet<&str> =
        page.prediction.runs.iter().map(|run| run.strategy.as_str()).collect();
    labels.len()
}

/// Why there is no order of rank.
pub fn no_ranking(page: &LivePage) -> String {
    let which =
        if is_number(page.config) { ["--config", page.config] } else { ["--model", "FILE"] };
    format!(
        "In the order of play: one run of each is mostly luck and ranks nobody. What ranks: \
         flakelab sweep {}",
        which.join(" ")
    )
}

fn table(page: &LivePage, with_requests: bool) -> Table<LiveRow> {
    let mut table =
        Table::of(page.runs.iter().map(LiveRow::of)).text("strategy", |r| r.strategy.clone());
    if with_requests {
        table = table.number("requests", |r| thousands(r.requests));
    }
    table
        .number("score", |r| count(r.score))
        .number("success %", |r| percent(r.success_rate, 1))
        .number("attempts", |r| thousands(r.attempts))
        .number("retries", |r| thousands(r.retries))
        .number("penalty", |r| count(r.penalty))
        .number("429", |r| thousands(r.rate_limited))
        .number("regret", |r| thousands(r.regret))
        .number("p50 ms", |r| significant(r.latency_p50_ms))
        .number("p99 ms", |r| significant(r.latency_p99_ms))
        .number("busiest %", |r| percent(r.busiest_share, 1))
        .number("drift p99", |r| fixed(r.drift_p99_ms, 2))
        .number("lost", |r| thousands(r.lost))
}
