//! Rate limits: what is assumed for each config, and what the attempts say of it.
//!
//! The recordings do not tell a refusal (429) from another failure, so limits are not inferred
//! here; they are assumptions, kept in this one place, and each is held against the attempts: a
//! limiter replayed on the recorded times says which attempts it would have refused, and those
//! must have failed. The Bayes factor compares "these failed because they were refused" with
//! "these failed by their servers' error rates", rates integrated over the population.
//!
//! When not to use it: to choose between kinds of limiters; where retries at a server always
//! carry the same identifier, refusing a retry and refusing an identifier look alike.

use crate::domain::Timestamp;
use crate::fit::error_rates::{Population, Tally};
use crate::fit::old_runs::Run;
use crate::stats::Interval;
use crate::stats::special::log_sum_exp;
use crate::trace::Config;
use crate::world::RateLimit;

/// Config 1, assumed. See [`CONFIG_1_REASON`].
pub const CONFIG_1: RateLimit = RateLimit::TokenBucket { per_second: 20.0, burst: 1.0 };

/// Why [`CONFIG_1`].
pub const CONFIG_1_REASON: &str = "In the recordings of 2026-01-21 all 16 attempts of config 1 \
    that followed another at the same server within 4 ms failed (config 0: none of 7), while \
    servers that were asked every 92 ms or more only showed steady error rates. A bucket of one \
    token, refilled somewhere between about 11 and 180 times a second, does that; larger bursts or \
    slower refills do not. 20 per second is a round number inside; the data do not tell it from \
    its neighbours.";

/// Config 2, assumed. See [`CONFIG_2_REASON`].
pub const CONFIG_2: RateLimit = RateLimit::Sinusoidal {
    mean_per_second: 20.0,
    amplitude_per_second: 8.0,
    period_s: 10.0,
    burst: 1.0,
    phase: None,
};

/// Why [`CONFIG_2`].
pub const CONFIG_2_REASON: &str = "No server of config 2 was driven hard enough: a single \
    attempt followed another at the same server within 90 ms (it failed). Mean and burst are \
    those assumed for config 1; the swing is as large as it can be while the refill never falls \
    below 12 a second, since servers asked ten times a second showed no refusals; the period is \
    the length of a recording.";

/// Config 0. See [`CONFIG_0_REASON`].
pub const CONFIG_0_REASON: &str = "Config 0 has no rate limit by definition. The evidence is that \
    for the limit assumed for config 1: below 0, attempts that it would have refused succeeded.";

/// Chance that an attempt which the limiter should have refused succeeds after all, because the
/// server's clock is not the client's.
const CLOCK_SLIP: f64 = 1e-3;
/// Phases that a limiter with a drawn phase is averaged over.
const PHASES: usize = 8;
/// A limit is believed to exist when it is this much likelier than none (`ln` of the Bayes
/// factor); otherwise its rate is not estimated at all.
const BELIEVED: f64 = 5.0;
/// Rates within this much of the best `ln` likelihood are supported.
const SUPPORT: f64 = 2.0;

/// What the attempts say of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitEvidence {
    /// The limit in question.
    pub limit: RateLimit,
    /// `ln` of the Bayes factor of this limit against none.
    pub log_bayes_factor: f64,
    /// Attempts that it would have refused (with its phase at 0, if it has one).
    pub refused: u64,
    /// Those of them that succeeded: each contradicts the limit.
    pub refused_but_succeeded: u64,
    /// Refills per second of a bucket of one token that the attempts support about as well as
    /// the best one; `None` when they do not show a limit at all.
    pub supported_per_second: Option<Interval>,
}

/// The limit of a config and the reason for it.
#[must_use]
pub fn assumed(config: Config) -> (RateLimit, &'static str) {
    match config.number() {
        0 => (RateLimit::None, CONFIG_0_REASON),
        1 => (CONFIG_1, CONFIG_1_REASON),
        _ => (CONFIG_2, CONFIG_2_REASON),
    }
}

/// Holds a limit against the attempts of each start.
pub(in crate::fit) fn evidence(
    limit: RateLimit,
    starts: &[Vec<&Run>],
    population: &Population,
) -> LimitEvidence {
    let log_likelihood = |limit: &RateLimit| -> f64 {
        let servers = |runs: &Vec<&Run>| runs.first().map_or(0, |run| run.config.servers());
        let of_start = |runs: &Vec<&Run>| -> f64 {
            (0..usize::from(servers(runs)))
                .map(|server| server_log_likelihood(limit, runs, server, population))
                .sum()
        };
        starts.iter().map(of_start).sum()
    };
    let none = log_likelihood(&RateLimit::None);
    let mut refused = (0, 0);
    for run in starts.iter().flatten() {
        let failed = run.attempts.iter().map(|attempt| attempt.failed);
        for (_, failed) in refusals(&limit, run).into_iter().zip(failed).filter(|(r, _)| *r) {
            refused = (refused.0 + 1, refused.1 + u64::from(!failed));
        }
    }
    // 1 to 1000 per second, twenty to the decade.
    let rates: Vec<f64> = (0..=60).map(|i| libm::pow(10.0, f64::from(i) * 0.05)).collect();
    let of_rates: Vec<f64> = rates
        .iter()
        .map(|rate| log_likelihood(&RateLimit::TokenBucket { per_second: *rate, burst: 1.0 }))
        .collect();
    let best = of_rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let supported = || rates.iter().zip(&of_rates).filter(|(_, l)| **l >= best - SUPPORT);
    let range = Interval {
        low: supported().map(|(rate, _)| *rate).fold(f64::INFINITY, f64::min),
        high: supported().map(|(rate, _)| *rate).fold(0.0, f64::max),
    };
    LimitEvidence {
        limit,
        log_bayes_factor: log_likelihood(&limit) - none,
        refused: refused.0,
        refused_but_succeeded: refused.1,
        supported_per_second: (best - none >= BELIEVED).then_some(range),
    }
}

/// Which attempts of a run this limit would have refused, with its phase at 0 if it has one.
///
/// Where the recorder told refusals, those are meant instead.
pub(in crate::fit) fn refusals(limit: &RateLimit, run: &Run) -> Vec<bool> {
    if run.tells_refusals {
        return run.attempts.iter().map(|attempt| attempt.known_refused).collect();
    }
    let mut limiters: Vec<_> = (0..run.config.servers()).map(|_| limit.limiter(0.0)).collect();
    let begin = run.started_at_s();
    run.attempts
        .iter()
        .map(|attempt| {
            let now = Timestamp::from_secs_f64(attempt.at_s - begin);
            !limiters[attempt.server].accept(now)
        })
        .collect()
}

/// `ln` likelihood of one server's attempts in one start, averaged over the limiter's phase.
fn server_log_likelihood(
    limit: &RateLimit,
    runs: &[&Run],
    server: usize,
    population: &Population,
) -> f64 {
    let phases = if matches!(limit, RateLimit::Sinusoidal { .. }) { PHASES } else { 1 };
    let by_phase: Vec<f64> = (0..phases)
        .map(|phase| {
            let mut accepted = Tally::default();
            let mut log_refused = 0.0;
            for run in runs {
                // Every recording began after a pause, with a full bucket.
                let mut limiter = limit.limiter(phase as f64 / phases as f64);
                let begin = run.started_at_s();
                for attempt in run.attempts.iter().filter(|a| a.server == server) {
                    if limiter.accept(Timestamp::from_secs_f64(attempt.at_s - begin)) {
                        accepted.record(attempt.failed);
                    } else if !attempt.failed {
                        log_refused += libm::log(CLOCK_SLIP);
                    }
                }
            }
            population.log_marginal(accepted) + log_refused
        })
        .collect();
    log_sum_exp(&by_phase) - libm::log(phases as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::fit::old_runs::collect;
    use crate::stats::sample::uniform01;
    use crate::trace::{Row, Trace};

    /// Requests every 101 ms at one server with an error rate of 0.2; each failure is retried
    /// there 2 ms later, up to three times, against this limit.
    fn hammered(limit: RateLimit) -> LimitEvidence {
        let mut rng = Streams::new(9).stream(Purpose::World, 0, 0);
        let mut limiter = limit.limiter(0.0);
        let mut rows = Vec::new();
        for request in 1..=60_u32 {
            for attempt in 1..=4_u32 {
                let at = f64::from(request) * 0.101 + f64::from(attempt - 1) * 0.002;
                let accepted = limiter.accept(Timestamp::from_secs_f64(at));
                let success = accepted && uniform01(&mut rng) >= 0.2;
                rows.push(Row {
                    session_id: None,
                    config: Config::ALL[1],
                    request_number: u64::from(request),
                    attempt_number: attempt,
                    request_id: format!("{request:024}"),
                    strategy: "v4".to_owned(),
                    timestamp: at,
                    server_port: 5003,
                    success,
                    latency_ms: 1.0,
                    request_complete: success,
                    request_success: success,
                    rate_limited: None,
                    start: None,
                });
                if success {
                    break;
                }
            }
        }
        let (runs, _) = collect(&[Trace::new("made", rows)]).unwrap();
        let runs: Vec<&Run> = runs[&Config::ALL[1]].iter().collect();
        evidence(CONFIG_1, &[runs], &Population::Uniform { low: 0.02, high: 0.75 })
    }

    #[test]
    fn a_limit_that_is_there_is_seen_and_its_rate_is_in_the_supported_range() {
        let found = hammered(CONFIG_1);
        assert!(found.log_bayes_factor > 10.0 && found.refused_but_succeeded == 0, "{found:?}");
        let range = found.supported_per_second.unwrap();
        assert!(range.contains(20.0) && range.high < 500.0, "{range:?}");
    }

    #[test]
    fn a_limit_that_is_not_there_is_contradicted() {
        let found = hammered(RateLimit::None);
        assert!(found.log_bayes_factor < -10.0 && found.refused_but_succeeded > 3, "{found:?}");
        assert_eq!(found.supported_per_second, None);
    }

    #[test]
    fn the_assumptions_are_valid_models() {
        for config in Config::ALL {
            let (limit, reason) = assumed(config);
            assert!(limit.validate().is_ok() && !reason.is_empty());
        }
    }
}
