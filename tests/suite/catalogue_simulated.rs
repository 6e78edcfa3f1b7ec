//! The whole catalogue, end to end: every strategy there is plays in eventful worlds with every kind
//! of rate limit, and the numbers of each run agree with each other.

use flakelab_core::domain::{Outcome, Rules};
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::Contender;
use flakelab_sim::world::{LatencyFamily, LogNormal, RateLimit, Scenario, Traffic};

use crate::common::{Run, UNIFORM, compared, model, play, scenario};

const REQUESTS: u64 = 400;

/// No limit, and one of each kind that binds at 10 requests a second over five servers.
const LIMITS: [RateLimit; 5] = [
    RateLimit::None,
    RateLimit::FixedWindow { limit: 2, window_s: 1.0, phase_s: None },
    RateLimit::SlidingWindow { limit: 2, window_s: 1.0 },
    RateLimit::TokenBucket { per_second: 2.0, burst: 3.0 },
    RateLimit::Sinusoidal {
        mean_per_second: 2.0,
        amplitude_per_second: 2.0,
        period_s: 20.0,
        burst: 2.0,
        phase: None,
    },
];

/// Random arrivals, three requests in service, answers that now and then outlast the timeout.
fn eventful(limit: RateLimit, max_requests_in_service: usize) -> Scenario {
    let latency = LatencyFamily::LogNormalMixture {
        body: LogNormal { median_ms: 5.0, sigma: 0.5 },
        tail_weight: 0.02,
        tail: LogNormal { median_ms: 900.0, sigma: 0.5 },
    };
    Scenario {
        traffic: Traffic::Poisson,
        rules: Rules { max_requests_in_service, ..Rules::default() },
        ..scenario(model(5, UNIFORM, limit, latency), REQUESTS)
    }
}

fn check_books(name: &str, run: &Run, limited: bool) {
    let Run { ledger, answers, attempts } = run;
    let ended = |o| attempts.iter().filter(|e| e.outcome == o).count() as u64;
    assert_eq!(ledger.arrived, REQUESTS, "{name}");
    assert_eq!(ledger.arrived, ledger.answered_ok + ledger.answered_error, "{name}");
    assert_eq!(answers.len() as u64, REQUESTS, "{name}");
    assert_eq!(ledger.attempts, attempts.len() as u64, "{name}");
    assert_eq!(ledger.answered_ok, ended(Outcome::Success), "{name}");
    assert_eq!(ledger.rate_limited(), ended(Outcome::RateLimited), "{name}");
    assert_eq!(ledger.timed_out(), ended(Outcome::TimedOut), "{name}");
    let of_answers: u64 = answers.iter().map(|(_, a)| u64::from(a.attempts)).sum();
    assert_eq!(ledger.attempts, of_answers, "{name}");
    assert_eq!(ledger.retries, ledger.attempts - ledger.arrived, "{name}");
    assert!(ended(Outcome::RateLimited) == 0 || limited, "{name}");
    // Whatever the strategy, most requests are answered while nothing is refused: three attempts
    // at a server that succeeds with chance 0.25 or more fail with chance 0.42 at the most.
    assert!(ledger.answered_ok > if limited { REQUESTS / 4 } else { REQUESTS / 2 }, "{name}");
    // No strategy may keep a request waiting for ever, or everybody behind it.
    let slowest_s = answers.iter().map(|(_, a)| a.latency.as_secs_f64()).fold(0.0, f64::max);
    assert!(slowest_s < 30.0, "{name}: {slowest_s} s");
}

#[test]
fn every_strategy_plays_in_every_kind_of_limit_and_its_books_agree() {
    for limit in LIMITS {
        for in_service in [1, 3] {
            let world = eventful(limit, in_service);
            for spec in StrategySpec::all_with_defaults() {
                let run = play(&world, &Contender::new(spec), 42, 1);
                let name = format!("{} behind {limit}, {in_service} in service", spec.name());
                check_books(&name, &run, limit != RateLimit::None);
            }
        }
    }
}

#[test]
fn the_whole_catalogue_is_swept_and_ranked() {
    let strategies = StrategySpec::named_by("everything").expect("a group");
    let ranked: Vec<Contender> = strategies.iter().copied().map(Contender::new).collect();
    for limit in [LIMITS[0], LIMITS[3], LIMITS[4]] {
        let (rows, summary) = compared(eventful(limit, 1), ranked.clone(), 4, 42);
        assert_eq!(rows.len(), 4 * (strategies.len() + 2), "the references, too");
        assert!(rows.iter().all(|row| row.oracle_regret.is_finite()));
        assert_eq!(summary.has_rate_limit, limit != RateLimit::None);
    }
}
