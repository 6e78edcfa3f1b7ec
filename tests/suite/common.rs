//! What several test modules share: small worlds, the five strategies, and one played run with
//! everything that was seen in it.

use std::sync::{Arc, Mutex};

use flakelab_core::balancer::{Answer, Ledger, Seat};
use flakelab_core::domain::{
    Attempt, Outcome, PendingRequest, RequestId, ServerId, ServerOrder, Span, Streams, Timestamp,
};
use flakelab_core::stats::{Moments, inv_inc_beta, sample};
use flakelab_core::strategy::{Decision, FIVE, ServerEstimate, Strategy, StrategySpec};
use flakelab_sim::experiment::{Contender, Plan, Player, Row, ScenarioSummary, Summary, sweep};
use flakelab_sim::play::{Record, Replication};
use flakelab_sim::world::{ErrorFamily, LatencyFamily, LogNormal, Model, RateLimit, Scenario};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The standard normal quantile of two-sided 99.9 % intervals: a false-alarm rate of 1e-3 each.
pub const Z_999: f64 = 3.290_527;

/// Success rates uniform on (0.25, 0.98): what most tests draw servers from.
pub const UNIFORM: ErrorFamily = ErrorFamily::Uniform { low: 0.02, high: 0.75 };

/// The latency of most tests.
pub const LOG_NORMAL: LatencyFamily =
    LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.3 });

/// How many standard errors a mean is above what it should be.
pub fn z(moments: &Moments, expected: f64) -> f64 {
    (moments.mean() - expected) / moments.std_error()
}

/// Latency without spread, the same for failures and refusals.
pub fn constant_ms(ms: f64) -> LatencyFamily {
    LatencyFamily::Constant { ms }
}

/// A model of `servers` servers with rates drawn per replication.
pub fn model(servers: u16, family: ErrorFamily, limit: RateLimit, body: LatencyFamily) -> Model {
    Model { rate_limit: limit, latency: body.into(), ..Model::of_population(servers, family) }
}

/// Servers with these error rates and no limiter.
pub fn servers(error_rates: &[f64], body: LatencyFamily) -> Model {
    let values = error_rates.to_vec();
    model(error_rates.len() as u16, ErrorFamily::Fixed { values }, RateLimit::None, body)
}

/// Ten servers drawn from [`UNIFORM`], no limiter.
pub fn drawn() -> Model {
    model(10, UNIFORM, RateLimit::None, LOG_NORMAL)
}

/// Ten servers drawn from [`UNIFORM`] behind a limit that bites at 10 requests per second.
pub fn drawn_and_limited() -> Model {
    let limit = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
    model(10, UNIFORM, limit, LOG_NORMAL)
}

/// The game's defaults over a horizon of `requests`.
pub fn scenario(model: Model, requests: u64) -> Scenario {
    Scenario { requests, ..Scenario::new(model) }
}

/// A draw from Beta(s+1, f+1), or from what `scale` makes of these shapes, for each of the beliefs
/// (s, f), as Thompson sampling takes them from the stream: after a word that only decides what these leave open, 32 bits a quantile, up to 127
/// attempts, and gamma variables beyond.
pub fn thompson_draws(
    rng: &mut ChaCha8Rng,
    beliefs: &[(f64, f64)],
    scale: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<f64> {
    rng.next_u64();
    let draw = |(s, f): &(f64, f64)| {
        let (a, b) = scale(s + 1.0, f + 1.0);
        if s + f > 127.0 {
            return sample::beta(rng, a, b);
        }
        let tail = (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
        1.0 - inv_inc_beta(b, a, tail)
    };
    beliefs.iter().map(draw).collect()
}

/// V1 to V5 with default parameters.
pub fn five() -> Vec<StrategySpec> {
    FIVE.iter().map(|name| named(name)).collect()
}

/// A strategy with default parameters.
pub fn named(name: &str) -> StrategySpec {
    StrategySpec::from_name(name).expect("a known name")
}

/// The same strategy with `exclude_tried` the other way round.
pub fn flipped(mut spec: StrategySpec) -> StrategySpec {
    let exclude_tried = match &mut spec {
        StrategySpec::Larkin(s) => &mut s.exclude_tried,
        StrategySpec::Ucb1(s) => &mut s.exclude_tried,
        StrategySpec::UcbFree(s) => &mut s.exclude_tried,
        StrategySpec::Thompson(s) => &mut s.exclude_tried,
        StrategySpec::ThompsonScaled(s) => &mut s.exclude_tried,
        other => panic!("{} excludes nothing", other.name()),
    };
    *exclude_tried = !*exclude_tried;
    spec
}

/// A ranked contender.
pub fn contender(label: &str, spec: StrategySpec, strategy_stream: u16) -> Contender {
    Contender { label: label.to_owned(), strategy_stream, ..Contender::new(spec) }
}

/// Every kind of player: the oracle, `random`, V1 to V5.
pub fn everybody() -> Vec<Contender> {
    Contender::references().into_iter().chain(five().into_iter().map(Contender::new)).collect()
}

/// The oracle, and nothing but it.
pub fn oracle() -> Contender {
    Contender { player: Player::Oracle, ..everybody().swap_remove(0) }
}

/// An attempt and how it ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    pub attempt: Attempt,
    pub outcome: Outcome,
    pub latency: Span,
}

/// Everything seen of one run.
pub struct Run {
    pub ledger: Ledger,
    /// In order of answering.
    pub answers: Vec<(RequestId, Answer)>,
    /// In order of ending.
    pub attempts: Vec<Ended>,
}

/// Plays one contender in a world of its own.
pub fn play(scenario: &Scenario, who: &Contender, master_seed: u64, replication: u64) -> Run {
    let streams = Streams::new(master_seed);
    let mut world = Replication::new(scenario, &streams, replication);
    play_in(&mut world, who, &streams, replication)
}

/// Plays one contender in a world that others may play in too.
pub fn play_in(
    world: &mut Replication<'_>,
    who: &Contender,
    streams: &Streams,
    replication: u64,
) -> Run {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let Seat { strategy: inner, order } = who.seat(world, streams, replication);
    let spy = Spy { inner, order: order.clone(), seen: Arc::clone(&seen) };
    let mut answers = Answers(Vec::new());
    let ledger = world.play(Seat { strategy: Box::new(spy), order }, &mut answers);
    let attempts = std::mem::take(&mut *seen.lock().expect("no other thread"));
    Run { ledger, answers: answers.0, attempts }
}

struct Answers(Vec<(RequestId, Answer)>);

impl Record for Answers {
    fn on_answer(&mut self, request: RequestId, answer: Answer) {
        self.0.push((request, answer));
    }
}

/// A strategy that writes down what it is told, with the servers' numbers in the model.
struct Spy {
    inner: Box<dyn Strategy>,
    order: ServerOrder,
    seen: Arc<Mutex<Vec<Ended>>>,
}

impl Strategy for Spy {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        self.inner.decide(now, request)
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        self.inner.on_sent(now, attempt);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let latency = now.since(attempt.sent_at);
        let server = self.order.server(attempt.server);
        let ended = Ended { attempt: Attempt { server, ..*attempt }, outcome, latency };
        self.seen.lock().expect("no other thread").push(ended);
        self.inner.on_outcome(now, attempt, outcome);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        self.inner.estimates()
    }
}

/// Sweeps a plan; rows and summary.
pub fn swept(plan: &Plan) -> (Vec<Row>, Summary) {
    let mut rows = Vec::new();
    let swept = sweep(plan, &mut rows, &false.into(), |_| {}).expect("a vector takes every row");
    (rows, swept.summary)
}

/// Sweeps one scenario.
pub fn compared(
    scenario: Scenario,
    ranked: Vec<Contender>,
    replications: u64,
    master_seed: u64,
) -> (Vec<Row>, ScenarioSummary) {
    let plan = Plan::new("test", vec![scenario], ranked, replications, master_seed);
    let (rows, mut summary) = swept(&plan.expect("a valid plan"));
    (rows, summary.scenarios.remove(0))
}

/// All servers of a run that got attempts, with how many.
pub fn attempts_per_server(ledger: &Ledger) -> impl Iterator<Item = (ServerId, u64)> {
    ServerId::all(ledger.servers.len()).zip(ledger.servers.iter().map(|s| s.attempts))
}
