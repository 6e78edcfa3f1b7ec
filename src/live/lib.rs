//! Real time and real sockets.
//!
//! ```text
//! load generator -> http front -> proxy (the balancer, one decision thread) -> client -> servers
//!                                   |                                          (real, or emulator)
//!                                   \-> trace, events, metrics file
//! ```
//!
//! [`http`] takes requests in, [`Proxy`] is the driver in real time, [`serve`] stands in for
//! servers, [`load`] sends requests when they are due, [`Child`] keeps another process alive and
//! ends it. [`probe_server`] sends bounded bursts that tell rate limits apart.

#![allow(clippy::disallowed_methods, reason = "time is real here")]

mod emulator;
pub mod http;
pub mod load;
mod metrics;
mod overhead;
mod probe;
mod processes;
mod proxy;
mod target;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flakelab_core::domain::{Timestamp, day};

pub use self::emulator::{
    BindError, Delays, Listeners, Place, ServerLog, Servers, Stop, null_model, serve,
};
pub use self::http::{HttpResponse, Limits};
pub use self::load::{
    Counts, End, LoadError, LoadLog, Loss, Quantiles, Schedule, Sent, run, write_requests,
};
pub use self::metrics::{Metrics, MetricsError, RecentEvent, ServerMetrics};
pub use self::overhead::{AnsweredAt, measured_overhead};
pub use self::probe::{Ladder, Probe, probe_server};
pub use self::processes::{
    Child, Launch, StartError, ask_to_end, check_free, guard, wait_until_open, when_stdin_ends,
};
pub use self::proxy::{Files, Proxy, Settings, Step, balancer};
pub use self::target::{Client, ClientError, Target, TargetError};

// ---- The calendar: names of folders, times in files, seeds of runs that nobody gave a seed.

/// Now, in Unix seconds.
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A seed that no earlier run had: the calendar in nanoseconds, cut to what JSON readers that know
/// only 64-bit floats can hold.
pub fn seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    // The lowest bits are the ones that differ from run to run.
    (nanos / 1000) as u64 & ((1 << 53) - 1)
}

/// A time as a name that sorts: `2026-01-20-064848`, in UTC.
pub fn name(unix_seconds: f64) -> String {
    let second = unix_seconds.max(0.0) as u64 % 86_400;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{}-{hour:02}{minute:02}{:02}", day(unix_seconds.max(0.0)), second % 60)
}

/// Tells moments of a run, as the balancer and as files have them. It reads the calendar once: one
/// that is set back in the middle of a run would make attempts overtake each other in the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
    epoch_unix_s: f64,
}

impl Clock {
    /// A run begins after `lead`.
    pub(crate) fn start_in(lead: Duration) -> Self {
        Self { epoch: Instant::now() + lead, epoch_unix_s: unix_seconds() + lead.as_secs_f64() }
    }

    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Nanoseconds since the run began.
    pub(crate) fn at(&self, moment: Instant) -> Timestamp {
        let since = moment.saturating_duration_since(self.epoch).as_nanos();
        Timestamp::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// The moment of a timestamp; `None` for one that the system's clock does not reach.
    pub(crate) fn instant(&self, at: Timestamp) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(at.as_nanos()))
    }

    pub(crate) fn unix_s(&self, at: Timestamp) -> f64 {
        self.epoch_unix_s + at.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_timestamps_are_the_same_to_the_nanosecond() {
        let clock = Clock::start_in(Duration::ZERO);
        let later = clock.epoch + Duration::from_nanos(1_234_567_891);
        assert_eq!(clock.at(later), Timestamp::from_nanos(1_234_567_891));
        assert_eq!(clock.instant(clock.at(later)), Some(later));
        assert_eq!(clock.at(clock.epoch - Duration::from_secs(1)), Timestamp::ZERO);
        assert!(clock.unix_s(Timestamp::ZERO) > 1.7e9);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(name(0.0), "1970-01-01-000000");
        assert_eq!(name(951_782_399.0), "2000-02-28-235959");
        assert_eq!(name(951_782_400.5), "2000-02-29-000000");
        assert_eq!(name(1_768_891_728.0), "2026-01-20-064848");
    }
}
