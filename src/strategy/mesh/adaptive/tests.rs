//! The whole strategy: it stays put under noise, moves on a step, and says why.

use rand::SeedableRng;

use super::*;
use crate::stats::sample::uniform01;
use crate::strategy::parts::testing::Bench;

/// What the world does in one stretch.
struct Weather {
    attempts: usize,
    failure_rate: f64,
    latency_ms: f64,
    /// Attempts stay in flight at server 0 in addition.
    stuck: u32,
}

const CALM: Weather = Weather { attempts: 3_200, failure_rate: 0.1, latency_ms: 20.0, stuck: 0 };

/// Plays stretches on five servers, one attempt at a time, and returns the notes.
fn play(spec: AdaptiveSpec, stretches: &[Weather]) -> Notes {
    let mut bench = Bench::new(spec, &Fleet::uniform(5));
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for weather in stretches {
        (0..weather.stuck).for_each(|_| bench.sent(0));
        for _ in 0..weather.attempts {
            let server = bench.send(&[]);
            let latency = weather.latency_ms * (0.7 + 0.6 * uniform01(&mut rng));
            bench.wait(latency);
            let failed = uniform01(&mut rng) < weather.failure_rate;
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            bench.finish(server, latency, outcome);
        }
        (0..weather.stuck).for_each(|_| bench.finish(0, 1.0, Outcome::RateLimited));
    }
    bench.strategy.notes().unwrap()
}

/// 100,000 outcomes of constant weather: at most one excursion. Without hysteresis (one
/// bound close to the mean, no dwelling) the same noise makes many switches.
#[test]
fn noise_does_not_make_it_flap() {
    let weather = [Weather { attempts: 100_000, ..CALM }];
    let steady = play(AdaptiveSpec::default(), &weather);
    assert!(steady.switched <= 2, "{:?}", steady.switches);
    let nervous = AdaptiveSpec { enter: 1.0, leave: 1.0, dwell: 0, ..AdaptiveSpec::default() };
    let flaps = play(nervous, &weather).switched;
    assert!(flaps > 50, "{flaps}");
}

#[test]
fn failures_that_rise_make_it_switch_and_their_end_makes_it_return() {
    let storm = Weather { attempts: 640, failure_rate: 0.5, ..CALM };
    let notes = play(AdaptiveSpec::default(), &[CALM, storm, CALM]);
    let ways: Vec<(&str, &str)> = notes.switches.iter().map(|s| (s.from, s.to)).collect();
    let (robin, two) = ("weighted-round-robin", "power-of-two");
    assert_eq!(ways, [(robin, two), (two, robin)]);
    let first = &notes.switches[0];
    assert!(first.reason.starts_with("failure share 0."), "{}", first.reason);
    let (storm_begins, window) = (3_200.0 * 0.02, 32.0 * 0.02);
    let after = first.at.as_secs_f64() - storm_begins;
    assert!(after > window && after < 6.0 * window, "after {after} s");
    assert_eq!(notes.switches[1].reason, "all signals as usual again");
}

#[test]
fn latency_that_doubles_is_a_trend() {
    let slow = Weather { attempts: 640, latency_ms: 60.0, ..CALM };
    let notes = play(AdaptiveSpec::default(), &[CALM, slow]);
    assert_eq!(notes.switches[0].to, "power-of-two");
    assert!(notes.switches[0].reason.contains("latency trend"), "{:?}", notes.switches[0]);
}

#[test]
fn uneven_load_calls_for_least_connections() {
    let uneven = Weather { attempts: 640, stuck: 10, ..CALM };
    let notes = play(AdaptiveSpec::default(), &[CALM, uneven]);
    assert_eq!(notes.switches[0].to, "least-connections");
    assert!(notes.switches[0].reason.contains("load variance"), "{:?}", notes.switches[0]);
}

#[test]
fn a_choice_is_kept_for_its_dwelling_time() {
    let spec = AdaptiveSpec { enter: 1.0, leave: 1.0, dwell: 7, ..AdaptiveSpec::default() };
    let notes = play(spec, &[Weather { attempts: 20_000, ..CALM }]);
    assert!(notes.switches.len() > 5, "{}", notes.switches.len());
    let least_s = 7.0 * 32.0 * 0.02 * 0.9;
    for pair in notes.switches.windows(2) {
        assert!(pair[1].at.since(pair[0].at).as_secs_f64() > least_s);
    }
}
