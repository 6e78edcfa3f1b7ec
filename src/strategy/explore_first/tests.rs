//! The whole rule: a literal transcription where nothing disturbs it, and what it does with limits.

use super::*;
use crate::domain::{Purpose, Request, RequestId, Streams};
use crate::stats::sample;
use crate::strategy::parts::testing::attempt;

const MS: u64 = 1_000_000;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * MS)
}

fn pending(request: u64, attempts: u32, arrived_ms: u64) -> PendingRequest {
    let request = Request { id: RequestId(request), arrived_at: at_ms(arrived_ms) };
    PendingRequest { attempts, ..PendingRequest::new(request, 3) }
}

fn ask(strategy: &mut ExploreFirst, ms: u64, request: &PendingRequest) -> usize {
    match strategy.decide(at_ms(ms), request) {
        Decision::Send(server) => server.index(),
        Decision::WaitUntil(at) => panic!("waits until {at:?}"),
    }
}

fn tell(strategy: &mut ExploreFirst, ms: u64, server: usize, outcome: Outcome) {
    let attempt = attempt(server as u16, at_ms(ms));
    strategy.on_sent(at_ms(ms), &attempt);
    strategy.on_outcome(at_ms(ms + 1), &attempt, outcome);
}

/// z = h (phi(z) - z (1 - Phi(z))), by small steps, Phi by the trapezoidal rule.
fn slow_optimism(h: f64) -> f64 {
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let mut gain = 1.0 / std::f64::consts::TAU.sqrt();
    let (mut z, mut above, step) = (0.0, 0.5, 1e-4);
    while z < h * gain {
        gain -= step * above;
        above -= step * density(z + 0.5 * step);
        z += step;
    }
    z
}

/// The rule as the module's first paragraphs say it, for servers that never refuse and a known
/// prior Beta(2, 1), with the watch for outages off.
fn literally(tallies: &[(f64, f64)], requests: f64, attempt: i32) -> Vec<f64> {
    let mean = |(s, f): &(f64, f64)| (s + 2.0) / (s + f + 3.0);
    let best = tallies.iter().map(mean).fold(0.0, f64::max);
    let z = slow_optimism((requests + 80.0) * (1.0 - best).powi(attempt.min(3)));
    let index = |(s, f): &(f64, f64)| {
        let share = if attempt == 0 { 0.3 } else { 1.0 };
        let (a, b) = (s + share * 2.0, f + share);
        (a / b).ln() + z * (1.0 / a + 1.0 / b).sqrt()
    };
    tallies.iter().map(index).collect()
}

/// Along played games every choice has the transcription's highest index, up to the error of the
/// table of optimism; and the test notices when the attempt's number is ignored.
#[test]
fn equals_a_literal_transcription_where_nothing_is_refused() {
    let spec = ExploreFirstSpec {
        outage_hazard: 0.0,
        memory: 1e9,
        prior_successes: 2.0,
        prior_failures: 1.0,
        ..ExploreFirstSpec::default()
    };
    let mut planted = 0;
    for game in 0..4 {
        let mut strategy = ExploreFirst::new(spec, 4);
        let mut rng = Streams::new(7).stream(Purpose::World, 0, game);
        let rates: Vec<f64> = (0..4).map(|_| 0.3 + 0.65 * sample::uniform01(&mut rng)).collect();
        let mut tallies = vec![(0.0, 0.0); 4];
        for request in 0..60 {
            for attempt in 0..6 {
                let ms = 100 * request + 2 * u64::from(attempt);
                let chosen = ask(&mut strategy, ms, &pending(request, attempt, 100 * request));
                let n = request as f64 + 1.0;
                let indices = literally(&tallies, n, attempt as i32);
                let top = indices.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert!(indices[chosen] > top - 5e-3, "{indices:?} {chosen}");
                let wrong = literally(&tallies, n, 0);
                let top = wrong.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                planted += u32::from(wrong[chosen] < top - 5e-3);
                let success = sample::uniform01(&mut rng) < rates[chosen];
                let outcome = if success { Outcome::Success } else { Outcome::Failure };
                tell(&mut strategy, ms, chosen, outcome);
                if success {
                    tallies[chosen].0 += 1.0;
                    break;
                }
                tallies[chosen].1 += 1.0;
            }
        }
    }
    assert!(planted > 0, "a rule that ignores the attempt's number would choose otherwise");
}

#[test]
fn explores_in_first_attempts_and_sticks_to_the_best_in_later_ones() {
    let mut strategy = ExploreFirst::new(ExploreFirstSpec::default(), 2);
    for k in 0..200 {
        tell(&mut strategy, k, 0, if k % 5 == 0 { Outcome::Failure } else { Outcome::Success });
    }
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Success] {
        tell(&mut strategy, 200, 1, outcome);
    }
    assert_eq!(ask(&mut strategy, 300, &pending(0, 0, 300)), 1);
    for attempt in 2..5 {
        assert_eq!(ask(&mut strategy, 300, &pending(0, attempt, 300)), 0, "attempt {attempt}");
    }
}

/// Every server refuses a retry within 50 ms and none after 100 ms.
fn limited(spec: ExploreFirstSpec) -> ExploreFirst {
    let mut strategy = ExploreFirst::new(spec, 3);
    let rates = [9, 8, 4];
    for k in 0..40 {
        for (server, rate) in rates.iter().enumerate() {
            let ok = (k * 7) % 10 < *rate;
            let outcome = if ok { Outcome::Success } else { Outcome::Failure };
            tell(&mut strategy, 100 * k, server, outcome);
            let retry = if k % 2 == 0 { 2 } else { 48 };
            tell(&mut strategy, 100 * k + retry, server, Outcome::RateLimited);
        }
    }
    strategy
}

#[test]
fn refusals_do_not_touch_the_belief() {
    let watchless = ExploreFirstSpec { outage_hazard: 0.0, ..ExploreFirstSpec::default() };
    let strategy = limited(watchless);
    let estimates = strategy.estimates();
    assert_eq!(estimates.iter().map(|e| e.attempts).collect::<Vec<_>>(), [40, 40, 40]);
    assert_eq!(estimates.iter().map(|e| e.successes).collect::<Vec<_>>(), [36, 32, 16]);
}

#[test]
fn never_sends_to_a_server_that_would_refuse_while_another_accepts() {
    let mut strategy = limited(ExploreFirstSpec::default());
    let mut used = Vec::new();
    for attempt in 0..3 {
        let ms = 4000 + 2 * u64::from(attempt);
        let server = ask(&mut strategy, ms, &pending(40, attempt, 4000));
        assert!(!used.contains(&server), "{server} was just used: {used:?}");
        used.push(server);
        tell(&mut strategy, ms, server, Outcome::Failure);
    }
    assert_eq!(used.len(), 3);
}

/// After a request that used the good server it is skipped until it recovers, then taken again.
#[test]
fn returns_to_a_good_server_once_it_accepts() {
    let mut strategy = limited(ExploreFirstSpec::default());
    tell(&mut strategy, 4000, 0, Outcome::Success);
    assert_ne!(ask(&mut strategy, 4010, &pending(40, 2, 4000)), 0);
    assert_eq!(ask(&mut strategy, 4100, &pending(41, 2, 4100)), 0);
}

#[test]
fn waits_only_when_told_to_and_never_beyond_its_patience() {
    let exhaust = |strategy: &mut ExploreFirst| {
        (0..3).for_each(|server| tell(strategy, 4000, server, Outcome::Failure));
    };
    let mut hasty = limited(ExploreFirstSpec::default());
    exhaust(&mut hasty);
    ask(&mut hasty, 4003, &pending(40, 3, 4000));
    let patient = ExploreFirstSpec { patience_ms: 90.0, ..ExploreFirstSpec::default() };
    let mut patient = limited(patient);
    exhaust(&mut patient);
    let Decision::WaitUntil(until) = patient.decide(at_ms(4003), &pending(40, 3, 4000)) else {
        panic!("all servers would refuse");
    };
    assert!(until > at_ms(4040) && until <= at_ms(4090), "{until:?}");
    let late = patient.decide(at_ms(4003), &pending(40, 3, 3913));
    assert!(matches!(late, Decision::Send(_)), "its patience is over");
}

#[test]
fn leaves_a_server_that_goes_dark_and_asks_it_again_later() {
    let mut strategy = ExploreFirst::new(ExploreFirstSpec::default(), 2);
    for k in 0..200 {
        let bad = if k % 10 == 0 { Outcome::Failure } else { Outcome::Success };
        tell(&mut strategy, k, 0, bad);
        tell(&mut strategy, k, 1, if k % 4 == 0 { Outcome::Failure } else { Outcome::Success });
    }
    assert_eq!(ask(&mut strategy, 300, &pending(0, 2, 300)), 0);
    (0..8).for_each(|k| tell(&mut strategy, 301 + k, 0, Outcome::Failure));
    assert_eq!(ask(&mut strategy, 320, &pending(1, 2, 320)), 1);
    let first = |request: u64, s: &mut ExploreFirst| {
        let now = 320 + request;
        ask(s, now, &pending(request, 0, now))
    };
    assert_eq!(first(2, &mut strategy), 1);
    let back = (3..200).find(|request| first(*request, &mut strategy) == 0);
    assert!(back.is_some_and(|request| request < 120), "{back:?}");
}

#[test]
fn a_prior_needs_both_of_its_numbers() {
    let default = ExploreFirstSpec::default();
    let chosen = |spec: ExploreFirstSpec| {
        let mut strategy = ExploreFirst::new(spec, 2);
        (0..30).for_each(|k| tell(&mut strategy, k, 0, Outcome::Failure));
        strategy.beliefs.means()[1]
    };
    let half = ExploreFirstSpec { prior_failures: 1.0, ..default };
    assert_eq!(chosen(half), chosen(default), "the population is estimated");
    assert_eq!(chosen(ExploreFirstSpec { prior_successes: 3.0, ..half }), 0.75, "and here given");
}
