//! What servers are under beside their coins and their limit: capacity, differences from each
//! other, outages. A model without any of it has [`Conditions::default`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::world::document::Violation;
use crate::world::family::{Families, Range};
use crate::world::latency::MILLISECONDS;
use crate::world::limiter::RateLimit;
use flakelab_core::domain::{ServerId, Span, Timestamp};

/// What the tables `[capacity]`, `[[server]]` and `[[outage]]` of a model say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Slots and queue of every server; without it, servers work on all attempts at once.
    pub capacity: Option<Capacity>,
    /// In what some servers differ from the others.
    pub overrides: Vec<ServerOverride>,
    /// When servers are dark.
    pub outages: Vec<Outage>,
}

/// In what some servers differ from what the rest of the model says; what is absent does not
/// differ.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerOverride {
    /// Their indices, from 0. No server is named by two overrides.
    pub servers: Vec<u16>,
    /// Accepted attempts take so many times as long, outages apart.
    pub latency_factor: Option<f64>,
    /// Their limit in place of the model's (and of the rows of its posterior).
    pub rate_limit: Option<RateLimit>,
    /// Their slots and queue in place of the model's.
    pub capacity: Option<Capacity>,
}

impl Conditions {
    /// Whether there is nothing of the kind.
    pub fn is_none(&self) -> bool {
        self.capacity.is_none() && self.overrides.is_empty() && self.outages.is_empty()
    }

    /// Whether some server works on a limited number of attempts at a time.
    pub fn has_capacity(&self) -> bool {
        self.capacity.is_some() || self.overrides.iter().any(|of| of.capacity.is_some())
    }

    /// Whether some server refuses connections at some time.
    pub fn ever_refuses(&self) -> bool {
        self.outages.iter().any(|outage| outage.kind == OutageKind::Refuse)
    }

    /// The override of each of so many servers.
    pub(crate) fn by_server(&self, servers: usize) -> Vec<Option<&ServerOverride>> {
        let mut by_server = vec![None; servers];
        for of in &self.overrides {
            for server in &of.servers {
                if let Some(place) = by_server.get_mut(usize::from(*server)) {
                    *place = Some(of);
                }
            }
        }
        by_server
    }

    /// The limit of each of so many servers of which `others` have no limit of their own.
    pub fn limits<'a>(
        &'a self,
        others: &'a RateLimit,
        servers: usize,
    ) -> impl Iterator<Item = &'a RateLimit> {
        let overrides = self.by_server(servers).into_iter();
        overrides.map(move |of| of.and_then(|of| of.rate_limit.as_ref()).unwrap_or(others))
    }

    /// The capacity of each of so many servers.
    pub(crate) fn capacities(&self, servers: usize) -> impl Iterator<Item = Option<&Capacity>> {
        let overrides = self.by_server(servers).into_iter();
        overrides.map(move |of| of.and_then(|of| of.capacity.as_ref()).or(self.capacity.as_ref()))
    }

    /// Checks every range; keys are those of the model file.
    pub(crate) fn validate(&self, servers: usize) -> Result<(), Violation> {
        if let Some(capacity) = &self.capacity {
            capacity.validate().map_err(|v| v.within("capacity"))?;
        }
        let mut named = vec![false; servers];
        for (i, of) in self.overrides.iter().enumerate() {
            of.validate(servers, &mut named).map_err(|v| v.within(&format!("server.{i}")))?;
        }
        for (i, outage) in self.outages.iter().enumerate() {
            outage.validate(servers).map_err(|v| v.within(&format!("outage.{i}")))?;
        }
        Ok(())
    }
}

const FACTOR: Range = Range::of(1e-3, 1e6, "a number in 0.001..=1,000,000");

impl ServerOverride {
    /// `named` are the servers that other overrides name.
    fn validate(&self, servers: usize, named: &mut [bool]) -> Result<(), Violation> {
        indices(&self.servers, servers)?;
        for (i, server) in self.servers.iter().enumerate() {
            if std::mem::replace(&mut named[usize::from(*server)], true) {
                let problem = format!("another [[server]] table names server {server}, too");
                let violation =
                    Violation::new(format!("servers.{i}"), problem, "each server in one table");
                return Err(violation.with_help("put all its keys into one table"));
            }
        }
        if let Some(factor) = self.latency_factor {
            FACTOR.check("latency_factor", factor)?;
        }
        if let Some(limit) = &self.rate_limit {
            limit.validate().map_err(|v| v.within("rate_limit"))?;
        }
        match &self.capacity {
            Some(capacity) => capacity.validate().map_err(|v| v.within("capacity")),
            None => Ok(()),
        }
    }
}

// ---- How much one server does at a time: slots, and a queue before them. First come, first
// served. How long an attempt takes once it is begun is known when it is accepted, so its beginning
// is too: now, or when the first slot is free (J. Kiefer and J. Wolfowitz, "On the theory of queues
// with many servers", Trans. AMS 78, 1955). A heap of the moments at which slots become free is all
// the state there is, and no events are needed.
//
// A server does not hear that a client hung up: an attempt that timed out keeps its place and its
// slot. That is how retries fill a server that is already full.
//
// When not to use it: for servers that slow down under load instead of queueing (processor
// sharing).

/// The most slots or waiting places that a file may ask for.
const MOST: u32 = 1_000_000;

/// How many attempts a server works on, and what happens to the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Attempts that are worked on at a time, at least 1.
    pub slots: u32,
    /// Attempts that may wait for a slot; without a number, all that come. 0 is a server that
    /// refuses whoever finds no free slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// After how many milliseconds an attempt is refused for want of a place; as a rate-limited
    /// one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overload_ms: Option<f64>,
}

impl Capacity {
    /// Checks every range; keys are relative to the `[capacity]` table.
    pub fn validate(&self) -> Result<(), Violation> {
        if !(1..=MOST).contains(&self.slots) {
            let problem = format!("{} slots are not possible", self.slots);
            let violation = Violation::new("slots", problem, "a whole number from 1 to 1,000,000");
            return Err(violation.with_help("leave [capacity] out for servers without a limit"));
        }
        if let Some(queue) = self.queue.filter(|queue| *queue > MOST) {
            let problem = format!("{queue} waiting places are not possible");
            let violation = Violation::new("queue", problem, "a whole number from 0 to 1,000,000");
            return Err(violation.with_help("leave `queue` out if everybody may wait"));
        }
        match self.overload_ms {
            Some(ms) => MILLISECONDS.check("overload_ms", ms),
            None => Ok(()),
        }
    }
}

/// The slots and the queue of one server in one run.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    slots: usize,
    queue: usize,
    /// How fast those are refused who find no place.
    pub(crate) overload: Span,
    /// When each slot that is not free becomes free for good, as far as is known.
    busy_until: BinaryHeap<Reverse<Timestamp>>,
    /// When those who wait will begin, in order.
    beginnings: VecDeque<Timestamp>,
}

impl Workers {
    /// All slots free. `refusal` is how long a rate-limited attempt takes.
    pub(crate) fn new(capacity: &Capacity, refusal: Span) -> Self {
        Self {
            slots: capacity.slots as usize,
            queue: capacity.queue.map_or(usize::MAX, |queue| queue as usize),
            overload: capacity.overload_ms.map_or(refusal, Span::from_millis_f64),
            busy_until: BinaryHeap::new(),
            beginnings: VecDeque::new(),
        }
    }

    /// Whether there is a place for an attempt at `now`. Times must not decrease.
    pub(crate) fn has_room(&mut self, now: Timestamp) -> bool {
        while self.busy_until.peek().is_some_and(|Reverse(until)| *until <= now) {
            self.busy_until.pop();
        }
        while self.beginnings.front().is_some_and(|begins| *begins <= now) {
            self.beginnings.pop_front();
        }
        self.busy_until.len() < self.slots || self.beginnings.len() < self.queue
    }

    /// Takes an attempt in, after [`has_room`](Self::has_room) at the same moment; `service` is how
    /// long it takes if it begins at the moment given. Returns when it ends.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        service: impl FnOnce(Timestamp) -> Span,
    ) -> Timestamp {
        let begins = if self.busy_until.len() < self.slots {
            now
        } else {
            // Slots exist, so the heap is not empty here.
            let begins = self.busy_until.pop().map_or(now, |Reverse(until)| until);
            self.beginnings.push_back(begins);
            begins
        };
        let ends = begins + service(begins);
        self.busy_until.push(Reverse(ends));
        ends
    }
}

// ---- Outages: spans of time in which some servers fail whatever their coin says.
//
// What counts is the moment of sending. Attempts that were accepted before an outage end as they
// would have without it; those accepted within it fail, and their luck is used up all the same,
// so that the k-th accepted attempt at a server meets the same luck with outages and without. A
// connection that is refused reaches no server: nothing is accepted, and nothing used up.
//
// When not to use it: for outages that come by chance. These are the same in every replication.

/// How long a client takes to learn that its connection is refused, 0.1 ms. The pause that follows
/// (`pause_after_refused_ms`) is what counts.
pub(crate) const REFUSED: Span = Span::from_nanos(100_000);

/// A span of time in which servers are dark.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Begins so many seconds after the start of a run.
    pub from_s: f64,
    /// Is over so many seconds after the start.
    pub until_s: f64,
    /// Indices of the servers that are dark, from 0; all when absent.
    pub servers: Option<Vec<u16>>,
    /// What attempts meet.
    pub kind: OutageKind,
}

/// What attempts meet in an outage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutageKind {
    /// They fail.
    Fail {
        /// After so many milliseconds; the median of failures when absent.
        latency_ms: Option<f64>,
    },
    /// No answer comes until the outage is over; then they fail, if their clients still wait.
    Hang,
    /// Nobody listens: the connection is refused, at once.
    Refuse,
}

impl Outage {
    /// Checks every range; keys are relative to the `[[outage]]` table.
    pub(crate) fn validate(&self, servers: usize) -> Result<(), Violation> {
        Range::MOMENT.check("from_s", self.from_s)?;
        Range::MOMENT.check("until_s", self.until_s)?;
        if self.until_s <= self.from_s {
            let problem = format!("{} s is not after from_s = {} s", self.until_s, self.from_s);
            let expected = "seconds after the start of the run, above `from_s`";
            return Err(Violation::new("until_s", problem, expected));
        }
        self.servers.as_ref().map_or(Ok(()), |dark| indices(dark, servers))?;
        match self.kind {
            OutageKind::Fail { latency_ms: Some(ms) } => MILLISECONDS.check("latency_ms", ms),
            OutageKind::Fail { latency_ms: None } | OutageKind::Hang | OutageKind::Refuse => Ok(()),
        }
    }
}

/// Whether a list `servers` names servers that exist, each once.
fn indices(listed: &[u16], servers: usize) -> Result<(), Violation> {
    let last = servers.saturating_sub(1);
    let expected = format!("indices of servers, from 0 to {last}, each once");
    if listed.is_empty() {
        let violation = Violation::new("servers", "no server is named", &expected);
        return Err(violation.with_help("leave the whole table out if it holds for no server"));
    }
    let mut named = vec![false; servers];
    for (i, server) in listed.iter().enumerate() {
        let key = format!("servers.{i}");
        match named.get_mut(usize::from(*server)) {
            None => {
                let violation =
                    Violation::new(key, format!("there is no server {server}"), &expected);
                return Err(violation.with_help("servers are counted from 0, in order of ports"));
            }
            Some(true) => {
                let problem = format!("server {server} is named twice");
                return Err(Violation::new(key, problem, &expected));
            }
            Some(named) => *named = true,
        }
    }
    Ok(())
}

/// The outages of a run, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages(Vec<Dark>);

#[derive(Debug, Clone)]
pub(crate) struct Dark {
    from: Timestamp,
    pub(crate) until: Timestamp,
    /// In order; all when absent.
    servers: Option<Vec<u16>>,
    pub(crate) kind: OutageKind,
}

impl Outages {
    pub(crate) fn new(outages: &[Outage]) -> Self {
        let dark = |outage: &Outage| {
            let mut servers = outage.servers.clone();
            servers.iter_mut().for_each(|servers| servers.sort_unstable());
            Dark {
                from: Timestamp::from_secs_f64(outage.from_s),
                until: Timestamp::from_secs_f64(outage.until_s),
                servers,
                kind: outage.kind,
            }
        };
        Self(outages.iter().map(dark).collect())
    }

    /// When one begins or ends next, after `now`.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().flat_map(|dark| [dark.from, dark.until]).filter(|at| *at > now).min()
    }

    /// The outage that a server is in, the first of those that the file lists.
    #[inline]
    pub(crate) fn at(&self, server: ServerId, now: Timestamp) -> Option<&Dark> {
        self.0.iter().find(|dark| {
            dark.from <= now
                && now < dark.until
                && dark.servers.as_ref().is_none_or(|list| list.binary_search(&server.0).is_ok())
        })
    }
}

impl Dark {
    /// How long an attempt takes that begins at `begins`; `failure` is how long failures take.
    pub(crate) fn service(&self, begins: Timestamp, failure: Span) -> Span {
        match self.kind {
            OutageKind::Fail { latency_ms } => latency_ms.map_or(failure, Span::from_millis_f64),
            OutageKind::Hang => self.until.since(begins),
            OutageKind::Refuse => REFUSED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_holds_from_its_first_moment_up_to_its_last_for_the_servers_it_names() {
        let outage = |from_s, until_s, servers, latency_ms| Outage {
            from_s,
            until_s,
            servers,
            kind: OutageKind::Fail { latency_ms },
        };
        let outages = Outages::new(&[
            outage(5.0, 10.0, Some(vec![7, 2]), Some(1.0)),
            outage(8.0, 12.0, None, Some(2.0)),
        ]);
        let ms = |server, nanos| {
            let at = Timestamp::from_nanos(nanos);
            let dark = outages.at(ServerId(server), at)?;
            Some(dark.service(at, Span::ZERO).as_millis_f64())
        };
        assert_eq!((ms(2, 4_999_999_999), ms(2, 5_000_000_000)), (None, Some(1.0)));
        assert_eq!((ms(3, 5_000_000_000), ms(3, 8_000_000_000)), (None, Some(2.0)));
        assert_eq!((ms(7, 9_999_999_999), ms(7, 10_000_000_000)), (Some(1.0), Some(2.0)));
        assert_eq!((ms(7, 11_999_999_999), ms(7, 12_000_000_000)), (Some(2.0), None));
    }
}
