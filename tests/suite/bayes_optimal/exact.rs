//! The exact worth of a strategy that decides from counts: its states and their probabilities,
//! request by request.
//!
//! At each reachable state the real strategy is built anew, told a history with the state's
//! counts, and asked once; what it answers is used for every way that leads there. Servers are
//! not treated as exchangeable, because a strategy may break ties by their order.
//!
//! Limits: wrong for a strategy that depends on more than the counts, the number of the request,
//! the number of the attempt and the servers tried. `paired` would then disagree.

use flakelab_core::domain::{
    Attempt, AttemptId, Outcome, PendingRequest, Purpose, Request, RequestId, ServerId, ServerSet,
    Streams, Timestamp,
};
use flakelab_core::strategy::Decision;

use super::dynamic_program::Case;
use super::players::Build;
use super::prior::cap;
use super::simplex::MOST_SERVERS;

/// States less likely than this are dropped; what is dropped is added up and reported.
const NEGLIGIBLE: f64 = 1e-13;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// (successes, failures) of each server.
    counts: [(u16, u16); MOST_SERVERS],
    /// The servers tried for the request, as bits.
    tried: u8,
}

/// The worth of a strategy.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    /// Mean score.
    pub score: f64,
    /// At most this much of the score was lost with negligible states.
    pub error: f64,
}

/// The mean score of the strategies that `build` builds.
pub fn exact(case: &Case, build: &Build) -> Exact {
    let predictive = case.predictive();
    let cap = cap(&case.rules);
    // The largest loss that a request can bring against the best that it could have been.
    let stake = 1.0 + (0..cap).map(|k| case.cost(k)).sum::<f64>();
    let (mut score, mut error) = (0.0, 0.0);
    let start = State { counts: [(0, 0); MOST_SERVERS], tried: 0 };
    let mut arriving = vec![(start, 1.0)];
    for request in 0..case.requests {
        let mut next = Vec::new();
        for attempt in 0..cap {
            let mut failed = Vec::new();
            for (state, probability) in merged(&mut arriving) {
                if probability < NEGLIGIBLE {
                    error += probability * stake * (case.requests - request) as f64;
                    continue;
                }
                let server = decision(case, build, &state, request, attempt);
                let (s, f) = state.counts[server];
                let mean = predictive.mean(s.into(), f.into());
                score += probability * (mean - case.cost(attempt));
                let mut after = State { tried: 0, ..state };
                after.counts[server].0 += 1;
                next.push((after, probability * mean));
                let mut after = State { tried: state.tried | 1 << server, ..state };
                after.counts[server].1 += 1;
                failed.push((after, probability * (1.0 - mean)));
            }
            arriving = failed;
        }
        next.extend(arriving.iter().map(|(state, p)| (State { tried: 0, ..*state }, *p)));
        arriving = next;
    }
    Exact { score, error }
}

/// Each state once, with the probability of all its copies; a state's copies are added in the
/// order in which they came.
fn merged(states: &mut Vec<(State, f64)>) -> Vec<(State, f64)> {
    states.sort_by_key(|(state, _)| *state);
    let mut merged: Vec<(State, f64)> = Vec::with_capacity(states.len());
    for (state, probability) in states.drain(..) {
        match merged.last_mut() {
            Some((last, sum)) if *last == state => *sum += probability,
            _ => merged.push((state, probability)),
        }
    }
    merged
}

/// What a fresh strategy that was told these counts chooses.
fn decision(case: &Case, build: &Build, state: &State, request: usize, attempt: usize) -> usize {
    let mut strategy = build(Streams::new(0).stream(Purpose::Strategy, 0, 0));
    for server in ServerId::all(case.servers) {
        let (successes, failures) = state.counts[server.index()];
        let outcomes = std::iter::repeat_n(Outcome::Failure, failures.into())
            .chain(std::iter::repeat_n(Outcome::Success, successes.into()));
        for outcome in outcomes {
            let told = Attempt {
                id: AttemptId(0),
                request: RequestId(0),
                number: 0,
                server,
                sent_at: Timestamp::ZERO,
            };
            strategy.on_sent(Timestamp::ZERO, &told);
            strategy.on_outcome(Timestamp::ZERO, &told, outcome);
        }
    }
    let request = Request { id: RequestId(request as u64), arrived_at: Timestamp::ZERO };
    let mut pending = PendingRequest::new(request, case.rules.free_attempts);
    pending.attempts = attempt as u32;
    let mut tried = ServerSet::EMPTY;
    ServerId::all(case.servers)
        .filter(|s| state.tried >> s.0 & 1 == 1)
        .for_each(|s| tried.insert(s));
    pending.tried = tried;
    match strategy.decide(Timestamp::ZERO, &pending) {
        Decision::Send(server) => server.index(),
        Decision::WaitUntil(at) => panic!("waits until {at:?} though no limit is in force"),
    }
}
