//! Events in order of time, for one run.
//!
//! Events of the same instant come in the order outcome, timer (arrivals are merged by the
//! driver and come last), then as inserted. With one request in service there is nearly always
//! one pending event, so the next one sits in a slot of its own and the heap stays empty.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use flakelab_core::balancer::Event;
use flakelab_core::domain::{AttemptId, Cause, Outcome, Timestamp};

/// Pending outcomes and timers.
#[derive(Debug, Default)]
pub struct EventQueue {
    next: Option<Entry>,
    later: BinaryHeap<Reverse<Entry>>,
    inserted: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Timestamp,
    /// Class in the high bit (0 outcome, 1 timer), then the order of insertion.
    order: u64,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Finished(AttemptId, Outcome, Cause),
    WakeUp,
}

const TIMER: u64 = 1 << 63;

impl EventQueue {
    /// An attempt will end at `at`.
    #[inline]
    pub fn push_outcome(
        &mut self,
        at: Timestamp,
        attempt: AttemptId,
        outcome: Outcome,
        cause: Cause,
    ) {
        self.push(at, 0, What::Finished(attempt, outcome, cause));
    }

    /// An alarm goes off at `at`.
    pub fn push_wake_up(&mut self, at: Timestamp) {
        self.push(at, TIMER, What::WakeUp);
    }

    #[inline]
    fn push(&mut self, at: Timestamp, class: u64, what: What) {
        let entry = Entry { at, order: class | self.inserted, what };
        self.inserted += 1;
        match self.next {
            None => self.next = Some(entry),
            Some(next) if entry < next => {
                self.later.push(Reverse(next));
                self.next = Some(entry);
            }
            Some(_) => self.later.push(Reverse(entry)),
        }
    }

    /// When the next event happens.
    #[inline]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.next.map(|entry| entry.at)
    }

    /// Takes the next event out.
    #[inline]
    pub fn pop(&mut self) -> Option<(Timestamp, Event)> {
        let entry = self.next?;
        self.next = self.later.pop().map(|Reverse(later)| later);
        let event = match entry.what {
            What::Finished(attempt, outcome, cause) => Event::Finished(attempt, outcome, cause),
            What::WakeUp => Event::WakeUp,
        };
        Some((entry.at, event))
    }
}

impl Ord for Entry {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_then_outcomes_before_timers_then_insertion() {
        let mut queue = EventQueue::default();
        let at = Timestamp::from_nanos;
        queue.push_wake_up(at(5));
        queue.push_outcome(at(5), AttemptId(1), Outcome::Failure, Cause::Refused);
        queue.push_outcome(at(9), AttemptId(2), Outcome::Success, Cause::Status);
        queue.push_outcome(at(5), AttemptId(3), Outcome::Success, Cause::Status);
        queue.push_wake_up(at(1));
        let order: Vec<(u64, Event)> =
            std::iter::from_fn(|| queue.pop()).map(|(t, e)| (t.as_nanos(), e)).collect();
        assert_eq!(
            order,
            [
                (1, Event::WakeUp),
                (5, Event::Finished(AttemptId(1), Outcome::Failure, Cause::Refused)),
                (5, Event::Finished(AttemptId(3), Outcome::Success, Cause::Status)),
                (5, Event::WakeUp),
                (9, Event::Finished(AttemptId(2), Outcome::Success, Cause::Status)),
            ]
        );
    }
}
