//! Models and live runs with known truth, for tests.

use crate::forecast::live_run::{LiveRequest, LiveRun, RequestEnd};
use flakelab_core::balancer::Answer;
use flakelab_core::domain::{Purpose, RequestId, Streams};
use flakelab_core::stats::uniform_open;
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::play::{Record, Replication};
use flakelab_sim::world::{
    ErrorFamily, Instance, LatencyFamily, LogNormal, Model, Overhead, Scenario,
};

/// Four servers without a rate limit.
pub(crate) fn model(family: ErrorFamily, rows: Vec<ErrorFamily>) -> Model {
    let latency = LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.4 }).into();
    let mut model = Model { latency, ..Model::of_population(4, family) };
    model.error_rate.posterior = rows.into();
    model
}

/// What the load generator would have noted.
struct Noted {
    requests: Vec<LiveRequest>,
    path: Overhead,
}

impl Record for Noted {
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        let end = if answer.ok { RequestEnd::Ok } else { RequestEnd::Error };
        self.requests.push(LiveRequest {
            due_ms: request.0 as f64 * 100.0,
            drift_ms: 0.0,
            latency_ms: Some(answer.latency.as_millis_f64() + self.path.request_ms(request)),
            end,
            attempts: answer.attempts,
        });
    }
}

/// "Live" runs against one start, each strategy with luck of its own.
pub(crate) fn live_runs(
    scenario: &Scenario,
    instance: &Instance,
    strategies: &[StrategySpec],
    overhead: &Overhead,
    seed: u64,
) -> Vec<LiveRun> {
    let streams = Streams::new(seed);
    (0..)
        .zip(strategies)
        .map(|(number, strategy)| {
            let world = Replication::of(scenario, instance.clone(), &streams, number);
            let measured = streams.stream(Purpose::Analysis, 7, number);
            let mut words = streams.stream(Purpose::Analysis, 8, number);
            let path = overhead.drawn(scenario.requests, None, || uniform_open(&mut words));
            let mut noted = Noted { requests: Vec::new(), path: path.clone() };
            let coins = streams.stream(Purpose::Strategy, 0, number);
            let seat = world.seat(|fleet| strategy.build(fleet, coins));
            let ledger = world.behind(&path, measured).play(seat, &mut noted);
            LiveRun {
                strategy: *strategy,
                ledger,
                no_http: Vec::new(),
                refused: Vec::new(),
                rules: scenario.rules,
                requests: noted.requests,
            }
        })
        .collect()
}
