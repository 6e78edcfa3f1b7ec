//! Recordings with known truth, for tests: the game loop written once more, without `sim`.

use crate::synthetic::{ATTEMPT, recording};
use crate::validate::whole_run::{RunRules, strategy_of};
use flakelab_core::domain::{
    Attempt, AttemptId, Outcome, PendingRequest, Purpose, Request, RequestId, Streams, Timestamp,
};
use flakelab_core::stats::uniform01;
use flakelab_core::strategy::Decision;
use flakelab_sim::trace::{Observed, Recording};
use flakelab_sim::world::RateLimit;

/// Time from one attempt of a request to the next.
const RETRY_S: f64 = 0.0012;

#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) rules: RunRules,
    pub(crate) rates: Vec<f64>,
    pub(crate) limit: RateLimit,
    pub(crate) tells_refusals: bool,
    pub(crate) strategy: &'static str,
    pub(crate) started_at_s: f64,
    pub(crate) seed: u64,
}

/// A recording of 100 requests, of at most six attempts each.
pub(crate) fn record(recipe: &Recipe) -> Recording {
    let servers = recipe.rates.len();
    let mut run = Recording {
        path: format!("made/{}.csv", recipe.seed).into(),
        strategies: vec![recipe.strategy.to_owned()],
        tells_refusals: recipe.tells_refusals,
        first_identifier: format!("{:024}", recipe.seed),
        ..recording(Vec::new())
    };
    run.group.servers.truncate(servers);
    let streams = Streams::new(77);
    let coins = streams.stream(Purpose::Strategy, 0, recipe.seed);
    let anywhere = streams.stream(Purpose::Strategy, 1, recipe.seed);
    let mut luck = streams.stream(Purpose::World, 0, recipe.seed);
    let mut phases = streams.stream(Purpose::Instance, 0, recipe.seed);
    let mut limiters: Vec<_> =
        (0..servers).map(|_| recipe.limit.limiter(uniform01(&mut phases))).collect();
    let spec = strategy_of(&run).unwrap();
    let mut strategy = recipe.rules.player(spec, servers, coins, anywhere);
    for request in 0..100_u32 {
        let arrived_at = Timestamp::from_secs_f64(f64::from(request) * 0.1);
        let mut pending =
            PendingRequest::new(Request { id: RequestId(u64::from(request)), arrived_at }, 3);
        for number in 0..6_u32 {
            let elapsed = f64::from(request) * 0.1 + f64::from(number) * RETRY_S;
            let now = Timestamp::from_secs_f64(elapsed);
            let Decision::Send(server) = strategy.decide(now, &pending) else { panic!() };
            let accepted = limiters[server.index()].accept(now);
            let fails = accepted && uniform01(&mut luck) < recipe.rates[server.index()];
            let outcome = match (accepted, fails, recipe.tells_refusals) {
                (false, _, true) => Outcome::RateLimited,
                (true, false, _) => Outcome::Success,
                _ => Outcome::Failure,
            };
            let id = AttemptId(run.attempts.len() as u64);
            let attempt = Attempt { id, request: pending.id, number, server, sent_at: now };
            pending.record_attempt(server);
            strategy.on_outcome(now, &attempt, outcome);
            run.attempts.push(Observed {
                at_s: recipe.started_at_s + elapsed,
                latency_ms: 1.1,
                request,
                attempt: number as u16 + 1,
                server: server.0 as u8,
                outcome,
                ..ATTEMPT
            });
            if outcome.is_success() {
                break;
            }
        }
    }
    run
}
