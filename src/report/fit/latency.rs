//! Latency: families, tail, and what it depends on.

use std::fmt::Write;

use super::p_value;
use crate::fit::{LatencyAnalysis, LatencyQuantile, OutcomeLatency};
use crate::report::numbers::fixed;
use crate::report::table::frame;

pub(super) fn text(latency: &LatencyAnalysis) -> String {
    let what = if latency.failure.is_some() { "successes" } else { "all attempts" };
    let mut text = format!("\nlatency of {what}\n{}", of_outcome(&latency.success));
    if let Some(failure) = &latency.failure {
        let _ = write!(text, "failures differ\n{}", of_outcome(failure));
    }
    if latency.sampled < latency.attempts {
        let _ = writeln!(text, "fitted to {} of {} attempts", latency.sampled, latency.attempts);
    }
    if let Some(tick) = latency.clock_tick_ms {
        let _ = writeln!(text, "the recorder's clock ticks every {tick} ms");
    }
    let dependences = &latency.dependences;
    let each = |cell: &dyn Fn(usize) -> String| (0..dependences.len()).map(cell).collect();
    let effect = |i: usize| {
        let d = &dependences[i];
        let interval = d.effect_interval.map_or(String::new(), |interval| {
            format!(" [{}, {}]", fixed(interval.low, 2), fixed(interval.high, 2))
        });
        format!("{} {}{interval}", d.effect_name, fixed(d.effect, 2))
    };
    let columns = [
        ("latency depends on", each(&|i| dependences[i].factor.to_string())),
        ("p", each(&|i| p_value(dependences[i].p_value))),
        ("Holm", each(&|i| p_value(dependences[i].p_adjusted))),
        ("effect", each(&effect)),
    ];
    let _ = writeln!(text, "{}", frame(&columns, 2));
    for d in dependences.iter().filter(|d| d.p_adjusted < 0.05) {
        let _ = writeln!(text, "{}: {}", d.factor, d.follows);
    }
    text
}

fn of_outcome(fit: &OutcomeLatency) -> String {
    let chosen = &fit.families[fit.chosen];
    let others: Vec<String> = fit
        .families
        .iter()
        .enumerate()
        .filter(|(i, family)| *i != fit.chosen && family.bic.is_finite())
        .map(|(_, family)| format!("{} {:+.1}", family.name(), family.bic - chosen.bic))
        .collect();
    let mut text = format!("{}: {}\n", chosen.name(), chosen.family);
    if !others.is_empty() {
        let _ = writeln!(text, "BIC of others against it: {}", others.join(", "));
    }
    let tail = &fit.tail;
    let each =
        |cell: &dyn Fn(&LatencyQuantile) -> String| tail.quantiles.iter().map(cell).collect();
    let end = |ms: Option<f64>| ms.map_or("?".to_owned(), |ms| fixed(ms, 2));
    let columns = [
        ("quantile", each(&|q| format!("p{}", q.p * 100.0))),
        ("fitted ms", each(&|q| fixed(q.fitted_ms, 2))),
        ("observed ms", each(&|q| fixed(q.observed_ms, 2))),
        ("95 % interval", each(&|q| format!("[{}, {}]", end(q.low_ms), end(q.high_ms)))),
    ];
    let _ = writeln!(text, "{}", frame(&columns, 1));
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
