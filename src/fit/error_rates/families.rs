//! Which population of error rates? Families compared by evidence, hyperparameters integrated.
//!
//! Two families, each with a proper hyper-prior without a scale to choose:
//! - uniform(low, high): (low, high) uniform on the triangle 0 <= low < high <= 1;
//! - beta(mean, concentration), concentration = alpha + beta: the mean and the correlation of two
//!   attempts at one server, 1 / (concentration + 1), independent and uniform on (0, 1).
//!
//! The evidence of a family is the likelihood of all tallies averaged over its hyper-prior; their
//! ratio is the Bayes factor (Kass and Raftery, "Bayes factors", JASA 90 (1995), 773-795). Point
//! estimates are posterior means, intervals equal-tailed and 95 %; plugging in a maximum instead
//! would make intervals too short.
//!
//! When not to use it: with fewer than about ten servers the hyper-prior speaks louder than the
//! data, and a Bayes factor below 3 chooses nothing.

use super::grid::{Axis, Posterior, integrate};
use super::population::{Population, Tally, TruncatedBeta, log_beta_marginal};
use crate::stats::Interval;

/// The probability that a credible interval holds its parameter.
pub const CREDIBILITY: f64 = 0.95;

/// The open unit interval, on which all hyperparameters live.
const UNIT: Axis = Axis { low: 0.0, high: 1.0 };

/// A hyperparameter as the data leave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameter {
    /// Its name: `low`, `high`, `mean` or `concentration`.
    pub name: &'static str,
    /// Posterior mean; of the concentration: that which belongs to the posterior mean of
    /// 1 / (concentration + 1), as its own mean need not exist.
    pub estimate: f64,
    /// Equal-tailed interval of probability [`CREDIBILITY`].
    pub interval: Interval,
}

/// One family of populations, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyFit {
    /// The population at the estimates of the hyperparameters.
    pub population: Population,
    /// `ln` of the evidence: the likelihood averaged over the hyper-prior.
    pub log_evidence: f64,
    /// Both hyperparameters.
    pub hyperparameters: [Hyperparameter; 2],
}

/// Fits every family to the servers' tallies, best evidence first.
///
/// Empty tallies say nothing and are dropped. A family that cannot have made the data is left
/// out; for finite counts there is none.
#[must_use]
pub fn fit_families(tallies: &[Tally]) -> Vec<FamilyFit> {
    let tallies: Vec<Tally> = tallies.iter().copied().filter(|t| t.attempts() > 0).collect();
    let mut fits: Vec<FamilyFit> =
        [fit_uniform(&tallies), fit_beta(&tallies)].into_iter().flatten().collect();
    fits.sort_by(|a, b| b.log_evidence.total_cmp(&a.log_evidence));
    fits
}

fn fit_uniform(tallies: &[Tally]) -> Option<FamilyFit> {
    let servers: Vec<TruncatedBeta> = tallies.iter().map(|t| TruncatedBeta::new(*t)).collect();
    let posterior = integrate(UNIT, UNIT, |lows, highs| {
        let tails = |rates: &[f64], server: &TruncatedBeta| -> Vec<_> {
            rates.iter().map(|rate| server.tail(*rate)).collect()
        };
        let mut sum = Vec::with_capacity(lows.len() * highs.len());
        for low in lows {
            for high in highs {
                // The prior density on the triangle is 2; 1 / (high - low) once a server.
                sum.push(if low < high {
                    std::f64::consts::LN_2 - servers.len() as f64 * libm::log(high - low)
                } else {
                    f64::NEG_INFINITY
                });
            }
        }
        for server in &servers {
            let (at_low, at_high) = (tails(lows, server), tails(highs, server));
            for (i, total) in sum.iter_mut().enumerate().filter(|(_, v)| v.is_finite()) {
                *total += server.log_integral(at_low[i / highs.len()], at_high[i % highs.len()]);
            }
        }
        sum
    })?;
    let [low, high] = estimates(&posterior, ["low", "high"]);
    Some(FamilyFit {
        population: Population::Uniform { low: low.estimate, high: high.estimate },
        log_evidence: posterior.log_integral,
        hyperparameters: [low, high],
    })
}

fn fit_beta(tallies: &[Tally]) -> Option<FamilyFit> {
    let posterior = integrate(UNIT, UNIT, |means, correlations| {
        let mut sum = Vec::with_capacity(means.len() * correlations.len());
        for mean in means {
            for correlation in correlations {
                let (alpha, beta) = shapes(*mean, concentration(*correlation));
                sum.push(tallies.iter().map(|t| log_beta_marginal(alpha, beta, *t)).sum());
            }
        }
        sum
    })?;
    let [mean, correlation] = estimates(&posterior, ["mean", "concentration"]);
    let (alpha, beta) = shapes(mean.estimate, concentration(correlation.estimate));
    let of_correlation = correlation.interval;
    let concentration = Hyperparameter {
        estimate: concentration(correlation.estimate),
        interval: Interval {
            low: concentration(of_correlation.high),
            high: concentration(of_correlation.low),
        },
        ..correlation
    };
    Some(FamilyFit {
        population: Population::Beta { alpha, beta },
        log_evidence: posterior.log_integral,
        hyperparameters: [mean, concentration],
    })
}

/// alpha + beta, from the correlation of two attempts at one server.
fn concentration(correlation: f64) -> f64 {
    1.0 / correlation - 1.0
}

/// alpha and beta.
fn shapes(mean: f64, concentration: f64) -> (f64, f64) {
    (mean * concentration, (1.0 - mean) * concentration)
}

fn estimates(posterior: &Posterior, names: [&'static str; 2]) -> [Hyperparameter; 2] {
    let of = |marginal: &super::grid::Marginal, name| Hyperparameter {
        name,
        estimate: marginal.mean(),
        interval: marginal.interval(CREDIBILITY),
    };
    [of(&posterior.x, names[0]), of(&posterior.y, names[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_has_the_evidence_of_the_priors_mean_error_rate() {
        // By symmetry both hyper-priors expect a mean error rate of 1/2.
        for fit in fit_families(&[Tally { failures: 1, successes: 0 }]) {
            assert!((fit.log_evidence - 0.5_f64.ln()).abs() < 0.02, "{fit:?}");
        }
    }

    #[test]
    fn no_attempts_leave_the_hyper_prior() {
        let fits = fit_families(&[Tally::default()]);
        for fit in &fits {
            assert!(fit.log_evidence.abs() < 0.02, "{fit:?}");
        }
        let uniform = fits.iter().find(|f| f.population.family() == "uniform").unwrap();
        let [low, high] = uniform.hyperparameters;
        assert!(
            (low.estimate - 1.0 / 3.0).abs() < 0.01 && (high.estimate - 2.0 / 3.0).abs() < 0.01
        );
        // P(low <= x) = 1 - (1 - x)^2.
        assert!((low.interval.high - (1.0 - 0.025_f64.sqrt())).abs() < 0.01, "{low:?}");
    }

    #[test]
    fn servers_with_a_million_attempts_are_no_obstacle() {
        let tallies = [(1_000, 999_000), (300_000, 700_000), (0, 100_000), (740_000, 260_000)];
        let tallies = tallies.map(|(failures, successes)| Tally { failures, successes });
        for fit in fit_families(&tallies) {
            assert!(fit.log_evidence.is_finite());
            for parameter in fit.hyperparameters {
                assert!(parameter.interval.contains(parameter.estimate), "{parameter:?}");
            }
        }
    }
}
