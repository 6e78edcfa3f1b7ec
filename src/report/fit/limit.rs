//! The rate limit: kinds, conclusion, and what load would decide what is open.

use std::fmt::Write;

use crate::fit::{Conclusion, ConfigFit, LimitFamily};
use crate::report::numbers::fixed;
use crate::report::table::frame;
use crate::world::LimitKind;

pub(super) fn text(fit: &ConfigFit) -> String {
    let inference = &fit.rate_limit.inference;
    let each =
        |cell: &dyn Fn(&LimitFamily) -> String| inference.families.iter().map(cell).collect();
    let of_limit = |family: &LimitFamily, text: &dyn Fn() -> String| match family.kind {
        LimitKind::None => "-".to_owned(),
        _ => text(),
    };
    let range = |low: f64, high: f64| match (low, high) {
        (low, high) if !low.is_finite() || !high.is_finite() => "-".to_owned(),
        (low, high) => format!("{} to {}", significant(low), significant(high)),
    };
    let columns = [
        ("kind", each(&|f| f.kind.to_string())),
        ("ln BF", each(&|f| format!("{:+.1}", f.log_bayes_factor_against_none))),
        ("probability", each(&|f| fixed(f.probability, 3))),
        ("per second", each(&|f| of_limit(f, &|| range(f.per_second.low, f.per_second.high)))),
        ("burst or limit", each(&|f| of_limit(f, &|| range(f.capacity.low, f.capacity.high)))),
        ("window s", each(&|f| of_limit(f, &|| range(f.window_s.low, f.window_s.high)))),
    ];
    let mut text =
        format!("\nrate limit: Bayes factors against none, 95 % ranges\n{}\n", frame(&columns, 1));
    for family in inference.families.iter().filter(|f| !f.estimate.is_none()) {
        let _ = writeln!(text, "  best {}", family.estimate);
    }
    let verdict = match &inference.conclusion {
        Conclusion::Found { .. } => "found",
        Conclusion::FoundFamilyOpen { .. } => "found, its kind open",
        Conclusion::Unexplained { .. } => "refusals are real, but no law here explains them",
        Conclusion::Abstained { .. } => "abstained",
    };
    let assumed = if fit.rate_limit.assumed { " (assumed)" } else { "" };
    let _ =
        writeln!(text, "conclusion: {verdict}; the model says {}{assumed}", fit.rate_limit.limit);
    let _ = writeln!(text, "why: {}", fit.rate_limit.reason);
    if !inference.advice.is_empty() {
        let _ = writeln!(text, "what would decide: {}", inference.advice);
    }
    text
}

/// Three digits or so.
fn significant(x: f64) -> String {
    let decimals = match x.abs() {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        _ => 3,
    };
    let text = fixed(x, decimals);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
