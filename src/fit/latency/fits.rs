//! How long attempts take: a lognormal, or a lognormal body with a lognormal tail.
//!
//! ln latency is normal, or a mixture of two normals fitted by EM (Dempster, Laird and Rubin,
//! JRSS B 39 (1977), 1-38) from several fixed starting points. The family is chosen by BIC
//! (Schwarz, Ann. Statist. 6 (1978), 461-464), and so is whether failures have a latency of their
//! own. How well the family fits is measured by the Kolmogorov-Smirnov distance against draws
//! from the fit that are fitted again (parametric bootstrap: tables would be wrong, because the
//! parameters come from the same data).
//!
//! When not to use it: latencies that change over time, or with load. The p-value knows nothing
//! of the choice between families, and calls the fit slightly better than it is.

use rayon::prelude::*;

use crate::domain::{Purpose, Streams};
use crate::stats::goodness::ks_statistic;
use crate::stats::{Moments, sample};
use crate::world::{Latency, LatencyFamily, LogNormal};

use super::mixture::{Mixture, Normal};

/// Draws of the parametric bootstrap; the smallest possible p-value is 1 / (draws + 1).
pub const BOOTSTRAP_DRAWS: u64 = 199;
/// Fewer attempts than this do not show a tail: only the lognormal is fitted.
const LEAST_FOR_MIXTURE: usize = 30;
/// A clock that shows 0 ms means less than this, in milliseconds.
const CLOCK_RESOLUTION_MS: f64 = 1e-3;
/// Seed of the bootstrap, a constant: a fit is a function of its traces.
const SEED: u64 = 0x1a7e;

/// A family of latencies fitted to some attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyFit {
    /// The distribution chosen.
    pub family: LatencyFamily,
    /// How many attempts it was fitted to.
    pub attempts: usize,
    /// BIC of the lognormal, on ln latency; smaller is better. Infinite when all are alike.
    pub bic_lognormal: f64,
    /// BIC of the lognormal mixture; `None` with too few attempts for one.
    pub bic_mixture: Option<f64>,
    /// Kolmogorov-Smirnov distance between the attempts and the fit, 0 to 1.
    pub ks_distance: f64,
    /// Its p-value by parametric bootstrap, at least 1 / ([`BOOTSTRAP_DRAWS`] + 1).
    pub ks_p_value: f64,
}

/// Latencies of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyFits {
    /// Successes, or all attempts if `failure` is absent.
    pub success: LatencyFit,
    /// Failures, where BIC says that they differ.
    pub failure: Option<LatencyFit>,
    /// BIC of one distribution for all attempts; infinite when all are alike.
    pub bic_together: f64,
    /// BIC of two distributions; `None` when there are no successes or no failures.
    pub bic_apart: Option<f64>,
    /// Median latency of attempts taken for refusals, in milliseconds, if there are some.
    pub rate_limited_ms: Option<f64>,
    /// Median latency of first attempts, in milliseconds; refusals are left out.
    pub first_median_ms: Option<f64>,
    /// Median latency of further attempts at the same request. Models know no such difference.
    pub retry_median_ms: Option<f64>,
}

impl LatencyFits {
    /// The same as the `[latency]` table of a model.
    #[must_use]
    pub fn to_latency(&self) -> Latency {
        Latency {
            success: self.success.family,
            failure: self.failure.as_ref().map(|fit| fit.family),
            rate_limited_ms: self.rate_limited_ms,
        }
    }
}

/// What a sample of ln latencies is fitted by, with the log likelihood.
#[derive(Debug, Clone, Copy)]
enum Candidate {
    /// All values alike.
    Constant(f64),
    One(Normal),
    Two(Mixture),
}

/// Fits latencies in milliseconds of successes and failures.
///
/// `stream` tells configs apart in the bootstrap. Without any attempt there is no fit.
pub(in crate::fit) fn fit_latencies(
    success_ms: &[f64],
    failure_ms: &[f64],
    stream: u16,
) -> Option<LatencyFits> {
    let all: Vec<f64> = success_ms.iter().chain(failure_ms).copied().collect();
    let log_n = libm::log(all.len() as f64);
    let together = Fitting::new(&all, log_n)?;
    let apart = Fitting::new(success_ms, log_n).zip(Fitting::new(failure_ms, log_n));
    let bic_together = together.bic();
    let bic_apart = apart.as_ref().map(|(s, f)| s.bic() + f.bic());
    let split = apart.filter(|(s, f)| s.bic() + f.bic() < bic_together);
    let (success, failure) = match split {
        Some((s, f)) => (s.judged(2 * stream), Some(f.judged(2 * stream + 1))),
        None => (together.judged(2 * stream), None),
    };
    Some(LatencyFits {
        success,
        failure,
        bic_together,
        bic_apart,
        rate_limited_ms: None,
        first_median_ms: None,
        retry_median_ms: None,
    })
}

/// A sample on its way to a fit.
struct Fitting {
    log_ms: Vec<f64>,
    chosen: Candidate,
    bic_lognormal: f64,
    bic_mixture: Option<f64>,
}

impl Fitting {
    /// `log_n` is that of the whole config, so that BICs of its parts can be added.
    fn new(ms: &[f64], log_n: f64) -> Option<Self> {
        let mut log_ms: Vec<f64> =
            ms.iter().map(|ms| libm::log(ms.max(CLOCK_RESOLUTION_MS))).collect();
        log_ms.sort_by(f64::total_cmp);
        let (first, last) = (*log_ms.first()?, *log_ms.last()?);
        if first == last {
            let chosen = Candidate::Constant(first);
            return Some(Self { log_ms, chosen, bic_lognormal: f64::INFINITY, bic_mixture: None });
        }
        let one = Normal::fit(&log_ms);
        let bic_lognormal = 2.0 * log_n - 2.0 * one.log_likelihood(&log_ms);
        let two = if log_ms.len() < LEAST_FOR_MIXTURE { None } else { Mixture::fit(&log_ms) };
        let bic_mixture = two.map(|two| 5.0 * log_n - 2.0 * two.log_likelihood(&log_ms));
        let chosen = match (two, bic_mixture) {
            (Some(two), Some(bic)) if bic < bic_lognormal => Candidate::Two(two),
            _ => Candidate::One(one),
        };
        Some(Self { log_ms, chosen, bic_lognormal, bic_mixture })
    }

    /// Of the family chosen; infinite for a constant, which no density can be compared with.
    fn bic(&self) -> f64 {
        match self.chosen {
            Candidate::Constant(_) => f64::INFINITY,
            Candidate::One(_) => self.bic_lognormal,
            Candidate::Two(_) => self.bic_mixture.unwrap_or(f64::INFINITY),
        }
    }

    /// The fit with its goodness.
    fn judged(self, stream: u16) -> LatencyFit {
        let n = self.log_ms.len();
        let observed = self.chosen.distance(&self.log_ms);
        let streams = Streams::new(SEED);
        let as_far: Vec<bool> = (0..BOOTSTRAP_DRAWS)
            .into_par_iter()
            .map(|draw| {
                let mut rng = streams.stream(Purpose::Analysis, stream, draw);
                let mut log_ms: Vec<f64> = (0..n).map(|_| self.chosen.draw(&mut rng)).collect();
                log_ms.sort_by(f64::total_cmp);
                self.chosen.refitted(&log_ms).distance(&log_ms) >= observed
            })
            .collect();
        let as_far = as_far.iter().filter(|far| **far).count();
        LatencyFit {
            family: self.chosen.family(),
            attempts: n,
            bic_lognormal: self.bic_lognormal,
            bic_mixture: self.bic_mixture,
            ks_distance: observed,
            ks_p_value: (as_far + 1) as f64 / (BOOTSTRAP_DRAWS + 1) as f64,
        }
    }
}

impl Candidate {
    fn draw(&self, rng: &mut impl rand::Rng) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::One(one) => one.mean + one.sd * sample::standard_normal(rng),
            Self::Two(two) => {
                let part = if sample::uniform01(rng) < two.weight { &two.tail } else { &two.body };
                part.mean + part.sd * sample::standard_normal(rng)
            }
        }
    }

    /// The same family fitted to other values, starting from here.
    fn refitted(&self, log_ms: &[f64]) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(*value),
            Self::One(_) => Self::One(Normal::fit(log_ms)),
            Self::Two(two) => Self::Two(two.refined(log_ms).unwrap_or(*two)),
        }
    }

    /// Kolmogorov's distance from ascending values.
    fn distance(&self, sorted: &[f64]) -> f64 {
        let u: Vec<f64> = match self {
            Self::Constant(_) => return 0.0,
            Self::One(one) => sorted.iter().map(|x| one.cdf(*x)).collect(),
            Self::Two(two) => sorted.iter().map(|x| two.cdf(*x)).collect(),
        };
        ks_statistic(&u)
    }

    fn family(&self) -> LatencyFamily {
        match *self {
            Self::Constant(value) => LatencyFamily::Constant { ms: from_log(value) },
            Self::One(one) => LatencyFamily::LogNormal(log_normal(one)),
            Self::Two(two) => LatencyFamily::LogNormalMixture {
                body: log_normal(two.body),
                tail_weight: two.weight,
                tail: log_normal(two.tail),
            },
        }
    }
}

/// The latency in milliseconds; rounding does not make it shorter than a clock can tell.
fn from_log(ln_ms: f64) -> f64 {
    libm::exp(ln_ms).max(CLOCK_RESOLUTION_MS)
}

/// What a normal ln latency is as a latency.
fn log_normal(normal: Normal) -> LogNormal {
    LogNormal { median_ms: from_log(normal.mean), sigma: normal.sd }
}

/// Mean and standard deviation of some values.
pub(super) fn moments(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    values.iter().for_each(|value| moments.push(*value));
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(family: LatencyFamily, n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Streams::new(seed).stream(Purpose::World, 0, 0);
        (0..n).map(|_| family.draw(&mut rng).as_millis_f64()).collect()
    }

    const BODY: LatencyFamily = LatencyFamily::LogNormal(LogNormal { median_ms: 1.1, sigma: 0.3 });
    const TAILED: LatencyFamily = LatencyFamily::LogNormalMixture {
        body: LogNormal { median_ms: 1.1, sigma: 0.2 },
        tail_weight: 0.1,
        tail: LogNormal { median_ms: 4.0, sigma: 0.8 },
    };

    #[test]
    fn finds_a_lognormal_and_does_not_invent_a_tail() {
        let fit = fit_latencies(&draws(BODY, 900, 1), &draws(BODY, 300, 2), 0).unwrap();
        let LatencyFamily::LogNormal(LogNormal { median_ms, sigma }) = fit.success.family else {
            panic!("{fit:?}")
        };
        // Four standard errors: sigma / sqrt n and sigma / sqrt 2n.
        assert!((median_ms.ln() - 1.1_f64.ln()).abs() < 4.0 * 0.3 / 1200_f64.sqrt());
        assert!((sigma - 0.3).abs() < 4.0 * 0.3 / 2400_f64.sqrt());
        assert_eq!((fit.failure, fit.success.attempts), (None, 1200));
        assert!(fit.success.ks_p_value > 1e-2);
    }

    #[test]
    fn finds_a_body_and_a_tail() {
        let fit = fit_latencies(&draws(TAILED, 3000, 3), &[], 0).unwrap();
        let LatencyFamily::LogNormalMixture { body, tail_weight, tail } = fit.success.family else {
            panic!("{fit:?}")
        };
        assert!((body.median_ms - 1.1).abs() < 0.03 && (body.sigma - 0.2).abs() < 0.02, "{fit:?}");
        assert!((tail_weight - 0.1).abs() < 0.03 && (tail.sigma - 0.8).abs() < 0.2, "{fit:?}");
        assert!((tail.median_ms - 4.0).abs() < 1.0 && fit.bic_apart.is_none(), "{fit:?}");
        assert!(fit.success.ks_p_value > 1e-2);
    }

    #[test]
    fn failures_that_take_twice_as_long_get_a_latency_of_their_own() {
        let slow = LatencyFamily::LogNormal(LogNormal { median_ms: 2.2, sigma: 0.3 });
        let fit = fit_latencies(&draws(BODY, 500, 4), &draws(slow, 200, 5), 0).unwrap();
        assert!((fit.failure.unwrap().family.median_ms() - 2.2).abs() < 0.2);
    }

    #[test]
    fn the_bootstrap_notices_what_no_mixture_of_two_lognormals_can_be() {
        // A clock of whole milliseconds.
        let ms: Vec<f64> = draws(TAILED, 1000, 6).iter().map(|ms| ms.ceil()).collect();
        assert!(fit_latencies(&ms, &[], 0).unwrap().success.ks_p_value < 0.01);
    }

    #[test]
    fn few_equal_and_zero_latencies_are_no_obstacle() {
        assert!(fit_latencies(&[], &[], 0).is_none());
        let one = fit_latencies(&[1.5], &[], 0).unwrap();
        assert!((one.success.family.median_ms() - 1.5).abs() < 1e-12);
        let same = fit_latencies(&[2.0; 50], &[2.0; 9], 0).unwrap();
        assert_eq!((same.failure, same.success.ks_distance), (None, 0.0));
        for (success, failure) in [(vec![0.0; 40], vec![1.0; 40]), (vec![1.0, 2.0], vec![3.0])] {
            let fit = fit_latencies(&success, &failure, 0).unwrap();
            assert!(fit.to_latency().validate().is_ok(), "{fit:?}");
        }
    }
}
