//! The report of a validation: what was predicted, what came, and whether that is ordinary.

use std::fmt::Write;

use super::numbers::{fixed, interval, thousands};
use super::table::frame;
use crate::validate::{
    Difference, LEVEL, Membership, MetricTest, OneStep, Prediction, Rival, RunRules, RunValidation,
    Validation,
};

/// A run is worth a second look when a count is less probable than this, both sides together.
const SURPRISING: f64 = 0.05;

/// The whole report as text, the conclusion last.
pub fn validation_report(validation: &Validation) -> String {
    let source = match &validation.model {
        None => "each run predicted from all others".to_owned(),
        Some(name) => format!("each run predicted from the model {name}"),
    };
    let runs = validation.runs.len();
    let mut text = format!(
        "{runs} run{}, {source}\n\none step ahead: the chance that each attempt fails, given the \
         recorded choice of server and all before it\n",
        if runs == 1 { "" } else { "s" }
    );
    text += &one_step(&validation.one_step, validation.model.is_some());
    let rules = match validation.settings.rules {
        RunRules::Recorder => "the recorder's rules (six attempts at most, tried servers left out)",
        RunRules::Game => "the rules of the game",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n\nwhole runs under {rules}, {} replications each: predicted mean [95 %], recorded\n{}",
        thousands(validation.settings.replications),
        whole_runs(&validation.runs)
    );
    if !validation.metrics.is_empty() {
        let _ = write!(text, "\n\nover all runs\n{}", metrics(&validation.metrics));
    }
    for note in notes(validation) {
        let _ = write!(text, "\nnote: {note}");
    }
    text + "\n\n" + &verdict(validation)
}

fn one_step(found: &OneStep, from_model: bool) -> String {
    let bins: Vec<_> = found.bins.iter().filter(|bin| bin.attempts > 0).collect();
    let each = |cell: &dyn Fn(usize) -> String| (0..bins.len()).map(cell).collect();
    let share = |n: f64, of: u64| fixed(n / of as f64, 3);
    let columns = [
        ("predicted", each(&|i| format!("{} to {}", fixed(bins[i].from, 1), fixed(bins[i].to, 1)))),
        ("attempts", each(&|i| thousands(bins[i].attempts))),
        ("failures expected", each(&|i| fixed(bins[i].expected, 1))),
        ("observed", each(&|i| bins[i].observed.to_string())),
        ("share expected", each(&|i| share(bins[i].expected, bins[i].attempts))),
        ("share observed", each(&|i| share(bins[i].observed as f64, bins[i].attempts))),
        ("z", each(&|i| format!("{:+.1}", bins[i].z()))),
    ];
    let mut scores = vec![("model", found.model, None)];
    scores.extend(found.rivals.iter().map(|against| {
        let name = match against.rival {
            Rival::ThisRun => "raw rates, this run",
            Rival::SameStart => "raw rates, same start",
            Rival::SameDay => "raw rates, same day",
            Rival::OneRate if from_model => "the model's mean rate",
            Rival::OneRate => "one pooled rate",
        };
        (name, against.scores, Some(against.difference))
    }));
    let each = |cell: &dyn Fn(usize) -> String| (0..scores.len()).map(cell).collect();
    let gain = |i: usize, of: &dyn Fn(Difference) -> String| match scores[i].2 {
        None => "-".to_owned(),
        Some(difference) => of(difference),
    };
    let over_runs = |d: Difference| d.over_runs.map_or("-".to_owned(), |i| interval(i, 4));
    let score_columns = [
        ("predictor", each(&|i| scores[i].0.to_owned())),
        ("log score", each(&|i| fixed(scores[i].1.log_score, 4))),
        ("Brier", each(&|i| fixed(scores[i].1.brier, 4))),
        ("model better by", each(&|i| gain(i, &|d| fixed(d.mean, 4)))),
        ("[95 %] over attempts", each(&|i| gain(i, &|d| interval(d.over_attempts, 4)))),
        ("[95 %] over runs", each(&|i| gain(i, &over_runs))),
    ];
    let curve = if from_model { "each run alone" } else { "each run predicted from all others" };
    format!(
        "{}\ncurve: {curve}; test: chi-square {} on {} degrees of freedom, p {}, each run's start \
         known from earlier runs only (log score {}), because runs that share a start would \
         otherwise err together\n\n{}\nscores are means over {} attempts, in nats and squared; less is \
         better{}",
        frame(&columns, 1),
        fixed(found.test.statistic, 1),
        found.test.df,
        p_value(found.test.p_value),
        fixed(found.tested.log_score, 4),
        frame(&score_columns, 1),
        thousands(found.attempts),
        if from_model {
            ""
        } else {
            "; same start: this run and those that more probably than not met its start, judged \
             before its outcomes"
        }
    )
}

fn whole_runs(runs: &[RunValidation]) -> String {
    let each = |cell: &dyn Fn(usize) -> String| (0..runs.len()).map(cell).collect();
    let mut columns = vec![
        ("run", each(&|i| runs[i].file.clone())),
        ("config", each(&|i| runs[i].group.clone())),
        ("strategy", each(&|i| runs[i].strategies.join(", "))),
        ("start: before -> after", each(&|i| membership(&runs[i].membership))),
    ];
    let known: Vec<&Prediction> =
        runs.iter().filter_map(|r| r.predictions.as_ref()).flatten().collect();
    for metric in crate::validate::Metric::ALL {
        if !known.iter().any(|prediction| prediction.metric == metric) {
            continue;
        }
        let cell = |i: usize| {
            let of_run = runs[i].predictions.iter().flatten().find(|p| p.metric == metric);
            of_run.map_or("-".to_owned(), prediction)
        };
        columns.push((metric.name(), each(&cell)));
    }
    frame(&columns, 4).to_string()
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
        let mut best = options[0];
        for option in options {
            if option.0 > best.0 {
                best = option;
            }
        }
        format!("{} {}", best.1, fixed(best.0, 2))
    };
    format!("{} -> {}", most(&of[0]), most(&of[1]))
}

fn metrics(metrics: &[MetricTest]) -> String {
    let each = |cell: &dyn Fn(&MetricTest) -> String| metrics.iter().map(cell).collect();
    let tested = |m: &MetricTest, value: f64| {
        if m.tested { p_value(value) } else { "not tested".to_owned() }
    };
    let columns = [
        ("count", each(&|m| m.metric.name().to_owned())),
        ("runs", each(&|m| m.runs.to_string())),
        ("recorded", each(&|m| thousands(m.totals.0))),
        ("predicted", each(&|m| fixed(m.totals.1, 1))),
        ("inside 95 %", each(&|m| format!("{} of {}", m.inside, m.runs))),
        ("shift z", each(&|m| format!("{:+.1}", m.shift))),
        ("spread z", each(&|m| format!("{:+.1}", m.spread))),
        ("PIT p", each(&|m| tested(m, m.p_value))),
        ("Holm", each(&|m| tested(m, m.adjusted_p_value))),
        ("randomised PIT p", each(&|m| tested(m, m.randomised_p_value))),
    ];
    format!(
        "{}\nPIT p: Neyman's smooth test of order 2 on the non-randomised PIT, null distribution by \
         the replications; randomised PIT p: Kolmogorov, median of 199 randomisations\n\
         both take runs for independent; runs of one start share error rates and evidence, so with \
         few starts they are rough",
        frame(&columns, 1)
    )
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

fn verdict(validation: &Validation) -> String {
    let tests = validation.tests();
    let level = format!("{} %", fixed(LEVEL * 100.0, 0));
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

fn p_value(p: f64) -> String {
    if p < 0.001 { format!("{p:.0e}") } else { fixed(p, 3) }
}
