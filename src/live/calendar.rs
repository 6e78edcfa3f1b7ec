//! The calendar: names of folders, times in files, seeds of runs that nobody gave a seed.
//!
//! When not to use it: to measure how long something took; the calendar may be set back.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::day;

/// Now, in Unix seconds.
#[must_use]
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A seed that no earlier run had: the calendar in nanoseconds, cut to what JSON readers that know
/// only 64-bit floats can hold.
#[must_use]
pub fn seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    // The lowest bits are the ones that differ from run to run.
    (nanos / 1000) as u64 & ((1 << 53) - 1)
}

/// A time as a name that sorts: `2026-01-20-064848`, in UTC.
#[must_use]
pub fn name(unix_seconds: f64) -> String {
    let second = unix_seconds.max(0.0) as u64 % 86_400;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{}-{hour:02}{minute:02}{:02}", day(unix_seconds.max(0.0)), second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(name(0.0), "1970-01-01-000000");
        assert_eq!(name(951_782_399.0), "2000-02-28-235959");
        assert_eq!(name(951_782_400.5), "2000-02-29-000000");
        assert_eq!(name(1_768_891_728.0), "2026-01-20-064848");
    }
}
