//! The simulator against answers on paper: attempts, penalties and scores of players whose
//! attempts fail independently, giving up, the throughput of rate limiters, arrivals.
//!
//! Every comparison of a mean is a two-sided z-test at 99.9 %: it would alarm falsely once in
//! 1000 seeds. There are about 50 of them; the seeds are fixed, so that was risked once. Answers
//! that do not depend on luck are compared exactly.

use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{Rules, Streams, Timestamp};
use flakelab_core::stats::Moments;
use flakelab_sim::experiment::Contender;
use flakelab_sim::world::{Arrivals, ErrorFamily, RateLimit, Scenario, Traffic};

use crate::common::{
    Z_999, compared, constant_ms, contender, drawn, everybody, five, model, named, oracle, play,
    scenario, servers,
};

/// So short that no request is ever in service for long.
const INSTANT_MS: f64 = 0.01;

/// Mean and variance of a quantity of one request.
#[derive(Debug, Clone, Copy)]
struct Law {
    mean: f64,
    variance: f64,
}

impl Law {
    /// The law of f(attempts) of a request whose attempts fail with probability `p` each and
    /// which ends with a success or after `most` attempts, term by term.
    fn of_attempts(p: f64, most: u32, f: impl Fn(u32, bool) -> f64) -> Self {
        let (mut mean, mut square) = (0.0, 0.0);
        let mut add = |probability: f64, value: f64| {
            mean += probability * value;
            square += probability * value * value;
        };
        for attempts in 1..=most {
            add(p.powi(attempts as i32 - 1) * (1.0 - p), f(attempts, true));
        }
        add(p.powi(most as i32), f(most, false));
        Self { mean, variance: square - mean * mean }
    }

    /// Standard normal if `total` is the sum over `n` independent requests of this law.
    fn z(&self, total: f64, n: u64) -> f64 {
        let n = n as f64;
        let spread = (self.variance * n).sqrt();
        if spread == 0.0 && total == self.mean * n {
            return 0.0;
        }
        (total - self.mean * n) / spread
    }

    fn assert(&self, total: f64, n: u64, what: &str) {
        let z = self.z(total, n);
        assert!(z.abs() < Z_999, "{what}: {} on average instead of {self:?}", total / n as f64);
    }
}

fn extra(attempts: u32, _: bool) -> f64 {
    f64::from(attempts.saturating_sub(3))
}

fn all(attempts: u32, _: bool) -> f64 {
    f64::from(attempts)
}

fn ok(_: u32, success: bool) -> f64 {
    f64::from(u8::from(success))
}

/// Checks a run of independent requests that end by success or after `most` attempts.
fn assert_laws(ledger: &Ledger, p: f64, most: u32, what: &str) {
    let n = ledger.arrived;
    Law::of_attempts(p, most, all).assert(ledger.attempts as f64, n, what);
    Law::of_attempts(p, most, extra).assert(ledger.extra_attempts as f64, n, what);
    Law::of_attempts(p, most, ok).assert(ledger.answered_ok as f64, n, what);
    let worth = |attempts, success| ok(attempts, success) - extra(attempts, success);
    let score = ledger.score(&Rules::default()).score();
    Law::of_attempts(p, most, worth).assert(score, n, what);
    assert_eq!(ledger.retries, ledger.attempts - n, "{what}");
}

fn random() -> Contender {
    contender("random", named("random"), 0)
}

/// Players whose attempts fail independently, with the probability that they do.
fn independent_players() -> (Scenario, [(Contender, f64); 2]) {
    let rates = [0.6, 0.35, 0.55];
    let world = scenario(servers(&rates, constant_ms(INSTANT_MS)), 100_000);
    (world, [(oracle(), 0.35), (random(), 0.5)])
}

/// Enough terms of a geometric law: the rest weighs less than 1e-60.
const FOR_EVER: u32 = 200;

#[test]
fn attempts_without_a_cap_are_geometric() {
    let (world, players) = independent_players();
    for (who, p) in players {
        // The sums of the law are the closed forms.
        let close = |x: f64, y: f64| assert!((x - y).abs() < 1e-12, "{x} {y}");
        close(Law::of_attempts(p, FOR_EVER, all).mean, 1.0 / (1.0 - p));
        close(Law::of_attempts(p, FOR_EVER, all).variance, p / (1.0 - p).powi(2));
        close(Law::of_attempts(p, FOR_EVER, extra).mean, p.powi(3) / (1.0 - p));
        let ledger = play(&world, &who, 1, 0).ledger;
        assert_eq!(ledger.answered_error, 0);
        assert_laws(&ledger, p, FOR_EVER, &who.label);
    }
}

#[test]
fn attempts_with_a_cap_are_geometric_up_to_it() {
    let (mut world, players) = independent_players();
    for most in [1, 2, 3, 4, 6] {
        world.rules.max_attempts = Some(most);
        for (who, p) in &players {
            let mean = Law::of_attempts(*p, most, ok).mean;
            assert!((mean - (1.0 - p.powi(most as i32))).abs() < 1e-12);
            let ledger = play(&world, who, 2, 0).ledger;
            assert_laws(&ledger, *p, most, &format!("{} up to {most}", who.label));
        }
    }
}

/// Constant latency of 100 / k ms: the k-th attempt ends in the very instant in which the time
/// in service is over and the next request arrives, so k attempts fit, never more.
#[test]
fn a_request_is_given_up_after_the_attempts_that_fit_its_time() {
    for (latency_ms, fit) in [(25.0, 4), (20.0, 5), (10.0, 10)] {
        let world = scenario(servers(&[0.7], constant_ms(latency_ms)), 50_000);
        let run = play(&world, &oracle(), 3, 0);
        assert_laws(&run.ledger, 0.7, fit, &format!("{fit} attempts fit"));
        let given_up = run.answers.iter().filter(|(_, answer)| !answer.ok);
        assert!(given_up.into_iter().all(|(_, a)| a.attempts == fit));
    }
}

/// Latency 30 ms, no limit on the time in service: requests run late, and how late the next one
/// starts follows from how late this one did and its attempts. The exact answer is a Markov
/// chain in the lateness; it also knows that an outcome comes before an arrival of its instant.
#[test]
fn the_backlog_rule_agrees_with_its_markov_chain() {
    let (p, requests, latency) = (0.8_f64, 100, 30_u32);
    let expected = |arrival_first: bool| {
        let mut late_by = vec![0.0_f64; 1000];
        late_by[0] = 1.0;
        let (mut answered, mut penalty) = (0.0, 0.0);
        for request in 0..requests {
            let mut next = vec![0.0; late_by.len()];
            let last = request + 1 == requests;
            for (late, weight) in (0_u32..).zip(&late_by).filter(|(_, weight)| **weight > 0.0) {
                // Given up at the first end of an attempt, from the third on, at which the next
                // request waits.
                let end = |attempt: u32| late + attempt * latency;
                let waits =
                    |attempt: &u32| end(*attempt) > 100 || arrival_first && end(*attempt) == 100;
                let most = if last { FOR_EVER } else { (3..).find(waits).unwrap_or(FOR_EVER) };
                answered += weight * Law::of_attempts(p, most, ok).mean;
                penalty += weight * Law::of_attempts(p, most, extra).mean;
                if !last {
                    for attempts in 1..=most {
                        let failures_before = p.powi(attempts as i32 - 1);
                        let ends = if attempts == most { 1.0 } else { 1.0 - p };
                        let start = end(attempts).saturating_sub(100) as usize;
                        next[start] += weight * failures_before * ends;
                    }
                }
            }
            late_by = next;
        }
        answered - penalty
    };
    let mut world = scenario(servers(&[p], constant_ms(f64::from(latency))), requests);
    world.rules.give_up_after_ms = Some(1e9);
    let score: Moments = (0..20_000)
        .map(|r| play(&world, &oracle(), 4, r).ledger.score(&world.rules).score())
        .collect();
    let z = |expected: f64| (score.mean() - expected) / score.std_error();
    assert!(z(expected(false)).abs() < Z_999, "{} {}", score.mean(), expected(false));
    // Planted bug: events of one instant in another order.
    assert!(z(expected(true)).abs() > 2.0 * Z_999, "{} {}", score.mean(), expected(true));
}

#[test]
fn the_z_tests_catch_a_penalty_that_starts_one_attempt_early_and_a_rate_off_by_a_point() {
    let (mut world, [_, (who, p)]) = independent_players();
    let law = Law::of_attempts(p, FOR_EVER, extra);
    world.rules.free_attempts = 2;
    let early = play(&world, &who, 1, 0).ledger;
    assert!(law.z(early.extra_attempts as f64, early.arrived) > 10.0 * Z_999);
    let (world, [(who, p), _]) = independent_players();
    let ledger = play(&world, &who, 1, 0).ledger;
    let off = Law::of_attempts(p + 0.01, FOR_EVER, all);
    assert!(off.z(ledger.attempts as f64, ledger.arrived) < -Z_999);
}

/// Simpson's rule on 2,000 intervals.
fn integral(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (n, h) = (2_000, (high - low) / 2_000.0);
    let weight = |i: i32| match i {
        _ if i == 0 || i == n => 1.0,
        _ if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    h / 3.0 * (0..=n).map(|i| weight(i) * f(low + f64::from(i) * h)).sum::<f64>()
}

/// Density of the sum of ten uniforms on (0, 1) (Irwin and Hall 1927).
fn irwin_hall(x: f64) -> f64 {
    let mut binomial = 1.0;
    let mut sum = 0.0;
    for k in 0..=10 {
        let left = x - f64::from(k);
        if left <= 0.0 {
            break;
        }
        sum += if k % 2 == 0 { binomial } else { -binomial } * left.powi(9);
        binomial *= f64::from(10 - k) / f64::from(k + 1);
    }
    sum / 362_880.0
}

/// Expected extra attempts of a request whose attempts fail with probability p.
fn penalty(p: f64) -> f64 {
    p.powi(3) / (1.0 - p)
}

/// Exact mean scores of a request with error rates uniform on (0.02, 0.75), ten servers: the
/// oracle's attempts fail at the lowest of ten rates, those of `random` at their mean.
fn exact_scores() -> (f64, f64) {
    let width = 0.73;
    let rate = |u: f64| 0.02 + width * u;
    let lowest = integral(0.0, 1.0, |u| 10.0 * (1.0 - u).powi(9) * penalty(rate(u)));
    let mean = integral(0.0, 10.0, |sum| irwin_hall(sum) * penalty(rate(sum / 10.0)));
    (1.0 - lowest, 1.0 - mean)
}

#[test]
fn the_exact_scores_of_the_uniform_model_are_those_of_the_issue() {
    assert!((integral(0.0, 10.0, irwin_hall) - 1.0).abs() < 1e-9);
    let (oracle, random) = exact_scores();
    assert!((100.0 * oracle - 99.7507).abs() < 5e-5, "{oracle}");
    assert!((100.0 * random - 89.19).abs() < 5e-3, "{random}");
}

/// Oracle and `random` over 20,000 replications of 100 requests.
#[test]
fn the_simulator_agrees_with_the_exact_scores_of_the_uniform_model() {
    let ranked = vec![contender("V1", named("v1"), 0)];
    let (rows, summary) = compared(scenario(drawn(), 100), ranked, 20_000, 42);
    let (oracle, random) = exact_scores();
    let mut z = Vec::new();
    for (reference, (exact, wrong)) in [(oracle, random), (random, oracle)].into_iter().enumerate()
    {
        let scores: Moments =
            rows.iter().filter(|r| r.contender == reference).map(|r| r.score).collect();
        assert_eq!(scores.mean(), summary.contenders[reference].score.mean);
        let z_for = |per_request: f64| (scores.mean() - 100.0 * per_request) / scores.std_error();
        println!("{reference}: {:.4}, exact {:.4}", scores.mean(), 100.0 * exact);
        assert!(z_for(wrong).abs() > 10.0 * Z_999, "the test tells them apart");
        z.push(z_for(exact));
    }
    assert!(z.iter().all(|z| z.abs() < Z_999), "{z:?}");
}

/// One server under 10 requests per second that are retried every 10 ms while it refuses.
fn saturated(limit: RateLimit, error_rate: f64) -> Scenario {
    let family = ErrorFamily::Fixed { values: vec![error_rate] };
    let mut model = model(1, family, limit, constant_ms(INSTANT_MS));
    model.latency.rate_limited_ms = Some(10.0);
    scenario(model, 1_000)
}

/// The bounds hold for every luck: what the limiter lets through in 100 s, give or take what
/// hangs over at the ends.
#[test]
fn a_saturated_limiter_lets_through_its_rate_whoever_asks() {
    let period_s = 10.0;
    let limits = [
        (RateLimit::TokenBucket { per_second: 5.0, burst: 10.0 }, 510.0, 2.0),
        (RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: Some(0.0) }, 300.0, 0.0),
        (RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None }, 300.0, 3.0),
        (RateLimit::SlidingWindow { limit: 3, window_s: 1.0 }, 300.0, 3.0),
        (
            RateLimit::Sinusoidal {
                mean_per_second: 4.0,
                amplitude_per_second: 3.0,
                period_s,
                burst: 2.0,
                phase: Some(0.0),
            },
            402.0,
            3.0,
        ),
    ];
    for (limit, expected, slack) in limits {
        for who in everybody().into_iter().filter(|who| who.label != "oracle") {
            let ledger = play(&saturated(limit, 0.0), &who, 5, 0).ledger;
            let accepted = ledger.attempts - ledger.rate_limited();
            assert_eq!(accepted, ledger.answered_ok, "accepted attempts succeed here");
            let off = (accepted as f64 - expected).abs();
            assert!(off <= slack, "{} through {limit:?}: {accepted}", who.label);
        }
    }
}

#[test]
fn failed_attempts_use_up_the_limit_too() {
    let limit = RateLimit::TokenBucket { per_second: 5.0, burst: 10.0 };
    for spec in five() {
        let ledger = play(&saturated(limit, 0.3), &Contender::new(spec), 6, 0).ledger;
        let accepted = ledger.attempts - ledger.rate_limited();
        assert!((508..=512).contains(&accepted), "{}: {accepted}", spec.name());
        Law { mean: 0.7, variance: 0.21 }.assert(ledger.answered_ok as f64, accepted, spec.name());
    }
}

/// Arrivals at 10 per second in each of 20,000 seconds.
fn counts(traffic: Traffic) -> Moments {
    let seconds = 20_000;
    let mut counts = vec![0_u32; seconds];
    let arrivals = Arrivals::new(traffic, 10.0, 11 * seconds as u64, &Streams::new(7), 0);
    for second in arrivals.map(|at| at.as_nanos() / 1_000_000_000) {
        if let Some(count) = counts.get_mut(second as usize) {
            *count += 1;
        }
    }
    counts.into_iter().map(f64::from).collect()
}

/// z-values of mean and variance if the counts are Poisson with mean 10: the variance of the
/// sample variance is (10 + 2 x 10^2) / n.
fn poisson_z(counts: &Moments) -> [f64; 2] {
    let n = counts.count() as f64;
    [(counts.mean() - 10.0) / (10.0 / n).sqrt(), (counts.variance() - 10.0) / (210.0 / n).sqrt()]
}

#[test]
fn poisson_arrivals_have_counts_with_equal_mean_and_variance() {
    let z = poisson_z(&counts(Traffic::Poisson));
    assert!(z.iter().all(|z| z.abs() < Z_999), "{z:?}");
    assert!(poisson_z(&counts(Traffic::Exact))[1] < -10.0 * Z_999, "exact arrivals are told apart");
}

#[test]
fn exact_arrivals_come_ten_in_every_second() {
    let counts = counts(Traffic::Exact);
    assert_eq!((counts.mean(), counts.variance()), (10.0, 0.0));
    let mut arrivals = Arrivals::new(Traffic::Exact, 10.0, 12, &Streams::new(7), 0);
    let twelfth = arrivals.by_ref().last();
    assert_eq!(twelfth, Some(Timestamp::from_nanos(1_100_000_000)));
    assert_eq!(arrivals.next(), None);
}
