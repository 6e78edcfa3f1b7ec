//! What was seen beside what was predicted.
//!
//! A terminal shows the sharpest prediction, that which knew most, and a line for each basis; the
//! report shows all of them.

use super::layout::{Columns, folded, markdown, tables};
use super::metric::{heading, mean, p_value, seen_in, span, value};
use super::{LivePage, sentence};
use crate::report::numbers::fixed;
use crate::validate::LEVEL;
use crate::validate::forecast::{Basis, Judgement, RunMetric, TestedMetric, Verdict};

/// The comparison for a terminal `width` characters wide; empty without a verdict.
pub fn live_compared(page: &LivePage, width: Option<usize>) -> String {
    let Some(verdict) = page.verdict else { return String::new() };
    let Some(sharpest) = bases(verdict).pop() else { return String::new() };
    let title = format!("seen [95 % of simulated runs], predicted from: {}", sharpest.name());
    let mut text =
        format!("{}\n{}", folded(&title, width), tables(&grid(verdict, sharpest), width));
    let shown = |wanted: &dyn Fn(&TestedMetric) -> bool| {
        let shown =
            |t: &&TestedMetric| t.basis == sharpest && !all_the_same(verdict, sharpest, t.metric);
        verdict.tests.iter().filter(shown).any(wanted)
    };
    let mut marks = Vec::new();
    if shown(&|t| mark(t) == " *") {
        marks.push("* outside the interval, as one in 20 is by chance".to_owned());
    }
    if shown(&|t| mark(t) == " !") {
        marks.push(format!("! rejected at {} % (Holm)", fixed(LEVEL * 100.0, 0)));
    }
    for judgement in [Judgement::NoSpread, Judgement::PathUnknown, Judgement::Disturbed] {
        if shown(&|t| t.judgement == judgement) {
            marks.push(format!("{} not judged: {}", sign(judgement), why(judgement)));
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
        text += &folded(&marks.join("; "), width);
    }
    for basis in bases(verdict) {
        text += "\n";
        text += &folded(&basis_line(verdict, basis), width);
    }
    text
}

/// The bases of a verdict, the sharpest last.
pub(super) fn bases(verdict: &Verdict) -> Vec<Basis> {
    let mut bases: Vec<Basis> = verdict.tests.iter().map(|t| t.basis).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

/// A row a strategy, a column a metric.
pub(super) fn grid(verdict: &Verdict, basis: Basis) -> Columns {
    let mut strategies: Vec<&str> = Vec::new();
    for test in &verdict.tests {
        if !strategies.contains(&test.strategy.as_str()) {
            strategies.push(&test.strategy);
        }
    }
    let cell = |strategy: &str, metric: RunMetric| {
        let test = verdict
            .tests
            .iter()
            .find(|t| t.strategy == strategy && t.basis == basis && t.metric == metric);
        test.map_or("-".to_owned(), |t| seen_in(metric, t.observed, t.interval) + mark(t))
    };
    let mut columns: Columns =
        vec![("strategy", strategies.iter().map(|s| (*s).to_owned()).collect())];
    for metric in RunMetric::ALL.into_iter().filter(|m| !all_the_same(verdict, basis, *m)) {
        let mut cells: Vec<String> = strategies.iter().map(|s| cell(s, metric)).collect();
        if cells.iter().all(|cell| cell.ends_with("  ")) {
            cells.iter_mut().for_each(|cell| cell.truncate(cell.len() - 2));
        }
        columns.push((heading(metric), cells));
    }
    columns
}

/// Whether no run of these has anything to test of a metric: not worth a column.
fn all_the_same(verdict: &Verdict, basis: Basis, metric: RunMetric) -> bool {
    let mut tests = verdict.tests.iter().filter(|t| t.basis == basis && t.metric == metric);
    tests.all(|t| t.judgement == Judgement::NoSpread)
}

/// What to see at a glance; two characters, so that numbers stay in line.
fn mark(test: &TestedMetric) -> &'static str {
    match test.judgement {
        Judgement::NoSpread => " =",
        Judgement::PathUnknown => " ~",
        Judgement::Disturbed => " ?",
        Judgement::Judged if sentence::is_rejected(test) => " !",
        Judgement::Judged if !test.interval.contains(test.observed) => " *",
        Judgement::Judged => "  ",
    }
}

const fn sign(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoSpread => "=",
        Judgement::PathUnknown => "~",
        Judgement::Disturbed => "?",
        Judgement::Judged => "",
    }
}

/// Why a number is not judged.
pub(super) const fn why(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::NoSpread => "every simulated run gave this very number",
        Judgement::PathUnknown => "what the path added during the run is not known",
        Judgement::Disturbed => {
            "this machine was busy with other things: requests left late, or the path to the null \
             server stalled as long as the slowest requests take"
        }
        Judgement::Judged => "",
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
pub(super) fn markdown_of(verdict: &Verdict, basis: Basis) -> String {
    let tests: Vec<&TestedMetric> = verdict.tests.iter().filter(|t| t.basis == basis).collect();
    let each = |cell: &dyn Fn(&TestedMetric) -> String| tests.iter().map(|t| cell(t)).collect();
    let judged = |t: &TestedMetric, x: f64| match t.judgement {
        Judgement::Judged => p_value(x),
        _ => "-".to_owned(),
    };
    let columns: Columns = vec![
        ("strategy", each(&|t| t.strategy.clone())),
        ("metric", each(&|t| heading(t.metric).to_owned())),
        ("seen", each(&|t| value(t.metric, t.observed))),
        ("predicted mean", each(&|t| mean(t.metric, t.mean))),
        ("95 %", each(&|t| span(t.metric, t.interval))),
        ("PIT", each(&|t| judged(t, t.pit))),
        ("p", each(&|t| judged(t, t.p_value))),
        ("p (Holm)", each(&|t| t.adjusted_p_value.map_or("-".to_owned(), p_value))),
        (
            "",
            each(&|t| match t.judgement {
                Judgement::Judged if sentence::is_rejected(t) => "rejected".to_owned(),
                Judgement::Judged if !t.interval.contains(t.observed) => "outside".to_owned(),
                Judgement::Judged => String::new(),
                judgement => format!("not judged: {}", why(judgement)),
            }),
        ),
    ];
    markdown(&columns, 2)
}
