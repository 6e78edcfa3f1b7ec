//! False alarms and power of the tests of dependence, on made records.

use super::*;
use crate::stats::sample::{standard_normal, uniform01};

/// How attempts of a made record come about.
#[derive(Default)]
struct Plan {
    /// Autocorrelation of ln latency.
    phi: f64,
    /// Servers and outcomes stay the same for ten attempts on average.
    lasting: bool,
    slow_server: f64,
    slow_retry: f64,
    slow_run: f64,
    slow_failure: f64,
    /// Each run has ten attempts with this added to ln latency at 3 s.
    hiccup: f64,
}

/// Four runs of `n / 4` attempts, ten a second.
fn record(plan: &Plan, n: usize, seed: u64) -> Vec<Timed> {
    let mut rng = Streams::new(seed).stream(Purpose::World, 0, 0);
    let (mut noise, mut server, mut failed) = (0.0, 0, false);
    let attempt = |i: usize| {
        let (run, position) = (4 * i / n, i % (n / 4));
        let calm = (1.0 - plan.phi * plan.phi).sqrt();
        noise = plan.phi * noise + calm * standard_normal(&mut rng);
        if !plan.lasting || uniform01(&mut rng) < 0.1 {
            server = index_below(&mut rng, 5);
            failed = uniform01(&mut rng) < 0.4;
        }
        let retry = uniform01(&mut rng) < 0.3;
        let on = |is: bool| f64::from(u8::from(is));
        let log = 0.3 * noise
            + plan.slow_server * on(server == 2)
            + plan.slow_retry * on(retry)
            + plan.slow_run * on(run == 1)
            + plan.slow_failure * on(failed)
            + plan.hiccup * on((30..35).contains(&position));
        let ms = libm::exp(log);
        Timed { ms, server, retry, failed, run, sequence: run, since_s: 0.1 * position as f64 }
    };
    (0..n).map(attempt).collect()
}

fn p_value(factor: LatencyFactor, attempts: &[Timed]) -> f64 {
    let ms: Vec<f64> = attempts.iter().map(|a| a.ms).collect();
    let mut sorted = ms.clone();
    sorted.sort_by(f64::total_cmp);
    let slow_ms = quantile(&sorted, 1.0 - SLOW);
    let context = Context { attempts, ms, servers: 5, slow_ms, resamples: 0 };
    context.test(factor, 0).unwrap().p_value
}

/// How many of 200 records without the dependence are called dependent at 5 %: 10 expected,
/// standard deviation 3.1; 4 of them, 22, are passed with probability 1e-4.
fn alarms(factor: LatencyFactor, plan: &Plan) -> usize {
    let alarm = |seed: u64| p_value(factor, &record(plan, 320, seed)) <= 0.05;
    (0..200_u64).into_par_iter().filter(|seed| alarm(*seed)).count()
}

const MOST_ALARMS: usize = 22;

#[test]
fn independent_latencies_raise_no_more_alarms_than_stated() {
    for factor in FACTORS {
        let alarms = alarms(factor, &Plan::default());
        assert!(alarms <= MOST_ALARMS, "{factor:?}: {alarms}");
    }
}

#[test]
fn neighbours_that_are_alike_are_not_taken_for_differences_between_groups() {
    let plan = Plan { phi: 0.4, lasting: true, ..Plan::default() };
    for factor in [LatencyFactor::Server, LatencyFactor::Outcome, LatencyFactor::Run] {
        let alarms = alarms(factor, &plan);
        assert!(alarms <= MOST_ALARMS, "{factor:?}: {alarms}");
    }
    // Planted bug: ranks as they are.
    let plain = |seed: u64| {
        let attempts = record(&plan, 320, seed);
        let servers: Vec<usize> = attempts.iter().map(|a| a.server).collect();
        let ranks = scores(&attempts.iter().map(|a| a.ms).collect::<Vec<_>>());
        let all = [(0..320).collect::<Vec<_>>()];
        permuted(&ranks, &all, 0, between_groups(&servers, 5)).1 <= 0.05
    };
    let alarms = (0..200_u64).into_par_iter().filter(|seed| plain(*seed)).count();
    assert!(alarms > MOST_ALARMS, "{alarms}");
}

#[test]
fn every_planted_dependence_is_found_in_nine_of_ten_records() {
    let none = Plan::default;
    let plans = [
        (LatencyFactor::Server, Plan { slow_server: 0.25, ..none() }),
        (LatencyFactor::AttemptNumber, Plan { slow_retry: -0.2, ..none() }),
        (LatencyFactor::Run, Plan { slow_run: 0.2, ..none() }),
        (LatencyFactor::Outcome, Plan { slow_failure: 0.2, ..none() }),
        (LatencyFactor::Previous, Plan { phi: 0.3, ..none() }),
        (LatencyFactor::SlowSpell, Plan { hiccup: 2.0, ..none() }),
        (LatencyFactor::TimeInRun, Plan { hiccup: 2.0, ..none() }),
    ];
    for (factor, plan) in plans {
        let found = |seed: u64| p_value(factor, &record(&plan, 600, seed)) <= 0.01;
        let found = (0..20_u64).into_par_iter().filter(|seed| found(*seed)).count();
        assert!(found >= 18, "{factor:?}: {found} of 20");
    }
}

#[test]
fn the_effect_and_its_interval_are_those_planted() {
    let plan = Plan { slow_retry: -0.2, ..Plan::default() };
    let tests = dependences(&record(&plan, 1200, 3), 5, Some(100.0), 0);
    assert_eq!(tests.len(), FACTORS.len());
    let retry = tests.iter().find(|t| t.factor == LatencyFactor::AttemptNumber).unwrap();
    let interval = retry.effect_interval.unwrap();
    // exp(-0.2) = 0.819; the interval's half-width is about two standard errors of 0.03.
    assert!(interval.contains(0.819) && interval.width() < 0.15, "{retry:?}");
    assert!(retry.p_adjusted >= retry.p_value && retry.p_adjusted < 0.01);
    assert!(retry.follows.contains("faster") && retry.follows.contains("no strategy"));
}

#[test]
fn a_single_server_or_run_or_outcome_is_not_tested() {
    let mut attempts = record(&Plan::default(), 40, 1);
    for attempt in &mut attempts {
        (attempt.server, attempt.run, attempt.sequence, attempt.failed) = (0, 0, 0, false);
    }
    let factors: Vec<_> = dependences(&attempts, 1, None, 0).iter().map(|t| t.factor).collect();
    assert_eq!(factors, [LatencyFactor::AttemptNumber, LatencyFactor::Previous]);
}
