//! The report of a fit: what was found, on how much evidence, and what to keep in mind. As text
//! for terminals, and as a Markdown page with charts.

use std::fmt::Write;

use crate::charts::{draw_fit, file_name, fit_data};
use crate::report::fit_summary::{reproduction, summary};
use crate::report::numbers::{fixed, interval, p_value, signed, significant};
use crate::report::table::Table;
use crate::report::text::folded;
use flakelab_core::stats::Interval;
use flakelab_fit::{
    Conclusion, ConfigFit, FamilyFit, FitReport, LatencyAnalysis, LimitFamily, OutcomeLatency,
    Place, Reproduction, StartBoundary, group_name,
};
use flakelab_sim::world::{ErrorRateKind, LimitKind};

/// The whole report as text for a terminal so wide; without a width every table is whole.
pub fn fit_report(
    report: &FitReport,
    reproduced: &[Option<Reproduction>],
    width: Option<usize>,
) -> String {
    let of = |(fit, of): (&ConfigFit, &Option<Reproduction>)| of_config(fit, of.as_ref(), width);
    let configs: Vec<String> = report.configs.iter().zip(reproduced).map(of).collect();
    let mut text = configs.join("\n\n");
    for warning in &report.warnings {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n\nnote: {warning}");
    }
    text
}

/// The report as a page, and the files of its charts by name.
pub fn fit_page(
    report: &FitReport,
    reproduced: &[Option<Reproduction>],
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut page =
        "# Fit\n\nMade by `flakelab fit`: the same recordings give the same page.\n".to_owned();
    let mut files = Vec::new();
    for (fit, reproduced) in report.configs.iter().zip(reproduced) {
        let _ = write!(page, "\n## {}\n\n", group_name(&fit.group));
        for chart in draw_fit(fit)? {
            let name = format!("charts/{}", file_name(&slug(&fit.group.name), chart.name, "svg"));
            let _ = write!(page, "![{}]({name})\n\n", chart.title);
            files.push((name, chart.svg.into_bytes()));
        }
        let _ = write!(page, "```text\n{}\n```\n", of_config(fit, reproduced.as_ref(), None));
    }
    for warning in &report.warnings {
        let _ = write!(page, "\nnote: {warning}\n");
    }
    files.push(("report.md".to_owned(), page.into_bytes()));
    Ok(files)
}

/// A group's name as part of a file name.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect()
}

fn of_config(fit: &ConfigFit, of: Option<&Reproduction>, width: Option<usize>) -> String {
    let mut text = String::new();
    if let Some(traffic) = &fit.traffic {
        let table = of.map(|of| reproduction(of, width)).unwrap_or_default();
        let _ = writeln!(text, "{}\n{table}", summary(fit, traffic, of));
    }
    let _ = writeln!(text, "{}: {}", group_name(&fit.group), fit_data(fit));
    text += &starts_text(fit, width);
    text += &rates_text(fit, width);
    text += &limit_text(fit, width);
    if let Some(latency) = &fit.latency {
        text += &latency_text(latency, width);
    }
    text += &assumptions(fit, width);
    for warning in &fit.warnings {
        let _ = write!(text, "\nnote: {warning}");
    }
    let shown = Some(width.unwrap_or(WIDEST).min(WIDEST));
    text.lines().map(|line| wrapped(line, shown)).collect::<Vec<String>>().join("\n")
}

/// Columns of a line of text at most; tables take what they need.
const WIDEST: usize = 110;

/// A line broken between words, continued lines indented; rows of tables stay whole.
fn wrapped(line: &str, width: Option<usize>) -> String {
    let in_table = line.starts_with(|c: char| "┌│╞└├".contains(c));
    if in_table { line.to_owned() } else { folded(line, "  ", width) }
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

/// Families, tail, and what latency depends on.
fn latency_text(latency: &LatencyAnalysis, width: Option<usize>) -> String {
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

/// Kinds of rate limit, conclusion, and what load would decide what is open.
fn limit_text(fit: &ConfigFit, width: Option<usize>) -> String {
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
    let verdict = match inference.conclusion {
        Conclusion::Found => "found",
        Conclusion::FoundFamilyOpen => "found, its kind open",
        Conclusion::Unexplained => "refusals are real, but no law here explains them",
        Conclusion::Abstained => "abstained",
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

/// More servers than this are told by the chart.
const MOST_SERVERS: usize = 80;

/// The population of error rates and every server's own.
fn rates_text(fit: &ConfigFit, width: Option<usize>) -> String {
    let origin = if fit.rates_fitted_on == fit.group.name {
        "fitted by marginal likelihood".to_owned()
    } else {
        format!("those of config {}, where no refusals hide", fit.rates_fitted_on)
    };
    let mut text = format!("\nerror rates, {origin}\n{}\n", families(fit, width));
    let _ = writeln!(
        text,
        "fit of the {} servers: randomised PIT, Kolmogorov distance {}, p {}; calibration of the \
         next outcome, p {}; raw failure share averaged over servers {}, population mean {}",
        fit.goodness.servers,
        fixed(fit.goodness.pit_ks_distance, 3),
        p_value(fit.goodness.pit_ks_p_value),
        p_value(fit.goodness.calibration_test.p_value),
        fixed(fit.goodness.raw_mean, 3),
        fixed(fit.prior.mean(), 3),
    );
    let servers: Vec<_> = fit.servers.iter().filter(|s| s.rate.tally.attempts() > 0).collect();
    if servers.len() > MOST_SERVERS {
        return text;
    }
    // One row a server, one column a start: means with their intervals.
    let mut table = Table::of(0..fit.group.servers.len())
        .text("server", |server| fit.group.servers[*server].clone());
    for start in 1..=fit.starts.starts.len() {
        table = table.number(format!("start {start}"), |server| {
            let found = servers.iter().find(|s| s.start == start && s.server == *server);
            found.map_or("-".to_owned(), |s| {
                format!("{} {}", fixed(s.rate.mean, 2), interval(s.rate.interval_95, 2))
            })
        });
    }
    let _ = writeln!(
        text,
        "\nerror rate of each server, mean and 95 % interval\n{}",
        table.on_terminal(width)
    );
    text
}

fn families(fit: &ConfigFit, width: Option<usize>) -> String {
    let families = &fit.rates.families;
    let best = families.first().map_or(f64::NAN, |f| f.log_evidence);
    let mut text = Table::of(families)
        .text("family", |f| f.family.name().replace('_', " "))
        .number("ln evidence", |f| fixed(f.log_evidence, 2))
        .number("ln Bayes factor", |f| signed(f.log_evidence - best, 2))
        .number("probability", |f| fixed(f.probability, 3))
        .on_terminal(width);
    text += "\nhyperparameters with 95 % credible intervals:";
    for family in families {
        let _ = write!(
            text,
            "\n  {}: {}",
            family.family.name().replace('_', " "),
            hyperparameters(family)
        );
    }
    text
}

fn hyperparameters(family: &FamilyFit) -> String {
    if family.family == ErrorRateKind::Fixed {
        return "a rate for each port, the same at every start".to_owned();
    }
    let each: Vec<String> = family
        .hyperparameters
        .iter()
        .map(|h| {
            let name = h.name.replace('_', " ");
            format!("{name} {} {}", fixed(h.estimate, 3), interval(h.interval, 3))
        })
        .collect();
    each.join(", ")
}

/// Starts of the servers, run by run, and restarts within runs.
fn starts_text(fit: &ConfigFit, width: Option<usize>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_tables_are_not() {
        let long = ["word"; 60].join(" ");
        let broken = wrapped(&long, Some(WIDEST));
        assert!(broken.lines().all(|line| line.chars().count() <= WIDEST), "{broken}");
        assert_eq!(broken.split_whitespace().count(), 60);
        let row = format!("│ {long} │");
        assert_eq!(wrapped(&row, Some(WIDEST)), row);
    }
}
