//! Calendar days.
//!
//! When not to use it: to read dates; that is what traces are read with.

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
