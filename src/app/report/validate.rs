//! The report of a validation: what was predicted, what came, and whether that is ordinary.

use std::fmt::Write;

use crate::report::numbers::{counted, fixed, interval, p_value, percent, signed, span, thousands};
use crate::report::table::Table;
use crate::report::text::folded;
use flakelab_core::stats::Interval;
use flakelab_fit::{
    Difference, LEVEL, Membership, MetricTest, OneStep, Prediction, Rival, RunRules, RunValidation,
    Slope, Source, Validation,
};

/// A run is worth a second look when a count is less probable than this, both sides together.
const SURPRISING: f64 = 0.05;

/// The whole report as text for a terminal so wide, the conclusion last.
pub fn validation_report(validation: &Validation, width: Option<usize>) -> String {
    let source = match &validation.source {
        Source::Others => "each run predicted from all others".to_owned(),
        Source::FirstHalf => "its second half predicted from the first".to_owned(),
        Source::Model(name) => format!("each run predicted from the model {name}"),
    };
    let mut text = format!(
        "{}, {source}\n\none step ahead: the chance that each attempt fails, given the recorded \
         choice of server and all before it\n",
        counted(validation.runs.len() as u64, "run")
    );
    text += &one_step(&validation.one_step, &validation.source, width);
    if validation.source == Source::FirstHalf {
        let left_out = "left out: counts of the whole run, of which half is known, and whether \
                        servers differ as much as predicted, which takes three runs to tell";
        let verdict = verdict_of_half(validation);
        return format!(
            "{text}\n{}\n\n{}",
            folded(left_out, "", width),
            folded(&verdict, "", width)
        );
    }
    let rules = match validation.settings.rules {
        RunRules::Recorder => "the recorder's rules (six attempts at most, tried servers left out)",
        RunRules::Game => "the rules of the game",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n\nwhole runs under {rules}, {} replications each: predicted mean [95 %], recorded\n{}",
        thousands(validation.settings.replications),
        whole_runs(&validation.runs, width)
    );
    if !validation.metrics.is_empty() {
        let _ = write!(text, "\n\nover all runs\n{}", metrics(&validation.metrics, width));
    }
    for note in notes(validation) {
        let _ = write!(text, "\n{}", folded(&format!("note: {note}"), "  ", width));
    }
    text + "\n\n" + &folded(&verdict(validation), "", width)
}

fn one_step(found: &OneStep, source: &Source, width: Option<usize>) -> String {
    let from_model = matches!(source, Source::Model(_));
    let share = |n: f64, of: u64| fixed(n / of as f64, 3);
    let curve = Table::of(found.bins.iter().filter(|bin| bin.attempts > 0))
        .text("predicted", |bin| span(Interval { low: bin.from, high: bin.to }, 1))
        .number("attempts", |bin| thousands(bin.attempts))
        .number("failures expected", |bin| fixed(bin.expected, 1))
        .number("observed", |bin| bin.observed.to_string())
        .number("share expected", |bin| share(bin.expected, bin.attempts))
        .number("share observed", |bin| share(bin.observed as f64, bin.attempts))
        .number("z", |bin| signed(bin.z(), 1));
    let mut scores = vec![("model", found.model, None)];
    scores.extend(found.rivals.iter().map(|against| {
        let name = match against.rival {
            Rival::NewRates => "rates drawn anew at the half",
            Rival::ThisRun => "raw rates, this run",
            Rival::SameStart => "raw rates, same start",
            Rival::SameDay => "raw rates, same day",
            Rival::OneRate if from_model => "the model's mean rate",
            Rival::OneRate => "one pooled rate",
        };
        (name, against.scores, Some(against.difference))
    }));
    let gain = |difference: &Option<Difference>, of: &dyn Fn(&Difference) -> Option<String>| {
        difference.as_ref().and_then(of).unwrap_or("-".to_owned())
    };
    let mut scores = Table::of(scores)
        .text("predictor", |(name, ..)| (*name).to_owned())
        .number("log score", |(_, scores, _)| fixed(scores.log_score, 4))
        .number("Brier", |(_, scores, _)| fixed(scores.brier, 4))
        .number("model better by", |(.., d)| gain(d, &|d| Some(fixed(d.mean, 4))))
        .number("[95 %] over attempts", |(.., d)| gain(d, &|d| Some(interval(d.over_attempts, 4))));
    if *source != Source::FirstHalf {
        scores = scores
            .number("[95 %] over runs", |(.., d)| gain(d, &|d| Some(interval(d.over_runs?, 4))));
    }
    let over_runs = |whose: &str| {
        let test = format!(
            "curve: {whose}; test: chi-square {} on {} degrees of freedom, p {}, each run's start \
             known from earlier runs only (log score {}), because runs that share a start would \
             otherwise err together",
            fixed(found.test.statistic, 1),
            found.test.df,
            p_value(found.test.p_value),
            fixed(found.tested.log_score, 4),
        );
        let slope = match &found.slope {
            Some(found) => slope(found, from_model),
            None => "these runs do not tell whether servers differ as much as predicted".to_owned(),
        };
        format!("{}\n{}\n", folded(&test, "", width), folded(&slope, "", width))
    };
    let (test, same_start) = match source {
        Source::FirstHalf => (String::new(), ""),
        Source::Model(_) => (over_runs("each run alone"), ""),
        Source::Others => (
            over_runs("each run predicted from all others"),
            "; same start: this run and those that more probably than not met its start, judged \
             before its outcomes",
        ),
    };
    let means = format!(
        "scores are means over {} attempts, in nats and squared; less is better{same_start}",
        thousands(found.attempts)
    );
    format!(
        "{}\n{test}\n{}\n{}",
        curve.on_terminal(width),
        scores.on_terminal(width),
        folded(&means, "", width)
    )
}

fn whole_runs(runs: &[RunValidation], width: Option<usize>) -> String {
    let mut table = Table::of(runs)
        .text("run", |run| run.file.clone())
        .at_least(16)
        .text("config", |run| run.group.clone())
        .text("strategy", |run| run.strategies.join(", "))
        .at_least(10)
        .text("start: before -> after", |run| membership(&run.membership));
    for metric in flakelab_fit::Metric::ALL {
        let of_metric = |run: &RunValidation| {
            run.predictions.iter().flatten().find(|p| p.metric == metric).map(prediction)
        };
        if runs.iter().any(|run| of_metric(run).is_some()) {
            table = table.number(metric.name(), |run| of_metric(run).unwrap_or("-".to_owned()));
        }
    }
    table.on_terminal(width)
}

/// `142.6 [123, 171] 160`, with a mark when the count is surprising.
fn prediction(p: &Prediction) -> String {
    let mark = if p.p_value < SURPRISING { " !" } else { "" };
    format!("{} {} {}{mark}", fixed(p.mean, 1), interval(p.interval, 0), p.observed)
}

/// The most probable relation to the neighbours, before the run and after it.
fn membership(of: &[Membership; 2]) -> String {
    let most = |m: &Membership| {
        let options =
            [(m.fresh, "fresh"), (m.both, "both"), (m.previous, "previous"), (m.next, "next")];
        // The first of those that are equal.
        let best = options.into_iter().rev().max_by(|a, b| a.0.total_cmp(&b.0));
        let best = best.unwrap_or(options[0]);
        format!("{} {}", best.1, fixed(best.0, 2))
    };
    format!("{} -> {}", most(&of[0]), most(&of[1]))
}

fn metrics(metrics: &[MetricTest], width: Option<usize>) -> String {
    let tested = |m: &MetricTest, value: f64| {
        if m.tested { p_value(value) } else { "not tested".to_owned() }
    };
    let table = Table::of(metrics)
        .text("count", |m| m.metric.name().to_owned())
        .number("runs", |m| m.runs.to_string())
        .number("recorded", |m| thousands(m.totals.0))
        .number("predicted", |m| fixed(m.totals.1, 1))
        .number("inside 95 %", |m| format!("{} of {}", m.inside, m.runs))
        .number("shift z", |m| signed(m.shift, 1))
        .number("spread z", |m| signed(m.spread, 1))
        .number("PIT p", |m| tested(m, m.p_value))
        .number("Holm", |m| tested(m, m.adjusted_p_value))
        .number("randomised PIT p", |m| tested(m, m.randomised_p_value));
    let said = [
        "PIT p: Neyman's smooth test of order 2 on the non-randomised PIT, null distribution by \
         the replications; randomised PIT p: Kolmogorov, median of 199 randomisations",
        "both take runs for independent; runs of one start share error rates and evidence, so with \
         few starts they are rough",
    ];
    let said = said.map(|line| folded(line, "", width));
    format!("{}\n{}", table.on_terminal(width), said.join("\n"))
}

fn notes(validation: &Validation) -> Vec<String> {
    let mut notes = Vec::new();
    let (mut determined, mut agreed) = (0, 0);
    for run in &validation.runs {
        match &run.rules {
            None => notes.push(format!(
                "{}: not played as a whole, its strategy ({}) is not one that is known here",
                run.file,
                run.strategies.join(", ")
            )),
            Some(check) => {
                determined += check.determined;
                agreed += check.agreed;
                if let Some((request, attempt, ours, recorded)) = check.first_difference {
                    notes.push(format!(
                        "{}: {} of {} choices differ from the rules, first in attempt {attempt} of \
                         request {request} (server {ours} by the rules, {recorded} recorded)",
                        run.file,
                        check.determined - check.agreed,
                        check.determined
                    ));
                }
            }
        }
        for p in run.predictions.iter().flatten().filter(|p| p.p_value < SURPRISING) {
            notes.push(format!(
                "surprising: {}: {} {}, predicted {} {} (p {})",
                run.file,
                p.observed,
                p.metric.name(),
                fixed(p.mean, 1),
                interval(p.interval, 0),
                p_value(p.p_value)
            ));
        }
    }
    if determined > 0 {
        notes.insert(
            0,
            format!(
                "of {} choices of server that the rules determine, {} were made",
                thousands(determined as u64),
                thousands(agreed as u64)
            ),
        );
    }
    for metric in validation.metrics.iter().filter(|m| !m.tested) {
        notes.push(format!("{}: not tested, no prediction has a spread", metric.metric.name()));
    }
    notes
}

/// Whether servers differ as much as predicted, as a sentence.
fn slope(found: &Slope, from_model: bool) -> String {
    let Interval { low, high } = found.interval;
    let so = if low > 1.0 && from_model {
        "servers differ more than predicted: the model's population of error rates is too narrow, \
         fit it to these runs as well"
    } else if low > 1.0 {
        "servers differ more than predicted: the population of error rates learned from the other \
         runs is too narrow, record more starts"
    } else if high < 1.0 {
        "servers differ less than predicted: predictions go too far from the middle"
    } else {
        "servers differ as much as predicted, as far as these runs tell"
    };
    format!(
        "{so}; slope {} {} (95 %, over runs), where 1 is right, p {}",
        fixed(found.slope, 2),
        interval(found.interval, 2),
        p_value(found.p_value)
    )
}

/// Of a single run: whether its second half is as the first foretells.
fn verdict_of_half(validation: &Validation) -> String {
    let found = &validation.one_step;
    let expected: f64 = found.bins.iter().map(|bin| bin.expected).sum();
    let (attempts, failures) = (counted(found.attempts, "attempt"), thousands(found.failures));
    let p = validation.tests().first().map_or(1.0, |(_, p)| *p);
    let (expected, p, level) = (fixed(expected, 1), p_value(p), percent(LEVEL, 0));
    if validation.held() {
        format!(
            "The predictions held: as far as {attempts} can tell, the second half is as the first \
             foretells. {failures} of them failed, {expected} expected; p {p} against rates drawn \
             anew at the half, where {LEVEL} or less would reject."
        )
    } else {
        format!(
            "The predictions did not hold at {level} % (p {p}): error rates drawn anew foretell the \
             second half better than those of the first. {failures} of its {attempts} \
             failed, {expected} expected. A restart or an outage of the servers looks like this; \
             `flakelab fit` looks for both."
        )
    }
}

fn verdict(validation: &Validation) -> String {
    let tests = validation.tests();
    let level = format!("{} %", percent(LEVEL, 0));
    if validation.held() {
        return format!(
            "The predictions held: none of {} tests rejects at {level} (Holm).",
            tests.len()
        );
    }
    let rejected: Vec<String> = tests
        .iter()
        .filter(|(_, p)| *p <= LEVEL)
        .map(|(name, p)| format!("{name} (p {})", p_value(*p)))
        .collect();
    format!("The predictions did not hold at {level} (Holm): {}.", rejected.join(", "))
}
