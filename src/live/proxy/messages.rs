//! What the threads of a proxy share: its settings, and what they tell one another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::metrics::Metrics;
use crate::target::Target;
use flakelab_core::balancer::{Answer, Ledger};
use flakelab_core::domain::{
    Attempt, Cause, Fleet, Identifier, Outcome, Request, RequestId, Rules, Timestamp,
};
use flakelab_core::strategy::{self, StrategySpec};

/// Everything that a proxy needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Who decides.
    pub strategy: StrategySpec,
    /// The master seed; the strategy's coins, and the order in which it sees the servers, are those
    /// of its first replication.
    pub seed: u64,
    /// The rules.
    pub rules: Rules,
    /// The rate that is expected; `give_up_after_ms` depends on it unless it is given.
    pub requests_per_second: f64,
    /// The config, or the model's name.
    pub config: String,
    /// What the strategy is told of the servers.
    pub fleet: Fleet,
    /// The model's port of each server, which names it in all files.
    pub ports: Vec<u16>,
    /// Where each server really is; as many.
    pub targets: Vec<Target>,
    /// The `session_id` of the trace.
    pub session: Option<String>,
}

#[cfg(test)]
impl Settings {
    /// V4 in front of two servers, for tests.
    pub(crate) fn of_two() -> Self {
        Self {
            fleet: Fleet::uniform(2),
            strategy: StrategySpec::from_name("v4").unwrap(),
            seed: 1,
            rules: Rules { penalty_per_extra_attempt: 0.5, ..Rules::default() },
            requests_per_second: 10.0,
            config: "mine".to_owned(),
            ports: vec![7000, 7001],
            targets: Vec::new(),
            session: None,
        }
    }
}

/// What the decision thread is told.
#[derive(Debug)]
pub(crate) enum Message {
    Arrived { identifier: Identifier, read_at: Instant, reply: oneshot::Sender<Reply> },
    Finished(Report),
    Stop,
}

/// The answer to a request: 200 if `ok`, else 500.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) ok: bool,
    pub(crate) attempts: u32,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) attempt: Attempt,
    pub(crate) outcome: Outcome,
    pub(crate) cause: Cause,
    /// When it was sent, and when its outcome was known.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Who sent it; `None` if there was no thread for it.
    pub(crate) sender: Option<usize>,
}

impl Report {
    /// An attempt that begins now, as if it failed at once.
    pub(crate) fn failed(attempt: Attempt, sender: Option<usize>) -> Self {
        let now = Instant::now();
        let (outcome, cause) = (Outcome::Failure, Cause::Status);
        Self { attempt, outcome, cause, began: now, ended: now, sender }
    }
}

/// What the decision thread tells the recorder, in the order in which things were decided; the
/// effects of an event follow it.
#[derive(Debug)]
pub(crate) enum Note {
    /// Event: a request arrived and was handed to the balancer at `at`.
    Arrived { at: Timestamp, request: Request, identifier: Identifier },
    /// Event: an attempt ended. It was really sent at `began`, its outcome known at `ended`, and
    /// the balancer was told at `at`.
    Finished {
        at: Timestamp,
        attempt: Attempt,
        outcome: Outcome,
        cause: Cause,
        began: Timestamp,
        ended: Timestamp,
    },
    /// Event: an alarm went off.
    WokeUp { at: Timestamp },
    /// Effect: an attempt was handed to a sender.
    Sent(Attempt),
    /// Effect: a request was answered.
    Answered(RequestId, Answer),
    /// Effect: an alarm was set.
    AlarmSet(Timestamp),
    /// The state after all of that.
    State(Box<State>),
}

/// The balancer's state at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) at: Timestamp,
    pub(crate) ledger: Ledger,
    /// The success rates that the strategy would bet on, where it has such a belief.
    pub(crate) beliefs: Vec<Option<f64>>,
    pub(crate) waiting: usize,
    pub(crate) in_service: usize,
    /// What the strategy has to tell of load and health.
    pub(crate) of_strategy: Option<strategy::Notes>,
}

impl State {
    /// That of a proxy with so many servers that has not been asked for anything.
    pub(crate) fn before_all(servers: usize) -> Self {
        Self {
            at: Timestamp::ZERO,
            ledger: Ledger::new(servers),
            beliefs: vec![None; servers],
            waiting: 0,
            in_service: 0,
            of_strategy: None,
        }
    }
}

/// The newest metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newest(Arc<Mutex<Arc<Metrics>>>);

impl Newest {
    pub(crate) fn set(&self, metrics: Metrics) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(metrics);
    }

    pub(crate) fn get(&self) -> Arc<Metrics> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
