//! The report of a fit: what was found, on how much evidence, and what to keep in mind.

use std::fmt::Write;

use super::numbers::{fixed, interval};
use super::table::frame;
use crate::fit::{BOOTSTRAP_DRAWS, ConfigFit, FitReport, LatencyFit, LimitEvidence, Population};
use crate::world::{LatencyFamily, LogNormal};

/// The whole report as text.
pub fn fit_report(report: &FitReport) -> String {
    let mut text = report.configs.iter().map(of_config).collect::<Vec<String>>().join("\n\n");
    for warning in &report.warnings {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n\nnote: {warning}");
    }
    text
}

fn of_config(fit: &ConfigFit) -> String {
    let attempts: usize = fit.runs.iter().map(|r| r.attempts).sum();
    let starts = fit.runs.last().map_or(0, |r| r.start);
    let mut text = format!(
        "config {}: {} run{}, {attempts} attempts, {starts} start{} of the servers\n{}\n",
        fit.config,
        fit.runs.len(),
        if fit.runs.len() == 1 { "" } else { "s" },
        if starts == 1 { "" } else { "s" },
        runs(fit)
    );
    let tests: Vec<String> = fit
        .homogeneity
        .iter()
        .map(|h| {
            format!(
                "{}: chi-square {} on {} degrees of freedom, p {}",
                h.scope,
                fixed(h.test.statistic, 1),
                h.test.df,
                p_value(h.test.p_value)
            )
        })
        .collect();
    let _ = writeln!(text, "one rate per server in {}", tests.join("; "));
    let _ = writeln!(text, "\nerror rates, {}\n{}", population_origin(fit), families(fit));
    let _ = writeln!(
        text,
        "fit of the {} servers: randomised PIT, Kolmogorov distance {}, p {}; calibration of the \
         next outcome, p {}; raw failure share averaged over servers {}, population mean {}",
        fit.goodness.servers,
        fixed(fit.goodness.pit_ks_distance, 3),
        p_value(fit.goodness.pit_ks_p_value),
        p_value(fit.goodness.calibration_test.p_value),
        fixed(fit.goodness.raw_mean, 3),
        fit.population.families.first().map_or("-".into(), |f| fixed(f.population.mean(), 3)),
    );
    let _ = writeln!(text, "\nlatency: {}", latency(&fit.latency.success));
    if let Some(failure) = &fit.latency.failure {
        let _ = writeln!(text, "failures differ: {}", latency(failure));
    }
    let limit = &fit.rate_limit;
    let origin = if limit.assumed { "rate limit, assumed" } else { "rate limit" };
    let _ = writeln!(text, "\n{origin}: {}", limit.limit);
    let _ = write!(text, "why: {}\nevidence: {}", limit.reason, evidence(&limit.evidence));
    for warning in &fit.warnings {
        let _ = write!(text, "\nnote: {warning}");
    }
    text
}

fn runs(fit: &ConfigFit) -> String {
    let each = |cell: &dyn Fn(usize) -> String| (0..fit.runs.len()).map(cell).collect();
    let boundary = |i: usize| match i.checked_sub(1).and_then(|i| fit.boundaries.get(i)) {
        None => "-".to_owned(),
        Some(b) if b.probability > 0.999 => ">.999".to_owned(),
        Some(b) if b.probability < 0.001 => "<.001".to_owned(),
        Some(b) => fixed(b.probability, 3),
    };
    let factor = |i: usize| match i.checked_sub(1).and_then(|i| fit.boundaries.get(i)) {
        None => "-".to_owned(),
        Some(b) => format!("{:+.1}", b.log_bayes_factor),
    };
    let columns = [
        ("run", each(&|i| fit.runs[i].file.clone())),
        ("strategy", each(&|i| fit.runs[i].strategies.join(", "))),
        ("start", each(&|i| fit.runs[i].start.to_string())),
        ("P(restart before)", each(&boundary)),
        ("ln Bayes factor", each(&factor)),
        ("attempts", each(&|i| fit.runs[i].attempts.to_string())),
        ("failures", each(&|i| fit.runs[i].failures.to_string())),
    ];
    frame(&columns, 2).to_string()
}

fn population_origin(fit: &ConfigFit) -> String {
    if fit.population.fitted_on == fit.config {
        "fitted by marginal likelihood".to_owned()
    } else {
        format!("those of config {}, where no refusals hide", fit.population.fitted_on)
    }
}

fn families(fit: &ConfigFit) -> String {
    let families = &fit.population.families;
    let best = families.first().map_or(f64::NAN, |f| f.log_evidence);
    let each = |cell: &dyn Fn(usize) -> String| (0..families.len()).map(cell).collect();
    let hyperparameter = |i: usize, k: usize| {
        let h = &families[i].hyperparameters[k];
        format!("{} {} {}", h.name, fixed(h.estimate, 3), interval(h.interval, 3))
    };
    let columns = [
        ("family", each(&|i| population(&families[i].population))),
        ("first [95 % credible]", each(&|i| hyperparameter(i, 0))),
        ("second [95 % credible]", each(&|i| hyperparameter(i, 1))),
        ("ln evidence", each(&|i| fixed(families[i].log_evidence, 2))),
        ("ln Bayes factor", each(&|i| format!("{:+.2}", families[i].log_evidence - best))),
    ];
    frame(&columns, 1).to_string()
}

fn population(population: &Population) -> String {
    match population {
        Population::Uniform { .. } => "uniform".to_owned(),
        Population::Beta { .. } => "beta".to_owned(),
        Population::BetaMixture { .. } => "beta mixture".to_owned(),
    }
}

fn latency(fit: &LatencyFit) -> String {
    let family = match fit.family {
        LatencyFamily::Constant { ms } => format!("always {} ms", fixed(ms, 2)),
        LatencyFamily::LogNormal(one) => format!("lognormal, {}", log_normal(one)),
        LatencyFamily::LogNormalMixture { body, tail_weight, tail } => format!(
            "lognormal body, {}, and a tail of {} % with {}",
            log_normal(body),
            fixed(tail_weight * 100.0, 1),
            log_normal(tail)
        ),
        other => other.to_string(),
    };
    format!(
        "{family}; {} attempts, Kolmogorov distance {}, p {}{} by bootstrap",
        fit.attempts,
        fixed(fit.ks_distance, 3),
        // With so many draws no smaller p-value can be seen.
        if fit.ks_p_value * (BOOTSTRAP_DRAWS as f64 + 1.0) < 1.5 { "at most " } else { "" },
        p_value(fit.ks_p_value)
    )
}

fn log_normal(of: LogNormal) -> String {
    format!("median {} ms, sigma {}", fixed(of.median_ms, 2), fixed(of.sigma, 2))
}

fn evidence(evidence: &LimitEvidence) -> String {
    format!(
        "against no limit, ln Bayes factor {:+.1}; it would have refused {} attempts, of which {} \
         succeeded",
        evidence.log_bayes_factor, evidence.refused, evidence.refused_but_succeeded
    )
}

/// A p-value, small ones by their size only.
fn p_value(p: f64) -> String {
    if p < 0.001 { format!("{p:.0e}") } else { fixed(p, 3) }
}
