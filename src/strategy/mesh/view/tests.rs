//! Thresholds, recovery, and the whole against a slow transcription.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::Endpoint;
use crate::stats::sample::{index_below, uniform01};
use crate::strategy::mesh::LeastConnectionsSpec;
use crate::strategy::parts::testing::{Bench, attempt};

fn quick(spec: LeastConnectionsSpec) -> LeastConnectionsSpec {
    LeastConnectionsSpec { half_life: 1.0, ..spec }
}

fn chosen(bench: &mut Bench, servers: usize) -> Vec<bool> {
    let mut seen = vec![false; servers];
    (0..200).for_each(|_| seen[usize::from(bench.decide(&[]))] = true);
    seen
}

#[test]
fn a_server_below_the_threshold_is_left_out_until_time_has_passed() {
    let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(3));
    bench.observe(1, Outcome::Failure);
    assert_eq!(chosen(&mut bench, 3), [true; 3], "at the threshold is not below it");
    bench.observe(1, Outcome::Failure);
    assert_eq!(chosen(&mut bench, 3), [true, false, true]);
    assert_eq!(bench.strategy.notes().unwrap().filtered_by_health, 200);
    // 3/4 is held against it; 1/2 after recovery_s x log2(3/2) = 5.85 s.
    bench.wait(5_700.0);
    assert_eq!(chosen(&mut bench, 3), [true, false, true]);
    bench.wait(400.0);
    assert_eq!(chosen(&mut bench, 3), [true; 3]);
}

#[test]
fn when_none_passes_all_are_considered_and_none_counts_as_filtered() {
    let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(2));
    for server in [0, 0, 1, 1, 1] {
        bench.observe(server, Outcome::Failure);
    }
    assert_eq!(chosen(&mut bench, 2), [true; 2]);
    assert_eq!(bench.strategy.notes().unwrap().filtered_by_health, 0);
}

#[test]
fn a_declared_threshold_stands_above_the_common_one() {
    let strict = Endpoint { health_threshold: Some(0.9), ..Endpoint::default() };
    let lenient = Endpoint { health_threshold: Some(0.0), ..Endpoint::default() };
    let fleet = Fleet::new(vec![strict, lenient, Endpoint::default()]).unwrap();
    let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &fleet);
    bench.observe(0, Outcome::Failure);
    (0..9).for_each(|_| bench.observe(1, Outcome::Failure));
    bench.observe(2, Outcome::Failure);
    assert_eq!(chosen(&mut bench, 3), [false, true, true]);
}

/// Where the best server is at health 1/4, a static threshold of 1/2 tells nothing apart; half of
/// the best does.
#[test]
fn a_relative_threshold_tells_bad_from_worse() {
    for (relative_threshold, expected) in [(false, [true, true]), (true, [true, false])] {
        let spec =
            quick(LeastConnectionsSpec { relative_threshold, ..LeastConnectionsSpec::default() });
        let mut bench = Bench::new(spec, &Fleet::uniform(2));
        (0..2).for_each(|_| bench.observe(0, Outcome::Failure));
        (0..5).for_each(|_| bench.observe(1, Outcome::Failure));
        assert_eq!(chosen(&mut bench, 2), expected, "relative: {relative_threshold}");
    }
}

#[test]
fn a_refusal_leaves_health_alone_and_a_fast_failure_earns_nothing() {
    let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(2));
    for _ in 0..50 {
        bench.observe(0, Outcome::RateLimited);
    }
    assert_eq!(bench.health(0), 1.0);
    bench.wait(100.0);
    for _ in 0..20 {
        bench.sent(1);
        bench.finish(1, 50.0, Outcome::Success);
        bench.sent(0);
        bench.finish(0, 0.01, Outcome::Failure);
    }
    assert!(bench.health(0) < 0.001 && bench.health(1) == 1.0);
    assert_eq!(chosen(&mut bench, 2), [false, true], "5,000 times faster, and still worse");
}

/// The rule with vectors and loops: health at `now` of each server, then who is considered.
struct Slow {
    health: Vec<f64>,
    at: Vec<f64>,
    relative: bool,
}

impl Slow {
    fn considered(&mut self, now: f64) -> Vec<bool> {
        for i in 0..self.health.len() {
            let elapsed = now - self.at[i];
            if elapsed > 10.0 / 64.0 {
                self.health[i] = 1.0 - (1.0 - self.health[i]) * 0.5_f64.powf(elapsed / 10.0);
                self.at[i] = now;
            }
        }
        let best = self.health.iter().copied().fold(0.0, f64::max);
        let threshold = if self.relative { 0.5 * best } else { 0.5 };
        let passes: Vec<bool> = self.health.iter().map(|h| *h >= threshold).collect();
        if passes.contains(&true) { passes } else { vec![true; passes.len()] }
    }

    fn outcome(&mut self, server: usize, now: f64, success: bool) {
        let elapsed = now - self.at[server];
        let faded = 1.0 - (1.0 - self.health[server]) * 0.5_f64.powf(elapsed / 10.0);
        let kept = 0.5_f64.powf(1.0 / 3.0);
        self.health[server] = kept * faded + (1.0 - kept) * f64::from(u8::from(success));
        self.at[server] = now;
    }
}

#[test]
fn up_to_eight_servers_it_equals_the_rule_written_out() {
    let common = LeastConnectionsSpec::default().watch();
    for relative in [false, true] {
        let watch = Watch { half_life: 3.0, relative_threshold: relative, ..common };
        let mut view = View::new(watch, &Fleet::uniform(6));
        let mut slow = Slow { health: vec![1.0; 6], at: vec![0.0; 6], relative };
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let (mut ms, mut left_out) = (0, 0);
        for _ in 0..3_000 {
            // Whole milliseconds, so that both clocks agree on what is due.
            ms += index_below(&mut rng, 400) as u64;
            let now = Timestamp::from_nanos(ms * 1_000_000);
            view.before_choice(now);
            let expected = slow.considered(ms as f64 * 1e-3);
            let found: Vec<bool> = ServerId::all(6).map(|s| view.is_considered(s)).collect();
            assert_eq!(found, expected, "at {ms} ms, relative: {relative}");
            left_out += found.iter().filter(|f| !**f).count();
            let server = ServerId(index_below(&mut rng, 6) as u16);
            let success = uniform01(&mut rng) < [0.9, 0.6, 0.5, 0.3, 0.1, 0.05][server.index()];
            let attempt = attempt(server.0, now);
            view.on_sent(now, &attempt);
            let outcome = if success { Outcome::Success } else { Outcome::Failure };
            view.on_outcome(now, &attempt, outcome);
            slow.outcome(server.index(), ms as f64 * 1e-3, success);
        }
        assert!(left_out > 1_000, "the test has met ill servers: {left_out}");
    }
}

#[test]
fn among_many_servers_recovery_is_noticed_within_a_round_of_the_hand() {
    let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(800));
    (0..3).for_each(|_| bench.observe(700, Outcome::Failure));
    (0..50).for_each(|_| assert_ne!(bench.decide(&[]), 700));
    bench.wait(60_000.0);
    let before = bench.strategy.notes().unwrap().filtered_by_health;
    (0..300).for_each(|_| assert!(bench.decide(&[]) < 800));
    let noticed_late = bench.strategy.notes().unwrap().filtered_by_health - before;
    assert!(noticed_late < 100, "100 decisions are a round: {noticed_late}");
}
