//! What a study found, and the statistics that all studies share.

use std::fmt::Write;

use flakelab_core::stats::chi_square_sf;
use flakelab_core::stats::holm;
use flakelab_sim::trace::{Group, Observed, Recording};

/// One measured figure and what it had to be.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was measured, as a phrase: `coverage of 95 % intervals of servers' rates, greedy`.
    pub what: String,
    /// What came out, with the number of data sets: `94.8 % of 1,000`.
    pub measured: String,
    /// What it had to be: `93 to 97 %`; empty when it is only reported.
    pub bound: String,
    /// Whether it is; `None` when it is only reported.
    pub held: Option<bool>,
}

/// A study: a title, how it was made, and its findings.
#[derive(Debug, Clone)]
pub struct Study {
    pub title: &'static str,
    /// How the data were made and judged, in sentences.
    pub method: String,
    pub findings: Vec<Finding>,
}

/// Bins of simulation-based calibration.
pub const BINS: usize = 20;

/// The p-value of Pearson's chi-square that values in (0, 1) are uniform, in [`BINS`] bins.
pub fn uniform_p_value(pit: &[f64]) -> f64 {
    let mut counts = [0_u32; BINS];
    for u in pit {
        counts[((u * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let expected = pit.len() as f64 / BINS as f64;
    let statistic: f64 = counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
    chi_square_sf(statistic, BINS as f64 - 1.0)
}

/// Findings of simulation-based calibration: one a parameter, p-values adjusted by Holm, which
/// must exceed 0.01.
pub fn uniformity(parameters: &[(String, Vec<f64>)]) -> Vec<Finding> {
    let p_values: Vec<f64> = parameters.iter().map(|(_, pit)| uniform_p_value(pit)).collect();
    let adjusted = holm(&p_values);
    let finding = |((name, pit), p): (&(String, Vec<f64>), &f64)| Finding {
        what: name.clone(),
        measured: format!("Holm-adjusted p = {p:.3}, {} data sets", pit.len()),
        bound: "p > 0.01".to_owned(),
        held: Some(*p > 0.01),
    };
    parameters.iter().zip(&adjusted).map(finding).collect()
}

/// The finding of a positive control: a planted error, which must be rejected.
pub fn must_be_rejected(what: &str, pit: &[f64]) -> Finding {
    let p = uniform_p_value(pit);
    Finding {
        what: format!("planted error: {what}"),
        measured: format!("p = {p:.1e}, {} data sets", pit.len()),
        bound: "p < 0.001".to_owned(),
        held: Some(p < 1e-3),
    }
}

/// A recording of made attempts, of which everything was told.
pub fn made(group: Group, attempts: Vec<Observed>) -> Recording {
    Recording {
        path: "made.csv".into(),
        group,
        strategies: vec!["made".to_owned()],
        tells_refusals: true,
        tells_latency: true,
        attempts,
        declared_starts: Vec::new(),
        clock_jumps: Vec::new(),
        warnings: Vec::new(),
        first_identifier: String::new(),
    }
}

/// The studies as a Markdown page.
pub fn report(studies: &[Study]) -> String {
    let mut text = String::from(
        "# Calibration of the fit\n\nMade by `make calibration`; every seed is fixed, so the same \
         code writes the same page.\n",
    );
    for study in studies {
        let _ = write!(text, "\n## {}\n\n{}\n\n", study.title, study.method);
        text.push_str("| what | measured | must be | held |\n|---|---|---|---|\n");
        for f in &study.findings {
            let held = match f.held {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "reported only",
            };
            let bound = if f.bound.is_empty() { "-" } else { &f.bound };
            let _ = writeln!(text, "| {} | {} | {bound} | {held} |", f.what, f.measured);
        }
    }
    text
}

#[test]
fn uniform_values_pass_and_others_do_not() {
    let even: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
    assert!(uniform_p_value(&even) > 0.999);
    let bent: Vec<f64> = even.iter().map(|u| u * u).collect();
    assert!(uniform_p_value(&bent) < 1e-6);
}
