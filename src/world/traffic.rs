//! When requests arrive.
//!
//! Open loop: the schedule never waits for answers.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::domain::{Purpose, Streams, Timestamp};
use crate::stats::sample;

/// The kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// Request n arrives at exactly n / rate, from n = 0 on.
    #[default]
    Exact,
    /// Gaps are exponential with mean 1 / rate.
    Poisson,
}

/// The arrival times of one replication, in order.
#[derive(Debug, Clone)]
pub struct Arrivals {
    traffic: Traffic,
    requests_per_second: f64,
    next: u64,
    requests: u64,
    elapsed_s: f64,
    rng: ChaCha8Rng,
}

impl Arrivals {
    /// `requests` arrivals at `requests_per_second`.
    pub fn new(
        traffic: Traffic,
        requests_per_second: f64,
        requests: u64,
        streams: &Streams,
        replication: u64,
    ) -> Self {
        let rng = streams.stream(Purpose::Traffic, 0, replication);
        Self { traffic, requests_per_second, next: 0, requests, elapsed_s: 0.0, rng }
    }
}

impl Iterator for Arrivals {
    type Item = Timestamp;

    #[inline]
    fn next(&mut self) -> Option<Timestamp> {
        if self.next == self.requests {
            return None;
        }
        let at_s = match self.traffic {
            Traffic::Exact => self.next as f64 / self.requests_per_second,
            Traffic::Poisson => {
                self.elapsed_s += sample::exponential(&mut self.rng) / self.requests_per_second;
                self.elapsed_s
            }
        };
        self.next += 1;
        Some(Timestamp::from_secs_f64(at_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_arrivals_do_not_drift() {
        let arrivals = Arrivals::new(Traffic::Exact, 10.0, 100_001, &Streams::new(1), 0);
        assert_eq!(arrivals.last(), Some(Timestamp::from_secs_f64(10_000.0)));
    }

    /// 100,000 gaps: mean within 4.4 and variance within 4.4 standard errors of an exponential
    /// (mean 0.1, variance 0.01, variance of the variance 8 x 0.1^4 / n); false alarm 2e-5.
    #[test]
    fn poisson_gaps_are_exponential() {
        let n = 100_000;
        let arrivals = Arrivals::new(Traffic::Poisson, 10.0, n, &Streams::new(1), 0);
        let times: Vec<f64> = arrivals.map(Timestamp::as_secs_f64).collect();
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / count;
        assert!((mean - 0.1).abs() < 4.4 * 0.1 / count.sqrt(), "{mean}");
        assert!((variance - 0.01).abs() < 4.4 * (8e-4 / count).sqrt(), "{variance}");
    }
}
