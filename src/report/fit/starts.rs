//! Starts of the servers, run by run, and restarts within runs.

use std::fmt::Write;

use crate::fit::{ConfigFit, Place, StartBoundary};
use crate::report::numbers::{fixed, p_value, signed};
use crate::report::table::Table;

pub fn text(fit: &ConfigFit, width: Option<usize>) -> String {
    let before = |i: usize| {
        fit.starts
            .boundaries
            .iter()
            .find(|b| matches!(b.place, Place::Between { after, .. } if after == i))
    };
    let within = |i: usize| fit.starts.searches.iter().find(|search| search.recording == i);
    let table = Table::of(fit.runs.iter().enumerate())
        .text("run", |(_, run)| run.file.clone())
        .at_least(16)
        .text("strategy", |(_, run)| run.strategies.join(", "))
        .at_least(10)
        .number("start", |(_, run)| {
            let starts: Vec<String> =
                run.starts.iter().map(|(_, start)| start.to_string()).collect();
            starts.join(", ")
        })
        .number("P(restart before)", |(i, _)| before(*i).map_or("-".to_owned(), probability))
        .number("ln BF", |(i, _)| before(*i).map_or("-".to_owned(), |b| factor(b.log_bayes_factor)))
        .number("ln BF within", |(i, _)| {
            within(*i).map_or("-".to_owned(), |s| factor(s.log_bayes_factor))
        })
        .number("attempts", |(_, run)| run.attempts.to_string())
        .number("failures", |(_, run)| run.failures.to_string())
        .number("refusals", |(_, run)| run.refusals.to_string());
    let mut text = format!("{}\n", table.on_terminal(width));
    for boundary in fit.starts.boundaries.iter().filter(|b| b.restart) {
        if let Place::Inside { recording, into_file_s, interval_s, at_s, .. } = &boundary.place {
            let begin = at_s - into_file_s;
            let _ = writeln!(
                text,
                "restart {} s into {} (95 % interval {} to {} s); of any restart in that run: ln Bayes \
                 factor {}",
                fixed(*into_file_s, 2),
                fit.runs[*recording].file,
                fixed(interval_s.low - begin, 2),
                fixed(interval_s.high - begin, 2),
                factor(boundary.log_bayes_factor)
            );
        }
    }
    let tests: Vec<String> = fit
        .homogeneity
        .iter()
        .filter(|h| h.test.df > 0)
        .map(|h| {
            format!(
                "{}: chi-square {} on {}, p {}",
                h.scope,
                fixed(h.test.statistic, 1),
                h.test.df,
                p_value(h.test.p_value)
            )
        })
        .collect();
    if !tests.is_empty() {
        let _ = writeln!(text, "one rate per server in {}", tests.join("; "));
    }
    text
}

fn factor(log_bayes_factor: f64) -> String {
    match log_bayes_factor {
        x if x.is_finite() => signed(x, 1),
        _ => "declared".to_owned(),
    }
}

fn probability(boundary: &StartBoundary) -> String {
    match boundary.probability {
        _ if boundary.declared => "declared".to_owned(),
        p if p > 0.999 => ">.999".to_owned(),
        p if p < 0.001 => "<.001".to_owned(),
        p => fixed(p, 3),
    }
}
