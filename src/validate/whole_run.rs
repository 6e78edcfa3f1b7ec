//! Whole runs: a recorded strategy played many times in worlds drawn from what is believed, by
//! the simulator and the strategy's real code.
//!
//! Each replication draws a rate limit, a placement of the run among its neighbours, a population
//! and every server's rate from its posterior, so the spread of the counts holds all that is
//! uncertain, not only luck.
//!
//! When not to use it: where the run's own outcomes are already partly known.

use rand_chacha::ChaCha8Rng;

use super::beliefs::Belief;
use super::recorder::strategy_of;
use super::{RunRules, Training};
use crate::balancer::Ledger;
use crate::domain::{Purpose, Streams};
use crate::sim::{NoRecord, Replication};
use crate::stats::Interval;
use crate::stats::sample::uniform_open;
use crate::trace::Recording;
use crate::world::{ErrorFamily, Model, Ports, Scenario, Traffic};

/// A count of a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Attempts.
    Attempts,
    /// Attempts beyond the three free ones of each request.
    Penalties,
    /// Requests that got no success.
    FailedRequests,
    /// Attempts refused by a rate limiter, where the recorder told them.
    Refusals,
}

/// A count of one run: recorded and predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// What is counted.
    pub metric: Metric,
    /// As recorded.
    pub observed: u64,
    /// Mean over replications.
    pub mean: f64,
    /// Quantiles 0.025 and 0.975 over replications.
    pub interval: Interval,
    /// Chance of a count at least as far out on its side, twice.
    pub p_value: f64,
}

impl Metric {
    /// All of them, in the order of [`counts`].
    pub const ALL: [Self; 4] =
        [Self::Attempts, Self::Penalties, Self::FailedRequests, Self::Refusals];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Penalties => "penalties",
            Self::FailedRequests => "failed requests",
            Self::Refusals => "refusals (429)",
        }
    }
}

/// The counts of a run, in the order of [`Metric::ALL`].
pub(super) type Counts = [u64; 4];

/// The counts of a recording.
pub(super) fn observed(run: &Recording, free_attempts: u32) -> Counts {
    let attempts = run.attempts.len() as u64;
    let beyond = |number: u16| u32::from(number) > free_attempts;
    let penalties = run.attempts.iter().filter(|a| beyond(a.attempt)).count() as u64;
    let answered = run.attempts.iter().filter(|a| a.outcome.is_success()).count() as u64;
    let refusals = run.attempts.iter().filter(|a| a.refused()).count() as u64;
    [attempts, penalties, requests(run).saturating_sub(answered), refusals]
}

fn requests(run: &Recording) -> u64 {
    run.attempts.iter().map(|a| u64::from(a.request) + 1).max().unwrap_or(0)
}

/// The mean rate of requests, from the first attempts of the first and the last request.
fn requests_per_second(run: &Recording) -> f64 {
    let last = run.attempts.iter().rfind(|a| a.attempt <= 1).map_or(0.0, |a| a.at_s);
    let (gaps, seconds) = (requests(run).saturating_sub(1) as f64, last - run.started_at_s());
    let rate = gaps / seconds;
    if rate.is_finite() { rate.clamp(1e-3, 1e6) } else { 10.0 }
}

/// Plays the recording's strategy so many times; `None` if it names none, or several, or one that
/// we do not know. `number` tells the runs' random numbers apart.
pub(super) fn replicate(
    run: &Recording,
    beliefs: &[Belief],
    training: &Training,
    rules: RunRules,
    number: u16,
    seed: u64,
    replications: u64,
) -> Option<Vec<Counts>> {
    let spec = strategy_of(run)?;
    let servers = run.group.servers.len();
    let mut scenario = Scenario {
        name: run.group.name.clone(),
        model: Model {
            name: run.group.name.clone(),
            ports: Ports { first: run.group.first_port, count: servers as u16 },
            latency: training.latency.clone(),
            ..Model::of_rates(&[])
        },
        traffic: Traffic::Exact,
        requests_per_second: requests_per_second(run),
        requests: requests(run),
        rules: rules.rules(),
    };
    let draws = Streams::new(seed);
    // Runs must not share luck, and a run's luck must not depend on the other runs.
    let worlds = Streams::new(seed.wrapping_add(1 + u64::from(number)));
    let counts = (0..replications).map(|replication| {
        let mut rng = draws.stream(Purpose::Analysis, number, replication);
        let belief = &beliefs[pick(&mut rng, beliefs.len())];
        let tallies = placement(belief, &mut rng);
        let values = training.rates.draw(tallies, || uniform_open(&mut rng));
        scenario.model.error_rate.family = ErrorFamily::Fixed { values };
        scenario.model.rate_limit = belief.limit;
        let coins = worlds.stream(Purpose::Strategy, 0, replication);
        let player = rules.player(spec, servers, coins, rng);
        let mut world = Replication::new(&scenario, &worlds, replication);
        of_ledger(&world.play(player, &mut NoRecord))
    });
    Some(counts.collect())
}

fn of_ledger(ledger: &Ledger) -> Counts {
    let refusals = ledger.servers.iter().map(|server| server.rate_limited).sum();
    [ledger.attempts, ledger.extra_attempts, ledger.answered_error, refusals]
}

fn pick(rng: &mut ChaCha8Rng, n: usize) -> usize {
    ((uniform_open(rng) * n as f64) as usize).min(n.saturating_sub(1))
}

fn placement<'b>(belief: &'b Belief, rng: &mut ChaCha8Rng) -> &'b [crate::fit::Tally] {
    let mut left = uniform_open(rng);
    for hypothesis in &belief.hypotheses {
        left -= libm::exp(hypothesis.log_weight);
        if left <= 0.0 {
            return &hypothesis.tallies;
        }
    }
    belief.hypotheses.last().map_or(&[], |hypothesis| &hypothesis.tallies)
}
