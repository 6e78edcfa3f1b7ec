//! The rules that a run was recorded under, and whether a recording followed them.
//!
//! The recorder of the real servers differs from the game: every strategy leaves out servers
//! already tried in a request's free attempts, a request is given up after its sixth attempt and
//! for no other reason, and before anything is known the first attempt goes anywhere (our
//! strategies take the first server). Strategies that flip no coins must then choose what they
//! chose: [`RuleCheck`] says how often they do.
//!
//! When not to use it: the rules of other recorders are not known here.

use rand_chacha::ChaCha8Rng;

use crate::domain::{
    Attempt, AttemptId, Outcome, PendingRequest, Request, RequestId, Rules, ServerId, Streams,
    Timestamp,
};
use crate::stats::sample::index_below;
use crate::strategy::{Decision, Strategy, StrategySpec};
use crate::trace::Recording;

/// The recorder gave up after so many attempts.
const RECORDER_MAX_ATTEMPTS: u32 = 6;
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
                StrategySpec::Larkin(s) => s.exclude_tried = true,
                StrategySpec::Ucb1(s) => s.exclude_tried = true,
                StrategySpec::UcbFree(s) => s.exclude_tried = true,
                StrategySpec::Thompson(s) => s.exclude_tried = true,
                StrategySpec::ThompsonScaled(s) => s.exclude_tried = true,
                StrategySpec::Random => {}
            }
        }
        spec
    }

    /// A fresh player; `first` chooses the first server where the rules leave it open.
    pub(super) fn player(
        self,
        spec: StrategySpec,
        servers: usize,
        rng: ChaCha8Rng,
        first: &mut ChaCha8Rng,
    ) -> Box<dyn Strategy> {
        let inner = self.spec(spec).build(servers, rng);
        match self {
            Self::Game => inner,
            Self::Recorder => {
                let first = ServerId(index_below(first, servers) as u16);
                Box::new(AnywhereFirst { inner, first: Some(first) })
            }
        }
    }
}

/// A strategy whose very first attempt goes to a given server.
struct AnywhereFirst {
    inner: Box<dyn Strategy>,
    first: Option<ServerId>,
}

impl Strategy for AnywhereFirst {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        match self.first.take() {
            Some(server) => Decision::Send(server),
            None => self.inner.decide(now, request),
        }
    }

    fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        self.inner.on_sent(now, attempt);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
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
/// cost are determined; under the recorder's rules the very first choice is not.
pub(super) fn check_rules(run: &Recording, rules: RunRules) -> Option<RuleCheck> {
    let spec = strategy_of(run)?;
    let coins = matches!(
        spec,
        StrategySpec::Thompson(_) | StrategySpec::ThompsonScaled(_) | StrategySpec::Random
    );
    let rng = Streams::new(0).stream(crate::domain::Purpose::Strategy, 0, 0);
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
        let open = coins && request.is_free() || i == 0 && rules == RunRules::Recorder;
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
        strategy.on_sent(now, &attempt);
        strategy.on_outcome(now, &attempt, observed.outcome);
    }
    Some(check)
}
