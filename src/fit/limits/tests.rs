//! The fast computations against the plain definition in `world`, and the recordings.

use std::path::PathBuf;

use rand::Rng;

use super::lane::{Answer, Asked, Counts, Lane, log_slip_odds};
use super::*;
use crate::domain::{Outcome, Purpose, Streams, Timestamp};
use crate::fit::error_rates::RatePrior;
use crate::fit::runs::Start;
use crate::stats::sample::{index_below, uniform01};
use crate::stats::special::log_sum_exp;
use crate::trace::{Observed, ReadOptions, Recording};
use crate::world::ErrorFamily;
use crate::world::{LimitKind, Limiter, RateLimit};

fn rng(n: u64) -> impl Rng {
    Streams::new(23).stream(Purpose::Analysis, 0, n)
}

/// Attempts at uneven times with any answers at all, so that laws are contradicted too.
fn anything(marked: bool, n: u64) -> Lane {
    let mut rng = rng(n);
    let mut at_us = 0;
    let answers = [Answer::Success, Answer::Failure, Answer::Refused];
    let asked = (0..60).map(|position| {
        at_us += index_below(&mut rng, 150_000) as i64 + 1;
        let answer = answers[index_below(&mut rng, if marked { 3 } else { 2 })];
        Asked { at_us, answer, again: false, position }
    });
    Lane::new(asked.collect(), marked, &RatePrior::flat())
}

/// The counts of a law by definition: ask, compare, correct the limiter where it was wrong.
fn by_definition(lane: &Lane, limit: &RateLimit, phase: f64) -> Counts {
    let mut limiter = limit.limiter(phase);
    let mut counts = Counts::default();
    for asked in &lane.asked {
        let now = Timestamp::from_nanos(asked.at_us as u64 * 1000);
        let before = limiter.clone();
        let free = limiter.accept(now);
        match (free, asked.answer) {
            (true, Answer::Refused) => {
                counts.slips += 1;
                // It used nothing after all, but time went by.
                match (&mut limiter, before) {
                    (Limiter::SlidingWindow { accepted, .. }, _) => {
                        accepted.pop_back();
                    }
                    (Limiter::FixedWindow { used, .. }, _) => *used -= 1,
                    (Limiter::Bucket { tokens, .. }, _) => *tokens += 1.0,
                    (Limiter::None, _) => {}
                }
            }
            (true, _) | (false, Answer::Refused) => {}
            (false, Answer::Failure) if !lane.marked => counts.taken += 1,
            (false, _) => {
                counts.slips += 1;
                match &mut limiter {
                    Limiter::SlidingWindow { accepted, .. } => accepted.push_back(now),
                    Limiter::FixedWindow { used, .. } => *used += 1,
                    // A debt where 429 is marked, an empty bucket where it is not.
                    Limiter::Bucket { tokens, .. } if lane.marked => *tokens -= 1.0,
                    Limiter::Bucket { tokens, .. } => *tokens = 0.0,
                    Limiter::None => {}
                }
            }
        }
    }
    counts
}

#[test]
fn every_limit_of_a_fixed_window_agrees_with_the_definition_over_all_phases() {
    for (marked, n) in [(true, 1), (true, 2), (false, 3), (false, 4)] {
        let lane = anything(marked, n);
        for window_s in [0.05, 0.5, 2.0, 60.0] {
            let fast = windows::fixed(&lane, (window_s * 1e6) as i64, 8);
            for (limit, fast) in (1..).zip(fast) {
                // Between breakpoints nothing changes: the middles of the pieces, with weights.
                let mut edges: Vec<f64> = lane
                    .asked
                    .iter()
                    .map(|a| (a.at_us as f64 * 1e-6).rem_euclid(window_s) / window_s)
                    .chain([0.0, 1.0])
                    .collect();
                edges.sort_by(f64::total_cmp);
                let limit = RateLimit::FixedWindow { limit, window_s, phase_s: None };
                let values: Vec<f64> = edges
                    .windows(2)
                    .filter(|e| e[1] - e[0] > 1e-8)
                    .map(|e| {
                        let counts = by_definition(&lane, &limit, 0.5 * (e[0] + e[1]));
                        lane.log_likelihood(counts) + libm::log(e[1] - e[0])
                    })
                    .collect();
                let slow = log_sum_exp(&values);
                assert!((fast - slow).abs() < 1e-6, "{limit}, {marked}: {fast} {slow}");
            }
        }
    }
}

#[test]
fn every_limit_of_a_sliding_window_agrees_with_the_definition() {
    for (marked, n) in [(true, 5), (false, 6), (false, 7)] {
        let lane = anything(marked, n);
        for window_s in [0.05, 0.5, 2.0, 60.0] {
            let fast = windows::sliding(&lane, (window_s * 1e6) as i64, 12);
            for (limit, fast) in (1..).zip(fast) {
                let law = RateLimit::SlidingWindow { limit, window_s };
                if marked && limit < 12 {
                    // The definition forgets more than `limit` attempts; a slip must not.
                    continue;
                }
                let slow = lane.log_likelihood(by_definition(&lane, &law, 0.0));
                assert!((fast - slow).abs() < 1e-9, "{law}, {marked}: {fast} {slow}");
            }
        }
    }
}

#[test]
fn every_burst_of_a_bucket_agrees_with_the_definition() {
    for (marked, n) in [(true, 8), (true, 9), (false, 10)] {
        let lane = anything(marked, n);
        let lanes = [lane];
        for per_second in [0.7, 4.0, 11.0, 60.0] {
            let misfits = bucket::misfits(&lanes, per_second, 5);
            for burst in 1..=5 {
                let law = RateLimit::TokenBucket { per_second, burst: burst as f64 };
                let slow = by_definition(&lanes[0], &law, 0.0);
                let fast = if marked {
                    let slips = misfits.accepted[burst - 1] + misfits.refused[burst - 1];
                    Counts { taken: 0, slips: i64::from(slips) }
                } else {
                    let pauses = bucket::pauses_s(&lanes[0]);
                    bucket::replay(&lanes[0], &pauses, per_second, burst as f64, i64::MAX)
                };
                assert_eq!(fast, slow, "{law}");
            }
        }
    }
}

/// Attempts at one server against a limit, at uneven times.
fn pressed(limit: &RateLimit, per_second: f64, count: usize, marked: bool, n: u64) -> Lane {
    let mut rng = rng(n);
    let mut limiter = limit.limiter(uniform01(&mut rng));
    let mut at_us = 0;
    let asked = (0..count).map(|position| {
        at_us += (2.0 * uniform01(&mut rng) / per_second * 1e6) as i64 + 1;
        let accepted = limiter.accept(Timestamp::from_nanos(at_us as u64 * 1000));
        let success = uniform01(&mut rng) >= 0.3;
        let answer = match (accepted, success) {
            (true, true) => Answer::Success,
            (false, _) if marked => Answer::Refused,
            _ => Answer::Failure,
        };
        Asked { at_us, answer, again: false, position }
    });
    Lane::new(asked.collect(), marked, &RatePrior::flat())
}

#[test]
fn a_bucket_is_found_among_failures_that_do_not_tell() {
    let limit = RateLimit::TokenBucket { per_second: 7.3, burst: 5.0 };
    let lane = pressed(&limit, 11.0, 1000, false, 12);
    let pieces = rates::integrate(&[lane], &LimitPrior::default());
    let best = pieces.iter().max_by(|a, b| a.log_mass.total_cmp(&b.log_mass)).unwrap();
    assert!(best.burst == 5 && best.log_likelihood > 50.0, "{best:?}");
    assert!((libm::exp(best.log_low) - 7.3).abs() < 0.01, "{best:?}");
}

#[test]
fn failures_that_a_limit_explains_are_taken_for_refusals_in_order_of_time() {
    let observed = |at_s: f64, server, outcome| Observed {
        at_s: 1e9 + at_s,
        latency_ms: 1.0,
        request: 0,
        attempt: 1,
        server,
        outcome,
        strategy: 0,
        identifier_byte: 0,
    };
    let (ok, failed) = (Outcome::Success, Outcome::Failure);
    // One token a second: within a second after an acceptance failures are refusals.
    let early = [observed(0.0, 0, ok), observed(0.1, 1, failed), observed(0.5, 0, failed)];
    let late = [observed(0.6, 1, failed), observed(5.0, 0, failed)];
    let start = Start { stretches: vec![&early, &late] };
    let limit = RateLimit::TokenBucket { per_second: 1.0, burst: 1.0 };
    let expected = vec![false, false, true, true, false];
    assert_eq!(taken_for_refusals(&limit, &start, 2), expected);
    assert_eq!(taken_for_refusals(&RateLimit::None, &start, 2), vec![false; 5]);
    // Marked ones are known; nothing is guessed beside them.
    let marked = [observed(0.0, 0, ok), observed(0.5, 0, Outcome::RateLimited), early[2]];
    let start = Start { stretches: vec![&marked] };
    assert_eq!(taken_for_refusals(&limit, &start, 2), vec![false, true, false]);
}

#[test]
fn a_clock_that_goes_back_begins_a_new_lane() {
    let at = |at_s: f64| Observed {
        at_s,
        latency_ms: 1.0,
        request: 0,
        attempt: 1,
        server: 0,
        outcome: Outcome::Success,
        strategy: 0,
        identifier_byte: 0,
    };
    let (first, second, third) = ([at(10.0), at(11.0)], [at(12.0)], [at(3.0), at(4.0)]);
    let start = Start { stretches: vec![&first, &second, &third] };
    let lanes = Lane::of_starts(&[start], 1, true, &RatePrior::flat());
    let times: Vec<Vec<i64>> =
        lanes.iter().map(|lane| lane.asked.iter().map(|a| a.at_us).collect()).collect();
    assert_eq!(times, [vec![0, 1_000_000, 2_000_000], vec![0, 1_000_000]]);
}

#[test]
fn a_peak_of_a_millionth_is_found() {
    let limit = RateLimit::TokenBucket { per_second: 7.3, burst: 5.0 };
    let lane = pressed(&limit, 11.0, 1500, true, 11);
    let pieces = rates::integrate(&[lane], &LimitPrior::default());
    let best = pieces.iter().max_by(|a, b| a.log_mass.total_cmp(&b.log_mass)).unwrap();
    assert_eq!((best.burst, best.log_likelihood), (5, 0.0), "nothing contradicts it");
    let [low, high] = [best.log_low, best.log_low + best.log_width].map(libm::exp);
    assert!((low - 7.3).abs() < 0.01 && high / low < 1.0 + 1e-3, "{low} {high}");
    assert!(best.log_mass > 4.0 * log_slip_odds());
}

fn traces(matching: impl Fn(&str) -> bool, config: u8) -> Option<Vec<Recording>> {
    let Some(folder) = std::env::var_os("FLAKELAB_TRACES") else {
        println!("skipped: FLAKELAB_TRACES is not set");
        return None;
    };
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    paths.retain(|path| matching(&path.to_string_lossy()));
    paths.sort();
    let recordings =
        paths.iter().flat_map(|path| Recording::read(path, &ReadOptions::default()).unwrap());
    let of_config = |r: &Recording| r.group.config.is_some_and(|c| c.number() == config);
    Some(recordings.filter(of_config).collect())
}

fn prior() -> RatePrior {
    RatePrior::of(&ErrorFamily::Uniform { low: 0.041, high: 0.686 })
}

fn show(inference: &LimitInference) {
    for f in &inference.families {
        println!(
            "{}: ln BF {:.2}, p {:.3}, best {:.2}, {} | capacity {:?} window {:?} rate {:?}",
            f.kind,
            f.log_bayes_factor_against_none,
            f.probability,
            f.best_log_likelihood,
            f.estimate,
            f.capacity,
            f.window_s,
            f.per_second
        );
    }
    println!("{:.2}\n{:#?}", inference.log_bayes_factor, inference.conclusion);
    println!("{}\n{:?}", inference.advice, inference.pressed);
}

#[test]
fn config_1_has_a_limit_and_the_recordings_do_not_say_of_which_family() {
    let Some(runs) = traces(|path| path.contains("_T2"), 1) else { return };
    let inference = infer_limit_of(&[runs], &prior(), &LimitPrior::default());
    show(&inference);
    let Conclusion::FoundFamilyOpen { reason, .. } = &inference.conclusion else {
        panic!("{:?}", inference.conclusion)
    };
    assert!(reason.contains("cannot be told apart"), "{reason}");
    assert!((20.0..26.0).contains(&inference.log_bayes_factor));
    let bucket = inference.family(LimitKind::TokenBucket).unwrap();
    assert!(bucket.per_second.low > 10.0 && bucket.per_second.high < 200.0);
    assert_eq!(inference.draws.len(), LIMIT_DRAWS);
}

#[test]
fn config_2_was_never_pressed() {
    let Some(runs) = traces(|path| path.contains("_T3"), 2) else { return };
    let inference = infer_limit_of(&[runs], &prior(), &LimitPrior::default());
    show(&inference);
    assert!(matches!(inference.conclusion, Conclusion::Abstained { .. }));
}

#[test]
fn config_0_excludes_the_limit_of_config_1() {
    let Some(mut starts) = traces(|path| !path.contains("_T"), 0)
        .map(|runs| runs.into_iter().map(|run| vec![run]).collect::<Vec<_>>())
    else {
        return;
    };
    starts.extend(traces(|path| path.contains("_T1"), 0));
    let inference = infer_limit_of(&starts, &prior(), &LimitPrior::default());
    show(&inference);
    let Conclusion::Abstained { reason } = &inference.conclusion else {
        panic!("{:?}", inference.conclusion)
    };
    assert!(reason.contains("is excluded"), "{reason}");
}
