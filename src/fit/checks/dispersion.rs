//! Do servers differ from their predictions as much as chance makes them?
//!
//! The sum over servers of (sum of `failed - p`)^2. Its mean is the summed variances, exactly,
//! whoever chose the servers: with M the sum of a server, M^2 - <M> is a martingale. Predictions
//! that shrink servers too much, or rates that move, make it larger; predictions that are not sure
//! enough make it smaller.
//!
//! The p-value comes from replicated outcomes under the recorded predictions. That ignores that the
//! number of attempts at a server answers to its outcomes; `tests/calibration/checks.rs` measures
//! what it costs.
//!
//! When not to use it: for few servers, where one lucky server is all there is to see.

use super::residuals::Finding;
use crate::domain::{Purpose, Streams};
use crate::stats::sample::{standard_normal, uniform_open, uniform01};

/// Seed of replicates, a constant: a fit is a function of its traces.
const SEED: u64 = 0x4e1d;
/// Replicates.
const REPLICATES: u64 = 999;
/// With more variance a server's excess of failures is drawn from a normal distribution.
const MUCH_VARIANCE: f64 = 30.0;

/// The coins of one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Residual {
    excess: f64,
    variance: f64,
    /// The predictions, as long as the variance is small.
    chances: Vec<f64>,
}

impl Residual {
    pub(super) fn record(&mut self, predicted: f64, failed: bool) {
        self.excess += f64::from(u8::from(failed)) - predicted;
        self.variance += predicted * (1.0 - predicted);
        if self.variance < MUCH_VARIANCE {
            self.chances.push(predicted);
        } else {
            self.chances = Vec::new();
        }
    }
}

/// The dispersion as observed and as expected, and its test: two-sided, by replicates.
pub(super) fn dispersion(servers: &[Residual]) -> (f64, f64, Finding) {
    if servers.is_empty() {
        return (0.0, 0.0, Finding::NONE);
    }
    let observed: f64 = servers.iter().map(|s| s.excess * s.excess).sum();
    let expected: f64 = servers.iter().map(|s| s.variance).sum();
    let replicate = |r: u64| -> f64 {
        let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 0, r);
        let squares = servers.iter().map(|server| {
            let excess = if server.variance < MUCH_VARIANCE {
                let of = |p: &f64| f64::from(u8::from(uniform01(&mut rng) < *p)) - p;
                server.chances.iter().map(of).sum()
            } else {
                standard_normal(&mut rng) * server.variance.sqrt()
            };
            excess * excess
        });
        squares.sum()
    };
    let below = (0..REPLICATES).filter(|r| replicate(*r) < observed).count() as f64;
    let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 1, 0);
    let rank = (below + uniform_open(&mut rng)) / (REPLICATES + 1) as f64;
    let finding = Finding {
        statistic: observed / expected,
        p_value: 2.0 * rank.min(1.0 - rank),
        effect: observed - expected,
        attempts: servers.len() as u64,
        ..Finding::NONE
    };
    (observed, expected, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_keep_to_one_side_are_too_different() {
        // Each of 20 servers fails in 15 of 20 attempts, or in 5, where half was predicted.
        let off = |i: u64| {
            let mut server = Residual::default();
            (0..20).for_each(|k| server.record(0.5, (k < 15) == i.is_multiple_of(2)));
            server
        };
        let servers: Vec<Residual> = (0..20).map(off).collect();
        let (observed, expected, finding) = dispersion(&servers);
        assert_eq!((observed, expected), (500.0, 100.0));
        assert!(finding.p_value < 0.003 && finding.effect > 0.0, "{finding:?}");
        // Each exactly as predicted: too alike.
        let even = |_| {
            let mut server = Residual::default();
            (0..20).for_each(|k| server.record(0.5, k < 10));
            server
        };
        let servers: Vec<Residual> = (0..20).map(even).collect();
        let (_, _, finding) = dispersion(&servers);
        assert!(finding.p_value < 0.003 && finding.effect < 0.0, "{finding:?}");
    }
}
