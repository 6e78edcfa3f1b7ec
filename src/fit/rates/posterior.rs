//! The fit of error rates: families with their probabilities, and populations drawn from all that
//! is known of them.
//!
//! What follows from the fit is averaged over families and hyperparameters by equally likely
//! populations: stratified draws from the posterior on the grids. Fixed rates are no population
//! that servers are drawn from, and take no part in draws: those say what a new start brings,
//! given that it redraws.
//!
//! When not to use it: draws and servers' rates presume that starts redraw; compare
//! [`ErrorRateKind::Fixed`]'s probability first where there are several starts.

use std::sync::{Arc, OnceLock};

use crate::rates::families::{CREDIBILITY, FamilyFit, fit_all};
use crate::rates::population::{Population, Posteriors, Tally};
use crate::rates::prior::{CELLS, Cell, RATE_CELLS, RatePrior};
use flakelab_core::domain::{Purpose, Streams};
use flakelab_core::stats::{Interval, uniform_open};
use flakelab_sim::world::{ErrorFamily, ErrorRateKind};

/// Places draws within their cells.
const SEED: u64 = 0x5EED_0E44;

/// Draws behind servers' rates and the averaged population.
const DRAWS: usize = 512;

/// What the data say of the population of error rates.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorRateFit {
    /// The families, best evidence first.
    pub families: Vec<FamilyFit>,
    servers: OnceLock<Servers>,
}

/// Fits every family to the servers' tallies: for each start of the servers one tally a server, in
/// the same order of servers.
///
/// Empty tallies say nothing. Fixed rates are compared only where there are several starts: within
/// one, a fixed rate and one that was drawn are the same. `None` if no family has a finite
/// evidence, which counts below 2^53 cannot bring about.
pub fn fit_error_rates(starts: &[Vec<Tally>]) -> Option<ErrorRateFit> {
    let tried = starts.iter().filter(|start| start.iter().any(|tally| tally.attempts() > 0));
    match tried.count() {
        0 | 1 => {
            let redrawn =
                ErrorRateKind::ALL.into_iter().filter(|family| *family != ErrorRateKind::Fixed);
            fit_error_rates_among(starts, &redrawn.collect::<Vec<ErrorRateKind>>())
        }
        _ => fit_error_rates_among(starts, &ErrorRateKind::ALL),
    }
}

/// Fits these families only, as if there were no others. One that redraws must be among them.
pub fn fit_error_rates_among(
    starts: &[Vec<Tally>],
    families: &[ErrorRateKind],
) -> Option<ErrorRateFit> {
    let families = fit_all(starts, families);
    let redraws = families.iter().any(|fit| fit.family != ErrorRateKind::Fixed);
    redraws.then(|| ErrorRateFit { families, servers: OnceLock::new() })
}

impl ErrorRateFit {
    /// The fit of one family, if it was among those fitted.
    pub fn family(&self, family: ErrorRateKind) -> Option<&FamilyFit> {
        self.families.iter().find(|fit| fit.family == family)
    }

    /// The best family of those that redraw servers' rates at each start.
    pub fn best_redrawn(&self) -> Option<&FamilyFit> {
        self.families.iter().find(|fit| fit.family != ErrorRateKind::Fixed)
    }

    /// `n` equally likely populations from the posterior, averaged over the families that redraw;
    /// always the same ones.
    ///
    /// Stratified: draw k of n stands at the quantile (k + 1/2) / n of the posterior, families and
    /// grid cells in a fixed order in which neighbours are alike, and falls uniformly within its
    /// cell. They come in the order of van der Corput's sequence, so that the first few are
    /// spread as evenly as all.
    pub fn draws(&self, n: usize) -> Vec<ErrorFamily> {
        let mut rng = Streams::new(SEED).stream(Purpose::Analysis, 0, n as u64);
        let mut in_order = Vec::with_capacity(n);
        let redrawn: Vec<&FamilyFit> =
            [ErrorRateKind::Uniform, ErrorRateKind::Beta, ErrorRateKind::BetaMixture]
                .iter()
                .filter_map(|family| self.family(*family))
                .collect();
        let total: f64 = redrawn.iter().map(|fit| fit.probability).sum();
        let (mut below, mut next) = (0.0, 0);
        for (i, fit) in redrawn.iter().enumerate() {
            let share = fit.probability / total;
            let end = if i + 1 == redrawn.len() {
                n
            } else {
                ((below + share) * n as f64 + 0.5).clamp(next as f64, n as f64) as usize
            };
            let quantile = |k: usize| ((k as f64 + 0.5) / n as f64 - below) / share;
            in_order.extend(
                fit.joint.populations((next..end).map(quantile), || uniform_open(&mut rng)),
            );
            (below, next) = (below + share, end);
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|k| (*k as u64).reverse_bits());
        // order[rank] = k says that the k-th number of the sequence has this rank.
        let mut draws = in_order.clone();
        order.iter().zip(in_order).for_each(|(k, population)| draws[*k] = population);
        draws
    }

    /// The error rate of a server before it is seen, averaged over families and hyperparameters.
    pub fn prior(&self) -> RatePrior {
        let draws = self.draws(DRAWS);
        RatePrior::average(
            &draws.into_iter().map(|population| (population, 1.0)).collect::<Vec<_>>(),
        )
    }

    /// The error rate of a server with this tally, one of those that the fit saw: averaged over
    /// families and hyperparameters, given that servers are drawn anew at each start.
    pub fn server(&self, tally: Tally) -> ServerRate {
        self.servers.get_or_init(|| Servers::new(&self.draws(DRAWS))).rate(tally)
    }
}

// ---- One server's error rate after all the data: averaged over families and hyperparameters.
//
// The posterior of a rate p given all tallies D is the average over hyperparameters, by their
// posterior, of p's posterior at those hyperparameters, which needs the server's own tally only:
// p(p | D) = sum over draws of p(p | own tally, draw) / draws. Plugging in one estimate of the
// hyperparameters instead forgets that they are uncertain; its 95 % intervals cover 68 to 91 %
// (empirical Bayes; Morris, "Parametric empirical Bayes inference", JASA 78 (1983), 47-55).

/// With more attempts than this the posterior is too narrow for the grid of rates.
const MANY_ATTEMPTS: u64 = 10_000;

/// Interval ends this many cells from 0 or 1 are solved for exactly.
const END_CELLS: usize = 8;

/// Halvings of an interval within (0, 1), in the logarithm near 0.
const HALVINGS: u32 = 48;

/// Rates nearer to 0 than this are 0.
const LEAST_RATE: f64 = 1e-15;

/// What is known of one server's error rate.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerRate {
    /// Posterior mean: the chance that its next attempt fails.
    pub mean: f64,
    /// Equal-tailed 95 % interval.
    pub interval_95: Interval,
    /// Its attempts.
    pub tally: Tally,
    posteriors: Arc<Posteriors>,
}

impl ServerRate {
    /// The posterior probability that the rate is at most `rate`; exact for each draw.
    pub fn cdf(&self, rate: f64) -> f64 {
        self.posteriors.cdf(rate)
    }
}

/// Equally likely populations, and the mass of each in every cell of the grid of rates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Servers {
    populations: Vec<ErrorFamily>,
    /// One row a population.
    masses: Vec<f64>,
}

impl Servers {
    pub(crate) fn new(populations: &[ErrorFamily]) -> Self {
        let mut masses = Vec::with_capacity(populations.len() * CELLS);
        let mut cells = vec![Cell::default(); CELLS];
        for population in populations {
            cells.fill(Cell::default());
            RATE_CELLS.add(population, 1.0, &mut cells);
            masses.extend(cells.iter().map(|cell| cell.mass));
        }
        Self { populations: populations.to_vec(), masses }
    }

    pub(crate) fn rate(&self, tally: Tally) -> ServerRate {
        let tail = 0.5 * (1.0 - CREDIBILITY);
        let posteriors = Posteriors::new(&self.populations, tally);
        let solved = |u: f64| solve(u, |rate| posteriors.cdf(rate));
        let tails = [tail, 1.0 - tail];
        let (mean, ends) = match self.posterior(tally) {
            Some(cells) => {
                let mean = cells.iter().zip(&RATE_CELLS.rates).map(|(w, rate)| w * rate).sum();
                (mean, tails.map(|u| quantile(&cells, u).unwrap_or_else(|| solved(u))))
            }
            None => {
                let sum: f64 = self.populations.iter().map(|p| p.predictive_failure(tally)).sum();
                (sum / self.populations.len() as f64, tails.map(solved))
            }
        };
        let interval_95 = Interval { low: ends[0], high: ends[1] };
        ServerRate { mean, interval_95, tally, posteriors: Arc::new(posteriors) }
    }

    /// The probability of each cell; `None` where cells are too wide.
    fn posterior(&self, tally: Tally) -> Option<Vec<f64>> {
        if tally.attempts() > MANY_ATTEMPTS {
            return None;
        }
        let (f, s) = tally.as_floats();
        let logs: Vec<f64> = RATE_CELLS.logs.iter().map(|(p, q)| f * p + s * q).collect();
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let likelihood: Vec<f64> = logs.iter().map(|log| libm::exp(log - best)).collect();
        let mut sum = vec![0.0; CELLS];
        for row in self.masses.chunks_exact(CELLS) {
            let marginal = dot(row, &likelihood);
            // A population that cannot have made the tally on this grid: cells are too wide.
            if marginal < 1e-280 {
                return None;
            }
            let weight = 1.0 / (marginal * self.populations.len() as f64);
            sum.iter_mut().zip(row).for_each(|(sum, mass)| *sum += weight * mass);
        }
        sum.iter_mut().zip(&likelihood).for_each(|(sum, likelihood)| *sum *= likelihood);
        Some(sum)
    }
}

/// In eight interleaved sums, always the same, which the processor adds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// The u-quantile, linear within a cell; `None` in the end cells.
fn quantile(cells: &[f64], u: f64) -> Option<f64> {
    let mut below = 0.0;
    for (i, weight) in cells.iter().enumerate() {
        if below + weight >= u && *weight > 0.0 {
            let inside = (END_CELLS..CELLS - END_CELLS).contains(&i);
            let [low, high] = [RATE_CELLS.edges[i], RATE_CELLS.edges[i + 1]];
            return inside.then(|| low + (high - low) * ((u - below) / weight).clamp(0.0, 1.0));
        }
        below += weight;
    }
    None
}

/// Where an increasing function on (0, 1) reaches `u`: by halving, near the ends of their
/// logarithms.
fn solve(u: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let from_below = cdf(0.5) >= u;
    let rate = |x: f64| if from_below { libm::exp(x) } else { 1.0 - libm::exp(x) };
    // x = ln(rate) or ln(1 - rate), from the end towards the middle.
    let (mut end, mut middle) = (libm::log(LEAST_RATE), libm::log(0.5));
    for _ in 0..HALVINGS {
        let x = 0.5 * (end + middle);
        let towards_the_end = (cdf(rate(x)) >= u) == from_below;
        if towards_the_end {
            middle = x;
        } else {
            end = x;
        }
    }
    rate(0.5 * (end + middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies<const N: usize>(counts: [(u64, u64); N]) -> Vec<Tally> {
        counts.map(|(failures, successes)| Tally { failures, successes }).to_vec()
    }

    fn some_starts() -> Vec<Vec<Tally>> {
        let a = [(3, 9), (0, 4), (7, 2), (5, 5), (1, 20), (0, 0), (2, 9), (4, 1), (6, 6), (1, 1)];
        let b = [(1, 30), (2, 2), (9, 3), (4, 1), (1, 1), (3, 8), (0, 0), (2, 5), (0, 12), (5, 4)];
        vec![tallies(a), tallies(b)]
    }

    #[test]
    fn failures_of_one_server_have_the_evidence_of_the_mean_rate_and_of_the_mean_square() {
        // By symmetry all hyper-priors expect a mean error rate of 1/2. The square, uniform: the
        // mean of (a^2 + ab + b^2) / 3 over independent uniform a, b. Beta:
        // E[m^2 + m (1 - m) correlation] = 1/3 + 1/12; the same for the mixture, as either mean of
        // the ordered pair is uniform when the pair is taken in random order and the weight is
        // symmetric.
        let expected = [
            (ErrorRateKind::Uniform, (2.0 / 3.0 + 0.25) / 3.0),
            (ErrorRateKind::Beta, 5.0 / 12.0),
            (ErrorRateKind::BetaMixture, 5.0 / 12.0),
            (ErrorRateKind::Fixed, 1.0 / 3.0),
        ];
        let [one, two] = [1, 2].map(|failures| {
            fit_error_rates_among(&[tallies([(failures, 0)])], &ErrorRateKind::ALL).unwrap()
        });
        for (family, square) in expected {
            let [one, two] = [&one, &two].map(|fit| fit.family(family).unwrap());
            assert!((one.log_evidence - 0.5_f64.ln()).abs() < 0.002, "{one:?}");
            assert!((one.probability - 0.25).abs() < 0.001);
            assert!((two.log_evidence - f64::ln(square)).abs() < 0.003, "{two:?}");
        }
    }

    #[test]
    fn no_attempts_leave_the_hyper_prior() {
        let fit = fit_error_rates(&[vec![Tally::default()]]).unwrap();
        for family in &fit.families {
            assert!(family.log_evidence.abs() < 0.001, "{family:?}");
        }
        let uniform = fit.family(ErrorRateKind::Uniform).unwrap();
        let [low, high] = [0, 1].map(|i| &uniform.hyperparameters[i]);
        assert!(
            (low.estimate - 1.0 / 3.0).abs() < 0.001 && (high.estimate - 2.0 / 3.0).abs() < 0.001
        );
        // P(low <= x) = 1 - (1 - x)^2.
        assert!((low.interval.high - (1.0 - 0.025_f64.sqrt())).abs() < 0.005, "{low:?}");
        assert!((low.cdf(0.4) - 0.64).abs() < 0.003);
        let beta = fit.family(ErrorRateKind::Beta).unwrap();
        // Correlation 1 / (1 + concentration) uniform.
        assert!((beta.hyperparameters[1].cdf(3.0) - 0.75).abs() < 1e-9);
        let rate = fit.server(Tally::default());
        assert!((rate.mean - 0.5).abs() < 0.01, "{rate:?}");
    }

    #[test]
    fn servers_with_a_million_attempts_are_no_obstacle() {
        let starts =
            [tallies([(1_000, 999_000), (300_000, 700_000), (0, 100_000), (740_000, 260_000)])];
        let fit = fit_error_rates(&starts).unwrap();
        for family in &fit.families {
            assert!(family.log_evidence.is_finite());
            for parameter in &family.hyperparameters {
                assert!(parameter.interval.contains(parameter.estimate), "{parameter:?}");
            }
        }
        for tally in &starts[0] {
            let rate = fit.server(*tally);
            let raw = tally.failures as f64 / tally.attempts() as f64;
            let spread = (raw * (1.0 - raw) / tally.attempts() as f64).sqrt();
            assert!((rate.mean - raw).abs() < 0.2 * spread + 3e-5, "{rate:?}");
            assert!(rate.interval_95.width() < 4.2 * spread + 5e-5, "{rate:?}");
        }
    }

    #[test]
    fn rates_that_stay_at_their_ports_are_told_from_rates_drawn_anew() {
        let rates = [5, 30, 60, 12, 45, 70, 22, 9];
        let start = |shift: usize| -> Vec<Tally> {
            let rate = |i: usize| rates[(i + shift) % rates.len()];
            (0..8).map(|i| Tally { failures: rate(i), successes: 100 - rate(i) }).collect()
        };
        let same = fit_error_rates(&[start(0), start(0), start(0)]).unwrap();
        assert!(
            same.families[0].family == ErrorRateKind::Fixed && same.families[0].probability > 0.99
        );
        assert!((same.families[0].hyperparameters[1].estimate - 91.0 / 302.0).abs() < 1e-12);
        let anew = fit_error_rates(&[start(0), start(3), start(5)]).unwrap();
        assert!(anew.family(ErrorRateKind::Fixed).unwrap().probability < 0.01);
    }

    #[test]
    fn two_kinds_of_servers_are_found() {
        let kind = |rate: u64| Tally { failures: rate, successes: 60 - rate };
        let starts = [[3, 2, 40, 4, 41, 3, 39, 42, 2, 3].map(kind).to_vec()];
        let fit = fit_error_rates(&starts).unwrap();
        assert_eq!(fit.families[0].family, ErrorRateKind::BetaMixture);
        let of = |i: usize| fit.families[0].hyperparameters[i].estimate;
        assert!((of(0) - 0.06).abs() < 0.03 && (of(1) - 0.65).abs() < 0.08, "{} {}", of(0), of(1));
        assert!((of(2) - 0.42).abs() < 0.05, "{}", of(2));
    }

    #[test]
    fn draws_have_the_posteriors_moments_and_any_prefix_is_representative() {
        let fit = fit_error_rates_among(&some_starts(), &[ErrorRateKind::Beta]).unwrap();
        let [mean, _] = [0, 1].map(|i| fit.families[0].hyperparameters[i].estimate);
        let draws = fit.draws(256);
        assert_eq!(draws, fit.draws(256));
        for prefix in [16, 64, 100, 256] {
            let average =
                draws[..prefix].iter().map(ErrorFamily::mean).sum::<f64>() / prefix as f64;
            assert!((average - mean).abs() < 0.01, "{prefix}: {average} {mean}");
        }
        let all = fit_error_rates(&some_starts()).unwrap();
        let redrawn = 1.0 - all.family(ErrorRateKind::Fixed).unwrap().probability;
        for n in [1, 7, 256] {
            let draws = all.draws(n);
            assert_eq!(draws.len(), n);
            for family in [ErrorRateKind::Uniform, ErrorRateKind::Beta, ErrorRateKind::BetaMixture]
            {
                let count = draws.iter().filter(|d| d.kind() == family).count() as f64;
                let share = all.family(family).unwrap().probability / redrawn;
                assert!((count - share * n as f64).abs() <= 1.0, "{n} {family:?} {count} {share}");
            }
        }
        assert!(all.draws(0).is_empty());
    }

    #[test]
    fn a_servers_rate_is_the_average_over_draws_and_its_interval_its_quantiles() {
        let fit = fit_error_rates(&some_starts()).unwrap();
        let draws = fit.draws(DRAWS);
        for tally in [some_starts()[0][0], Tally { failures: 0, successes: 12 }, Tally::default()] {
            let rate = fit.server(tally);
            let mean = draws.iter().map(|d| d.predictive_failure(tally)).sum::<f64>() / 512.0;
            assert!((rate.mean - mean).abs() < 1e-4, "{rate:?} {mean}");
            for (end, u) in [(rate.interval_95.low, 0.025), (rate.interval_95.high, 0.975)] {
                assert!((rate.cdf(end) - u).abs() < 1e-3, "{tally:?} {end}: {}", rate.cdf(end));
            }
        }
    }
}
