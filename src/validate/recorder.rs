//! The rules that a run was recorded under, and whether a recording followed them.
//!
//! The recorder of the real servers differs from the game: every strategy leaves out servers
//! already tried in a request's free attempts, a request is given up after its sixth attempt and
//! for no other reason, V1 discovers for 49 requests, and the first attempt goes anywhere, V1's
//! free ones until the first success (our strategies take the first server). Under these rules
//! strategies that flip no coins must choose what was chosen: [`RuleCheck`] says how often they
//! do. In the recordings of 2026-01-20 and 2026-01-21 they always did (1,796 choices).
//!
//! When not to use it: the rules of other recorders are not known here.

use rand_chacha::ChaCha8Rng;

use crate::domain::{
    Attempt, AttemptId, Outcome, PendingRequest, Request, RequestId, Rules, ServerId, Streams,
    Timestamp,
};
use crate::stats::sample::index_below;
use crate::strategy::parts::candidates;
use crate::strategy::{Decision, Strategy, StrategySpec};
use crate::trace::Recording;

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
    #[must_use]
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
                StrategySpec::ExploreFirst(_) | StrategySpec::Random => {}
            }
        }
        spec
    }

    /// A fresh player; `anywhere` chooses the first servers where the rules leave them open.
    pub(super) fn player(
        self,
        spec: StrategySpec,
        servers: usize,
        rng: ChaCha8Rng,
        anywhere: ChaCha8Rng,
    ) -> Box<dyn Strategy> {
        let inner = self.spec(spec).build(servers, rng);
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

/// A strategy that begins anywhere.
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
pub(super) fn strategy_of(run: &Recording) -> Option<StrategySpec> {
    match run.strategies.as_slice() {
        [one] => StrategySpec::from_name(one).ok(),
        _ => None,
    }
}

/// Replays a recording: its choices and outcomes are handed to the strategy it names, which is
/// asked before each what it would choose. Where the strategy flips coins only the attempts that
/// cost are determined; under the recorder's rules the first ones are open.
pub(super) fn check_rules(run: &Recording, rules: RunRules) -> Option<RuleCheck> {
    let spec = strategy_of(run)?;
    let coins = matches!(
        spec,
        StrategySpec::Thompson(_) | StrategySpec::ThompsonScaled(_) | StrategySpec::Random
    );
    let rng = Streams::new(0).stream(crate::domain::Purpose::Strategy, 0, 0);
    let mut opening = match rules {
        RunRules::Recorder => Opening::of(&spec),
        RunRules::Game => Opening::Over,
    };
    let mut strategy = rules.spec(spec).build(run.group.servers.len(), rng);
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
        let recorded = ServerId(u16::from(observed.server));
        let now = Timestamp::from_secs_f64(observed.at_s - run.started_at_s());
        let open = coins && request.is_free() || opening.is_open(request);
        if !open && let Decision::Send(chosen) = strategy.decide(now, request) {
            check.determined += 1;
            check.agreed += usize::from(chosen == recorded);
            if chosen != recorded && check.first_difference.is_none() {
                check.first_difference = Some((
                    observed.request + 1,
                    observed.attempt,
                    chosen.index(),
                    recorded.index(),
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
