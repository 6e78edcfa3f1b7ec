//! The calendar: names of folders, times in files, seeds of runs that nobody gave a seed.
//!
//! When not to use it: to measure how long something took; the calendar may be set back.

use std::time::{SystemTime, UNIX_EPOCH};

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
///
/// The date is by H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
#[must_use]
pub fn name(unix_seconds: f64) -> String {
    let seconds = unix_seconds.max(0.0) as u64;
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}{:02}", second % 60)
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
