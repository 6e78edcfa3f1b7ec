//! What the metrics file says: the balancer's ledger, and what only the recorder has seen.

use std::collections::{BTreeMap, VecDeque};

use super::clock::Clock;
use super::events::outcome_name;
use super::notes::{Note, State};
use crate::domain::{Attempt, AttemptId, Outcome, RequestId, Rules, Span};
use crate::metrics::{EVENTS_KEPT, LATENCIES_KEPT, Metrics, RecentEvent, ServerMetrics};
use crate::stats::quantile::nearest_rank;

/// Collects, and says it as [`Metrics`].
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) clock: Clock,
    pub(super) rules: Rules,
    pub(super) strategy: String,
    pub(super) config: String,
    pub(super) ports: Vec<u16>,
    pub(super) seen: Seen,
}

/// What the ledger does not count.
#[derive(Debug, Default)]
pub(super) struct Seen {
    in_flight: BTreeMap<AttemptId, Attempt>,
    /// The ports and outcomes of requests that are not answered yet.
    open: BTreeMap<RequestId, Vec<(u16, String)>>,
    /// Attempts that ended and their time together, one pair a server.
    took: BTreeMap<usize, (u64, f64)>,
    latencies: VecDeque<Span>,
    events: VecDeque<RecentEvent>,
    now: crate::domain::Timestamp,
}

impl Tally {
    pub(super) fn take(&mut self, note: &Note) {
        if let Note::Arrived { at, .. } | Note::Finished { at, .. } | Note::WokeUp { at } = note {
            self.seen.now = *at;
        }
        match note {
            Note::Arrived { request, .. } => {
                self.seen.open.insert(request.id, Vec::new());
            }
            Note::Sent(attempt) => {
                self.seen.in_flight.insert(attempt.id, *attempt);
            }
            Note::Finished { attempt, outcome, began, ended, .. } => {
                if let Some(attempt) = self.seen.in_flight.remove(attempt) {
                    self.attempt_ended(&attempt, *outcome, ended.since(*began));
                }
            }
            Note::Answered(request, answer) => {
                push(&mut self.seen.latencies, answer.latency, LATENCIES_KEPT);
                let event = RecentEvent {
                    at: self.clock.unix_s(self.seen.now),
                    request: request.0 + 1,
                    ok: answer.ok,
                    attempts: self.seen.open.remove(request).unwrap_or_default(),
                    latency_ms: answer.latency.as_millis_f64(),
                };
                push(&mut self.seen.events, event, EVENTS_KEPT);
            }
            Note::WokeUp { .. } | Note::AlarmSet(_) | Note::State(_) => {}
        }
    }

    fn attempt_ended(&mut self, attempt: &Attempt, outcome: Outcome, took: Span) {
        let server = attempt.server.index();
        let (ended, ms) = self.seen.took.entry(server).or_default();
        *ended += 1;
        *ms += took.as_millis_f64();
        let port = self.ports.get(server).copied().unwrap_or_default();
        if let Some(attempts) = self.seen.open.get_mut(&attempt.request) {
            attempts.push((port, outcome_name(outcome).to_owned()));
        }
    }

    /// The metrics of a state, all notes up to which were taken.
    pub(super) fn metrics(&self, state: &State, ended: bool) -> Metrics {
        let ledger = &state.ledger;
        let score = ledger.score(&self.rules);
        let mut nanos: Vec<u64> = self.seen.latencies.iter().map(|span| span.as_nanos()).collect();
        let mut rank = |p| nearest_rank(&mut nanos, p).map_or(0.0, |ns| ns as f64 * 1e-6);
        Metrics {
            total_requests: ledger.arrived,
            total_success: ledger.answered_ok,
            total_failure: ledger.answered_error,
            total_retries: ledger.retries,
            total_rate_limited: ledger.rate_limited(),
            total_penalty: score.penalty,
            global_regret: ledger.answered_error as f64,
            best_guess_score: ledger.answered_ok as f64 - score.penalty,
            latency_p50: rank(0.5),
            latency_p99: rank(0.99),
            latencies: self.seen.latencies.iter().map(|span| span.as_millis_f64()).collect(),
            per_server: self.servers(state),
            last_update: self.clock.unix_s(state.at),
            strategy: self.strategy.clone(),
            config: self.config.clone(),
            started: self.clock.unix_s(crate::domain::Timestamp::ZERO),
            total_attempts: ledger.attempts,
            total_extra_attempts: ledger.extra_attempts,
            total_timed_out: ledger.timed_out(),
            waiting: state.waiting,
            in_service: state.in_service,
            ended,
            events: self.seen.events.iter().cloned().collect(),
        }
    }

    fn servers(&self, state: &State) -> Vec<ServerMetrics> {
        let servers = self.ports.iter().zip(&state.ledger.servers).enumerate();
        let server = |(i, (port, counts)): (usize, (&u16, &crate::balancer::ServerCounts))| {
            let (ended, ms) = self.seen.took.get(&i).copied().unwrap_or_default();
            ServerMetrics {
                port: *port,
                num_requests: counts.attempts,
                num_success: counts.successes,
                num_failure: counts.failures + counts.timed_out,
                num_rate_limited: counts.rate_limited,
                num_timed_out: counts.timed_out,
                success_rate: counts.successes as f64 / counts.attempts.max(1) as f64,
                avg_latency_ms: ms / ended.max(1) as f64,
                belief: state.beliefs.get(i).copied().flatten(),
            }
        };
        servers.map(server).collect()
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(new);
}
