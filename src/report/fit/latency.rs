//! Latency: families, tail, and what it depends on.

use std::fmt::Write;

use crate::fit::{LatencyAnalysis, OutcomeLatency};
use crate::report::numbers::{fixed, interval, p_value, signed};
use crate::report::table::Table;

pub fn text(latency: &LatencyAnalysis, width: Option<usize>) -> String {
    let what = if latency.failure.is_some() { "successes" } else { "all attempts" };
    let mut text = format!("\nlatency of {what}\n{}", of_outcome(&latency.success, width));
    if let Some(failure) = &latency.failure {
        let _ = write!(text, "failures differ\n{}", of_outcome(failure, width));
    }
    if latency.sampled < latency.attempts {
        let _ = writeln!(text, "fitted to {} of {} attempts", latency.sampled, latency.attempts);
    }
    if let Some(tick) = latency.clock_tick_ms {
        let _ = writeln!(text, "the recorder's clock ticks every {tick} ms");
    }
    let table = Table::of(&latency.dependences)
        .text("latency depends on", |d| d.factor.to_string())
        .at_least(16)
        .number("p", |d| p_value(d.p_value))
        .number("Holm", |d| p_value(d.p_adjusted))
        .text("effect", |d| {
            let known = d.effect_interval.map_or(String::new(), |i| format!(" {}", interval(i, 2)));
            format!("{} {}{known}", d.effect_name, fixed(d.effect, 2))
        })
        .at_least(24);
    let _ = writeln!(text, "{}", table.on_terminal(width));
    for d in latency.dependences.iter().filter(|d| d.p_adjusted < 0.05) {
        let _ = writeln!(text, "{}: {}", d.factor, d.follows);
    }
    text
}

fn of_outcome(fit: &OutcomeLatency, width: Option<usize>) -> String {
    let chosen = &fit.families[fit.chosen];
    let others: Vec<String> = fit
        .families
        .iter()
        .enumerate()
        .filter(|(i, family)| *i != fit.chosen && family.bic.is_finite())
        .map(|(_, family)| format!("{} {}", family.name(), signed(family.bic - chosen.bic, 1)))
        .collect();
    let mut text = format!("{}: {}\n", chosen.name(), chosen.family);
    if !others.is_empty() {
        let _ = writeln!(text, "BIC of others against it: {}", others.join(", "));
    }
    let tail = &fit.tail;
    let end = |ms: Option<f64>| ms.map_or("?".to_owned(), |ms| fixed(ms, 2));
    let table = Table::of(&tail.quantiles)
        .text("quantile", |q| format!("p{}", q.p * 100.0))
        .number("fitted ms", |q| fixed(q.fitted_ms, 2))
        .number("observed ms", |q| fixed(q.observed_ms, 2))
        .number("95 % interval", |q| format!("[{}, {}]", end(q.low_ms), end(q.high_ms)));
    let _ = writeln!(text, "{}", table.on_terminal(width));
    let _ = writeln!(
        text,
        "{} attempts; longest {} ms (chance of one so long: {}); {} beyond the fitted p99.9, {} \
         expected",
        fit.attempts,
        fixed(tail.longest_ms, 1),
        p_value(tail.chance_of_longest),
        tail.beyond,
        fixed(tail.beyond_expected, 1)
    );
    let _ = writeln!(text, "{}", fit.misses());
    text
}
