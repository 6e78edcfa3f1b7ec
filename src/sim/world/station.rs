//! The servers of one run: what an attempt meets at one of them, at a moment.
//!
//! In this order: an outage in which nobody listens, so that the connection is refused; the rate
//! limiter, which refuses with 429; the capacity, which refuses for want of a place; luck, which only
//! those meet who were accepted; any other outage, which makes them fail all the same. Refused
//! attempts use up neither luck nor a slot, those whose connection was refused nothing at all.
//!
//! One piece for the simulator and for the stand-in servers, which differ in where luck comes from.

use crate::world::conditions::{OutageKind, Outages, REFUSED, ServerOverride, Workers};
use crate::world::instance::{Instance, Luck};
use crate::world::latency::Latency;
use crate::world::limiter::Limiter;
use flakelab_core::domain::{Cause, Outcome, ServerId, Span, Timestamp};

/// All servers of one run, with their state. Times must not decrease from call to call.
#[derive(Debug, Clone)]
pub struct Stations {
    /// None at all where no server has one.
    limiters: Vec<Limiter>,
    /// How long a rate-limited attempt takes.
    refusal: Span,
    /// Most models have none of it, and pay for one question.
    conditions: Option<Box<Conditioned>>,
}

#[derive(Debug, Clone)]
struct Conditioned {
    servers: Vec<Station>,
    outages: Outages,
    /// How long an attempt takes that fails in an outage of which nothing else is said.
    failure: Span,
}

#[derive(Debug, Clone)]
struct Station {
    latency_factor: Option<f64>,
    workers: Option<Workers>,
}

impl Stations {
    /// The servers of `instance` at the start of a run.
    pub fn new(instance: &Instance, latency: &Latency) -> Self {
        let refusal = latency.rate_limited();
        let conditions = &instance.conditions;
        let conditioned = || {
            let n = instance.servers();
            let station = |(of, capacity): (Option<&ServerOverride>, Option<&_>)| Station {
                latency_factor: of.and_then(|of| of.latency_factor),
                workers: capacity.map(|capacity| Workers::new(capacity, refusal)),
            };
            let servers = conditions.by_server(n).into_iter().zip(conditions.capacities(n));
            let failure = latency.failure.as_ref().unwrap_or(&latency.success);
            Box::new(Conditioned {
                servers: servers.map(station).collect(),
                outages: Outages::new(&conditions.outages),
                failure: Span::from_millis_f64(failure.median_ms()),
            })
        };
        Self {
            limiters: instance.limiters_if_any(),
            refusal,
            conditions: (!conditions.is_none()).then(conditioned),
        }
    }

    /// What an attempt meets that is sent to `server` at `now`: its outcome, and how long its
    /// answer takes, waiting included. `luck` is that of the server's next accepted attempt and is
    /// asked for only if this is one.
    #[inline]
    pub fn meet(&mut self, server: ServerId, now: Timestamp, luck: impl FnOnce() -> Luck) -> Luck {
        if self.refuses(server, now) {
            return Luck { outcome: Outcome::Failure, cause: Cause::Refused, latency: REFUSED };
        }
        if let Some(limiter) = self.limiters.get_mut(server.index())
            && !limiter.accept(now)
        {
            let (outcome, latency) = (Outcome::RateLimited, self.refusal);
            return Luck { outcome, cause: Cause::Status, latency };
        }
        match &mut self.conditions {
            None => luck(),
            Some(conditions) => conditions.meet(server, now, luck),
        }
    }

    /// Whether nobody listens at `server`, so that it refuses connections.
    #[inline]
    pub fn refuses(&self, server: ServerId, now: Timestamp) -> bool {
        self.conditions.as_ref().is_some_and(|conditions| {
            let dark = conditions.outages.at(server, now);
            dark.is_some_and(|dark| dark.kind == OutageKind::Refuse)
        })
    }

    /// When an outage begins or ends next, after `now`.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.conditions.as_ref().and_then(|conditions| conditions.outages.next_change(now))
    }
}

impl Conditioned {
    fn meet(&mut self, server: ServerId, now: Timestamp, luck: impl FnOnce() -> Luck) -> Luck {
        let Some(station) = self.servers.get_mut(server.index()) else { return luck() };
        if let Some(workers) = &mut station.workers
            && !workers.has_room(now)
        {
            let latency = workers.overload;
            return Luck { outcome: Outcome::Failure, cause: Cause::Status, latency };
        }
        let Luck { outcome, latency, cause } = luck();
        let dark = self.outages.at(server, now);
        let service = |begins| match dark {
            Some(dark) => dark.service(begins, self.failure),
            None => station.latency_factor.map_or(latency, |factor| times(latency, factor)),
        };
        let ends = match &mut station.workers {
            Some(workers) => workers.take(now, service),
            None => now + service(now),
        };
        let outcome = if dark.is_some() { Outcome::Failure } else { outcome };
        Luck { outcome, cause, latency: ends.since(now) }
    }
}

/// A latency so many times as long, at least a nanosecond.
fn times(latency: Span, factor: f64) -> Span {
    Span::from_nanos((libm::round(latency.as_nanos() as f64 * factor) as u64).max(1))
}
