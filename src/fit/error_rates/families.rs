//! Which population of error rates? Families compared by evidence, hyperparameters integrated.
//!
//! Every family has a proper hyper-prior without a scale to choose:
//! - uniform(low, high): (low, high) uniform on the triangle 0 <= low < high <= 1;
//! - beta(mean, concentration), concentration = alpha + beta: the mean and the correlation of two
//!   attempts at one server, 1 / (concentration + 1), independent and uniform on (0, 1);
//! - a mixture of two betas: (first mean, second mean) uniform on the triangle first < second, the
//!   weight of the second and the correlation, which both share, uniform on (0, 1);
//! - fixed: each port has one rate, the same at every start, uniform on (0, 1). With a single
//!   start this is the uniform family at low = 0, high = 1, and only the priors tell them apart.
//!
//! The evidence of a family is the likelihood of all tallies averaged over its hyper-prior; their
//! ratio is the Bayes factor (Kass and Raftery, "Bayes factors", JASA 90 (1995), 773-795). Point
//! estimates are posterior means, intervals equal-tailed and 95 %; plugging in a maximum instead
//! would make intervals too short.
//!
//! When not to use it: with fewer than about ten servers the hyper-prior speaks louder than the
//! data, and a Bayes factor below 3 chooses nothing.

use super::grid::{GridPosterior, Marginal};
use super::population::{Tally, log_beta_marginal};
use super::{beta, mixture, uniform};
use crate::stats::Interval;
use crate::stats::special::{inc_beta, inv_inc_beta};
use crate::world::{ErrorFamily, ErrorRateKind};

/// The probability that a credible interval holds its parameter.
pub const CREDIBILITY: f64 = 0.95;

/// A hyperparameter as the data leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameter {
    /// Its name: `low`, `high`; `mean`, `concentration`; `first_mean`, `second_mean`,
    /// `second_weight`, `concentration`; or `rate` of each port in order.
    pub name: &'static str,
    /// GridPosterior mean; of the concentration: that which belongs to the posterior mean of
    /// 1 / (concentration + 1), as its own mean need not exist.
    pub estimate: f64,
    /// Equal-tailed interval of probability [`CREDIBILITY`].
    pub interval: Interval,
    law: Law,
}

/// The posterior of one hyperparameter.
#[derive(Debug, Clone, PartialEq)]
enum Law {
    Grid(Marginal),
    /// Of 1 / (concentration + 1).
    Correlation(Marginal),
    Beta(f64, f64),
}

impl Hyperparameter {
    /// The posterior probability that it is at most `value`.
    #[must_use]
    pub fn cdf(&self, value: f64) -> f64 {
        match &self.law {
            Law::Grid(marginal) => marginal.cdf(value),
            Law::Correlation(marginal) => 1.0 - marginal.cdf(1.0 / (value.max(0.0) + 1.0)),
            Law::Beta(a, b) => inc_beta(*a, *b, value.clamp(0.0, 1.0)),
        }
    }

    fn direct(name: &'static str, marginal: Marginal) -> Self {
        let interval = marginal.interval(CREDIBILITY);
        Self { name, estimate: marginal.mean(), interval, law: Law::Grid(marginal) }
    }

    fn concentration(marginal: Marginal) -> Self {
        let Interval { low, high } = marginal.interval(CREDIBILITY);
        let [estimate, low, high] = [marginal.mean(), high, low].map(beta::concentration);
        let law = Law::Correlation(marginal);
        Self { name: "concentration", estimate, interval: Interval { low, high }, law }
    }

    fn rate(tally: Tally) -> Self {
        let (f, s) = tally.as_floats();
        let (a, b) = (f + 1.0, s + 1.0);
        let [low, high] =
            [0.5 * (1.0 - CREDIBILITY), 0.5 * (1.0 + CREDIBILITY)].map(|u| inv_inc_beta(a, b, u));
        let (estimate, interval) = (a / (a + b), Interval { low, high });
        Self { name: "rate", estimate, interval, law: Law::Beta(a, b) }
    }
}

/// One family of populations, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyFit {
    /// Which family.
    pub family: ErrorRateKind,
    /// The population at the estimates of the hyperparameters; of fixed rates: the flat prior of
    /// each, as the rates themselves are the hyperparameters.
    pub population: ErrorFamily,
    /// `ln` of the evidence: the likelihood averaged over the hyper-prior.
    pub log_evidence: f64,
    /// The family's posterior probability among all families fitted, each as likely before.
    pub probability: f64,
    /// Its hyperparameters; of fixed rates: one a port.
    pub hyperparameters: Vec<Hyperparameter>,
    pub(super) joint: Joint,
}

/// The posterior of all hyperparameters of a family together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Joint {
    Uniform(GridPosterior<2>),
    Beta(GridPosterior<2>),
    BetaMixture(GridPosterior<4>),
    Fixed,
}

impl Joint {
    /// The populations at these quantiles (increasing) of the posterior in a fixed order, placed
    /// within their cells by `share`; none for fixed rates.
    pub(super) fn populations(
        &self,
        quantiles: impl Iterator<Item = f64>,
        share: impl FnMut() -> f64,
    ) -> Vec<ErrorFamily> {
        match self {
            Self::Uniform(posterior) => {
                posterior.points(quantiles, share).into_iter().map(uniform_at).collect()
            }
            Self::Beta(posterior) => {
                posterior.points(quantiles, share).into_iter().map(beta_at).collect()
            }
            Self::BetaMixture(posterior) => {
                posterior.points(quantiles, share).into_iter().map(mixture_at).collect()
            }
            Self::Fixed => Vec::new(),
        }
    }
}

/// The population with these ends; a cell on the diagonal may give them in either order.
fn uniform_at([a, b]: [f64; 2]) -> ErrorFamily {
    let (low, high) = (a.min(b), a.max(b));
    ErrorFamily::Uniform { low, high: if high > low { high } else { low + f64::EPSILON } }
}

fn beta_at([mean, correlation]: [f64; 2]) -> ErrorFamily {
    let (alpha, beta) = beta::shapes(mean, beta::concentration(correlation));
    ErrorFamily::Beta { alpha, beta }
}

fn mixture_at([correlation, a, b, weight]: [f64; 4]) -> ErrorFamily {
    let concentration = beta::concentration(correlation);
    let (alpha, beta) = beta::shapes(a.min(b), concentration);
    let (second_alpha, second_beta) = beta::shapes(a.max(b), concentration);
    ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta }
}

/// Fits these families to the servers' tallies, one list a start; best evidence first.
pub(super) fn fit_all(starts: &[Vec<Tally>], families: &[ErrorRateKind]) -> Vec<FamilyFit> {
    let tallies = distinct(starts.iter().flatten().copied());
    let mut fits: Vec<FamilyFit> = families
        .iter()
        .filter_map(|family| match family {
            ErrorRateKind::Uniform => fit_uniform(&tallies),
            ErrorRateKind::Beta => fit_beta(&tallies),
            ErrorRateKind::BetaMixture => fit_mixture(&tallies),
            ErrorRateKind::Fixed => Some(fit_fixed(starts)),
        })
        .collect();
    fits.sort_by(|a, b| b.log_evidence.total_cmp(&a.log_evidence));
    let best = fits.first().map_or(0.0, |fit| fit.log_evidence);
    let total: f64 = fits.iter().map(|fit| libm::exp(fit.log_evidence - best)).sum();
    for fit in &mut fits {
        fit.probability = libm::exp(fit.log_evidence - best) / total;
    }
    fits
}

/// Each tally that is not empty, and how often it occurs.
fn distinct(tallies: impl Iterator<Item = Tally>) -> Vec<(Tally, f64)> {
    let mut sorted: Vec<Tally> = tallies.filter(|t| t.attempts() > 0).collect();
    sorted.sort_by_key(|t| (t.failures, t.successes));
    let mut distinct: Vec<(Tally, f64)> = Vec::with_capacity(sorted.len());
    for tally in sorted {
        match distinct.last_mut() {
            Some((last, times)) if *last == tally => *times += 1.0,
            _ => distinct.push((tally, 1.0)),
        }
    }
    distinct
}

impl FamilyFit {
    fn new(
        population: ErrorFamily,
        log_evidence: f64,
        hyperparameters: Vec<Hyperparameter>,
        joint: Joint,
    ) -> Self {
        let family = population.kind();
        Self { family, population, log_evidence, probability: 1.0, hyperparameters, joint }
    }
}

fn fit_uniform(tallies: &[(Tally, f64)]) -> Option<FamilyFit> {
    let posterior = uniform::posterior(tallies)?;
    let low = Hyperparameter::direct("low", posterior.marginal(0));
    let high = Hyperparameter::direct("high", posterior.marginal(1));
    let population = uniform_at([low.estimate, high.estimate]);
    let (evidence, joint) = (posterior.log_integral, Joint::Uniform(posterior));
    Some(FamilyFit::new(population, evidence, vec![low, high], joint))
}

fn fit_beta(tallies: &[(Tally, f64)]) -> Option<FamilyFit> {
    let posterior = beta::posterior(tallies)?;
    let mean = Hyperparameter::direct("mean", posterior.marginal(0));
    let correlation = posterior.marginal(1);
    let population = beta_at([mean.estimate, correlation.mean()]);
    let hyperparameters = vec![mean, Hyperparameter::concentration(correlation)];
    let (evidence, joint) = (posterior.log_integral, Joint::Beta(posterior));
    Some(FamilyFit::new(population, evidence, hyperparameters, joint))
}

fn fit_mixture(tallies: &[(Tally, f64)]) -> Option<FamilyFit> {
    let posterior = mixture::posterior(tallies)?;
    let correlation = posterior.marginal(0);
    let [first, second, weight] = [("first_mean", 1), ("second_mean", 2), ("second_weight", 3)]
        .map(|(name, d)| Hyperparameter::direct(name, posterior.marginal(d)));
    let means = [correlation.mean(), first.estimate, second.estimate, weight.estimate];
    let hyperparameters = vec![first, second, weight, Hyperparameter::concentration(correlation)];
    let (evidence, joint) = (posterior.log_integral, Joint::BetaMixture(posterior));
    Some(FamilyFit::new(mixture_at(means), evidence, hyperparameters, joint))
}

fn fit_fixed(starts: &[Vec<Tally>]) -> FamilyFit {
    let ports = starts.iter().map(Vec::len).max().unwrap_or(0);
    let mut pooled = vec![Tally::default(); ports];
    for start in starts {
        pooled.iter_mut().zip(start).for_each(|(sum, tally)| sum.add(*tally));
    }
    FamilyFit {
        family: ErrorRateKind::Fixed,
        population: ErrorFamily::FLAT,
        log_evidence: pooled.iter().map(|tally| log_beta_marginal(1.0, 1.0, *tally)).sum(),
        probability: 1.0,
        hyperparameters: pooled.into_iter().map(Hyperparameter::rate).collect(),
        joint: Joint::Fixed,
    }
}
