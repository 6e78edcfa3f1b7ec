//! Assumptions of the simulator, and predictions of held-out halves.

use std::fmt::Write;

use crate::fit::ConfigFit;
use crate::report::numbers::{fixed, p_value, signed};
use crate::report::table::Table;

pub fn text(fit: &ConfigFit, width: Option<usize>) -> String {
    assumptions(fit, width) + &held_out(fit, width)
}

fn assumptions(fit: &ConfigFit, width: Option<usize>) -> String {
    let tests = &fit.assumptions;
    let p = |attempts: u64, p: f64| if attempts == 0 { "-".to_owned() } else { p_value(p) };
    let table = Table::of(tests)
        .text("assumption", |t| t.name.to_owned())
        .at_least(20)
        .number("attempts", |t| t.attempts.to_string())
        .number("effect, points of failure %", |t| match &t.effect {
            None => "-".to_owned(),
            Some(effect) => format!(
                "{} [{}, {}]",
                signed(effect.points, 1),
                signed(effect.interval.low, 1),
                signed(effect.interval.high, 1)
            ),
        })
        .number("p", |t| p(t.attempts, t.p_value))
        .number("Holm", |t| p(t.attempts, t.adjusted_p_value));
    let mut text = format!("\nmay the simulator be believed?\n{}\n", table.on_terminal(width));
    for test in tests.iter().filter(|test| test.is_rejected()) {
        let _ = writeln!(text, "{}: {}", test.name, test.consequence);
    }
    if tests.iter().all(|test| test.attempts == 0) {
        text += "there are too few attempts to test an assumption\n";
    } else if tests.iter().all(|test| !test.is_rejected()) {
        text += "no assumption is rejected\n";
    }
    text
}

fn held_out(fit: &ConfigFit, width: Option<usize>) -> String {
    let held = &fit.held_out;
    if held.attempts == 0 {
        return String::new();
    }
    let table = Table::of(held.checks.iter().filter(|check| check.attempts > 0))
        .text("held-out half", |check| check.name.to_owned())
        .at_least(16)
        .text("unit", |check| check.unit.to_owned())
        .number("attempts", |check| check.attempts.to_string())
        .number("observed", |check| number(check.observed))
        .number("expected", |check| number(check.expected))
        .number("p", |check| p_value(check.p_value))
        .number("Holm", |check| p_value(check.adjusted_p_value));
    let mut text = format!(
        "\nsecond halves predicted from first halves: log score {} per attempt, from raw rates {}\n{}\n",
        fixed(held.log_score, 4),
        fixed(held.raw_log_score, 4),
        table.on_terminal(width)
    );
    let misses: Vec<&str> = held.misses().collect();
    if misses.is_empty() {
        text += "the model misses nothing that these checks see\n";
    }
    for miss in misses {
        let _ = writeln!(text, "the model misses: {miss}");
    }
    text
}

/// Counts with one decimal, scores of a few nats with three.
fn number(x: f64) -> String {
    fixed(x, if x.abs() < 10.0 { 3 } else { 1 })
}
