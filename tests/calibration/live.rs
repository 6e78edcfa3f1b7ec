//! Predictions and verdicts of live runs, on made ones: servers drawn as the model of config 0 or
//! 1 says, behind a path with overhead, and one run of each of the five strategies against them,
//! each with luck of its own.
//!
//! The made runs come from the simulator, so this shows that predictions are the right ones if
//! real servers, proxy and clocks do what the model says. That they do is for the live runs
//! themselves to show.

use std::path::Path;

use flakelab_core::balancer::Answer;
use flakelab_core::domain::{Purpose, RequestId, Rules, Streams};
use flakelab_core::stats::uniform_open;
use flakelab_core::strategy::{FIVE, StrategySpec};
use flakelab_fit::Tally;
use flakelab_fit::{
    Basis, Forecast, LiveRequest, LiveRun, RequestEnd, RunMetric, ServerMetric, Setting, judge,
};
use flakelab_sim::play::{Record, Replication};
use flakelab_sim::world::{
    ErrorFamily, Instance, Model, Overhead, RequestOverhead, Scenario, Traffic,
};

use crate::study::{Finding, Study, must_be_rejected, uniformity};

const METRICS: usize = RunMetric::ALL.len();

fn strategies() -> Vec<StrategySpec> {
    FIVE.iter().map(|name| StrategySpec::from_name(name).unwrap()).collect()
}

fn overhead() -> Overhead {
    let rising = |low: f64, i: u32| low + 0.02 * f64::from(i * i);
    let request = |i: u32| RequestOverhead {
        first_attempt_ms: rising(0.3, i % 9),
        beside_ms: rising(0.4, i % 12),
    };
    Overhead {
        requests: (0..36).map(request).collect(),
        retry_ms: (0..7).map(|i| rising(0.2, i)).collect(),
    }
}

/// What the load generator would have noted.
struct Noted<'o> {
    requests: Vec<LiveRequest>,
    overhead: &'o Overhead,
}

impl Record for Noted<'_> {
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        let added = self.overhead.request_ms(request);
        self.requests.push(LiveRequest {
            due_ms: request.0 as f64 * 100.0,
            drift_ms: 0.0,
            latency_ms: Some(answer.latency.as_millis_f64() + added),
            end: if answer.ok { RequestEnd::Ok } else { RequestEnd::Error },
            attempts: answer.attempts,
        });
    }
}

/// One made live run for each strategy against the same servers, and the truth about them.
struct Made {
    truth: Model,
    runs: Vec<LiveRun>,
}

/// Made runs number `study` against servers as `model` says.
fn made(model: &Model, setting: &Setting<'_>, path: &Overhead, study: u64) -> Made {
    let mut truth = model.clone();
    let limits = model.rate_limit_posterior.rows();
    if !limits.is_empty() {
        // Any row is as likely as any other, and 7 has no factor in common with their number.
        truth.rate_limit = limits[(7 * study as usize) % limits.len()];
        truth.rate_limit_posterior = Default::default();
    }
    let streams = Streams::new(900_000 + study);
    let instance = Instance::draw(&truth, &streams, 0);
    truth = truth.without_posterior();
    truth.error_rate.family = ErrorFamily::Fixed { values: instance.error_rates.clone() };
    let scenario = Scenario {
        requests: setting.requests,
        requests_per_second: setting.requests_per_second,
        rules: setting.rules,
        ..Scenario::new(truth.clone())
    };
    let run = |(number, strategy): (u64, &StrategySpec)| {
        let stream = |purpose, server| streams.stream(purpose, server, number + 1);
        let mut words = stream(Purpose::Analysis, 1);
        let path = path.drawn(setting.requests, None, || uniform_open(&mut words));
        let mut noted = Noted { requests: Vec::new(), overhead: &path };
        let world = Replication::of(&scenario, instance.clone(), &streams, number + 1);
        let seat = world.seat(|fleet| strategy.build(fleet, stream(Purpose::Strategy, 0)));
        let ledger = world.behind(&path, stream(Purpose::Analysis, 0)).play(seat, &mut noted);
        LiveRun {
            strategy: *strategy,
            ledger,
            no_http: Vec::new(),
            refused: Vec::new(),
            rules: setting.rules,
            requests: noted.requests,
        }
    };
    let runs = (0..).zip(setting.strategies).map(run).collect();
    Made { truth, runs }
}

/// Rates five points off, at most 1.
fn off(truth: &Model) -> Model {
    let mut wrong = truth.clone();
    if let ErrorFamily::Fixed { values } = &mut wrong.error_rate.family {
        values.iter_mut().for_each(|value| *value = (*value + 0.05).min(1.0));
    }
    wrong
}

fn config(name: &str) -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Model::read(&root.join(format!("models/config-{name}.toml"))).unwrap()
}

/// Where the observations of one strategy of each study, in turn, fall by a forecast: one list a
/// metric.
fn places(
    studies: u64,
    made: impl Fn(u64) -> Made,
    forecast: impl Fn(u64, &Made, &[StrategySpec], &[Tally]) -> Forecast,
) -> Vec<Vec<f64>> {
    let mut places = vec![Vec::new(); METRICS + ServerMetric::ALL.len()];
    for study in 0..studies {
        let made = made(study);
        let turn = (study % made.runs.len() as u64) as usize;
        let run = &made.runs[turn..=turn];
        let others = LiveRun::tallies_of_others(&made.runs).swap_remove(turn);
        let forecast = forecast(study, &made, &[run[0].strategy], &others);
        let verdict = judge("", run, &[forecast.knowing_the_path()], study);
        let metrics = verdict.tests.iter().map(|test| test.pit);
        let servers = verdict.servers.iter().map(|test| test.p_value);
        places.iter_mut().zip(metrics.chain(servers)).for_each(|(to, place)| to.push(place));
    }
    places
}

fn named(config: &str, basis: Basis, places: Vec<Vec<f64>>) -> Vec<(String, Vec<f64>)> {
    let metrics = RunMetric::ALL.iter().map(|metric| metric.name());
    let servers = ["the oddest server's failures", "the oddest server's timeouts"];
    let name = |what: &str| format!("config {config}, {}: {what}", basis.name());
    metrics.chain(servers).map(name).zip(places).collect()
}

fn sized(studies: u64, verdicts: u64, requests: u64) -> Study {
    let (five, path) = (strategies(), overhead());
    let setting = Setting {
        strategies: &five,
        requests,
        requests_per_second: 10.0,
        traffic: Traffic::Exact,
        rules: Rules::default(),
        overhead: Some(&path),
        replications: 199,
        seed: 77,
        path_spread: None,
        interrupt: None,
        played: None,
    };
    let mut findings = Vec::new();
    let mut parameters = Vec::new();
    for name in ["0", "1"] {
        let model = config(name);
        let made = |study| made(&model, &setting, &path, study);
        // One large pool serves all studies: none of them enters it.
        let of_model = Forecast::from_model(&model, &Setting { replications: 5_000, ..setting });
        let by_model = places(studies, made, |_, _, _, _| of_model.clone());
        parameters.extend(named(name, Basis::Model, by_model));
        let by_truth = places(studies, made, |seed, made, strategies, _| {
            Forecast::from_true_rates(&made.truth, &Setting { seed, strategies, ..setting })
        });
        parameters.extend(named(name, Basis::TrueRates, by_truth));
        let by_others = places(studies, made, |seed, _, strategies, others| {
            let setting = Setting { seed, strategies, ..setting };
            Forecast::given_other_runs(&model, &setting, &[others.to_vec()])
        });
        parameters.extend(named(name, Basis::OtherRuns, by_others));
        if name == "0" {
            let wrong = places(studies, made, |seed, made, strategies, _| {
                let setting = Setting { seed, strategies, ..setting };
                Forecast::from_true_rates(&off(&made.truth), &setting)
            });
            findings.push(must_be_rejected("error rates five points off, attempts", &wrong[2]));
            let held = (0..verdicts).filter(|study| holds(&model, &setting, &of_model, *study));
            findings.push(held_share(held.count() as u64, verdicts));
        }
    }
    findings.splice(0..0, uniformity(&parameters));
    Study {
        title: "Live runs: predictions and verdicts",
        method: format!(
            "{studies} made starts a config, runs of {requests} requests by the five strategies \
             behind a path with overhead. The randomised PIT of one strategy's run, in turn, among \
             199 simulated runs (5,000 from the model) must be uniform. Verdicts: all strategies \
             and bases, adjusted by Holm, at 1 %."
        ),
        findings,
    }
}

/// The verdict on all five runs of a study, on all bases.
fn holds(model: &Model, setting: &Setting<'_>, of_model: &Forecast, study: u64) -> bool {
    let path = setting.overhead.cloned().unwrap_or_default();
    let made = made(model, setting, &path, 50_000 + study);
    let setting = Setting { replications: 999, seed: study, ..*setting };
    let others = LiveRun::tallies_of_others(&made.runs);
    let forecasts = [
        of_model.clone(),
        Forecast::given_other_runs(model, &setting, &others),
        Forecast::from_true_rates(&made.truth, &setting),
    ];
    judge("0", &made.runs, &forecasts.map(Forecast::knowing_the_path), study).held
}

/// At 1 %, 4.5 standard deviations beyond what is expected are too many.
fn held_share(held: u64, verdicts: u64) -> Finding {
    let n = verdicts as f64;
    let most = 0.01 * n + 4.5 * (0.0099 * n).sqrt();
    Finding {
        what: "verdicts on runs that are as predicted, config 0, all strategies and bases".into(),
        measured: format!("{held} of {verdicts} held"),
        bound: format!("at most {most:.0} did not"),
        held: Some((verdicts - held) as f64 <= most),
    }
}

/// The study at full size.
pub fn study() -> Study {
    sized(2_000, 200, 100)
}

#[test]
fn predictions_of_made_live_runs_hold() {
    let small = sized(100, 3, 30);
    let failed: Vec<&Finding> = small
        .findings
        .iter()
        .filter(|f| f.held == Some(false) && !f.what.starts_with("planted"))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
