//! One clock for a run: the monotonic one decides, the calendar is read once.
//!
//! A calendar that is set back in the middle of a run would make attempts overtake each other in
//! the trace; time that only the monotonic clock tells cannot.
//!
//! When not to use it: to compare runs of different processes to better than a millisecond.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// Tells moments of a run, as the balancer and as files have them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    epoch: Instant,
    epoch_unix_s: f64,
}

impl Clock {
    /// A run begins now.
    pub(super) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Instant::now(), epoch_unix_s: unix.as_secs_f64() }
    }

    /// Nanoseconds since the run began.
    pub(super) fn at(&self, moment: Instant) -> Timestamp {
        let since = moment.saturating_duration_since(self.epoch).as_nanos();
        Timestamp::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// The moment of a timestamp; `None` for one that the system's clock does not reach.
    pub(super) fn instant(&self, at: Timestamp) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(at.as_nanos()))
    }

    /// Unix time in seconds.
    pub(super) fn unix_s(&self, at: Timestamp) -> f64 {
        self.epoch_unix_s + at.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_timestamps_are_the_same_to_the_nanosecond() {
        let clock = Clock::start();
        let later = clock.epoch + Duration::from_nanos(1_234_567_891);
        assert_eq!(clock.at(later), Timestamp::from_nanos(1_234_567_891));
        assert_eq!(clock.instant(clock.at(later)), Some(later));
        assert_eq!(clock.at(clock.epoch - Duration::from_secs(1)), Timestamp::ZERO);
        assert!(clock.unix_s(Timestamp::ZERO) > 1.7e9);
    }
}
