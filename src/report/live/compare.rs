//! What was seen beside what was predicted.
//!
//! A terminal shows the sharpest prediction, that which knew most, and a line for each basis; the
//! report shows all of them.

use super::metric::{heading, mean, seen_in, span, strategies_of, value, why};
use super::{LivePage, sentence};
use crate::report::numbers::{p_value, percent};
use crate::report::table::Table;
use crate::report::text::folded;
use crate::validate::LEVEL;
use crate::validate::forecast::{Basis, Judgement, RunMetric, TestedMetric, Verdict};

/// The comparison for a terminal `width` characters wide; empty without a verdict.
pub fn live_compared(page: &LivePage, width: Option<usize>) -> String {
    let Some(verdict) = page.verdict else { return String::new() };
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
    text
}

/// The bases of a verdict, the sharpest last.
pub fn bases(verdict: &Verdict) -> Vec<Basis> {
    let mut bases: Vec<Basis> = verdict.tests.iter().map(|t| t.basis).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
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
        Judgement::Judged if sentence::is_rejected(test) => " !",
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

/// Everything of one basis, in Markdown.
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
            Judgement::Judged if sentence::is_rejected(t) => "rejected".to_owned(),
            Judgement::Judged if !t.interval.contains(t.observed) => "outside".to_owned(),
            Judgement::Judged => String::new(),
            judgement => format!("not judged: {}", why(judgement)),
        })
        .markdown()
}
