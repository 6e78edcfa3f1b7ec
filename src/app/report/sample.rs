//! Live runs for tests: played in the simulator and judged by what it predicts of them. No request
//! is given up, so that all are answered 200, and no server refuses.

use crate::report::live_page::LivePage;
use flakelab_core::balancer::Answer;
use flakelab_core::domain::{Purpose, RequestId, Rules, Streams};
use flakelab_core::strategy::{FIVE, StrategySpec};
use flakelab_fit::{
    Forecast, LiveRequest, LiveRun, PredictedConfig, RequestEnd, Resolution, Setting, Verdict,
    judge,
};
use flakelab_sim::play::{Record, Replication};
use flakelab_sim::world::{
    ErrorFamily, Instance, Model, Overhead, RequestOverhead, Scenario, Traffic,
};

/// A page, and what it takes to judge it again.
pub(crate) struct Made {
    pub page: LivePage,
    forecasts: Vec<Forecast>,
    pub path_is_known: bool,
}

impl Made {
    /// Judges again what was changed.
    pub fn judge(&mut self) {
        let resolution = Resolution {
            error_rate_shift: 0.05,
            power: 0.07,
            requests_for_80_percent: Some(2_251),
        };
        let known = |forecast: Forecast| {
            if self.path_is_known { forecast.knowing_the_path() } else { forecast }
        };
        let forecasts: Vec<Forecast> = self.forecasts.iter().cloned().map(known).collect();
        let verdict = judge("0", &self.page.runs, &forecasts, 42);
        self.page.verdict = Some(Verdict { resolution: Some(resolution), ..verdict });
    }
}

struct Requests(Vec<LiveRequest>);

impl Record for Requests {
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        self.0.push(LiveRequest {
            due_ms: request.0 as f64 * 100.0,
            drift_ms: 0.05 * (request.0 % 7) as f64,
            latency_ms: Some(answer.latency.as_millis_f64()),
            end: RequestEnd::Ok,
            attempts: answer.attempts,
        });
    }
}

/// The five strategies, so many requests each, against so many servers.
pub(crate) fn made(requests: u64, servers: u16) -> Made {
    made_of(&FIVE, requests, servers)
}

pub(crate) fn made_of(names: &[&str], requests: u64, servers: u16) -> Made {
    let strategies: Vec<StrategySpec> =
        names.iter().map(|name| StrategySpec::from_name(name).unwrap()).collect();
    let patient = 3_600_000.0;
    let rules =
        Rules { give_up_backlog: usize::MAX, give_up_after_ms: Some(patient), ..Rules::default() };
    let of_request = RequestOverhead { first_attempt_ms: 0.61, beside_ms: 0.34 };
    let overhead = Overhead { requests: vec![of_request; 200], retry_ms: vec![0.18; 200] };
    let population = ErrorFamily::Uniform { low: 0.02, high: 0.75 };
    let model = Model { name: "0".to_owned(), ..Model::of_population(servers, population) };
    let streams = Streams::new(7);
    let instance = Instance::draw(&model, &streams, 0);
    let truth = Model { name: "0".to_owned(), ..Model::of_rates(&instance.error_rates) };
    let scenario = Scenario { requests, rules, ..Scenario::new(truth.clone()) };
    let run = |(number, strategy): (u64, &StrategySpec)| {
        let mut noted = Requests(Vec::new());
        let coins = |server| streams.stream(Purpose::Strategy, server, number);
        let world = Replication::of(&scenario, instance.clone(), &streams, number);
        let seat = world.seat(|fleet| strategy.build(fleet, coins(0)));
        let ledger = world.behind(&overhead, coins(1)).play(seat, &mut noted);
        LiveRun {
            strategy: *strategy,
            ledger,
            no_http: Vec::new(),
            refused: Vec::new(),
            rules,
            requests: noted.0,
        }
    };
    let runs: Vec<LiveRun> = (0..).zip(&strategies).map(run).collect();
    let setting = Setting {
        strategies: &strategies,
        requests,
        requests_per_second: 10.0,
        traffic: Traffic::Exact,
        rules,
        overhead: Some(&overhead),
        path_spread: None,
        replications: 100,
        seed: 42,
        interrupt: None,
        played: None,
    };
    let forecasts = vec![
        Forecast::from_model(&model, &setting),
        Forecast::given_other_runs(&model, &setting, &LiveRun::tallies_of_others(&runs)),
        Forecast::from_true_rates(&truth, &setting),
    ];
    let prediction = PredictedConfig::new("0", 1_790_000_000.0, &setting, &forecasts);
    let servers = (0..servers).map(|i| (4000 + i).to_string()).collect();
    let page = LivePage {
        servers,
        runs,
        prediction,
        verdict: None,
        interrupted: false,
        reconciliation: Vec::new(),
        notes: Vec::new(),
    };
    let mut made = Made { page, forecasts, path_is_known: true };
    made.judge();
    made
}
