//! The latency of made recordings.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::{Outcome, Purpose, Streams};
use crate::fit::runs::Start;
use crate::stats::sample::{index_below, standard_normal, uniform01};
use crate::trace::Observed;
use crate::world::{LatencyFamily, LogNormal, LogNormals};

fn rng(seed: u64) -> ChaCha8Rng {
    Streams::new(seed).stream(Purpose::World, 0, 0)
}

/// Ten attempts a second at ten servers, a third of them retries, half of them failures.
fn attempts(n: usize, rng: &mut impl Rng, ms: impl Fn(usize, &mut Observed)) -> Vec<Observed> {
    let attempt = |i: usize| {
        let mut attempt = Observed {
            at_s: 1e9 + 0.1 * i as f64,
            latency_ms: 0.0,
            request: i as u32,
            attempt: 1 + u16::from(uniform01(rng) < 0.33),
            server: index_below(rng, 10) as u8,
            outcome: if uniform01(rng) < 0.5 { Outcome::Failure } else { Outcome::Success },
            strategy: 0,
            identifier_byte: b'a',
        };
        ms(i, &mut attempt);
        attempt
    };
    (0..n).map(attempt).collect()
}

/// One run with latencies drawn from a family.
fn drawn(family: LatencyFamily, n: usize, seed: u64) -> Vec<Observed> {
    let mut luck = rng(seed + 1000);
    let ms: Vec<f32> = (0..n).map(|_| family.draw(&mut luck).as_millis_f64() as f32).collect();
    attempts(n, &mut rng(seed), |i, attempt| attempt.latency_ms = ms[i])
}

fn fit_one(attempts: &[Observed]) -> LatencyAnalysis {
    fit_latency(&[Start { stretches: vec![attempts] }], &[], 10, 0).unwrap()
}

const fn part(median_ms: f64, sigma: f64) -> LogNormal {
    LogNormal { median_ms, sigma }
}

#[test]
fn one_lognormal_is_found_again_and_no_tail_invented() {
    let fit = fit_one(&drawn(LatencyFamily::LogNormal(part(1.1, 0.3)), 1200, 1));
    let LatencyFamily::LogNormal(LogNormal { median_ms, sigma }) = fit.success.family() else {
        panic!("{:?}", fit.success.family())
    };
    // Four standard errors: sigma / sqrt n and sigma / sqrt 2n.
    assert!((median_ms.ln() - 1.1_f64.ln()).abs() < 4.0 * 0.3 / 1200_f64.sqrt());
    assert!((sigma - 0.3).abs() < 4.0 * 0.3 / 2400_f64.sqrt());
    assert!(fit.failure.is_none() && fit.success.p_value > 0.01);
    assert_eq!((fit.attempts, fit.sampled, fit.success.attempts), (1200, 1200, 1200));
    assert!(fit.success.misses().starts_with("The family is not rejected"));
}

/// Two sharp bodies and a tail, as recorded.
fn two_bodies_and_a_tail() -> LatencyFamily {
    let parts = [(0.6, part(1.1, 0.06)), (0.3, part(0.8, 0.06)), (0.1, part(5.0, 0.8))];
    LatencyFamily::LogNormals(LogNormals::of(&parts))
}

#[test]
fn two_bodies_and_a_tail_are_found_again() {
    let fit = fit_one(&drawn(two_bodies_and_a_tail(), 3000, 2));
    let LatencyFamily::LogNormals(of) = fit.success.family() else {
        panic!("{:?}", fit.success.family())
    };
    let found: Vec<(f64, LogNormal)> = of.iter().collect();
    for ((weight, found), (truth_weight, truth)) in
        found.iter().zip([(0.6, part(1.1, 0.06)), (0.3, part(0.8, 0.06)), (0.1, part(5.0, 0.8))])
    {
        assert!((weight - truth_weight).abs() < 0.04, "{of:?}");
        assert!((found.median_ms / truth.median_ms - 1.0).abs() < 0.2 * truth.sigma, "{of:?}");
        assert!((found.sigma / truth.sigma - 1.0).abs() < 0.2, "{of:?}");
    }
    assert!(fit.success.p_value > 0.01 && fit.success.tail.quantiles.iter().all(|q| q.agrees()));
    assert!(fit.success.qq.len() == 200);
    let outside = fit.success.qq.iter().filter(|q| !q.band_ms.contains(q.observed_ms)).count();
    // Neighbouring ranks are alike: 5 % of 200 are expected, more than 40 are not.
    assert!(outside < 40, "{outside}");
}

#[test]
fn a_pareto_tail_and_a_log_logistic_are_told_from_lognormals() {
    let pareto = LatencyFamily::LogNormalPareto {
        body: part(1.1, 0.2),
        threshold_ms: 1.3,
        tail_weight: 0.2,
        tail_index: 1.2,
    };
    let LatencyFamily::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } =
        fit_one(&drawn(pareto, 4000, 3)).success.family()
    else {
        panic!("no Pareto tail")
    };
    // Hill's estimate has a standard error of index / sqrt(800).
    assert!((tail_index - 1.2).abs() < 4.0 * 1.2 / 28.0 && (tail_weight - 0.2).abs() < 0.06);
    assert!((threshold_ms - 1.3).abs() < 0.1 && (body.median_ms - 1.1).abs() < 0.05);
    let logistic = LatencyFamily::LogLogistic { median_ms: 2.0, shape: 5.0 };
    let LatencyFamily::LogLogistic { median_ms, shape } =
        fit_one(&drawn(logistic, 4000, 4)).success.family()
    else {
        panic!("no log-logistic")
    };
    // Standard errors sqrt 3 / (shape sqrt n) of ln median, 0.84 shape / sqrt n of the shape.
    assert!((median_ms / 2.0 - 1.0).abs() < 4.0 * 0.0055, "{median_ms}");
    assert!((shape - 5.0).abs() < 4.0 * 0.066, "{shape}");
}

/// 200 samples of 120 lognormals; 5 % of 200 is 10, with standard deviation 3.1; 4 of them:
/// false alarm 1e-4. The same test must reject two bodies that were taken for one.
#[test]
fn goodness_of_fit_keeps_its_level_and_rejects_one_body_for_two() {
    let judged = |family: LatencyFamily, seed: u64, n: usize| {
        let mut luck = rng(seed);
        let mut log_ms: Vec<f64> =
            (0..n).map(|_| family.draw(&mut luck).as_millis_f64().ln()).collect();
        log_ms.sort_by(f64::total_cmp);
        let plain = LatencyFamily::LogNormal(part(1.0, 1.0));
        goodness::judge(&families::refit(&plain, &log_ms), &log_ms, 0).p_value
    };
    let alarms =
        (0..200).filter(|i| judged(LatencyFamily::LogNormal(part(1.1, 0.3)), *i, 120) <= 0.05);
    let alarms = alarms.count();
    assert!((1..=22).contains(&alarms), "{alarms}");
    assert!(judged(two_bodies_and_a_tail(), 9, 300) <= 0.005);
}

#[test]
fn failures_that_take_twice_as_long_get_a_latency_of_their_own_and_refusals_a_constant() {
    let mut luck = rng(5);
    let ms: Vec<f32> = (0..900).map(|_| (0.2 * standard_normal(&mut luck)).exp() as f32).collect();
    let mut made = attempts(900, &mut rng(6), |i, attempt| {
        attempt.latency_ms = if attempt.failed() { 2.0 * ms[i] } else { ms[i] };
    });
    // Every fourth failure is taken for a refusal, a few are known to be; successes never are.
    let mut refused = vec![false; 900];
    for (i, attempt) in made.iter_mut().enumerate() {
        if i % 4 == 0 {
            refused[i] = true;
            if attempt.failed() {
                attempt.latency_ms = 0.5;
            }
        } else if i % 50 == 1 {
            attempt.outcome = Outcome::RateLimited;
            attempt.latency_ms = 0.5;
        }
    }
    let fit = fit_latency(&[Start { stretches: vec![&made] }], &[refused], 10, 0).unwrap();
    let latency = fit.to_latency();
    assert!((latency.failure.unwrap().median_ms() - 2.0).abs() < 0.2);
    assert!((latency.success.median_ms() - 1.0).abs() < 0.1);
    assert_eq!(latency.rate_limited_ms, Some(0.5));
    assert!(latency.validate().is_ok() && fit.bic_apart.unwrap() < fit.bic_together);
}

#[test]
fn few_equal_zero_and_huge_latencies_are_no_obstacle() {
    assert!(fit_latency(&[], &[], 10, 0).is_none());
    assert!(fit_latency(&[Start { stretches: vec![&[]] }], &[], 10, 0).is_none());
    let values: [&dyn Fn(usize) -> f32; 9] = [
        &|_| 0.0,
        &|_| 2.0,
        &|i| (i % 2) as f32,
        &|i| if i == 0 { 1e30 } else { 1.0 },
        &|i| 1e-30 * i as f32,
        &|i| 10_f32.powi((i % 70) as i32 - 35),
        &|i| if i % 3 == 0 { f32::NAN } else { 1.0 + i as f32 },
        &|i| -(i as f32),
        &|i| (i / 10) as f32,
    ];
    for (case, value) in values.iter().enumerate() {
        for n in [1, 2, 3, 7, 40, 130] {
            let made = attempts(n, &mut rng(7), |i, attempt| attempt.latency_ms = value(i));
            let Some(fit) = fit_latency(&[Start { stretches: vec![&made] }], &[], 10, 0) else {
                assert!(case == 6 && n == 1, "case {case}, n {n}");
                continue;
            };
            let latency = fit.to_latency();
            assert!(latency.validate().is_ok(), "case {case}, n {n}: {latency:?}");
            let finite = |x: f64| x.is_finite();
            assert!(fit.success.tail.quantiles.iter().all(|q| finite(q.fitted_ms)));
            assert!(fit.dependences.iter().all(|d| finite(d.p_value) && finite(d.effect)));
        }
    }
}

#[test]
fn a_clock_of_whole_milliseconds_rejects_nothing_and_is_told() {
    let mut made = drawn(LatencyFamily::LogNormal(part(30.0, 0.3)), 800, 8);
    made.iter_mut().for_each(|attempt| attempt.latency_ms = attempt.latency_ms.round());
    let fit = fit_one(&made);
    assert_eq!(fit.clock_tick_ms, Some(1.0));
    assert!(
        fit.success.p_value > 0.01 && matches!(fit.success.family(), LatencyFamily::LogNormal(_))
    );
}

#[test]
fn of_a_large_record_a_part_is_fitted_and_every_attempt_counted() {
    let made = drawn(two_bodies_and_a_tail(), 300_000, 9);
    let starts = [Start { stretches: vec![&made[..100_000], &made[100_000..]] }];
    let collected = attempts::Attempts::collect(&starts, &[]);
    assert_eq!(collected.total, 300_000);
    assert!((19_000..=MOST_ATTEMPTS).contains(&collected.kept.len()), "{}", collected.kept.len());
    // Blocks from the whole record, in sequences that do not join what is apart.
    assert!(collected.kept.last().unwrap().since_s > 19_900.0);
    let one_step = |pair: &[attempts::Timed]| {
        pair[0].sequence != pair[1].sequence || (pair[1].since_s - pair[0].since_s) < 0.15
    };
    assert!(collected.kept.windows(2).all(one_step));
}
