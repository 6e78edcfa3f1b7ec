//! The verdict on a live run in words: did what was predicted come true, and what can runs of this length
//! tell?
//!
//! A rejection speaks for itself, however short the run; only a prediction that held is put in doubt by a
//! run too short to have exposed a wrong one.

use crate::report::live_page::{LivePage, mean, span, strategies_of, unit, value, why};
use crate::report::numbers::{counted, fixed, p_value, percent, round_up, thousands};
use flakelab_fit::{
    Basis, Deed, Impossible, Judgement, LEVEL, Resolution, RunMetric, ServerMetric, TestedMetric,
    TestedServer, Verdict,
};

/// Below this power a run is called too short.
const ENOUGH_POWER: f64 = 0.5;

const AIM: f64 = 0.8;

/// Most rejections that a sentence lists.
const LISTED: usize = 4;

pub fn live_verdict(page: &LivePage) -> String {
    let Some(verdict) = &page.verdict else { return not_judged(page) };
    let judged = verdict.tests.iter().filter(|t| t.judgement == Judgement::Judged).count()
        + verdict.servers.iter().filter(|t| t.adjusted_p_value.is_some()).count();
    let title = page.title();
    let mut sentences = Vec::new();
    if verdict.held && judged == 0 {
        sentences.push(format!("{title}: nothing could be judged."));
    } else if verdict.held {
        sentences.extend(held(page, verdict, judged));
    } else {
        sentences.extend(failed(page, verdict, judged));
        sentences.extend(verdict.resolution.map(|r| format!("{}.", resolution(page, &r))));
    }
    sentences.extend(untested(verdict));
    sentences.join(" ")
}

/// Whether a p-value, adjusted by Holm, rejects; one that is not judged does not.
pub fn is_rejected(adjusted_p_value: Option<f64>) -> bool {
    adjusted_p_value.is_some_and(|p| p <= LEVEL)
}

/// `server 4003`, by its port in the model.
pub fn server(page: &LivePage, number: usize) -> String {
    let name = page.servers.get(number).cloned();
    format!("server {}", name.unwrap_or_else(|| format!("number {number}")))
}

fn not_judged(page: &LivePage) -> String {
    let title = page.title();
    if !page.interrupted {
        return format!("{title}: not judged.");
    }
    let whole = |requests: usize| requests as u64 >= page.prediction.requests;
    let finished = page.runs.iter().filter(|run| whole(run.requests.len())).count();
    let planned = page.planned().max(page.runs.len());
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

fn failed(page: &LivePage, verdict: &Verdict, judged: usize) -> Vec<String> {
    let numbers = verdict.tests.iter().filter(|t| is_rejected(t.adjusted_p_value));
    let numbers = numbers.map(|t| (t.p_value, deviation(t)));
    let servers = verdict.servers.iter().filter(|t| is_rejected(t.adjusted_p_value));
    let servers = servers.map(|t| (t.p_value, deviation_of_server(page, t)));
    let mut rejected: Vec<(f64, String)> = numbers.chain(servers).collect();
    rejected.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut begin = format!("{}: the prediction did not hold", page.title());
    let mut sentences = Vec::new();
    if !verdict.impossible.is_empty() {
        let found = verdict.impossible.iter().map(|it| never_simulated(page, it));
        let found = listed(found.collect());
        sentences.push(format!("{begin}: {found}. No server did so in any simulated run."));
        "Nor did it hold".clone_into(&mut begin);
    }
    if !rejected.is_empty() {
        sentences.push(format!(
            "{begin} in {} of {} compared numbers (p-values adjusted by Holm; {} or less rejects): \
             {}.",
            rejected.len(),
            thousands(judged as u64),
            fixed(LEVEL, 2),
            listed(rejected.into_iter().map(|(_, text)| text).collect())
        ));
    }
    sentences
}

/// The first of these, and how many more there are.
fn listed(mut found: Vec<String>) -> String {
    if found.len() > LISTED {
        let more = found.len() - LISTED;
        found.truncate(LISTED);
        found.push(format!("{more} more (see report.md)"));
    }
    found.join("; ")
}

/// `server 4003 gave no answer in time to 4 of the 5 attempts of V4 thompson`.
pub fn never_simulated(page: &LivePage, it: &Impossible) -> String {
    let did = match it.what {
        Deed::TimedOut => "gave no answer in time to",
        Deed::RateLimited => "refused, with 429,",
        Deed::NoHttp => "hung up, or answered with what is no HTTP, in",
        Deed::Refused => "refused the connection of",
    };
    format!(
        "{} {did} {} of the {} of {}",
        server(page, it.server),
        thousands(it.count),
        counted(it.attempts, "attempt"),
        it.strategy
    )
}

/// `server 4003 failed in 9 of 9 attempts of V4 thompson, predicted 23.0 % from the model, p 0.0004`.
fn deviation_of_server(page: &LivePage, t: &TestedServer) -> String {
    let how = match t.metric {
        ServerMetric::Failures => "failed in",
        ServerMetric::TimedOut => "gave no answer in time to",
    };
    let predicted = t.predicted.map_or("more than was predicted".to_owned(), |share| {
        format!("predicted {} %", percent(share, 1))
    });
    format!(
        "{} {how} {} of {} of {}, {predicted} {}, p {}",
        server(page, t.server),
        thousands(t.observed),
        counted(t.attempts, "attempt"),
        t.strategy,
        known(t.basis),
        t.adjusted_p_value.map_or("-".to_owned(), p_value)
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

pub const fn known(basis: Basis) -> &'static str {
    match basis {
        Basis::Model => "from the model",
        Basis::OtherRuns => "from the other runs against these servers",
        Basis::TrueRates => "from the servers' true rates",
    }
}

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
    let disturbed = |latency: bool| {
        let disturbed = verdict.tests.iter().filter(|t| t.judgement == Judgement::Disturbed);
        strategies_of(disturbed.filter(|t| t.metric.is_latency() == latency))
    };
    let stalled = disturbed(false);
    let mut late = disturbed(true);
    late.retain(|strategy| !stalled.contains(strategy));
    if !late.is_empty() {
        sentences.push(format!(
            "Latency of {} is shown but not judged, because {}.",
            late.join(", "),
            why(Judgement::Disturbed)
        ));
    }
    if !stalled.is_empty() {
        sentences.push(format!(
            "Neither counts nor latency of {} are judged, because this machine stood still: requests \
             left when the next were due, and came in a bunch or timed out as in no simulated run.",
            stalled.join(", ")
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
mod tests {
    use super::*;
    use crate::report::sample::{Made, made};
    use flakelab_core::stats::Interval;

    fn sentence(change: impl FnOnce(&mut Made)) -> String {
        let mut made = made(100, 10);
        change(&mut made);
        live_verdict(&made.page)
    }

    fn judged(verdict: &mut Verdict) -> &mut Vec<TestedMetric> {
        verdict.tests.retain(|t| t.judgement == Judgement::Judged);
        verdict.servers.clear();
        for test in &mut verdict.tests {
            test.p_value = 0.5;
        }
        &mut verdict.tests
    }

    fn with_power(power: f64, requests_for_80_percent: Option<u64>) -> Option<Resolution> {
        Some(Resolution { error_rate_shift: 0.05, power, requests_for_80_percent })
    }

    #[test]
    fn a_prediction_that_held_is_said_to_hold_with_what_would_have_been_noticed() {
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            judged(verdict)[0].p_value = 0.01;
            verdict.resolution = with_power(0.62, Some(150));
            verdict.adjust();
        });
        assert_eq!(
            text,
            "config 0: the prediction held. 90 numbers were compared; the smallest p-value, \
         adjusted by Holm, is 0.90 (0.01 or less would reject). A run of 100 requests would \
         expose error rates that are all 5 points higher with a probability of about 62 %; \
         for 80 % it takes at least about 150 requests a strategy."
        );
    }

    #[test]
    fn a_run_too_short_to_expose_a_wrong_prediction_says_so_first() {
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            judged(verdict);
            verdict.adjust();
        });
        assert_eq!(
            text,
            "config 0: too short to say much. A run of 100 requests would expose error rates that \
         are all 5 points higher with a probability of about 7 %; for 80 % it takes at least about \
         2,300 requests a strategy. As far as it can tell, the prediction held. 90 numbers \
         were compared; the smallest p-value, adjusted by Holm, is 1.00 (0.01 or less would \
         reject)."
        );
        let none = sentence(|made| {
            made.page.verdict.as_mut().unwrap().resolution = with_power(0.001, None);
        });
        assert!(none.contains("less than 1 %; no length that a run may have gives 80 %"), "{none}");
    }

    #[test]
    fn a_prediction_that_did_not_hold_is_told_by_strategy_metric_and_basis() {
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            let tests = judged(verdict);
            let found = |t: &&mut TestedMetric| t.basis == Basis::Model && t.strategy == "V2 ucb1";
            for test in tests.iter_mut().filter(found) {
                let interval = Interval { low: 84.0, high: 100.0 };
                match test.metric {
                    RunMetric::Score => {
                        (test.observed, test.mean, test.p_value) = (41.0, 96.25, 1e-7);
                        test.interval = interval;
                    }
                    RunMetric::LatencyP50 => {
                        (test.observed, test.mean, test.p_value) = (9.5, 2.05, 5e-5);
                        test.interval = Interval { low: 1.9, high: 2.2 };
                    }
                    _ => {}
                }
            }
            verdict.adjust();
        });
        // A rejection speaks for itself: nothing of "too short" before it.
        assert_eq!(
            text,
            "config 0: the prediction did not hold in 2 of 90 compared numbers (p-values adjusted \
         by Holm; 0.01 or less rejects): V2 ucb1's score was 41, predicted 96.2 (95 %: 84 to \
         100) from the model, p <0.0001; V2 ucb1's median latency (p50) was 9.50 ms, predicted \
         2.05 (95 %: 1.90 to 2.20) from the model, p 0.004. A run of 100 requests would expose \
         error rates that are all 5 points higher with a probability of about 7 %; for 80 % it \
         takes at least about 2,300 requests a strategy."
        );
    }

    #[test]
    fn servers_that_do_what_their_model_does_not_are_named() {
        let deed = |server, what, count| Impossible {
            strategy: "V4 thompson".to_owned(),
            server,
            what,
            count,
            attempts: 5,
        };
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            judged(verdict);
            verdict.resolution = None;
            verdict.impossible = vec![
                deed(3, Deed::TimedOut, 5),
                deed(7, Deed::NoHttp, 1),
                deed(8, Deed::Refused, 2),
            ];
            verdict.adjust();
        });
        assert_eq!(
            text,
            "config 0: the prediction did not hold: server 4003 gave no answer in time to 5 of the 5 \
             attempts of V4 thompson; server 4007 hung up, or answered with what is no HTTP, in 1 of \
             the 5 attempts of V4 thompson; server 4008 refused the connection of 2 of the 5 attempts \
             of V4 thompson. No server did so in any simulated run."
        );
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            let mut servers = std::mem::take(&mut verdict.servers);
            judged(verdict);
            verdict.resolution = None;
            verdict.impossible = vec![deed(3, Deed::RateLimited, 2)];
            servers.retain(|t| t.strategy == "V1 larkin" && t.metric == ServerMetric::Failures);
            servers.truncate(1);
            (servers[0].server, servers[0].attempts, servers[0].observed) = (2, 9, 9);
            (servers[0].predicted, servers[0].p_value) = (Some(0.23), 1e-5);
            verdict.servers = servers;
            verdict.adjust();
        });
        assert!(
            text.contains("server 4003 refused, with 429, 2 of the 5 attempts of V4"),
            "{text}"
        );
        let rejected = "Nor did it hold in 1 of 91 compared numbers (p-values adjusted by Holm; 0.01 or \
                        less rejects): server 4002 failed in 9 of 9 attempts of V1 larkin, predicted \
                        23.0 % from the model, p 0.0009.";
        assert!(text.ends_with(rejected), "{text}");
    }

    #[test]
    fn what_was_not_judged_is_named_with_its_reason() {
        let text = sentence(|made| {
            made.path_is_known = false;
            made.judge();
        });
        assert!(
            text.ends_with(
                "Not judged, because every simulated run gave this very number: success rate (all \
             strategies); number of 429 answers (all strategies). Latency is shown but not \
             judged, because what the path added during the run is not known."
            ),
            "{text}"
        );
        let text = sentence(|made| {
            for test in &mut made.page.verdict.as_mut().unwrap().tests {
                let same = test.metric == RunMetric::Penalty
                    && test.strategy == "V1 larkin"
                    && test.basis == Basis::TrueRates;
                if same {
                    test.judgement = Judgement::NoSpread;
                }
            }
        });
        assert!(text.contains("penalty (V1 larkin, in part of the predictions)"), "{text}");
    }

    #[test]
    fn latencies_of_a_run_that_kept_no_schedule_are_named() {
        let text = sentence(|made| {
            let tests = made.page.verdict.as_mut().unwrap().tests.iter_mut();
            for test in tests.filter(|test| test.metric.is_latency()) {
                test.judgement = match test.strategy.as_str() {
                    "V2 ucb1" => Judgement::Disturbed,
                    _ if test.basis == Basis::Model => Judgement::PathUnknown,
                    _ => Judgement::Judged,
                };
            }
        });
        assert!(text.contains("Latency is judged from the true rates only"), "{text}");
        assert!(text.contains("Latency of V2 ucb1 is shown but not judged"), "{text}");
    }

    #[test]
    fn a_run_whose_requests_came_in_a_bunch_is_named() {
        let text = sentence(|made| {
            for test in &mut made.page.verdict.as_mut().unwrap().tests {
                if test.strategy == "V2 ucb1" {
                    test.judgement = Judgement::Disturbed;
                }
            }
        });
        assert!(text.contains("Neither counts nor latency of V2 ucb1 are judged"), "{text}");
        assert!(!text.contains("Latency of V2"), "{text}");
    }

    #[test]
    fn without_a_test_or_a_verdict_nothing_is_claimed() {
        let text = sentence(|made| {
            let verdict = made.page.verdict.as_mut().unwrap();
            verdict.servers.clear();
            for test in &mut verdict.tests {
                test.judgement = Judgement::NoSpread;
            }
        });
        assert!(
            text.starts_with("config 0: nothing could be judged. Not judged, because"),
            "{text}"
        );
        let text = sentence(|made| {
            (made.page.verdict, made.page.interrupted) = (None, true);
            made.page.runs.truncate(3);
            made.page.runs[2].requests.truncate(40);
        });
        assert_eq!(text, "config 0: interrupted: not judged. 2 of 5 runs were played to the end.");
        assert_eq!(sentence(|made| made.page.verdict = None), "config 0: not judged.");
    }
}
