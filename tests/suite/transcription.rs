//! Each strategy against a slow, literal transcription of its definition, and that the
//! comparison would notice a wrong one.
//!
//! The transcription keeps every outcome of every server in a list and counts from the whole
//! list at each decision. It shares no code with `src/strategy`; V4 and V5 share the stream of random
//! words, one draw for each candidate in order of server, which is a quantile by the general inverse
//! or, for strong beliefs and later attempts of V5, `stats::sample::beta` (tested by itself against
//! rand_distr).

use flakelab_core::domain::{
    Attempt, AttemptId, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId, ServerId,
    Streams, Timestamp,
};
use flakelab_core::stats::sample;
use flakelab_core::strategy::{Decision, StrategySpec};
use rand_chacha::ChaCha8Rng;

use crate::common::{five, flipped, thompson_draws};

const ATTEMPTS: u64 = 10_000;
const SEEDS: u64 = 20;

/// Ways in which a strategy could be wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bug {
    None,
    TiesGoToTheLast,
    TriedServersStay,
    PaidAttemptsAreLikeFreeOnes,
    RateLimitedIsForgotten,
    /// V1: one request more of discovery.
    LongerDiscovery,
    /// V2 and V3: the weight of the other one.
    OtherWeight,
    /// V5: `total > 2` is `total > 3`.
    TotalAboveThree,
    /// V5: parameters are not raised to 1.
    NotRaised,
}

/// The definitions of V1 to V5, word by word.
struct Literal {
    /// 1 to 5.
    version: u32,
    exclude_tried: bool,
    bug: Bug,
    /// Whether each attempt was a success, in order, for every server.
    history: Vec<Vec<bool>>,
    rng: ChaCha8Rng,
}

impl Literal {
    fn n(&self, server: usize) -> f64 {
        self.history[server].len() as f64
    }

    fn s(&self, server: usize) -> f64 {
        self.history[server].iter().filter(|success| **success).count() as f64
    }

    fn f(&self, server: usize) -> f64 {
        self.history[server].iter().filter(|success| !**success).count() as f64
    }

    fn t(&self) -> f64 {
        self.history.iter().map(Vec::len).sum::<usize>() as f64
    }

    fn everyone(&self) -> Vec<usize> {
        (0..self.history.len()).collect()
    }

    /// "Ties go to the server that comes first in the order in which strategies see the servers."
    fn highest(&self, servers: &[usize], values: &[f64]) -> usize {
        let mut chosen = 0;
        for i in 1..servers.len() {
            let tie_wins = self.bug == Bug::TiesGoToTheLast && values[i] == values[chosen];
            if values[i] > values[chosen] || tie_wins {
                chosen = i;
            }
        }
        servers[chosen]
    }

    /// "Best = highest s/n over all servers, an untried one counting 0."
    fn best_of(&self, servers: &[usize]) -> usize {
        let rate = |i: &usize| if self.n(*i) == 0.0 { 0.0 } else { self.s(*i) / self.n(*i) };
        let rates: Vec<f64> = servers.iter().map(rate).collect();
        self.highest(servers, &rates)
    }

    /// "Untried first, then argmax s/n + weight(ln t, n)."
    fn upper_bound(&self, servers: &[usize], weight: impl Fn(f64, f64) -> f64) -> usize {
        if let Some(untried) = servers.iter().find(|i| self.n(**i) == 0.0) {
            return *untried;
        }
        let ln_t = self.t().ln();
        let index = |i: &usize| self.s(*i) / self.n(*i) + weight(ln_t, self.n(*i));
        let indices: Vec<f64> = servers.iter().map(index).collect();
        self.highest(servers, &indices)
    }

    fn thompson(&mut self, servers: &[usize], scale: impl Fn(f64, f64) -> (f64, f64)) -> usize {
        let beliefs: Vec<_> = servers.iter().map(|i| (self.s(*i), self.f(*i))).collect();
        let draws = thompson_draws(&mut self.rng, &beliefs, scale);
        self.highest(servers, &draws)
    }

    fn drawn(&mut self, servers: &[usize], scale: impl Fn(f64, f64) -> (f64, f64)) -> usize {
        let mut draws = Vec::new();
        for i in servers {
            let (a, b) = scale(self.s(*i) + 1.0, self.f(*i) + 1.0);
            draws.push(sample::beta(&mut self.rng, a, b));
        }
        self.highest(servers, &draws)
    }

    /// `request` counts from 0; `tried` has one entry for each attempt made.
    fn decide(&mut self, request: u64, tried: &[usize]) -> usize {
        let attempt = tried.len();
        let everyone = self.everyone();
        let free = attempt < 3 || self.bug == Bug::PaidAttemptsAreLikeFreeOnes;
        // "When every server is excluded, exclusion is dropped."
        let mut allowed = everyone.clone();
        if self.exclude_tried && self.bug != Bug::TriedServersStay {
            allowed.retain(|i| !tried.contains(i));
        }
        if allowed.is_empty() {
            allowed = everyone.clone();
        }
        let other = self.bug == Bug::OtherWeight;
        let ucb1 = |ln_t: f64, n: f64| (2.0 * ln_t / n).sqrt();
        let ucb_free = |ln_t: f64, n: f64| 3.0 * (ln_t / n).sqrt();
        match self.version {
            2 if !self.exclude_tried => {
                self.upper_bound(&everyone, if other { ucb_free } else { ucb1 })
            }
            _ if !free => self.best_of(&everyone),
            1 if request < 50 + u64::from(self.bug == Bug::LongerDiscovery) => {
                let variance = |i: &usize| {
                    let (a, b) = (self.s(*i) + 1.0, self.f(*i) + 1.0);
                    a * b / ((a + b) * (a + b) * (a + b + 1.0))
                };
                let variances: Vec<f64> = allowed.iter().map(variance).collect();
                self.highest(&allowed, &variances)
            }
            1 => self.best_of(&allowed),
            2 => self.upper_bound(&allowed, if other { ucb_free } else { ucb1 }),
            3 => self.upper_bound(&allowed, if other { ucb1 } else { ucb_free }),
            4 => self.thompson(&allowed, |a, b| (a, b)),
            5 => {
                let k = 4.0 * 0.5_f64.powi(attempt as i32);
                let least_total = if self.bug == Bug::TotalAboveThree { 3.0 } else { 2.0 };
                let floor = if self.bug == Bug::NotRaised { 0.0 } else { 1.0 };
                let scale = |a: f64, b: f64| {
                    let total = a + b;
                    if k != 1.0 && total > least_total {
                        let factor = f64::max(2.0, total / k) / total;
                        (f64::max(a * factor, floor), f64::max(b * factor, floor))
                    } else {
                        (a, b)
                    }
                };
                if attempt == 0 {
                    self.thompson(&allowed, scale)
                } else {
                    self.drawn(&allowed, scale)
                }
            }
            _ => unreachable!("versions are 1 to 5"),
        }
    }

    /// "A rate-limited attempt counts as a failure for these five."
    fn observe(&mut self, server: usize, outcome: Outcome) {
        if self.bug == Bug::RateLimitedIsForgotten && outcome == Outcome::RateLimited {
            return;
        }
        self.history[server].push(outcome == Outcome::Success);
    }
}

/// The first attempt at which the strategy and its transcription choose differently, within
/// [`ATTEMPTS`] attempts of requests that end by success or after 1 to 6 attempts.
///
/// The seed also picks the number of servers (1 to 10) and how good they are.
fn first_disagreement(spec: StrategySpec, bug: Bug, seed: u64) -> Option<u64> {
    let servers = [10, 10, 4, 3, 2, 1][seed as usize % 6];
    let luckiest = [0.9, 0.5, 0.2][seed as usize % 3];
    let streams = Streams::new(seed);
    let own = || streams.stream(Purpose::Strategy, 0, 0);
    let mut coins = streams.stream(Purpose::World, 0, 0);
    let mut strategy = spec.build(&Fleet::uniform(servers), own());
    let mut literal = literal(spec, bug, servers, own());
    let rates: Vec<f64> = (0..servers).map(|_| luckiest * sample::uniform01(&mut coins)).collect();
    let now = Timestamp::ZERO;
    let mut attempts = 0;
    for id in (0..).map(RequestId) {
        let mut pending = PendingRequest::new(Request { id, arrived_at: now }, 3);
        let mut tried = Vec::new();
        for number in 0..=sample::index_below(&mut coins, 6) as u32 {
            if attempts == ATTEMPTS {
                return None;
            }
            let chosen = literal.decide(id.0, &tried);
            let server = ServerId(chosen as u16);
            if strategy.decide(now, &pending) != Decision::Send(server) {
                return Some(attempts);
            }
            let attempt =
                Attempt { id: AttemptId(attempts), request: id, number, server, sent_at: now };
            attempts += 1;
            strategy.on_sent(now, &attempt);
            pending.record_attempt(server);
            tried.push(chosen);
            let outcome = if sample::uniform01(&mut coins) < rates[chosen] {
                Outcome::Success
            } else {
                [Outcome::Failure, Outcome::RateLimited, Outcome::TimedOut]
                    [sample::index_below(&mut coins, 3)]
            };
            strategy.on_outcome(now, &attempt, outcome);
            literal.observe(chosen, outcome);
            if outcome == Outcome::Success {
                break;
            }
        }
    }
    None
}

fn literal(spec: StrategySpec, bug: Bug, servers: usize, rng: ChaCha8Rng) -> Literal {
    let (version, exclude_tried) = match spec {
        StrategySpec::Larkin(s) => (1, s.exclude_tried),
        StrategySpec::Ucb1(s) => (2, s.exclude_tried),
        StrategySpec::UcbFree(s) => (3, s.exclude_tried),
        StrategySpec::Thompson(s) => (4, s.exclude_tried),
        StrategySpec::ThompsonScaled(s) => (5, s.exclude_tried),
        other => panic!("{} is none of the five", other.name()),
    };
    Literal { version, exclude_tried, bug, history: vec![Vec::new(); servers], rng }
}

fn agrees_with_its_transcription(version: usize) {
    let spec = five()[version - 1];
    for spec in [spec, flipped(spec)] {
        for seed in 0..SEEDS {
            assert_eq!(first_disagreement(spec, Bug::None, seed), None, "{spec:?}, seed {seed}");
        }
    }
}

#[test]
fn v1_decides_as_the_design_says() {
    agrees_with_its_transcription(1);
}

#[test]
fn v2_decides_as_the_design_says() {
    agrees_with_its_transcription(2);
}

#[test]
fn v3_decides_as_the_design_says() {
    agrees_with_its_transcription(3);
}

#[test]
fn v4_decides_as_the_design_says() {
    agrees_with_its_transcription(4);
}

#[test]
fn v5_decides_as_the_design_says() {
    agrees_with_its_transcription(5);
}

#[test]
fn the_defaults_of_exclude_tried_are_those_of_the_design() {
    let defaults = five().into_iter().map(|spec| {
        let rng = Streams::new(0).stream(Purpose::Strategy, 0, 0);
        literal(spec, Bug::None, 1, rng).exclude_tried
    });
    assert!(defaults.eq([false, false, true, true, true]));
}

#[test]
fn every_planted_bug_makes_the_transcription_disagree() {
    let everywhere = [Bug::TiesGoToTheLast, Bug::RateLimitedIsForgotten];
    let own: [&[Bug]; 5] = [
        &[Bug::PaidAttemptsAreLikeFreeOnes, Bug::LongerDiscovery],
        &[Bug::OtherWeight],
        &[Bug::PaidAttemptsAreLikeFreeOnes, Bug::TriedServersStay, Bug::OtherWeight],
        &[Bug::PaidAttemptsAreLikeFreeOnes, Bug::TriedServersStay],
        &[
            Bug::PaidAttemptsAreLikeFreeOnes,
            Bug::TriedServersStay,
            Bug::TotalAboveThree,
            Bug::NotRaised,
        ],
    ];
    for (spec, own) in five().into_iter().zip(own) {
        for bug in everywhere.iter().chain(own) {
            let caught: Vec<u64> =
                (0..SEEDS).filter_map(|seed| first_disagreement(spec, *bug, seed)).collect();
            println!("{} {bug:?}: {} of {SEEDS} seeds, at {caught:?}", spec.name(), caught.len());
            assert!(caught.len() >= 5, "{} does not notice {bug:?}", spec.name());
        }
    }
}
