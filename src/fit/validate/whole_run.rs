//! Whole runs: a recorded strategy played many times in worlds drawn from what is believed, by
//! the simulator and the strategy's real code.
//!
//! Each replication draws a rate limit, a placement of the run among its neighbours, a population
//! and every server's rate from its posterior, so the spread of the counts holds all that is
//! uncertain, not only luck.
//!
//! When not to use it: where the run's own outcomes are already partly known.

use rand_chacha::ChaCha8Rng;

use crate::rates::Tally;
use crate::validate::training::{Belief, KnownPosteriors, Training};
use flakelab_core::balancer::Ledger;
use flakelab_core::domain::{
    Attempt, AttemptId, Fleet, Outcome, PendingRequest, Purpose, Request, RequestId, Rules,
    ServerId, Streams, Timestamp,
};
use flakelab_core::stats::{
    Interval, index_below, ks_p_value, ks_statistic, quantile, randomised_pit, uniform_open,
};
use flakelab_core::strategy::{Decision, Strategy, StrategySpec, candidates};
use flakelab_sim::play::{NoRecord, Replication};
use flakelab_sim::trace::Recording;
use flakelab_sim::world::{ErrorFamily, Model, Ports, Scenario, Traffic};

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
    /// All of them, in the order of tables.
    pub const ALL: [Self; 4] =
        [Self::Attempts, Self::Penalties, Self::FailedRequests, Self::Refusals];

    /// Its name in tables.
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
pub(crate) type Counts = [u64; 4];

/// The counts of a recording.
pub(crate) fn observed(run: &Recording, free_attempts: u32) -> Counts {
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
pub(crate) fn replicate(
    run: &Recording,
    beliefs: &[Belief],
    training: &Training,
    rules: RunRules,
    number: u16,
    seed: u64,
    replications: u64,
) -> Option<Vec<Counts>> {
    let spec = strategy_of(run)?;
    let servers = run.group.servers.len() as u16;
    let mut scenario = Scenario {
        name: run.group.name.clone(),
        model: Model {
            name: run.group.name.clone(),
            ports: Ports { first: run.group.first_port, count: servers },
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
    let mut known = KnownPosteriors::new();
    let counts = (0..replications).map(|replication| {
        let mut rng = draws.stream(Purpose::Analysis, number, replication);
        let belief = &beliefs[pick(&mut rng, beliefs.len())];
        let tallies = placement(belief, &mut rng);
        let values = training.rates.draw(tallies, &mut known, || uniform_open(&mut rng));
        scenario.model.error_rate.family = ErrorFamily::Fixed { values };
        scenario.model.rate_limit = belief.limit;
        let coins = worlds.stream(Purpose::Strategy, 0, replication);
        let mut world = Replication::new(&scenario, &worlds, replication);
        let build = |fleet: &Fleet| rules.player(spec, fleet.servers(), coins, rng);
        let seat = match rules {
            // Its ties went to the first of the servers in order.
            RunRules::Recorder => world.seat_as_given(build),
            RunRules::Game => world.seat(build),
        };
        of_ledger(&world.play(seat, &mut NoRecord))
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

fn placement<'b>(belief: &'b Belief, rng: &mut ChaCha8Rng) -> &'b [Tally] {
    let mut left = uniform_open(rng);
    for hypothesis in &belief.hypotheses {
        left -= libm::exp(hypothesis.log_weight);
        if left <= 0.0 {
            return &hypothesis.tallies;
        }
    }
    belief.hypotheses.last().map_or(&[], |hypothesis| &hypothesis.tallies)
}

// ---- Are recorded counts ordinary members of their predictions?
//
// The probability integral transform (PIT) sends a count to its place among the predicted ones;
// over runs these places are uniform if the predictions hold. A count occupies a whole step
// (a, b] of the predictive distribution: the randomised PIT draws a place within the step, the
// non-randomised one keeps the step (Czado, Gneiting and Held, Biometrics 65 (2009), 1254-1261).
//
// The test here is Neyman's smooth test of order 2 (Neyman 1937) on the steps' mean Legendre
// polynomials: the first sees counts that are too high or too low, the second predictions that
// are too wide or too narrow. For independent runs its null distribution is exact, however few
// they are and whatever their steps: every replication is as likely to be the recorded run as the
// recording itself, so each takes that role in turn.
//
// When not to use it: as exact where runs share a start. They met the same error rates, and left
// out in turn each is evidence for the others, so their places depend on one another while the
// replications that stand in for them do not: the test can be too strict or too lenient. The
// number of starts, not of runs, limits what can be shown.

/// Randomisations whose median p-value is reported, so that none of them can be picked.
const RANDOMISATIONS: u64 = 199;

/// A count over all runs: predicted and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricTest {
    /// What is counted.
    pub metric: Metric,
    /// Runs compared.
    pub runs: usize,
    /// Runs whose count lies in its 95 % interval.
    pub inside: usize,
    /// Sums over runs: recorded, predicted.
    pub totals: (u64, f64),
    /// Whether any prediction has a spread; without one nothing is tested.
    pub tested: bool,
    /// First component, about standard normal: above 0, more than predicted.
    pub shift: f64,
    /// Second component: above 0, further from the middle than predicted.
    pub spread: f64,
    /// p-value of Neyman's smooth test of order 2 on the non-randomised PIT.
    pub p_value: f64,
    /// The same, adjusted by Holm over all tests of a validation.
    pub adjusted_p_value: f64,
    /// Median over randomisations of the Kolmogorov p-value of the randomised PIT.
    pub randomised_p_value: f64,
}

/// Predicted counts of one run and the recorded one, which stands last.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    values: Vec<u64>,
    sorted: Vec<u64>,
}

impl Pool {
    pub(crate) fn new(predicted: impl Iterator<Item = u64>, observed: u64) -> Self {
        let mut values: Vec<u64> = predicted.collect();
        values.push(observed);
        let mut sorted = values.clone();
        sorted.sort_unstable();
        Self { values, sorted }
    }

    /// The step of the empirical distribution at a member's value.
    pub(crate) fn step(&self, member: usize) -> (f64, f64) {
        let value = self.values[member];
        let n = self.sorted.len() as f64;
        let below = self.sorted.partition_point(|v| *v < value);
        let at = self.sorted.partition_point(|v| *v <= value);
        (below as f64 / n, at as f64 / n)
    }

    /// The position of the recorded count.
    pub(crate) fn recorded(&self) -> usize {
        self.values.len() - 1
    }

    /// The recorded count.
    pub(crate) fn observed(&self) -> u64 {
        self.values.last().copied().unwrap_or(0)
    }

    pub(crate) fn predicted(&self) -> &[u64] {
        &self.values[..self.values.len() - 1]
    }

    fn has_spread(&self) -> bool {
        self.sorted.first() != self.sorted.last()
    }
}

/// Means over a step of the first two Legendre polynomials on (0, 1), normalised.
fn legendre((a, b): (f64, f64)) -> [f64; 2] {
    [
        3.0_f64.sqrt() * (a + b - 1.0),
        5.0_f64.sqrt() * (2.0 * (a * a + a * b + b * b) - 3.0 * (a + b) + 1.0),
    ]
}

/// Both components when member `r` of each pool plays the recorded run.
fn components(steps: &[Vec<(f64, f64)>], r: usize) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for run in steps {
        let [shift, spread] = legendre(run[r]);
        sum = [sum[0] + shift, sum[1] + spread];
    }
    let root = (steps.len() as f64).sqrt();
    [sum[0] / root, sum[1] / root]
}

/// Tests one metric over all runs; the pools are equally large. `inside` and `totals` are handed
/// through. The Holm adjustment is the caller's.
pub(crate) fn test(
    metric: Metric,
    pools: &[Pool],
    inside: usize,
    totals: (u64, f64),
    seed: u64,
) -> MetricTest {
    let tested = pools.iter().any(Pool::has_spread);
    let members = pools.iter().map(|pool| pool.values.len()).min().unwrap_or(0);
    let mut found = MetricTest {
        metric,
        runs: pools.len(),
        inside,
        totals,
        tested,
        shift: 0.0,
        spread: 0.0,
        p_value: 1.0,
        adjusted_p_value: 1.0,
        randomised_p_value: 1.0,
    };
    if !tested || members < 2 {
        return MetricTest { tested: false, ..found };
    }
    let steps: Vec<Vec<(f64, f64)>> =
        pools.iter().map(|pool| (0..members).map(|r| pool.step(r)).collect()).collect();
    let [shift, spread] = components(&steps, members - 1);
    let size = |c: [f64; 2]| c[0] * c[0] + c[1] * c[1];
    let threshold = size([shift, spread]) - 1e-9;
    let as_far = (0..members).filter(|r| size(components(&steps, *r)) >= threshold).count();
    (found.shift, found.spread) = (shift, spread);
    found.p_value = as_far as f64 / members as f64;
    found.randomised_p_value = randomised(&steps, members - 1, seed);
    found
}

/// Median Kolmogorov p-value over randomisations of the recorded runs' PIT.
fn randomised(steps: &[Vec<(f64, f64)>], recorded: usize, seed: u64) -> f64 {
    let streams = Streams::new(seed);
    let mut p_values: Vec<f64> = (0..RANDOMISATIONS)
        .map(|i| {
            let mut rng = streams.stream(Purpose::Analysis, u16::MAX, i);
            let place = |run: &Vec<(f64, f64)>| {
                let (a, b) = run[recorded];
                randomised_pit(a, b, uniform_open(&mut rng))
            };
            let mut places: Vec<f64> = steps.iter().map(place).collect();
            places.sort_by(f64::total_cmp);
            ks_p_value(ks_statistic(&places), places.len())
        })
        .collect();
    p_values.sort_by(f64::total_cmp);
    quantile(&p_values, 0.5)
}

// ---- The rules that a run was recorded under, and whether a recording followed them.
//
// The recorder of the real servers differs from the game: every strategy leaves out servers
// already tried in a request's free attempts, a request is given up after its sixth attempt and
// for no other reason, V1 discovers for 49 requests, and the first attempt goes anywhere, V1's
// free ones until the first success (our strategies take the first server). Under these rules
// strategies that flip no coins must choose what was chosen: [`RuleCheck`] says how often they
// do. In the recordings of 2026-01-20 and 2026-01-21 they always did (1,796 choices).

/// The recorder gave up after so many attempts.
const RECORDER_MAX_ATTEMPTS: u32 = 6;

/// Its V1 discovered while the request's number, from 1, was below 50.
const RECORDER_DISCOVER_LIMIT: u64 = 49;

/// Never, for a rule that wants a number of milliseconds or of requests.
const NEVER_MS: f64 = 3_600_000.0;

/// Under whose rules whole runs are predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunRules {
    /// Those of the recorder of the real servers, see the head of this file.
    #[default]
    Recorder,
    /// The game's own defaults.
    Game,
}

/// How often the strategy that a recording names would have chosen what was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleCheck {
    /// Choices that the rule determines, given the recorded outcomes before them.
    pub determined: usize,
    /// Those of them that were made.
    pub agreed: usize,
    /// The first that was not: request and attempt from 1, the server by the rule, the server
    /// recorded.
    pub first_difference: Option<(u32, u16, usize, usize)>,
}

impl RunRules {
    /// The rules of the scenario.
    pub fn rules(self) -> Rules {
        match self {
            Self::Game => Rules::default(),
            Self::Recorder => Rules {
                max_attempts: Some(RECORDER_MAX_ATTEMPTS),
                give_up_backlog: usize::MAX,
                give_up_after_ms: Some(NEVER_MS),
                ..Rules::default()
            },
        }
    }

    /// The strategy as it was played under these rules.
    #[must_use]
    pub fn spec(self, mut spec: StrategySpec) -> StrategySpec {
        if self == Self::Recorder {
            match &mut spec {
                StrategySpec::Larkin(s) => {
                    s.exclude_tried = true;
                    s.discover_limit = RECORDER_DISCOVER_LIMIT;
                }
                StrategySpec::Ucb1(s) => s.exclude_tried = true,
                StrategySpec::UcbFree(s) => s.exclude_tried = true,
                StrategySpec::Thompson(s) => s.exclude_tried = true,
                StrategySpec::ThompsonScaled(s) => s.exclude_tried = true,
                _ => {}
            }
        }
        spec
    }

    /// A fresh player; `anywhere` chooses the first servers where the rules leave them open.
    pub(crate) fn player(
        self,
        spec: StrategySpec,
        servers: usize,
        rng: ChaCha8Rng,
        anywhere: ChaCha8Rng,
    ) -> Box<dyn Strategy> {
        let inner = self.spec(spec).build(&Fleet::uniform(servers), rng);
        match self {
            Self::Game => inner,
            Self::Recorder => {
                let opening = Opening::of(&spec);
                Box::new(AnywhereFirst { inner, servers, opening, rng: anywhere })
            }
        }
    }
}

/// Whether the recorder's next choice is open because nothing is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Until the first outcome.
    FirstAttempt,
    /// Until the first success.
    FirstSuccess,
    /// No longer.
    Over,
}

impl Opening {
    fn of(spec: &StrategySpec) -> Self {
        match spec {
            StrategySpec::Larkin(_) => Self::FirstSuccess,
            _ => Self::FirstAttempt,
        }
    }

    fn is_open(self, request: &PendingRequest) -> bool {
        self != Self::Over && request.is_free()
    }

    fn learn(&mut self, outcome: Outcome) {
        if *self == Self::FirstAttempt || outcome.is_success() {
            *self = Self::Over;
        }
    }
}

struct AnywhereFirst {
    inner: Box<dyn Strategy>,
    servers: usize,
    opening: Opening,
    rng: ChaCha8Rng,
}

impl Strategy for AnywhereFirst {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        if !self.opening.is_open(request) {
            return self.inner.decide(now, request);
        }
        let left_out = candidates(self.servers, true, request);
        let open: Vec<ServerId> =
            ServerId::all(self.servers).filter(|s| !left_out.contains(*s)).collect();
        Decision::Send(open[index_below(&mut self.rng, open.len())])
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        self.inner.on_sent(now, attempt);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        self.opening.learn(outcome);
        self.inner.on_outcome(now, attempt, outcome);
    }
}

/// The one strategy of a recording, if it is one that we know.
pub(crate) fn strategy_of(run: &Recording) -> Option<StrategySpec> {
    match run.strategies.as_slice() {
        [one] => StrategySpec::from_name(one).ok(),
        _ => None,
    }
}

/// The servers in the order in which a recording first met them, then those that it never met.
fn in_order_met(run: &Recording) -> Vec<ServerId> {
    let mut met = Vec::new();
    let attempted = run.attempts.iter().map(|attempt| ServerId(u16::from(attempt.server)));
    for server in attempted.chain(ServerId::all(run.group.servers.len())) {
        if !met.contains(&server) {
            met.push(server);
        }
    }
    met
}

/// Replays a recording: its choices and outcomes are handed to the strategy it names, which is
/// asked before each what it would choose. Where the strategy flips coins only the attempts that
/// cost are determined; under the recorder's rules the first ones are open.
///
/// Under the rules of the game the strategy saw the servers in an order that no recording holds. It
/// is taken to be that in which they were first met, as it is for all that try every server first;
/// where one flips coins, a server that is as good as the one that the rule takes is no difference.
pub(crate) fn check_rules(run: &Recording, rules: RunRules) -> Option<RuleCheck> {
    let spec = strategy_of(run)?;
    let coins = matches!(
        spec,
        StrategySpec::Thompson(_) | StrategySpec::ThompsonScaled(_) | StrategySpec::Random(_)
    );
    let rng = Streams::new(0).stream(Purpose::Strategy, 0, 0);
    let mut opening = match rules {
        RunRules::Recorder => Opening::of(&spec),
        RunRules::Game => Opening::Over,
    };
    let servers = run.group.servers.len();
    let mut strategy = rules.spec(spec).build(&Fleet::uniform(servers), rng);
    let (order, order_is_open) = match rules {
        RunRules::Recorder => (ServerId::all(servers).collect(), false),
        RunRules::Game => (in_order_met(run), coins),
    };
    let free = rules.rules().free_attempts;
    let mut check = RuleCheck { determined: 0, agreed: 0, first_difference: None };
    let mut pending: Option<PendingRequest> = None;
    for (i, observed) in run.attempts.iter().enumerate() {
        let id = RequestId(u64::from(observed.request));
        let request = match pending.take().filter(|p| p.id == id) {
            Some(request) => pending.insert(request),
            None => {
                let new = Request { id, arrived_at: Timestamp::ZERO };
                pending.insert(PendingRequest::new(new, free))
            }
        };
        let is_it = |server: &ServerId| server.0 == u16::from(observed.server);
        let recorded = ServerId(order.iter().position(is_it)? as u16);
        let now = Timestamp::from_secs_f64(observed.at_s - run.started_at_s());
        let open = coins && request.is_free() || opening.is_open(request);
        let is_tie = |strategy: &dyn Strategy, chosen: ServerId| {
            let estimates = strategy.estimates();
            let rate = |server: ServerId| estimates[server.index()].success_rate;
            chosen != recorded && rate(chosen) == rate(recorded)
        };
        if !open
            && let Decision::Send(chosen) = strategy.decide(now, request)
            && !(order_is_open && is_tie(strategy.as_ref(), chosen))
        {
            check.determined += 1;
            check.agreed += usize::from(chosen == recorded);
            if chosen != recorded && check.first_difference.is_none() {
                check.first_difference = Some((
                    observed.request + 1,
                    observed.attempt,
                    order[chosen.index()].index(),
                    usize::from(observed.server),
                ));
            }
        }
        let attempt = Attempt {
            id: AttemptId(i as u64),
            request: id,
            number: request.attempts,
            server: recorded,
            sent_at: now,
        };
        request.record_attempt(recorded);
        opening.learn(observed.outcome);
        strategy.on_sent(now, &attempt);
        strategy.on_outcome(now, &attempt, observed.outcome);
    }
    Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::made::{Recipe, record};
    use flakelab_sim::world::RateLimit;

    /// Recordings of V1 to V5 whose servers then change places, so that none was seen in order.
    #[test]
    fn a_strategy_that_saw_the_servers_in_another_order_played_by_the_rules() {
        for (seed, strategy) in (0..).zip(["v1", "v2", "v3", "v4", "v5"].repeat(4)) {
            let mut run = record(&Recipe {
                rules: RunRules::Game,
                rates: [0.2, 0.7, 0.4, 0.6, 0.3, 0.5].to_vec(),
                limit: RateLimit::None,
                tells_refusals: true,
                strategy,
                started_at_s: 0.0,
                seed,
            });
            run.attempts.iter_mut().for_each(|a| a.server = [3, 0, 5, 1, 4, 2][a.server as usize]);
            let check = check_rules(&run, RunRules::Game).unwrap();
            assert_eq!(check.first_difference, None, "{strategy} {seed}");
            assert_eq!(check.agreed, check.determined);
            let least = if strategy < "v4" { 100 } else { 1 };
            assert!(check.determined >= least, "{strategy} {seed} {check:?}");
        }
    }

    #[test]
    fn legendre_means_vanish_over_the_whole_and_are_extreme_at_the_ends() {
        let [shift, spread] = legendre((0.0, 1.0));
        assert!(shift.abs() < 1e-12 && spread.abs() < 1e-12);
        assert!(legendre((0.99, 1.0))[0] > 1.7 && legendre((0.99, 1.0))[1] > 2.1);
        assert!(legendre((0.5, 0.5))[1] < -1.1);
    }

    /// p-values of 18 runs of counts with few values, each shifted by `shift` times a coin.
    fn p_values(shift: u64) -> Vec<f64> {
        (0..400)
            .map(|study| {
                let mut rng = Streams::new(5).stream(Purpose::Analysis, 0, study);
                let mut count = || (0..6).filter(|_| index_below(&mut rng, 10) < 1).count() as u64;
                let pools: Vec<Pool> = (0..18)
                    .map(|_| {
                        let predicted: Vec<u64> = (0..199).map(|_| count()).collect();
                        let observed = count() + shift;
                        Pool::new(predicted.into_iter(), observed)
                    })
                    .collect();
                test(Metric::Attempts, &pools, 0, (0, 0.0), 1).p_value
            })
            .collect()
    }

    /// 400 tests at 10 %: 40 expected, standard deviation 6; 4.5 of them: false alarm 7e-6.
    #[test]
    fn p_values_of_counts_that_hold_are_uniform_and_a_shift_by_one_is_caught() {
        let alarms = p_values(0).iter().filter(|p| **p <= 0.1).count();
        assert!((13..=67).contains(&alarms), "{alarms}");
        let caught = p_values(1).iter().filter(|p| **p <= 0.01).count();
        assert!(caught > 390, "{caught}");
    }

    #[test]
    fn a_count_without_spread_is_not_tested() {
        let pool = Pool::new([0, 0, 0].into_iter(), 0);
        let found = test(Metric::FailedRequests, &[pool], 1, (0, 0.0), 1);
        assert!(!found.tested && found.p_value == 1.0);
        let surprise = Pool::new([0, 0, 0].into_iter(), 1);
        assert!(test(Metric::FailedRequests, &[surprise], 0, (1, 0.0), 1).tested);
    }
}
