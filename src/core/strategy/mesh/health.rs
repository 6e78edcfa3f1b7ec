//! Health: an exponentially weighted score of what a server's attempts were worth, 0 to 1.
//!
//! Each outcome has a worth v: a failure or a timeout 0, however fast it came; a success 1, or
//! less when it was slow: min(1, `slow_factor` x usual latency / its latency), where the usual
//! latency is the exponentially weighted mean over the successes of all servers. Latency counts
//! for successes alone, so a failure cannot look good by being fast (the trap of latency-based
//! balancers, linkerd2-proxy issue 4537). A 429 is no illness and changes nothing.
//!
//! Then h <- h + (1 - 2^(-1/`half_life`)) (v - h): after `half_life` outcomes half of the old
//! evidence is gone. Counting outcomes rather than seconds makes the score's noise the same at any
//! rate of traffic. A server that is left out has no outcomes, though, and would be held ill for
//! ever; so what is held against it fades with time as well: 1 - h halves every `recovery_s`
//! seconds. A server falls below the threshold by outcomes and comes back by time.
//!
//! Limits: one number for errors and slowness; usual latency is the fleet's, so a fleet that slows
//! down as a whole stays healthy.

use crate::domain::{Outcome, Span};

/// A health score, 0 (ill) to 1 (well).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Health(f64);

impl Health {
    /// Nothing is held against the server.
    pub const FULL: Self = Self(1.0);

    /// The score `value`; none outside 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The score as a number.
    #[inline]
    pub const fn value(self) -> f64 {
        self.0
    }
}

/// Usual latency forgets half of its past in so many successes of the fleet.
const USUAL_LATENCY_HALF_LIFE: f64 = 100.0;

/// How health is watched, and what follows for the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watch {
    /// Outcomes after which half of the older evidence is gone; above 0.
    pub half_life: f64,
    /// Seconds in which half of what is held against a server fades; above 0.
    pub recovery_s: f64,
    /// Health below which a server is left out, 0 to 1.
    pub health_threshold: f64,
    /// Whether the threshold is a share of the health of the healthiest.
    pub relative_threshold: bool,
    /// A success slower than so many times the usual latency counts less; at least 1.
    pub slow_factor: f64,
    /// Avoid servers that the request has tried.
    pub exclude_tried: bool,
}

impl Watch {
    /// The rule by which health changes.
    pub fn rule(&self) -> HealthRule {
        HealthRule::new(self.half_life, self.recovery_s, self.slow_factor)
    }
}

/// How health follows from outcomes and time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthRule {
    /// Weight of a new outcome, 0 to 1.
    weight_of_new: f64,
    /// Seconds in which half of what is held against a server fades.
    recovery_s: f64,
    /// A success slower than this many times the usual latency counts less.
    slow_factor: f64,
    /// The usual latency of a success in milliseconds; none before the first.
    usual_latency_ms: Option<f64>,
    /// Weight of a new success in the usual latency.
    weight_of_new_latency: f64,
}

impl HealthRule {
    /// The rule for `half_life` (outcomes, above 0), `recovery_s` (seconds, above 0) and
    /// `slow_factor` (at least 1).
    pub fn new(half_life: f64, recovery_s: f64, slow_factor: f64) -> Self {
        Self {
            weight_of_new: weight_of_new(half_life),
            recovery_s,
            slow_factor,
            usual_latency_ms: None,
            weight_of_new_latency: weight_of_new(USUAL_LATENCY_HALF_LIFE),
        }
    }

    /// What an outcome is worth, 0 to 1; none if it says nothing about health.
    #[inline]
    pub fn worth(&self, outcome: Outcome, latency: Span) -> Option<f64> {
        match outcome {
            Outcome::RateLimited => None,
            Outcome::Failure | Outcome::TimedOut => Some(0.0),
            Outcome::Success => {
                let tolerated = self.slow_factor * self.usual_latency_ms.unwrap_or(f64::INFINITY);
                let latency_ms = latency.as_millis_f64();
                Some(if latency_ms <= tolerated { 1.0 } else { tolerated / latency_ms })
            }
        }
    }

    /// Takes note of the latency of a success.
    #[inline]
    pub fn learn_latency(&mut self, latency: Span) {
        let latency_ms = latency.as_millis_f64();
        self.usual_latency_ms = Some(match self.usual_latency_ms {
            None => latency_ms,
            Some(usual) => usual + self.weight_of_new_latency * (latency_ms - usual),
        });
    }

    /// Health after an outcome worth `worth`.
    #[inline]
    pub fn after(&self, health: Health, worth: f64) -> Health {
        Health((health.0 + self.weight_of_new * (worth - health.0)).clamp(0.0, 1.0))
    }

    /// Health after `elapsed` without an outcome.
    #[inline]
    pub fn faded(&self, health: Health, elapsed: Span) -> Health {
        let left = libm::exp2(-elapsed.as_secs_f64() / self.recovery_s);
        Health((1.0 - (1.0 - health.0) * left).clamp(0.0, 1.0))
    }
}

/// The weight of a new observation under which old ones have half their weight after `half_life`
/// more.
pub fn weight_of_new(half_life: f64) -> f64 {
    1.0 - libm::exp2(-1.0 / half_life)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: f64) -> Span {
        Span::from_millis_f64(ms)
    }

    /// The sum that an exponentially weighted score stands for, written out.
    #[test]
    fn equals_the_weighted_sum_of_all_outcomes() {
        let rule = HealthRule::new(3.0, 10.0, 3.0);
        let worths = [1.0, 0.0, 0.0, 1.0, 0.5, 0.0, 1.0];
        let mut health = Health::FULL;
        for worth in worths {
            health = rule.after(health, worth);
        }
        let kept = 0.5_f64.powf(1.0 / 3.0);
        let n = worths.len() as i32;
        let sum: f64 = (1..=n).zip(worths).map(|(k, v)| (1.0 - kept) * kept.powi(n - k) * v).sum();
        assert!((health.value() - (sum + kept.powi(n))).abs() < 1e-12);
    }

    #[test]
    fn half_of_the_evidence_is_gone_after_the_half_life_and_half_of_the_blame_after_recovery() {
        let rule = HealthRule::new(4.0, 10.0, 3.0);
        let mut health = Health::FULL;
        for _ in 0..4 {
            health = rule.after(health, 0.0);
        }
        assert!((health.value() - 0.5).abs() < 1e-12);
        let later = rule.faded(health, Span::from_millis_f64(10_000.0));
        assert!((later.value() - 0.75).abs() < 1e-12);
        let in_two_steps = rule.faded(rule.faded(health, ms(3_000.0)), ms(7_000.0));
        assert!(
            (in_two_steps.value() - later.value()).abs() < 1e-12,
            "no matter in how many steps"
        );
    }

    #[test]
    fn a_fast_failure_is_worth_no_more_than_a_slow_one_and_a_refusal_says_nothing() {
        let mut rule = HealthRule::new(4.0, 10.0, 3.0);
        rule.learn_latency(ms(10.0));
        for latency in [0.001, 10.0, 5_000.0] {
            assert_eq!(rule.worth(Outcome::Failure, ms(latency)), Some(0.0));
            assert_eq!(rule.worth(Outcome::TimedOut, ms(latency)), Some(0.0));
            assert_eq!(rule.worth(Outcome::RateLimited, ms(latency)), None);
        }
        assert_eq!(rule.worth(Outcome::Success, ms(30.0)), Some(1.0));
        assert_eq!(rule.worth(Outcome::Success, ms(60.0)), Some(0.5));
        assert_eq!(rule.worth(Outcome::Success, ms(0.0)), Some(1.0));
    }

    #[test]
    fn no_score_lies_outside_0_to_1() {
        assert_eq!(Health::new(1.5), None);
        assert_eq!(Health::new(f64::NAN), None);
        assert_eq!(Health::new(0.25).map(Health::value), Some(0.25));
    }
}
