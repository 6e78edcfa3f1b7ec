//! The rate limit: kinds, conclusion, and what load would decide what is open.

use std::fmt::Write;

use crate::fit::{Conclusion, ConfigFit, LimitFamily};
use crate::report::numbers::{fixed, signed, significant};
use crate::report::table::Table;
use crate::stats::Interval;
use crate::world::LimitKind;

pub fn text(fit: &ConfigFit, width: Option<usize>) -> String {
    let inference = &fit.rate_limit.inference;
    let range = |family: &LimitFamily, range: Interval| match family.kind {
        LimitKind::None => "-".to_owned(),
        _ if !range.low.is_finite() || !range.high.is_finite() => "-".to_owned(),
        _ => format!("{} to {}", significant(range.low), significant(range.high)),
    };
    let table = Table::of(&inference.families)
        .text("kind", |f| f.kind.to_string())
        .number("ln BF", |f| signed(f.log_bayes_factor_against_none, 1))
        .number("probability", |f| fixed(f.probability, 3))
        .number("per second", |f| range(f, f.per_second))
        .number("burst or limit", |f| range(f, f.capacity))
        .number("window s", |f| range(f, f.window_s));
    let mut text = format!(
        "\nrate limit: Bayes factors against none, 95 % ranges\n{}\n",
        table.on_terminal(width)
    );
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
