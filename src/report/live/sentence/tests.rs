//! Sentences about made verdicts, word for word.

use super::super::sample::{Made, adjust, made};
use super::*;

fn sentence(change: impl FnOnce(&mut Made)) -> String {
    let mut made = made(100, 10);
    change(&mut made);
    live_verdict(&made.page())
}

fn judged(verdict: &mut Verdict) -> &mut Vec<TestedMetric> {
    verdict.tests.retain(|t| t.judgement == Judgement::Judged);
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
        let verdict = made.verdict.as_mut().unwrap();
        judged(verdict)[0].p_value = 0.01;
        verdict.resolution = with_power(0.62, Some(150));
        adjust(verdict);
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
        let verdict = made.verdict.as_mut().unwrap();
        judged(verdict);
        adjust(verdict);
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
        made.verdict.as_mut().unwrap().resolution = with_power(0.001, None);
    });
    assert!(none.contains("less than 1 %; no length that a run may have gives 80 %"), "{none}");
}

#[test]
fn a_prediction_that_did_not_hold_is_told_by_strategy_metric_and_basis() {
    let text = sentence(|made| {
        let verdict = made.verdict.as_mut().unwrap();
        let tests = judged(verdict);
        let found = |t: &&mut TestedMetric| t.basis == Basis::Model && t.strategy == "V2 ucb1";
        for test in tests.iter_mut().filter(found) {
            let interval = crate::stats::Interval { low: 84.0, high: 100.0 };
            match test.metric {
                RunMetric::Score => {
                    (test.observed, test.mean, test.p_value) = (41.0, 96.25, 1e-7);
                    test.interval = interval;
                }
                RunMetric::LatencyP50 => {
                    (test.observed, test.mean, test.p_value) = (9.5, 2.05, 5e-5);
                    test.interval = crate::stats::Interval { low: 1.9, high: 2.2 };
                }
                _ => {}
            }
        }
        adjust(verdict);
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
fn what_was_not_judged_is_named_with_its_reason() {
    let text = sentence(|made| {
        made.prediction.overhead = None;
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
        for test in &mut made.verdict.as_mut().unwrap().tests {
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
        let tests = made.verdict.as_mut().unwrap().tests.iter_mut();
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
fn without_a_test_or_a_verdict_nothing_is_claimed() {
    let text = sentence(|made| {
        for test in &mut made.verdict.as_mut().unwrap().tests {
            test.judgement = Judgement::NoSpread;
        }
    });
    assert!(text.starts_with("config 0: nothing could be judged. Not judged, because"), "{text}");
    let text = sentence(|made| {
        (made.verdict, made.interrupted) = (None, true);
        made.runs.truncate(3);
        made.runs[2].requests.truncate(40);
    });
    assert_eq!(text, "config 0: interrupted: not judged. 2 of 5 runs were played to the end.");
    assert_eq!(sentence(|made| made.verdict = None), "config 0: not judged.");
}
