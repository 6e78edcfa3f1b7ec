//! A population of error rates, and what it says of one server's successes and failures.
//!
//! Given its rate p, a server's attempts fail independently with probability p; the rates of the
//! servers are independent draws from the population. With f failures and s successes the
//! likelihood is p^f (1-p)^s whatever rule chose the servers, as long as that rule saw nothing
//! but recorded outcomes: its factors do not depend on p and cancel (ignorable design; Rubin,
//! "Inference and missing data", Biometrika 63 (1976), 581-592). Raw rates f / (f + s) are biased
//! under such rules and are used nowhere here.
//!
//! When not to use it: where refusals (429) hide among the failures, f is not a count of coins.

use super::truncated::TruncatedBeta;
use crate::stats::special::{inc_beta, inv_inc_beta, ln_gamma, log_sum_exp};
use crate::world::ErrorFamily;

/// Halvings that leave an interval of at most 1 shorter than a float can tell.
const HALVINGS: u32 = 60;

/// Attempts of one server since its start, by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts that succeeded.
    pub successes: u64,
}

/// A distribution of error rates on \[0, 1\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Population {
    /// Uniform on \[low, high\], 0 <= low < high <= 1.
    Uniform {
        /// Lowest rate.
        low: f64,
        /// Highest rate.
        high: f64,
    },
    /// Beta(alpha, beta), both above 0.
    Beta {
        /// First shape.
        alpha: f64,
        /// Second shape.
        beta: f64,
    },
    /// Beta(alpha, beta) with probability 1 - weight, else Beta(second_alpha, second_beta).
    BetaMixture {
        /// The probability of the second component, in \[0, 1\].
        weight: f64,
        /// First shape of the first component.
        alpha: f64,
        /// Second shape of the first component.
        beta: f64,
        /// First shape of the second component.
        second_alpha: f64,
        /// Second shape of the second component.
        second_beta: f64,
    },
}

impl Tally {
    /// All attempts.
    #[must_use]
    pub const fn attempts(self) -> u64 {
        self.failures + self.successes
    }

    /// Adds one attempt.
    pub const fn record(&mut self, failed: bool) {
        if failed {
            self.failures += 1;
        } else {
            self.successes += 1;
        }
    }

    /// Adds the attempts of another tally.
    pub const fn add(&mut self, other: Self) {
        self.failures += other.failures;
        self.successes += other.successes;
    }

    pub(super) fn as_floats(self) -> (f64, f64) {
        (self.failures as f64, self.successes as f64)
    }
}

impl Population {
    /// The population of a model's family; `None` of fixed rates, which are none.
    #[must_use]
    pub fn of_family(family: &ErrorFamily) -> Option<Self> {
        match *family {
            ErrorFamily::Uniform { low, high } => Some(Self::Uniform { low, high }),
            ErrorFamily::Beta { alpha, beta } => Some(Self::Beta { alpha, beta }),
            ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => {
                Some(Self::BetaMixture { weight, alpha, beta, second_alpha, second_beta })
            }
            ErrorFamily::Fixed { .. } => None,
        }
    }

    /// Every rate is as likely as any other.
    pub const FLAT: Self = Self::Uniform { low: 0.0, high: 1.0 };

    /// `ln` of the likelihood p^f (1-p)^s averaged over the population.
    #[must_use]
    pub fn log_marginal(&self, tally: Tally) -> f64 {
        if tally.attempts() == 0 {
            return 0.0;
        }
        match *self {
            Self::Uniform { low, high } => {
                let server = TruncatedBeta::new(tally);
                server.log_integral(server.tail(low), server.tail(high)) - libm::log(high - low)
            }
            Self::Beta { alpha, beta } => log_beta_marginal(alpha, beta, tally),
            Self::BetaMixture { .. } => log_sum_exp(&self.parts().map(|(weight, part)| {
                if weight > 0.0 {
                    libm::log(weight) + part.log_marginal(tally)
                } else {
                    f64::NEG_INFINITY
                }
            })),
        }
    }

    /// The chance that the next attempt of a server with this tally fails.
    #[must_use]
    pub fn predictive_failure(&self, tally: Tally) -> f64 {
        let (f, s) = tally.as_floats();
        match *self {
            Self::Uniform { low, high } => {
                let more = Tally { failures: tally.failures + 1, ..tally };
                let mean = libm::exp(self.log_marginal(more) - self.log_marginal(tally));
                mean.clamp(low, high)
            }
            Self::Beta { alpha, beta } => (alpha + f) / (alpha + beta + f + s),
            Self::BetaMixture { .. } => self.average(tally, |part| part.predictive_failure(tally)),
        }
    }

    /// The probability that a server with this tally has an error rate of at most `rate`.
    #[must_use]
    pub fn posterior_cdf(&self, tally: Tally, rate: f64) -> f64 {
        let (f, s) = tally.as_floats();
        match *self {
            Self::Uniform { low, high } => {
                if rate <= low || rate >= high {
                    return f64::from(u8::from(rate >= high));
                }
                let server = TruncatedBeta::new(tally);
                let [low, at, high] = [low, rate, high].map(|rate| server.tail(rate));
                let whole = server.log_integral(low, high);
                libm::exp(server.log_integral(low, at) - whole).min(1.0)
            }
            Self::Beta { alpha, beta } => inc_beta(alpha + f, beta + s, rate.clamp(0.0, 1.0)),
            Self::BetaMixture { .. } => self.average(tally, |part| part.posterior_cdf(tally, rate)),
        }
    }

    /// The `u`-quantile of a server's error rate given its tally, for u in \[0, 1\].
    #[must_use]
    pub fn posterior_quantile(&self, tally: Tally, u: f64) -> f64 {
        let (f, s) = tally.as_floats();
        match *self {
            Self::Uniform { low, high } => {
                let (a, b) = (f + 1.0, s + 1.0);
                // Work in the tail that has the digits: the lower one unless low is beyond the
                // mode.
                let rate = if low > f / (f + s).max(1.0) {
                    let (from, to) = (inc_beta(b, a, 1.0 - low), inc_beta(b, a, 1.0 - high));
                    1.0 - inv_inc_beta(b, a, from + u * (to - from))
                } else {
                    let (from, to) = (inc_beta(a, b, low), inc_beta(a, b, high));
                    inv_inc_beta(a, b, from + u * (to - from))
                };
                rate.clamp(low, high)
            }
            Self::Beta { alpha, beta } => inv_inc_beta(alpha + f, beta + s, u),
            Self::BetaMixture { .. } => {
                // Between the quantiles of the components, by halving.
                let [a, b] = self.parts().map(|(_, part)| part.posterior_quantile(tally, u));
                let (mut low, mut high) = (a.min(b), a.max(b));
                for _ in 0..HALVINGS {
                    let middle = 0.5 * (low + high);
                    if self.posterior_cdf(tally, middle) < u {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                0.5 * (low + high)
            }
        }
    }

    /// The share of servers with an error rate of at most `rate`.
    #[must_use]
    pub fn cdf(&self, rate: f64) -> f64 {
        match *self {
            Self::Uniform { low, high } => ((rate - low) / (high - low)).clamp(0.0, 1.0),
            Self::Beta { alpha, beta } => inc_beta(alpha, beta, rate.clamp(0.0, 1.0)),
            Self::BetaMixture { .. } => {
                self.parts().map(|(weight, part)| weight * part.cdf(rate)).iter().sum()
            }
        }
    }

    /// The mean error rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Uniform { low, high } => 0.5 * (low + high),
            Self::Beta { alpha, beta } => alpha / (alpha + beta),
            Self::BetaMixture { .. } => {
                self.parts().map(|(weight, part)| weight * part.mean()).iter().sum()
            }
        }
    }

    /// The family's name in model files.
    #[must_use]
    pub const fn family(&self) -> &'static str {
        match self {
            Self::Uniform { .. } => "uniform",
            Self::Beta { .. } => "beta",
            Self::BetaMixture { .. } => "beta_mixture",
        }
    }

    /// The components of a mixture with their probabilities; anything else twice, half each.
    pub(super) fn parts(&self) -> [(f64, Self); 2] {
        match *self {
            Self::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => [
                (1.0 - weight, Self::Beta { alpha, beta }),
                (weight, Self::Beta { alpha: second_alpha, beta: second_beta }),
            ],
            one => [(0.5, one), (0.5, one)],
        }
    }

    /// The average over the components, weighted by their probabilities given the tally.
    fn average(&self, tally: Tally, value: impl Fn(Self) -> f64) -> f64 {
        let [(first_weight, first), (second_weight, second)] = self.parts();
        let odds = second.log_marginal(tally) - first.log_marginal(tally);
        let share = second_weight / (second_weight + first_weight * libm::exp(-odds));
        (1.0 - share) * value(first) + share * value(second)
    }
}

impl From<Population> for ErrorFamily {
    fn from(population: Population) -> Self {
        match population {
            Population::Uniform { low, high } => Self::Uniform { low, high },
            Population::Beta { alpha, beta } => Self::Beta { alpha, beta },
            Population::BetaMixture { weight, alpha, beta, second_alpha, second_beta } => {
                Self::BetaMixture { weight, alpha, beta, second_alpha, second_beta }
            }
        }
    }
}

/// `ln` of B(alpha + f, beta + s) / B(alpha, beta), the beta-binomial likelihood.
pub(super) fn log_beta_marginal(alpha: f64, beta: f64, tally: Tally) -> f64 {
    let (f, s) = tally.as_floats();
    let rising = |x: f64, n: f64| if n == 0.0 { 0.0 } else { ln_gamma(x + n) - ln_gamma(x) };
    rising(alpha, f) + rising(beta, s) - rising(alpha + beta, f + s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POPULATIONS: [Population; 5] = [
        Population::FLAT,
        Population::Uniform { low: 0.02, high: 0.75 },
        Population::Uniform { low: 0.6, high: 0.7 },
        Population::Beta { alpha: 1.7, beta: 2.4 },
        Population::BetaMixture {
            weight: 0.3,
            alpha: 1.2,
            beta: 9.0,
            second_alpha: 20.0,
            second_beta: 7.0,
        },
    ];

    fn tally(failures: u64, successes: u64) -> Tally {
        Tally { failures, successes }
    }

    /// The average likelihood by brute force: over 20,000 equally likely rates.
    fn by_quantiles(population: Population, tally: Tally) -> f64 {
        let n = 20_000;
        let terms: Vec<f64> = (0..n)
            .map(|i| {
                let u = (f64::from(i) + 0.5) / f64::from(n);
                let p = population.posterior_quantile(Tally::default(), u);
                tally.failures as f64 * p.ln() + tally.successes as f64 * (1.0 - p).ln()
            })
            .collect();
        log_sum_exp(&terms) - f64::from(n).ln()
    }

    #[test]
    fn the_marginal_likelihood_is_the_average_over_the_population() {
        for population in POPULATIONS {
            for tally in [tally(1, 0), tally(0, 7), tally(12, 30), tally(30, 2), tally(0, 0)] {
                let (got, expected) =
                    (population.log_marginal(tally), by_quantiles(population, tally));
                assert!((got - expected).abs() < 2e-4, "{population:?} {tally:?} {got} {expected}");
            }
        }
    }

    #[test]
    fn one_failure_more_is_as_likely_as_predicted() {
        for population in POPULATIONS {
            for t in [tally(0, 0), tally(3, 9), tally(40, 1)] {
                let more = tally(t.failures + 1, t.successes);
                let ratio = (population.log_marginal(more) - population.log_marginal(t)).exp();
                assert!((population.predictive_failure(t) - ratio).abs() < 1e-9, "{population:?}");
            }
            let mean = population.predictive_failure(Tally::default());
            assert!((mean - population.mean()).abs() < 1e-12);
        }
    }

    #[test]
    fn posterior_quantiles_stay_inside_and_increase() {
        for population in POPULATIONS {
            for t in [tally(0, 0), tally(0, 60), tally(60, 0), tally(9, 14)] {
                let quantiles: Vec<f64> = (0..=10)
                    .map(|i| population.posterior_quantile(t, f64::from(i) / 10.0))
                    .collect();
                assert!(quantiles.is_sorted(), "{population:?} {t:?} {quantiles:?}");
                assert!(quantiles.iter().all(|p| (0.0..=1.0).contains(&population.cdf(*p))));
                for (i, p) in quantiles.iter().enumerate().skip(1).take(9) {
                    let back = population.posterior_cdf(t, *p);
                    assert!((back - i as f64 / 10.0).abs() < 1e-9, "{population:?} {t:?} {back}");
                }
            }
        }
    }
}
