//! Assumptions of the simulator, and predictions of held-out halves.

use std::fmt::Write;

use super::p_value;
use crate::fit::ConfigFit;
use crate::report::numbers::fixed;
use crate::report::table::frame;

pub(super) fn text(fit: &ConfigFit) -> String {
    assumptions(fit) + &held_out(fit)
}

fn assumptions(fit: &ConfigFit) -> String {
    let tests = &fit.assumptions;
    let each = |cell: &dyn Fn(usize) -> String| (0..tests.len()).map(cell).collect();
    let nothing = |i: usize| tests[i].attempts == 0;
    let p = |i: usize, p: f64| if nothing(i) { "-".to_owned() } else { p_value(p) };
    let effect = |i: usize| match &tests[i].effect {
        Some(effect) => format!(
            "{:+.1} [{:+.1}, {:+.1}]",
            effect.points, effect.interval.low, effect.interval.high
        ),
        None => "-".to_owned(),
    };
    let columns = [
        ("assumption", each(&|i| tests[i].name.to_owned())),
        ("attempts", each(&|i| tests[i].attempts.to_string())),
        ("effect, points of failure %", each(&effect)),
        ("p", each(&|i| p(i, tests[i].p_value))),
        ("Holm", each(&|i| p(i, tests[i].adjusted_p_value))),
    ];
    let mut text = format!("\nmay the simulator be believed?\n{}\n", frame(&columns, 1));
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

fn held_out(fit: &ConfigFit) -> String {
    let held = &fit.held_out;
    if held.attempts == 0 {
        return String::new();
    }
    let made: Vec<_> = held.checks.iter().filter(|check| check.attempts > 0).collect();
    let each = |cell: &dyn Fn(usize) -> String| (0..made.len()).map(cell).collect();
    let columns = [
        ("held-out half", each(&|i| made[i].name.to_owned())),
        ("unit", each(&|i| made[i].unit.to_owned())),
        ("attempts", each(&|i| made[i].attempts.to_string())),
        ("observed", each(&|i| number(made[i].observed))),
        ("expected", each(&|i| number(made[i].expected))),
        ("p", each(&|i| p_value(made[i].p_value))),
        ("Holm", each(&|i| p_value(made[i].adjusted_p_value))),
    ];
    let mut text = format!(
        "\nsecond halves predicted from first halves: log score {} per attempt, from raw rates {}\n{}\n",
        fixed(held.log_score, 4),
        fixed(held.raw_log_score, 4),
        frame(&columns, 2)
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
