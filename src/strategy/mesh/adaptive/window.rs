//! A stretch of outcomes, and what it says in three numbers.

use crate::domain::{Outcome, Span};
use crate::strategy::mesh::health::weight_of_new;

/// The latency of the past forgets half of itself in so many windows.
const PAST_HALF_LIFE: f64 = 8.0;

/// What a full window says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowed {
    /// Mean over the attempts sent of the variance of load just after.
    pub load_variance: f64,
    /// Failures and timeouts among the outcomes.
    pub failure_share: f64,
    /// Log of the mean success latency over that of the windows before; none without successes
    /// or without a past.
    pub latency_trend: Option<f64>,
    outcomes: u32,
}

impl Windowed {
    /// The binomial standard deviation that a share of so many outcomes has by chance, with one
    /// success and one failure added so that it is never 0.
    pub fn failure_noise(&self) -> f64 {
        let n = f64::from(self.outcomes);
        let p = (self.failure_share * n + 1.0) / (n + 2.0);
        (p * (1.0 - p) / n).sqrt()
    }
}

/// Collects.
#[derive(Debug, Clone)]
pub struct Window {
    length: u32,
    outcomes: u32,
    failures: u32,
    /// Milliseconds of the successes.
    latency_ms: f64,
    sent: u32,
    load_variance: f64,
    /// Log of the mean success latency of the past; none before the first window.
    past: Option<f64>,
}

impl Window {
    pub fn new(length: u32) -> Self {
        Self {
            length,
            outcomes: 0,
            failures: 0,
            latency_ms: 0.0,
            sent: 0,
            load_variance: 0.0,
            past: None,
        }
    }

    pub fn add_load(&mut self, variance: f64) {
        self.sent += 1;
        self.load_variance += variance;
    }

    /// The window's content if this outcome fills it; a new one begins then.
    pub fn add_outcome(&mut self, outcome: Outcome, latency: Span) -> Option<Windowed> {
        match outcome {
            Outcome::RateLimited => return None,
            Outcome::Success => self.latency_ms += latency.as_millis_f64(),
            Outcome::Failure | Outcome::TimedOut => self.failures += 1,
        }
        self.outcomes += 1;
        if self.outcomes < self.length {
            return None;
        }
        let successes = self.outcomes - self.failures;
        let log_latency = (successes > 0 && self.latency_ms > 0.0)
            .then(|| libm::log(self.latency_ms / f64::from(successes)));
        let seen = Windowed {
            load_variance: self.load_variance / f64::from(self.sent.max(1)),
            failure_share: f64::from(self.failures) / f64::from(self.outcomes),
            latency_trend: log_latency.zip(self.past).map(|(now, past)| now - past),
            outcomes: self.outcomes,
        };
        let kept = log_latency.map(|now| {
            self.past.map_or(now, |past| past + weight_of_new(PAST_HALF_LIFE) * (now - past))
        });
        *self = Self { past: kept.or(self.past), ..Self::new(self.length) };
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_share_of_failures_the_mean_variance_and_the_trend() {
        let ms = Span::from_millis_f64;
        let mut window = Window::new(4);
        let mut fill = |latency: f64| {
            window.add_load(0.25);
            window.add_load(0.75);
            assert_eq!(window.add_outcome(Outcome::Failure, ms(0.1)), None);
            assert_eq!(window.add_outcome(Outcome::RateLimited, ms(0.1)), None, "says nothing");
            assert_eq!(window.add_outcome(Outcome::Success, ms(latency)), None);
            assert_eq!(window.add_outcome(Outcome::Success, ms(3.0 * latency)), None);
            window.add_outcome(Outcome::Success, ms(2.0 * latency)).unwrap()
        };
        let first = fill(5.0);
        assert_eq!((first.load_variance, first.failure_share), (0.5, 0.25));
        assert_eq!(first.latency_trend, None, "no past yet");
        let second = fill(10.0);
        assert!((second.latency_trend.unwrap() - 2.0_f64.ln()).abs() < 1e-12, "twice as slow");
    }
}
