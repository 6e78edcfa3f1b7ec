//! The predicted chance of failure of a server whose tally grows coin by coin.
//!
//! Up to [`FOLLOWED`] coins each prediction is that of the prior. Beyond, it would sum over the
//! cells of the prior for every coin; it is followed instead. A coin x (1 if it failed) moves the
//! mean m of the posterior of n coins by gain (x - m) / (n + 1). The gain is that of m with the
//! raw rate: near 1, and less where the prior ends. Each time the tally has grown by 1 /
//! [`AGAIN`], mean and gain are taken from the prior anew, so that errors do not add up: they stay
//! below a twentieth of the posterior's standard deviation, which the test holds them to.
//!
//! When not to use it: for predictions of unrelated tallies, which `RatePrior` gives.

use std::collections::BTreeMap;

use crate::fit::error_rates::{RatePrior, Tally};

/// Predictions of fewer coins are made at once, being cheap.
const FEW: u64 = 64;
/// Predictions that are remembered.
const MOST_PREDICTIONS: usize = 100_000;
/// Tallies of more coins are followed.
const FOLLOWED: u64 = 2_000;
/// A followed mean is taken anew when its tally has grown by one part of so many.
const AGAIN: u64 = 32;

/// Predictions that are looked up once made.
pub(super) struct Predictor<'a> {
    prior: &'a RatePrior,
    /// Of fewer than [`FEW`] coins: of n with f failures at n (n + 1) / 2 + f.
    few: Vec<f64>,
    known: BTreeMap<(u64, u64), f64>,
}

/// The posterior of one server's error rate, as far as predictions need it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Followed {
    mean: f64,
    gain: f64,
    /// Coins so far.
    coins: u64,
    /// Coins at which mean and gain are taken anew; neither is known yet at 0.
    until: u64,
}

impl Followed {
    /// Learns of one more coin.
    pub(super) fn record(&mut self, failed: bool) {
        if self.until > 0 {
            self.coins += 1;
            let off = f64::from(u8::from(failed)) - self.mean;
            self.mean += self.gain * off / self.coins as f64;
        }
    }
}

impl<'a> Predictor<'a> {
    pub(super) fn new(prior: &'a RatePrior) -> Self {
        let of = |n: u64| (0..=n).map(move |f| Tally { failures: f, successes: n - f });
        let few = (0..FEW).flat_map(of).map(|tally| prior.predictive_failure(tally)).collect();
        Self { prior, few, known: BTreeMap::new() }
    }

    /// The chance that the next coin fails.
    pub(super) fn failure(&mut self, tally: Tally) -> f64 {
        let coins = tally.attempts();
        if coins < FEW {
            return self.few[(coins * (coins + 1) / 2 + tally.failures) as usize];
        }
        if self.known.len() >= MOST_PREDICTIONS {
            self.known.clear();
        }
        let prior = self.prior;
        let key = (tally.failures, tally.successes);
        *self.known.entry(key).or_insert_with(|| prior.predictive_failure(tally))
    }

    /// The same of a server whose every coin `followed` has learned of.
    pub(super) fn next_failure(&mut self, tally: Tally, followed: &mut Followed) -> f64 {
        let coins = tally.attempts();
        if coins <= FOLLOWED {
            return self.failure(tally);
        }
        if coins >= followed.until {
            *followed = self.anew(tally);
        }
        followed.mean
    }

    fn anew(&self, tally: Tally) -> Followed {
        let mean = self.prior.predictive_failure(tally);
        let n = tally.attempts() as f64;
        // Over a step of the raw rate's standard deviation, as the prior is a grid.
        let spread = (tally.failures as f64 * tally.successes as f64 / n).sqrt();
        let step = (spread as u64).max(1);
        let (more, fewer) = (
            Tally {
                failures: tally.failures + step.min(tally.successes),
                successes: tally.successes - step.min(tally.successes),
            },
            Tally {
                failures: tally.failures - step.min(tally.failures),
                successes: tally.successes + step.min(tally.failures),
            },
        );
        let between = self.prior.predictive_failure(more) - self.prior.predictive_failure(fewer);
        let gain = between * n / (more.failures - fewer.failures).max(1) as f64;
        let coins = tally.attempts();
        // The grid's steps shall not make it follow more than the coins.
        Followed { mean, gain: gain.clamp(0.0, 1.5), coins, until: coins + coins / AGAIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::stats::sample::uniform01;
    use crate::world::ErrorFamily;

    #[test]
    fn followed_predictions_are_those_of_the_prior() {
        let populations = [
            ErrorFamily::FLAT,
            ErrorFamily::Uniform { low: 0.02, high: 0.75 },
            // The truth at its end, and beyond it.
            ErrorFamily::Uniform { low: 0.1, high: 0.3 },
            ErrorFamily::Uniform { low: 0.1, high: 0.29 },
            ErrorFamily::Beta { alpha: 0.6, beta: 0.9 },
            ErrorFamily::Beta { alpha: 300.0, beta: 900.0 },
        ];
        for (number, population) in (0..).zip(populations) {
            let prior = RatePrior::of(&population);
            for (k, rate) in [0.3, 0.001, 0.9].into_iter().enumerate() {
                if population.cdf(rate + 0.02) - population.cdf(rate - 0.02) < 1e-3 {
                    continue;
                }
                let mut rng = Streams::new(11).stream(Purpose::Analysis, number, k as u64);
                let mut predictor = Predictor::new(&prior);
                let (mut tally, mut followed) = (Tally::default(), Followed::default());
                for i in 1..60_000_u64 {
                    let got = predictor.next_failure(tally, &mut followed);
                    if i % 977 == 0 {
                        let exact = prior.predictive_failure(tally);
                        let sd = (exact * (1.0 - exact) / i as f64).sqrt();
                        let bound = if i <= FOLLOWED { 1e-12 } else { 0.05 * sd };
                        assert!(
                            (got - exact).abs() <= bound,
                            "{population:?} {tally:?}: {got} {exact}, {} sd",
                            (got - exact) / sd
                        );
                    }
                    let failed = uniform01(&mut rng) < rate;
                    followed.record(failed);
                    tally.record(failed);
                }
            }
        }
    }

    #[test]
    fn servers_that_always_or_never_fail_stay_inside() {
        for failed in [true, false] {
            let prior = RatePrior::of(&ErrorFamily::Uniform { low: 0.4, high: 0.5 });
            let mut predictor = Predictor::new(&prior);
            let (mut tally, mut followed) = (Tally::default(), Followed::default());
            for _ in 0..30_000 {
                let got = predictor.next_failure(tally, &mut followed);
                assert!(got > 0.39 && got < 0.51, "{tally:?}: {got}");
                followed.record(failed);
                tally.record(failed);
            }
        }
    }
}
