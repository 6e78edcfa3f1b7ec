//! Time as a number: nanoseconds since the start of a run.
//!
//! Both drivers, the simulator's virtual clock and the wall clock, hand time in as an
//! argument, so nothing below them ever asks what time it is.

use std::ops::{Add, Sub};

/// A moment: nanoseconds since the start of the run (584 years fit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// A length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Timestamp {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// A moment `ns` nanoseconds after the start.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// A moment `seconds` after the start, to the nearest nanosecond; negative or NaN becomes 0.
    #[inline]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self(nearest(seconds * 1e9))
    }

    /// Nanoseconds since the start.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// The time since `earlier`, zero if that is later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A length of `ns` nanoseconds.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// A length of `ms` milliseconds, to the nearest nanosecond; negative or NaN becomes 0.
    #[inline]
    pub fn from_millis_f64(ms: f64) -> Self {
        Self(nearest(ms * 1e6))
    }

    /// Length in nanoseconds.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Length in milliseconds.
    #[inline]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 * 1e-6
    }

    /// Length in seconds.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }
}

/// The nearest whole number, halves up; of a negative number or NaN 0.
#[inline]
fn nearest(x: f64) -> u64 {
    let whole = x as u64;
    whole.saturating_add(u64::from(x - whole as f64 >= 0.5))
}

impl Add<Span> for Timestamp {
    type Output = Self;

    #[inline]
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    #[inline]
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// The calendar day (UTC) of a Unix time, as `2026-01-20`.
///
/// Source: H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub fn day(unix_s: f64) -> String {
    // A trace may hold any number; beyond a billion years the day is that of the billionth.
    let days = libm::floor(unix_s / 86_400.0).clamp(-4e11, 4e11) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_nanosecond() {
        assert_eq!(Timestamp::from_secs_f64(0.1).as_nanos(), 100_000_000);
        assert_eq!(Span::from_millis_f64(1.000_000_4).as_nanos(), 1_000_000);
        assert_eq!(Span::from_millis_f64(-1.0), Span::ZERO);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::NEVER + Span::from_nanos(1), Timestamp::NEVER);
        assert_eq!(Timestamp::ZERO - Span::from_nanos(1), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.since(Timestamp::from_nanos(5)), Span::ZERO);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        // `date -u -d @...`
        for (unix_s, expected) in [
            (0.0, "1970-01-01"),
            (951_782_400.0, "2000-02-29"),
            (1_768_909_729.2, "2026-01-20"),
            (4_107_542_399.0, "2100-02-28"),
            (4_107_542_400.0, "2100-03-01"),
        ] {
            assert_eq!(day(unix_s), expected);
        }
        assert!(!day(1e300).is_empty(), "nonsense in a trace is no panic");
    }
}
