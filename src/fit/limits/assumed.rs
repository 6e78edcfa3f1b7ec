//! What is assumed of a rate limit that exists by definition but could not be seen.
//!
//! Config 1 has a fixed limit and config 2 one that changes over time, by definition. Where the
//! recordings do not show it, a model must still say something, marked as an assumption.
//!
//! When not to use it: for other people's servers; of those nothing is assumed.

use crate::trace::Config;
use crate::world::RateLimit;

const CONFIG_1: RateLimit = RateLimit::TokenBucket { per_second: 20.0, burst: 1.0 };

const CONFIG_1_REASON: &str = "Config 1 has a fixed rate limit by definition; these recordings do \
    not show it. One token, refilled 20 times a second, is inside what the recordings of \
    2026-01-21 support.";

const CONFIG_2: RateLimit = RateLimit::Sinusoidal {
    mean_per_second: 20.0,
    amplitude_per_second: 8.0,
    period_s: 10.0,
    burst: 1.0,
    phase: None,
};

const CONFIG_2_REASON: &str = "Config 2 has a rate limit that changes over time by definition; \
    these recordings do not show it. Mean and burst are those assumed for config 1; the swing is \
    as large as it can be while the refill never falls below 12 a second, since servers of config \
    2 that were asked ten times a second showed no refusals; the period is the length of a \
    recording.";

/// The limit assumed for a config, and why; none for config 0, which has none by definition.
pub(in crate::fit) fn assumed(config: Config) -> Option<(RateLimit, &'static str)> {
    match config.number() {
        0 => None,
        1 => Some((CONFIG_1, CONFIG_1_REASON)),
        _ => Some((CONFIG_2, CONFIG_2_REASON)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Families;

    #[test]
    fn the_assumptions_are_valid_models() {
        assert!(assumed(Config::ALL[0]).is_none());
        for config in &Config::ALL[1..] {
            let (limit, reason) = assumed(*config).unwrap();
            assert!(limit.validate().is_ok() && !reason.is_empty());
        }
    }
}
