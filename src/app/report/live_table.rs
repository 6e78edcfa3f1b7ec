//! What a terminal shows of a live run: its table, one row a strategy in the order of play and
//! without ranks; and what was seen beside what was predicted.

use crate::report::live_page::{
    LivePage, LiveRow, bases, count, heading, mean, seen_in, span, strategies_of, value, why,
};
use crate::report::live_verdict::{is_rejected, server};
use crate::report::numbers::{counted, fixed, p_value, percent, significant, thousands};
use crate::report::table::Table;
use crate::report::text::{folded, is_number};
use flakelab_fit::{
    Basis, Judgement, LEVEL, RunMetric, ServerMetric, TestedMetric, TestedServer, Verdict,
};

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
        folded(&live_heading(page), "", width),
        table(page, with_requests).on_terminal(width),
        folded(&no_ranking(page), "", width)
    )
}

pub fn markdown_table(page: &LivePage) -> String {
    table(page, true).markdown()
}

pub fn live_heading(page: &LivePage) -> String {
    let played = page.runs.len();
    let planned = page.planned();
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

pub fn no_ranking(page: &LivePage) -> String {
    let which =
        if is_number(page.config()) { ["--config", page.config()] } else { ["--model", "FILE"] };
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

/// What was seen beside what was predicted, for a terminal `width` characters wide: the sharpest
/// prediction, that which knew most, and a line for each basis. Empty without a verdict.
pub fn live_compared(page: &LivePage, width: Option<usize>) -> String {
    let Some(verdict) = &page.verdict else { return String::new() };
    let Some(sharpest) = bases(verdict).pop() else { return String::new() };
    let title = format!("seen [95 % of simulated runs], predicted from: {}", sharpest.name());
    let mut text =
        format!("{}\n{}", folded(&title, "", width), grid(verdict, sharpest).on_terminal(width));
    let shown = |wanted: &dyn Fn(&TestedMetric) -> bool| {
        verdict.tests.iter().find(|t| {
            t.basis == sharpest && !all_the_same(verdict, sharpest, t.metric) && wanted(t)
        })
    };
    let mut marks = Vec::new();
    if shown(&|t| mark(t) == " *").is_some() {
        marks.push("* outside the interval, as one in 20 is by chance".to_owned());
    }
    if shown(&|t| mark(t) == " !").is_some() {
        marks.push(format!("! rejected at {} % (Holm)", percent(LEVEL, 0)));
    }
    for judgement in [Judgement::NoSpread, Judgement::PathUnknown, Judgement::Disturbed] {
        if let Some(test) = shown(&|t| t.judgement == judgement) {
            marks.push(format!("{} not judged: {}", mark(test).trim(), why(judgement)));
        }
    }
    let left_out: Vec<&str> = RunMetric::ALL
        .into_iter()
        .filter(|metric| all_the_same(verdict, sharpest, *metric))
        .map(heading)
        .collect();
    if !left_out.is_empty() {
        marks.push(format!("left out: {}, the same in every run", left_out.join(", ")));
    }
    if !marks.is_empty() {
        text += "\n";
        text += &folded(&marks.join("; "), "", width);
    }
    for basis in bases(verdict) {
        text += "\n";
        text += &folded(&basis_line(verdict, basis), "", width);
    }
    let most = |t: &&TestedServer| t.basis == sharpest && t.metric == ServerMetric::Failures;
    if let Some(t) =
        verdict.servers.iter().filter(most).min_by(|a, b| a.p_value.total_cmp(&b.p_value))
    {
        let line = format!(
            "servers: {} stands out most, {} of {} of {} failed; p {} after Holm",
            server(page, t.server),
            thousands(t.observed),
            counted(t.attempts, "attempt"),
            t.strategy,
            t.adjusted_p_value.map_or("-".to_owned(), p_value)
        );
        text += "\n";
        text += &folded(&line, "", width);
    }
    text
}

/// A row a strategy, a column a metric.
pub fn grid(verdict: &Verdict, basis: Basis) -> Table<&str> {
    let mut table = Table::of(strategies_of(verdict.tests.iter()))
        .text("strategy", |strategy| (*strategy).to_owned());
    for metric in RunMetric::ALL.into_iter().filter(|m| !all_the_same(verdict, basis, *m)) {
        let of_metric = || verdict.tests.iter().filter(|t| t.basis == basis && t.metric == metric);
        let marked = of_metric().any(|t| mark(t) != NO_MARK);
        table = table.number(heading(metric), |strategy| {
            let test = of_metric().find(|t| t.strategy == *strategy);
            test.map_or("-".to_owned(), |t| {
                let seen = seen_in(metric, t.observed, t.interval);
                if marked { seen + mark(t) } else { seen }
            })
        });
    }
    table
}

/// Whether no run of these has anything to test of a metric: not worth a column.
fn all_the_same(verdict: &Verdict, basis: Basis, metric: RunMetric) -> bool {
    let mut tests = verdict.tests.iter().filter(|t| t.basis == basis && t.metric == metric);
    tests.all(|t| t.judgement == Judgement::NoSpread)
}

const NO_MARK: &str = "  ";

/// What to see at a glance; two characters, so that numbers stay in line.
fn mark(test: &TestedMetric) -> &'static str {
    match test.judgement {
        Judgement::NoSpread => " =",
        Judgement::PathUnknown => " ~",
        Judgement::Disturbed => " ?",
        Judgement::Judged if is_rejected(test.adjusted_p_value) => " !",
        Judgement::Judged if !test.interval.contains(test.observed) => " *",
        Judgement::Judged => NO_MARK,
    }
}

/// `predicted from the model: 38 of 40 judged numbers inside their 95 % interval, ...`.
fn basis_line(verdict: &Verdict, basis: Basis) -> String {
    let judged: Vec<&TestedMetric> = verdict
        .tests
        .iter()
        .filter(|t| t.basis == basis && t.judgement == Judgement::Judged)
        .collect();
    let inside = judged.iter().filter(|t| t.interval.contains(t.observed)).count();
    let least = judged
        .iter()
        .filter_map(|t| t.adjusted_p_value.map(|p| (p, t)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.p_value.total_cmp(&b.1.p_value)));
    let mut line =
        format!("{}: {inside} of {} judged inside the 95 % interval", basis.name(), judged.len());
    if let Some((p, test)) = least {
        line += &format!("; smallest p {} after Holm", p_value(p));
        if p < 0.995 {
            line += &format!(" ({}, {})", test.strategy, test.metric.name());
        }
    }
    line
}

pub fn markdown_of(verdict: &Verdict, basis: Basis) -> String {
    let judged = |t: &TestedMetric, x: f64| match t.judgement {
        Judgement::Judged => p_value(x),
        _ => "-".to_owned(),
    };
    Table::of(verdict.tests.iter().filter(|t| t.basis == basis))
        .text("strategy", |t| t.strategy.clone())
        .text("metric", |t| heading(t.metric).to_owned())
        .number("seen", |t| value(t.metric, t.observed))
        .number("predicted mean", |t| mean(t.metric, t.mean))
        .number("95 %", |t| span(t.metric, t.interval))
        .number("PIT", |t| judged(t, t.pit))
        .number("p", |t| judged(t, t.p_value))
        .number("p (Holm)", |t| t.adjusted_p_value.map_or("-".to_owned(), p_value))
        .number("", |t| match t.judgement {
            Judgement::Judged if is_rejected(t.adjusted_p_value) => "rejected".to_owned(),
            Judgement::Judged if !t.interval.contains(t.observed) => "outside".to_owned(),
            Judgement::Judged => String::new(),
            judgement => format!("not judged: {}", why(judgement)),
        })
        .markdown()
}

/// The server that stands out most, a row a strategy and number.
pub fn markdown_of_servers(page: &LivePage, verdict: &Verdict, basis: Basis) -> String {
    let judged = verdict.servers.iter().filter(|t| t.basis == basis);
    Table::of(judged.filter(|t| t.adjusted_p_value.is_some()))
        .text("strategy", |t| t.strategy.clone())
        .text("stands out most", |t| server(page, t.server))
        .text("by", |t| match t.metric {
            ServerMetric::Failures => "failures".to_owned(),
            ServerMetric::TimedOut => "timeouts".to_owned(),
        })
        .number("seen", |t| format!("{} of {}", thousands(t.observed), thousands(t.attempts)))
        .number("predicted", |t| t.predicted.map_or("-".to_owned(), |p| percent(p, 1) + " %"))
        .number("p", |t| p_value(t.p_value))
        .number("p (Holm)", |t| t.adjusted_p_value.map_or("-".to_owned(), p_value))
        .number("", |t| if is_rejected(t.adjusted_p_value) { "rejected" } else { "" }.to_owned())
        .markdown()
}
