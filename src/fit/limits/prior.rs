//! What is believed of a rate limit before the attempts are seen.
//!
//! People configure limiters with round numbers, so lengths of windows come from a short series
//! and limits and bursts are whole numbers with weights 1/x: a limit between 1 and 2 is as likely
//! as one between 100 and 200. Refill rates are log-uniform, since a mean rate need not be round.
//! Every distribution is proper, so that families can be compared by their evidence.
//!
//! Config 1 has a fixed limit and config 2 one that changes over time, by definition. Where the
//! recordings do not show it, a model says what stands here, marked as an assumption.
//!
//! When not to use it: for limiters with odd windows (0.7 s). No law then explains the attempts,
//! which the conclusion says instead of naming one.

use flakelab_core::stats::Interval;
use flakelab_sim::trace::Config;
use flakelab_sim::world::RateLimit;

/// The prior of the parameters of every family.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitPrior {
    /// Lengths of windows in seconds, equally likely.
    pub windows_s: Vec<f64>,
    /// Limits of a window and bursts of a bucket: whole numbers from the first to the last, at
    /// least 1, with weights 1/x. A sliding window has at least 2: with 1 it is a bucket.
    pub capacity: [u32; 2],
    /// Refill rates of a bucket in tokens per second, log-uniform.
    pub per_second: Interval,
    /// Whether the refill may change over time; false where the limit is fixed by definition.
    pub may_swing: bool,
}

/// Lengths of windows in seconds that people configure.
const WINDOWS_S: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0];

impl Default for LimitPrior {
    fn default() -> Self {
        Self {
            windows_s: WINDOWS_S.to_vec(),
            capacity: [1, 200],
            per_second: Interval { low: 0.1, high: 1000.0 },
            may_swing: true,
        }
    }
}

impl LimitPrior {
    /// The largest limit or burst.
    pub(crate) fn most(&self) -> usize {
        self.capacity[1].max(1) as usize
    }

    /// `ln` of the probability of each capacity 1, 2, .., `most`, given that it is at least
    /// `least`; `-inf` where there is none.
    pub(crate) fn log_capacities(&self, least: u32) -> Vec<f64> {
        let from = self.capacity[0].max(least);
        let weight = |x: u32| if x >= from { 1.0 / f64::from(x) } else { 0.0 };
        let total: f64 = (1..=self.capacity[1]).map(weight).sum();
        (1..=self.capacity[1]).map(|x| libm::log(weight(x) / total)).collect()
    }
}

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
pub(crate) fn assumed(config: Config) -> Option<(RateLimit, &'static str)> {
    match config.number() {
        0 => None,
        1 => Some((CONFIG_1, CONFIG_1_REASON)),
        _ => Some((CONFIG_2, CONFIG_2_REASON)),
    }
}

/// A number above 0 rounded to this many significant digits.
pub(crate) fn to_digits(x: f64, digits: i32) -> f64 {
    let places = digits - 1 - libm::floor(libm::log10(x)) as i32;
    // Powers of ten up to 22 are exact, and so is the nearest float of the quotient.
    let power = libm::pow(10.0, f64::from(places.abs()));
    if places >= 0 { libm::round(x * power) / power } else { libm::round(x / power) * power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flakelab_sim::world::Families;

    #[test]
    fn probabilities_of_capacities_sum_to_one() {
        let prior = LimitPrior::default();
        for least in [1, 2] {
            let logs = prior.log_capacities(least);
            let total: f64 = logs.iter().map(|l| libm::exp(*l)).sum();
            assert!((total - 1.0).abs() < 1e-12 && logs.len() == prior.most());
        }
        assert_eq!(prior.log_capacities(2)[0], f64::NEG_INFINITY);
    }

    #[test]
    fn the_assumptions_are_valid_models() {
        assert!(assumed(Config::ALL[0]).is_none());
        for config in &Config::ALL[1..] {
            let (limit, reason) = assumed(*config).unwrap();
            assert!(limit.validate().is_ok() && !reason.is_empty());
        }
    }
}
