//! The verdict in words: did what was predicted come true, and what can runs of this length tell?
//!
//! A rejection speaks for itself, however short the run; only a prediction that held is put in
//! doubt by a run too short to have exposed a wrong one.

use super::LivePage;
use super::metric::{mean, span, strategies_of, unit, value, why};
use super::table::strategies;
use crate::report::numbers::{counted, fixed, p_value, percent, round_up, thousands};
use crate::validate::LEVEL;
use crate::validate::forecast::{Basis, Judgement, Resolution, RunMetric, TestedMetric, Verdict};

/// Below this power a run is called too short.
const ENOUGH_POWER: f64 = 0.5;

/// The power that is aimed at.
const AIM: f64 = 0.8;

/// Most rejections that a sentence lists.
const LISTED: usize = 4;

/// The verdict on one config as a paragraph.
pub fn live_verdict(page: &LivePage) -> String {
    let Some(verdict) = page.verdict else { return not_judged(page) };
    let judged = verdict.tests.iter().filter(|t| t.judgement == Judgement::Judged).count();
    let title = page.title();
    let mut sentences = Vec::new();
    if judged == 0 {
        sentences.push(format!("{title}: nothing could be judged."));
    } else if verdict.held {
        sentences.extend(held(page, verdict, judged));
    } else {
        sentences.push(failed(&title, verdict, judged));
        sentences.extend(verdict.resolution.map(|r| format!("{}.", resolution(page, &r))));
    }
    sentences.extend(untested(verdict));
    sentences.join(" ")
}

/// Whether a test rejects.
pub fn is_rejected(test: &TestedMetric) -> bool {
    test.adjusted_p_value.is_some_and(|p| p <= LEVEL)
}

fn not_judged(page: &LivePage) -> String {
    let title = page.title();
    if !page.interrupted {
        return format!("{title}: not judged.");
    }
    let whole = |requests: usize| requests as u64 >= page.prediction.requests;
    let finished = page.runs.iter().filter(|run| whole(run.requests.len())).count();
    let planned = strategies(page).max(page.runs.len());
    format!(
        "{title}: interrupted: not judged. {finished} of {} {} played to the end.",
        counted(planned as u64, "run"),
        if finished == 1 { "was" } else { "were" }
    )
}

fn held(page: &LivePage, verdict: &Verdict, judged: usize) -> Vec<String> {
    let title = page.title();
    let short = verdict.resolution.filter(|r| r.power < ENOUGH_POWER);
    let level = fixed(LEVEL, 2);
    let compared = match judged {
        1 => "1 number was compared".to_owned(),
        n => format!("{} numbers were compared", thousands(n as u64)),
    };
    let least = verdict.p_value.map_or(String::new(), |p| {
        format!(
            "; the smallest p-value, adjusted by Holm, is {} ({level} or less would reject)",
            p_value(p)
        )
    });
    let evidence = format!("{compared}{least}.");
    match short {
        Some(r) => vec![
            format!("{title}: too short to say much. {}.", resolution(page, &r)),
            "As far as it can tell, the prediction held.".to_owned(),
            evidence,
        ],
        None => {
            let mut sentences = vec![format!("{title}: the prediction held."), evidence];
            sentences.extend(verdict.resolution.map(|r| format!("{}.", resolution(page, &r))));
            sentences
        }
    }
}

fn failed(title: &str, verdict: &Verdict, judged: usize) -> String {
    let mut rejected: Vec<&TestedMetric> =
        verdict.tests.iter().filter(|t| is_rejected(t)).collect();
    rejected.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let mut found: Vec<String> = rejected.iter().take(LISTED).map(|t| deviation(t)).collect();
    if rejected.len() > LISTED {
        found.push(format!("{} more (see report.md)", rejected.len() - LISTED));
    }
    format!(
        "{title}: the prediction did not hold in {} of {} compared numbers (p-values adjusted by \
         Holm; {} or less rejects): {}.",
        rejected.len(),
        thousands(judged as u64),
        fixed(LEVEL, 2),
        found.join("; ")
    )
}

/// `V1 larkin's score was 41, predicted 92.1 (95 %: 84 to 97) from the model, p 0.0004`.
fn deviation(t: &TestedMetric) -> String {
    format!(
        "{}'s {} was {}{}, predicted {} (95 %: {}) {}, p {}",
        t.strategy,
        plain(t.metric),
        value(t.metric, t.observed),
        unit(t.metric),
        mean(t.metric, t.mean),
        span(t.metric, t.interval),
        known(t.basis),
        t.adjusted_p_value.map_or("-".to_owned(), p_value)
    )
}

/// What a prediction knew, in a sentence.
pub const fn known(basis: Basis) -> &'static str {
    match basis {
        Basis::Model => "from the model",
        Basis::OtherRuns => "from the other runs against these servers",
        Basis::TrueRates => "from the servers' true rates",
    }
}

/// A metric in a sentence.
pub const fn plain(metric: RunMetric) -> &'static str {
    match metric {
        RunMetric::Attempts => "number of attempts",
        RunMetric::RateLimited => "number of 429 answers",
        RunMetric::LatencyP50 => "median latency (p50)",
        RunMetric::LatencyP99 => "99th percentile of latency (p99)",
        RunMetric::BusiestShare => "share of attempts at the busiest server",
        RunMetric::Score | RunMetric::SuccessRate | RunMetric::Penalty => metric.name(),
    }
}

/// `A run of 100 requests would expose ...`, without the full stop.
fn resolution(page: &LivePage, r: &Resolution) -> String {
    let points = r.error_rate_shift.abs() * 100.0;
    let number = fixed(points, usize::from(libm::fabs(points - libm::round(points)) > 0.05));
    let mut text = format!(
        "A run of {} requests would expose error rates that are all {number} point{} {} with a \
         probability of {}",
        thousands(page.prediction.requests),
        if number == "1" { "" } else { "s" },
        if r.error_rate_shift < 0.0 { "lower" } else { "higher" },
        chance(r.power)
    );
    if r.power < AIM {
        text += &match r.requests_for_80_percent {
            Some(n) => {
                format!(
                    "; for 80 % it takes at least about {} requests a strategy",
                    thousands(round_up(n))
                )
            }
            None => "; no length that a run may have gives 80 %".to_owned(),
        };
    }
    text
}

/// `about 7 %`, without pretending to certainty.
fn chance(p: f64) -> String {
    match p {
        _ if p < 0.01 => "less than 1 %".to_owned(),
        _ if p > 0.995 => "more than 99 %".to_owned(),
        _ => format!("about {} %", percent(p, 0)),
    }
}

/// What was not judged, a sentence a reason.
fn untested(verdict: &Verdict) -> Vec<String> {
    let mut sentences = Vec::new();
    let same: Vec<String> =
        RunMetric::ALL.into_iter().filter_map(|metric| without_spread(verdict, metric)).collect();
    if !same.is_empty() {
        sentences.push(format!(
            "Not judged, because {}: {}.",
            why(Judgement::NoSpread),
            same.join("; ")
        ));
    }
    let latency = |judgement| {
        let mut tests = verdict.tests.iter().filter(|t| t.metric.is_latency());
        tests.any(|t| t.judgement == judgement)
    };
    let path_is_known = latency(Judgement::Judged) || latency(Judgement::Disturbed);
    if path_is_known && latency(Judgement::PathUnknown) {
        sentences.push(
            "Latency is judged from the true rates only, over the path as it was during each run."
                .to_owned(),
        );
    } else if latency(Judgement::PathUnknown) {
        sentences.push(format!(
            "Latency is shown but not judged, because {}.",
            why(Judgement::PathUnknown)
        ));
    }
    let disturbed = verdict.tests.iter().filter(|t| t.judgement == Judgement::Disturbed);
    let disturbed = strategies_of(disturbed);
    if !disturbed.is_empty() {
        sentences.push(format!(
            "Latency of {} is shown but not judged, because {}.",
            disturbed.join(", "),
            why(Judgement::Disturbed)
        ));
    }
    sentences
}

/// `penalty (all)`, `success rate (V1 larkin)`: where a metric has no spread.
fn without_spread(verdict: &Verdict, metric: RunMetric) -> Option<String> {
    let of_metric: Vec<&TestedMetric> =
        verdict.tests.iter().filter(|t| t.metric == metric).collect();
    let same = || of_metric.iter().copied().filter(|t| t.judgement == Judgement::NoSpread);
    let strategies = strategies_of(same());
    if strategies.is_empty() {
        return None;
    }
    let everywhere = same().count() == of_metric.len();
    // A strategy may have a spread by one basis and none by another.
    let partly = of_metric
        .iter()
        .any(|t| t.judgement != Judgement::NoSpread && strategies.contains(&t.strategy.as_str()));
    let whose = if everywhere { "all strategies".to_owned() } else { strategies.join(", ") };
    let some = if partly { ", in part of the predictions" } else { "" };
    Some(format!("{} ({whose}{some})", plain(metric)))
}

#[cfg(test)]
mod tests;
