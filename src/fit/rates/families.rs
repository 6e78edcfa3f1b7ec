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

use std::collections::BTreeMap;

use crate::rates::grid::{Axis, GridPosterior, Marginal, integrate, share_above_diagonal};
use crate::rates::population::{Tail, Tally, TruncatedBeta, log_beta_marginal};
use flakelab_core::stats::{Interval, inc_beta, inv_inc_beta, ln_gamma};
use flakelab_sim::world::{ErrorFamily, ErrorRateKind};

/// The probability that a credible interval holds its parameter.
pub const CREDIBILITY: f64 = 0.95;

/// A hyperparameter as the data leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameter {
    /// Its name: `low`, `high`; `mean`, `concentration`; `first_mean`, `second_mean`,
    /// `second_weight`, `concentration`; or `rate` of each port in order.
    pub name: &'static str,
    /// Posterior mean; of the concentration: that which belongs to the posterior mean of
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
        let [estimate, low, high] = [marginal.mean(), high, low].map(concentration);
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
    pub(crate) joint: Joint,
}

/// The posterior of all hyperparameters of a family together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Joint {
    Uniform(GridPosterior<2>),
    Beta(GridPosterior<2>),
    BetaMixture(GridPosterior<4>),
    Fixed,
}

impl Joint {
    /// The populations at these quantiles (increasing) of the posterior in a fixed order, placed
    /// within their cells by `share`; none for fixed rates.
    pub(crate) fn populations(
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
    let (alpha, beta) = shapes(mean, concentration(correlation));
    ErrorFamily::Beta { alpha, beta }
}

fn mixture_at([correlation, a, b, weight]: [f64; 4]) -> ErrorFamily {
    let concentration = concentration(correlation);
    let (alpha, beta) = shapes(a.min(b), concentration);
    let (second_alpha, second_beta) = shapes(a.max(b), concentration);
    ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta }
}

/// Fits these families to the servers' tallies, one list a start; best evidence first.
pub(crate) fn fit_all(starts: &[Vec<Tally>], families: &[ErrorRateKind]) -> Vec<FamilyFit> {
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
    let tried = tallies.filter(|t| t.attempts() > 0);
    let keys = tried.map(|t| ((t.failures, t.successes), 1.0));
    let tally = |((failures, successes), times)| (Tally { failures, successes }, times);
    counted(keys).into_iter().map(tally).collect()
}

/// Each key and how often it occurs, in order.
fn counted<K: Ord + Copy>(all: impl Iterator<Item = (K, f64)>) -> Vec<(K, f64)> {
    let mut counts = BTreeMap::new();
    all.for_each(|(key, times)| *counts.entry(key).or_insert(0.0) += times);
    counts.into_iter().collect()
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
    let posterior = uniform_posterior(tallies)?;
    let low = Hyperparameter::direct("low", posterior.marginal(0));
    let high = Hyperparameter::direct("high", posterior.marginal(1));
    let population = uniform_at([low.estimate, high.estimate]);
    let (evidence, joint) = (posterior.log_integral, Joint::Uniform(posterior));
    Some(FamilyFit::new(population, evidence, vec![low, high], joint))
}

fn fit_beta(tallies: &[(Tally, f64)]) -> Option<FamilyFit> {
    let posterior = beta_posterior(tallies)?;
    let mean = Hyperparameter::direct("mean", posterior.marginal(0));
    let correlation = posterior.marginal(1);
    let population = beta_at([mean.estimate, correlation.mean()]);
    let hyperparameters = vec![mean, Hyperparameter::concentration(correlation)];
    let (evidence, joint) = (posterior.log_integral, Joint::Beta(posterior));
    Some(FamilyFit::new(population, evidence, hyperparameters, joint))
}

fn fit_mixture(tallies: &[(Tally, f64)]) -> Option<FamilyFit> {
    let posterior = mixture_posterior(tallies)?;
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

// ---- The evidence of the beta family: mean and correlation independent and uniform on (0, 1).
//
// The correlation is that of two attempts at one server, 1 / (concentration + 1), where
// concentration = alpha + beta. The likelihood of all tallies is a product of three functions of
// one variable each, of alpha, beta and alpha + beta; they are tabulated in the logarithm of that
// variable and interpolated by cubics, so that the cost of a cell does not grow with the data.

/// Cells along each axis.
const CELLS: usize = 64;

/// Cells below the best one by more than this may be cut off.
const NEGLIGIBLE: f64 = 25.0;

/// Distance of the nodes in `ln x`: the error is below 1e-6 (1 + x) for ten servers.
const STEP: f64 = 1.0 / 32.0;

/// alpha + beta, from the correlation of two attempts at one server.
fn concentration(correlation: f64) -> f64 {
    1.0 / correlation - 1.0
}

/// alpha and beta.
fn shapes(mean: f64, concentration: f64) -> (f64, f64) {
    (mean * concentration, (1.0 - mean) * concentration)
}

/// The posterior of (mean, correlation), given tallies and how often each occurs.
fn beta_posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<2>> {
    let counts = |of: fn(&Tally) -> u64| counts(tallies.iter().map(|(t, times)| (of(t), *times)));
    let failures = counts(|t| t.failures);
    let successes = counts(|t| t.successes);
    let attempts = counts(|t| t.attempts());
    integrate([Axis::unit(CELLS); 2], NEGLIGIBLE, |[mean, correlation]| {
        let (means, correlations) = (mean.midpoints(), correlation.midpoints());
        let (greatest, least) =
            (concentration(correlations[0]), concentration(correlations[CELLS - 1]));
        let of_alpha = Rising::new(&failures, means[0] * least, means[CELLS - 1] * greatest);
        let rest = |mean: f64| 1.0 - mean;
        let of_beta =
            Rising::new(&successes, rest(means[CELLS - 1]) * least, rest(means[0]) * greatest);
        let of_both = Rising::new(&attempts, least, greatest);
        let columns: Vec<(f64, f64)> = correlations
            .iter()
            .map(|correlation| {
                let concentration = concentration(*correlation);
                (libm::log(concentration), of_both.at(libm::log(concentration)))
            })
            .collect();
        let row = |mean: &f64| {
            let (of_mean, of_rest) = (libm::log(*mean), libm::log1p(-mean));
            let (of_alpha, of_beta) = (&of_alpha, &of_beta);
            columns.iter().map(move |(log_concentration, both)| {
                of_alpha.at(log_concentration + of_mean) + of_beta.at(log_concentration + of_rest)
                    - both
            })
        };
        means.iter().flat_map(row).collect()
    })
}

/// How often each count above 0 occurs, in order.
fn counts(all: impl Iterator<Item = (u64, f64)>) -> Vec<(f64, f64)> {
    let positive = all.filter(|(n, _)| *n > 0);
    counted(positive).into_iter().map(|(n, times)| (n as f64, times)).collect()
}

/// Sum over counts n of `ln Gamma(x + n) - ln Gamma(x)`, as a function of `ln x`.
struct Rising {
    /// `ln x` of the first node.
    start: f64,
    values: Vec<f64>,
}

impl Rising {
    /// For x between two ends.
    fn new(counts: &[(f64, f64)], from: f64, to: f64) -> Self {
        // A node more on either side, for the cubic.
        let start = libm::log(from) - STEP;
        let nodes = ((libm::log(to) - start) / STEP) as usize + 3;
        let servers: f64 = counts.iter().map(|(_, times)| times).sum();
        let value = |i: usize| {
            let x = libm::exp(start + i as f64 * STEP);
            counts.iter().map(|(n, times)| times * ln_gamma(x + n)).sum::<f64>()
                - servers * ln_gamma(x)
        };
        Self { start, values: (0..nodes).map(value).collect() }
    }

    /// By the cubic through the four nearest nodes (Lagrange).
    fn at(&self, log_x: f64) -> f64 {
        let position = (log_x - self.start) / STEP;
        let node = (position as usize).clamp(1, self.values.len() - 3);
        let t = position - node as f64;
        let [before, first, second, after] = [0, 1, 2, 3].map(|i| self.values[node - 1 + i]);
        let (down, up, far) = (t + 1.0, t - 1.0, t - 2.0);
        0.5 * (down * up * far * first - down * t * far * second)
            + (down * t * up * after - t * up * far * before) / 6.0
    }
}

// ---- The evidence of a mixture of two betas: each server is of the first or the second kind.
//
// Hyper-prior: the correlation 1 / (concentration + 1) that both components share uniform on
// (0, 1); the means uniform on the triangle first < second; the weight of the second uniform on
// (0, 1). For each concentration the likelihood of each server is tabulated over means; a cell
// of the four-dimensional grid is then one product over servers.

/// Cells along the axes of the correlation, of either mean, and of the weight.
const CORRELATIONS: usize = 16;
const MEANS: usize = 24;
const WEIGHTS: usize = 12;

/// Cells below the best one by more than this may be cut off.
const MIXTURE_NEGLIGIBLE: f64 = 14.0;

/// The least likelihood of one server, as a share of its greatest over the means: below it a cell
/// is hopeless, and products of four stay floats.
const FLOOR: f64 = 1e-70;

/// The posterior of (correlation, first mean, second mean, weight of the second), given tallies
/// and how often each occurs.
fn mixture_posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<4>> {
    let axes =
        [Axis::unit(CORRELATIONS), Axis::unit(MEANS), Axis::unit(MEANS), Axis::unit(WEIGHTS)];
    integrate(axes, MIXTURE_NEGLIGIBLE, |[correlation, first, second, weight]| {
        let (firsts, seconds) = (first.midpoints(), second.midpoints());
        let weights = weight.midpoints();
        let sides = (first.cell(), second.cell());
        let mut values = Vec::with_capacity(CORRELATIONS * MEANS * MEANS * WEIGHTS);
        for correlation in correlation.midpoints() {
            let table = Table::new(tallies, concentration(correlation), &firsts, &seconds);
            for (i, first) in firsts.iter().enumerate() {
                for (j, second) in seconds.iter().enumerate() {
                    let share = share_above_diagonal(*first, *second, sides);
                    if share > 0.0 {
                        // The prior density on the triangle is 2.
                        let log_prior = libm::log(2.0 * share) + table.log_scale;
                        let sums = table.log_likelihoods(i, j, &weights);
                        values.extend(sums.map(|log_likelihood| log_prior + log_likelihood));
                    } else {
                        values.extend([f64::NEG_INFINITY; WEIGHTS]);
                    }
                }
            }
        }
        values
    })
}

/// The likelihood of each server at each mean, for one concentration.
struct Table {
    /// `ln` of what all likelihoods were divided by.
    log_scale: f64,
    /// For each mean of the first component, one value a server.
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    times: Vec<f64>,
}

impl Table {
    fn new(tallies: &[(Tally, f64)], concentration: f64, firsts: &[f64], seconds: &[f64]) -> Self {
        let at = |mean: &f64| {
            let (alpha, beta) = shapes(*mean, concentration);
            tallies.iter().map(|(t, _)| log_beta_marginal(alpha, beta, *t)).collect::<Vec<f64>>()
        };
        let mut first: Vec<Vec<f64>> = firsts.iter().map(at).collect();
        let mut second: Vec<Vec<f64>> = seconds.iter().map(at).collect();
        let mut log_scale = 0.0;
        for (server, (_, times)) in tallies.iter().enumerate() {
            let all = first.iter().chain(&second).map(|of_mean| of_mean[server]);
            let best = all.fold(f64::NEG_INFINITY, f64::max);
            log_scale += times * best;
            for of_mean in first.iter_mut().chain(&mut second) {
                of_mean[server] = libm::exp(of_mean[server] - best);
            }
        }
        Self { log_scale, first, second, times: tallies.iter().map(|(_, times)| *times).collect() }
    }

    /// `ln` of the scaled likelihood of all servers, for each weight.
    fn log_likelihoods(&self, i: usize, j: usize, weights: &[f64]) -> [f64; WEIGHTS] {
        let (mut sums, mut products) = ([0.0; WEIGHTS], [1.0; WEIGHTS]);
        let servers = self.first[i].iter().zip(&self.second[j]).zip(&self.times);
        for (server, ((a, b), times)) in servers.enumerate() {
            for ((product, sum), weight) in products.iter_mut().zip(&mut sums).zip(weights) {
                let likelihood = (a + weight * (b - a)).max(FLOOR);
                if *times == 1.0 {
                    *product *= likelihood;
                } else {
                    *sum += times * libm::log(likelihood);
                }
            }
            if server % 4 == 3 {
                for (product, sum) in products.iter_mut().zip(&mut sums) {
                    *sum += libm::log(*product);
                    *product = 1.0;
                }
            }
        }
        products.iter().zip(&mut sums).for_each(|(product, sum)| *sum += libm::log(*product));
        sums
    }
}

// ---- The evidence of the uniform family: (low, high) uniform on the triangle 0 <= low < high <= 1.
//
// A cell of the grid that the diagonal cuts counts by its share above it; where its middle lies
// below, the population is taken as the one rate that low and high approach.

/// The posterior of (low, high), given tallies and how often each occurs.
fn uniform_posterior(tallies: &[(Tally, f64)]) -> Option<GridPosterior<2>> {
    let servers: Vec<(TruncatedBeta, f64)> =
        tallies.iter().map(|(tally, times)| (TruncatedBeta::new(*tally), *times)).collect();
    let count: f64 = tallies.iter().map(|(_, times)| times).sum();
    integrate([Axis::unit(CELLS); 2], NEGLIGIBLE, |[low, high]| {
        let (lows, highs) = (low.midpoints(), high.midpoints());
        let sides = (low.cell(), high.cell());
        let pair = |i: usize| (lows[i / CELLS], highs[i % CELLS]);
        let mut sum: Vec<f64> = (0..CELLS * CELLS)
            .map(|i| {
                let (low, high) = pair(i);
                // The prior density on the triangle is 2; 1 / (high - low) once a server.
                let prior = libm::log(2.0 * share_above_diagonal(low, high, sides));
                if low < high { prior - count * libm::log(high - low) } else { prior }
            })
            .collect();
        for (server, times) in &servers {
            let tails = |rates: &[f64]| -> Vec<Tail> {
                rates.iter().map(|rate| server.tail(*rate)).collect()
            };
            let (at_low, at_high) = (tails(&lows), tails(&highs));
            for (i, total) in sum.iter_mut().enumerate().filter(|(_, v)| v.is_finite()) {
                let (low, high) = pair(i);
                *total += times
                    * if low < high {
                        server.log_integral(at_low[i / CELLS], at_high[i % CELLS])
                    } else {
                        server.log_likelihood(0.5 * (low + high))
                    };
            }
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::population::Population;
    use crate::synthetic::tally;

    #[test]
    fn the_interpolated_likelihood_is_the_exact_one() {
        let tallies = [(3, 7), (0, 40), (400, 100), (1, 0), (60_000, 20_000)];
        let tallies = tallies.map(|(f, s)| (tally(f, s), 2.0));
        let of = |count: fn(&Tally) -> u64| counts(tallies.iter().map(|(t, k)| (count(t), *k)));
        let tables = [of(|t| t.failures), of(|t| t.successes), of(|t| t.attempts())]
            .map(|counts| Rising::new(&counts, 1e-4, 1e4));
        for (alpha, beta) in [(0.001, 0.3), (0.7, 0.2), (2.1, 5.3), (40.0, 70.7), (1e3, 7.7e3)] {
            let [a, b, both] = [alpha, beta, alpha + beta].map(f64::ln);
            let got = tables[0].at(a) + tables[1].at(b) - tables[2].at(both);
            let exact: f64 =
                tallies.iter().map(|(t, times)| times * log_beta_marginal(alpha, beta, *t)).sum();
            let bound = 1e-6 * (1.0 + alpha + beta);
            assert!((got - exact).abs() < bound, "{alpha} {beta}: {got} {exact}");
        }
    }

    #[test]
    fn the_tabulated_likelihood_is_that_of_the_population() {
        let tallies = [(3, 7), (0, 40), (400, 100), (1, 0), (2, 2), (9, 1), (30, 4)];
        let tallies = tallies.map(|(f, s)| (tally(f, s), 1.0));
        let (firsts, seconds) = ([0.1, 0.3], [0.4, 0.8]);
        let weights: Vec<f64> = Axis::unit(WEIGHTS).midpoints();
        let table = Table::new(&tallies, 6.0, &firsts, &seconds);
        let got = table.log_likelihoods(1, 0, &weights);
        let (alpha, beta) = shapes(0.3, 6.0);
        let (second_alpha, second_beta) = shapes(0.4, 6.0);
        for (weight, got) in weights.into_iter().zip(got) {
            let population =
                ErrorFamily::BetaMixture { weight, alpha, beta, second_alpha, second_beta };
            let exact: f64 = tallies.iter().map(|(t, _)| population.log_marginal(*t)).sum();
            assert!((got + table.log_scale - exact).abs() < 1e-9, "{weight}: {got} {exact}");
        }
    }
}
