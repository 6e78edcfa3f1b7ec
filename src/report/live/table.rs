//! The table of results: one row a run, in the order of play. No ranks.

use super::layout::{Columns, folded, markdown, tables};
use super::metric::{count, milliseconds, percent};
use super::{LivePage, LiveRow};
use crate::report::numbers::{fixed, thousands};

const REQUESTS: &str = "requests";

/// Columns of a terminal that show the whole table.
const WIDE: usize = 150;

/// The table with its heading, ready to print on a terminal `width` characters wide; without a
/// width on lines as long as they need to be.
pub fn live_table(page: &LivePage, width: Option<usize>) -> String {
    let columns = columns_for(page, width);
    format!(
        "{}\n{}\n{}",
        folded(&heading(page), width),
        tables(&columns, width),
        folded(&no_ranking(page), width)
    )
}

/// The columns of a terminal.
pub(super) fn columns_for(page: &LivePage, width: Option<usize>) -> Columns {
    let mut columns = columns(page);
    let as_planned = page.runs.iter().all(|r| r.requests.len() as u64 == page.prediction.requests);
    if width.is_some_and(|width| width < WIDE) && as_planned {
        // The heading says it.
        columns.retain(|(heading, _)| *heading != REQUESTS);
    }
    columns
}

/// The same table in Markdown, without heading.
pub(super) fn markdown_table(page: &LivePage) -> String {
    markdown(&columns(page), 1)
}

/// What was run.
pub(super) fn heading(page: &LivePage) -> String {
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
pub(super) fn strategies(page: &LivePage) -> usize {
    let mut labels: Vec<&str> = page.prediction.runs.iter().map(|r| r.strategy.as_str()).collect();
    labels.dedup();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}

/// Why there is no order of rank.
pub(super) fn no_ranking(page: &LivePage) -> String {
    let which =
        if page.config.bytes().all(|b| b.is_ascii_digit()) { "--config" } else { "--model" };
    let name = if which == "--model" { "FILE" } else { page.config };
    format!(
        "In the order of play: one run of each is mostly luck and ranks nobody. What ranks: \
         flakelab sweep {which} {name}"
    )
}

fn columns(page: &LivePage) -> Columns {
    let rows: Vec<LiveRow> = page.runs.iter().map(LiveRow::of).collect();
    let each = |cell: &dyn Fn(&LiveRow) -> String| rows.iter().map(cell).collect();
    vec![
        ("strategy", each(&|r| r.strategy.clone())),
        (REQUESTS, each(&|r| thousands(r.requests))),
        ("score", each(&|r| count(r.score))),
        ("success %", each(&|r| percent(r.success_rate))),
        ("attempts", each(&|r| thousands(r.attempts))),
        ("retries", each(&|r| thousands(r.retries))),
        ("penalty", each(&|r| count(r.penalty))),
        ("429", each(&|r| thousands(r.rate_limited))),
        ("regret", each(&|r| thousands(r.regret))),
        ("p50 ms", each(&|r| milliseconds(r.latency_p50_ms))),
        ("p99 ms", each(&|r| milliseconds(r.latency_p99_ms))),
        ("busiest %", each(&|r| percent(r.busiest_share))),
        ("drift p99", each(&|r| fixed(r.drift_p99_ms, 2))),
        ("lost", each(&|r| thousands(r.lost))),
    ]
}
