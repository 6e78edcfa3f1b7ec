//! When requests leave: at moments fixed by the start alone, so that errors never add up.
//!
//! A sleeping thread wakes late, by 0.06 ms at best and by several when cores are busy, and waking
//! another from an idle core costs as much again. So this thread sleeps until shortly before the
//! moment and hands the request over; the sending thread, awake by then, sends it to the
//! microsecond, and looks after answers until it does. What is spun away is at most 1 ms a
//! request (1 % of a core at 10 a second) and a tenth of a core.
//!
//! When not to use it: on a machine whose cores are all busy; whoever spins may be put aside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::{LOOK, Schedule};
use crate::domain::{Identifier, Purpose, Streams, Timestamp};
use crate::live::calendar::Clock;

/// How long before it is due a request is handed over, at low rates. With 0.3 ms one request in ten
/// was still late by 0.05 ms, beside a compiler on two cores.
const EARLY: Duration = Duration::from_millis(1);
/// Between setting the clock and the first request: time for the threads to be there.
pub(super) const LEAD: Duration = Duration::from_millis(5);

/// A request on its way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure {
    /// Its number, from 0.
    pub number: u64,
    /// What it delivers.
    pub identifier: Identifier,
    /// When it is due, after the start.
    pub due: Duration,
    /// The same as a moment.
    pub due_at: Instant,
}

/// When request `number` is due: the schedule of the simulator, to the nanosecond.
pub(super) fn due(number: u64, requests_per_second: f64) -> Duration {
    let due = Timestamp::from_secs_f64(number as f64 / requests_per_second);
    Duration::from_nanos(due.as_nanos())
}

/// Hands every request over just before it is due; ends early on `stop` or when nobody listens.
pub(super) fn pace(
    schedule: &Schedule,
    clock: Clock,
    stop: &AtomicBool,
    departures: &UnboundedSender<Departure>,
) {
    let mut rng = Streams::new(schedule.seed).stream(Purpose::Traffic, 0, schedule.replication);
    let early = EARLY.min(Duration::from_secs_f64(0.1 / schedule.requests_per_second));
    for number in 0..schedule.requests {
        let identifier = Identifier::random(&mut rng);
        let due = due(number, schedule.requests_per_second);
        let due_at = clock.epoch() + due;
        if !sleep_until(due_at - early, stop) {
            return;
        }
        if departures.send(Departure { number, identifier, due, due_at }).is_err() {
            return;
        }
    }
}

/// Sleeps until a moment; false as soon as `stop` is seen.
fn sleep_until(moment: Instant, stop: &AtomicBool) -> bool {
    while !stop.load(Ordering::Relaxed) {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_moments_do_not_drift_apart_over_a_day() {
        for rate in [0.3, 7.0, 10.0, 33.3, 2000.0] {
            for number in [1, 3, 1_000, 86_399, 10_000_000] {
                let exact = (number as f64 / rate) * 1e9;
                assert!((due(number, rate).as_nanos() as f64 - exact).abs() <= 1.0);
            }
        }
        assert_eq!(due(600, 10.0), Duration::from_secs(60));
        assert_eq!(due(1, 3.0).as_nanos(), 333_333_333);
    }

    #[test]
    fn a_stopped_load_hands_nothing_over() {
        let mut schedule = Schedule::new(([127, 0, 0, 1], 1).into());
        schedule.requests_per_second = 0.001;
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        pace(&schedule, Clock::start_in(LEAD), &AtomicBool::new(true), &sender);
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn requests_are_handed_over_in_order_and_not_much_before_they_are_due() {
        let mut schedule = Schedule::new(([127, 0, 0, 1], 1).into());
        (schedule.requests, schedule.requests_per_second) = (50, 5000.0);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let clock = Clock::start_in(LEAD);
        pace(&schedule, clock, &AtomicBool::new(false), &sender);
        assert!(Instant::now() >= clock.epoch() + due(49, 5000.0) - EARLY);
        let mut numbers = Vec::new();
        while let Ok(departure) = receiver.try_recv() {
            assert_eq!(departure.due, due(departure.number, 5000.0));
            numbers.push(departure.number);
        }
        assert!(numbers.iter().copied().eq(0..50));
    }
}
