//! How much one server does at a time: slots, and a queue before them.
//!
//! First come, first served. How long an attempt takes once it is begun is known when it is
//! accepted, so its beginning is too: now, or when the first slot is free (J. Kiefer and J.
//! Wolfowitz, "On the theory of queues with many servers", Trans. AMS 78, 1955). A heap of the
//! moments at which slots become free is all the state there is, and no events are needed.
//!
//! A server does not hear that a client hung up: an attempt that timed out keeps its place and its
//! slot. That is how retries fill a server that is already full.
//!
//! When not to use it: for servers that slow down under load instead of queueing (processor
//! sharing).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Violation;
use crate::domain::{Span, Timestamp};

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
            Some(ms) => super::latency::milliseconds("overload_ms", ms),
            None => Ok(()),
        }
    }
}

/// The slots and the queue of one server in one run.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    slots: usize,
    queue: usize,
    /// How fast those are refused who find no place.
    pub(super) overload: Span,
    /// When each slot that is not free becomes free for good, as far as is known.
    busy_until: BinaryHeap<Reverse<Timestamp>>,
    /// When those who wait will begin, in order.
    beginnings: VecDeque<Timestamp>,
}

impl Workers {
    /// All slots free. `refusal` is how long a rate-limited attempt takes.
    pub(super) fn new(capacity: &Capacity, refusal: Span) -> Self {
        Self {
            slots: capacity.slots as usize,
            queue: capacity.queue.map_or(usize::MAX, |queue| queue as usize),
            overload: capacity.overload_ms.map_or(refusal, Span::from_millis_f64),
            busy_until: BinaryHeap::new(),
            beginnings: VecDeque::new(),
        }
    }

    /// Whether there is a place for an attempt at `now`. Times must not decrease.
    pub(super) fn has_room(&mut self, now: Timestamp) -> bool {
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
    pub(super) fn take(
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
