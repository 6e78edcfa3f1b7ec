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

use flakelab_core::stats::{IncBeta, inc_beta, inv_inc_beta, ln_beta, ln_gamma, log_sum_exp};
use flakelab_sim::world::ErrorFamily;

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

impl Tally {
    /// All attempts.
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

    pub(crate) fn as_floats(self) -> (f64, f64) {
        (self.failures as f64, self.successes as f64)
    }
}

/// What a family of error rates says of one server's successes and failures. Of fixed rates it
/// says nothing: a server is then no draw from a population, and its rate as likely as any other.
pub trait Population {
    /// `ln` of the likelihood p^f (1-p)^s averaged over the population.
    fn log_marginal(&self, tally: Tally) -> f64;

    /// The chance that the next attempt of a server with this tally fails.
    fn predictive_failure(&self, tally: Tally) -> f64;

    /// The probability that a server with this tally has an error rate of at most `rate`.
    fn posterior_cdf(&self, tally: Tally, rate: f64) -> f64;

    /// The `u`-quantile of a server's error rate given its tally, for u in \[0, 1\].
    fn posterior_quantile(&self, tally: Tally, u: f64) -> f64;

    /// Of a mixture the probability of the second component given a tally; else one half.
    fn second_share(&self, tally: Tally) -> f64;
}

impl Population for ErrorFamily {
    fn log_marginal(&self, tally: Tally) -> f64 {
        if tally.attempts() == 0 {
            return 0.0;
        }
        match *self {
            Self::Uniform { low, high } if low == high => {
                // All rates are the same; 0 ln 0 = 0.
                let term = |n: u64, p: f64| if n == 0 { 0.0 } else { n as f64 * libm::log(p) };
                term(tally.failures, low) + term(tally.successes, 1.0 - low)
            }
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
            Self::Fixed { .. } => Self::FLAT.log_marginal(tally),
        }
    }

    fn predictive_failure(&self, tally: Tally) -> f64 {
        let (f, s) = tally.as_floats();
        match *self {
            Self::Uniform { low, high } if low == high => low,
            Self::Uniform { low, high } => {
                let more = Tally { failures: tally.failures + 1, ..tally };
                let mean = libm::exp(self.log_marginal(more) - self.log_marginal(tally));
                mean.clamp(low, high)
            }
            Self::Beta { alpha, beta } => (alpha + f) / (alpha + beta + f + s),
            Self::BetaMixture { .. } => average(self, tally, |part| part.predictive_failure(tally)),
            Self::Fixed { .. } => Self::FLAT.predictive_failure(tally),
        }
    }

    fn posterior_cdf(&self, tally: Tally, rate: f64) -> f64 {
        let server = TruncatedBeta::new(tally);
        Posterior::new(self, tally, &server).cdf(rate, &server, server.tail(rate))
    }

    fn posterior_quantile(&self, tally: Tally, u: f64) -> f64 {
        let (f, s) = tally.as_floats();
        match *self {
            Self::Uniform { low, high } if low == high => low,
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
                let posterior = Posteriors::new([self], tally);
                for _ in 0..HALVINGS {
                    let middle = 0.5 * (low + high);
                    if posterior.cdf(middle) < u {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                0.5 * (low + high)
            }
            Self::Fixed { .. } => Self::FLAT.posterior_quantile(tally, u),
        }
    }

    fn second_share(&self, tally: Tally) -> f64 {
        let [(first_weight, first), (second_weight, second)] = self.parts();
        let odds = second.log_marginal(tally) - first.log_marginal(tally);
        second_weight / (second_weight + first_weight * libm::exp(-odds))
    }
}

/// The average over the components, weighted by their probabilities given the tally.
fn average(of: &ErrorFamily, tally: Tally, value: impl Fn(&ErrorFamily) -> f64) -> f64 {
    let [(_, first), (_, second)] = of.parts();
    let share = of.second_share(tally);
    (1.0 - share) * value(&first) + share * value(&second)
}

/// What a server's attempts leave of its error rate under each of some populations, for many
/// rates: what does not depend on the rate, or not on the population, is computed once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posteriors {
    server: TruncatedBeta,
    of_each: Vec<Posterior>,
}

#[derive(Debug, Clone, PartialEq)]
enum Posterior {
    Uniform { low: Tail, high: Tail, log_whole: f64 },
    Beta(IncBeta),
    BetaMixture { second_share: f64, parts: [IncBeta; 2] },
}

impl Posteriors {
    pub(crate) fn new<'a>(
        populations: impl IntoIterator<Item = &'a ErrorFamily>,
        tally: Tally,
    ) -> Self {
        let server = TruncatedBeta::new(tally);
        let of_each =
            populations.into_iter().map(|of| Posterior::new(of, tally, &server)).collect();
        Self { server, of_each }
    }

    /// The mean over the populations of the probability of a rate of at most this.
    pub(crate) fn cdf(&self, rate: f64) -> f64 {
        let at = self.server.tail(rate);
        let sum: f64 = self.of_each.iter().map(|of| of.cdf(rate, &self.server, at)).sum();
        sum / self.of_each.len() as f64
    }
}

impl Posterior {
    fn new(population: &ErrorFamily, tally: Tally, server: &TruncatedBeta) -> Self {
        let (f, s) = tally.as_floats();
        match *population {
            ErrorFamily::Uniform { low, high } => {
                let [low, high] = [low, high].map(|rate| server.tail(rate));
                Self::Uniform { low, high, log_whole: server.log_integral(low, high) }
            }
            ErrorFamily::Beta { alpha, beta } => Self::Beta(IncBeta::new(alpha + f, beta + s)),
            ErrorFamily::BetaMixture { alpha, beta, second_alpha, second_beta, .. } => {
                Self::BetaMixture {
                    second_share: population.second_share(tally),
                    parts: [(alpha, beta), (second_alpha, second_beta)]
                        .map(|(alpha, beta)| IncBeta::new(alpha + f, beta + s)),
                }
            }
            ErrorFamily::Fixed { .. } => Self::new(&ErrorFamily::FLAT, tally, server),
        }
    }

    /// `at` is what the server's attempts say at the rate.
    fn cdf(&self, rate: f64, server: &TruncatedBeta, at: Tail) -> f64 {
        match self {
            Self::Uniform { low, high, log_whole } => {
                if rate <= low.rate || rate >= high.rate {
                    return f64::from(u8::from(rate >= high.rate));
                }
                libm::exp(server.log_integral(*low, at) - log_whole).min(1.0)
            }
            Self::Beta(beta) => beta.at(rate.clamp(0.0, 1.0)),
            Self::BetaMixture { second_share, parts } => {
                let [first, second] = parts.each_ref().map(|part| part.at(rate.clamp(0.0, 1.0)));
                (1.0 - second_share) * first + second_share * second
            }
        }
    }
}

/// `ln` of B(alpha + f, beta + s) / B(alpha, beta), the beta-binomial likelihood.
pub(crate) fn log_beta_marginal(alpha: f64, beta: f64, tally: Tally) -> f64 {
    let (f, s) = tally.as_floats();
    let rising = |x: f64, n: f64| if n == 0.0 { 0.0 } else { ln_gamma(x + n) - ln_gamma(x) };
    rising(alpha, f) + rising(beta, s) - rising(alpha + beta, f + s)
}

// ---- Integrals of p^f (1-p)^s between two rates: what a rate known to lie between them leaves of the
// likelihood.
//
// By incomplete beta functions taken from the side away from the mode, so that no digits are
// lost to 1 - tiny; where even those are below all floats (e^-640), by the exponential that the
// integrand falls like, to 2 %.

/// Below this an incomplete beta function has lost its digits and the asymptote takes over.
const SMALLEST_MASS: f64 = 1e-280;

/// A difference of masses that is a smaller share of them has lost too many digits.
const LEAST_SHARE: f64 = 1e-9;

/// Integrals of p^f (1-p)^s between two rates, for one server and many pairs of rates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TruncatedBeta {
    f: f64,
    s: f64,
    log_beta: f64,
}

/// What a [`TruncatedBeta`] knows at one rate: the mass on the side away from the mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tail {
    rate: f64,
    /// Whether the rate is below the mode, and `mass` the mass below it; else it is that above.
    below: bool,
    mass: f64,
}

impl TruncatedBeta {
    pub(crate) fn new(tally: Tally) -> Self {
        let (f, s) = tally.as_floats();
        Self { f, s, log_beta: ln_beta(f + 1.0, s + 1.0) }
    }

    pub(crate) fn tail(&self, rate: f64) -> Tail {
        let (a, b) = (self.f + 1.0, self.s + 1.0);
        let below = rate * (self.f + self.s) <= self.f;
        let mass = if below { inc_beta(a, b, rate) } else { inc_beta(b, a, 1.0 - rate) };
        Tail { rate, below, mass }
    }

    /// `ln` of the integral from `low` to `high`.
    pub(crate) fn log_integral(&self, low: Tail, high: Tail) -> f64 {
        let mass = match (low.below, high.below) {
            (true, true) => high.mass - low.mass,
            (false, false) => low.mass - high.mass,
            _ => 1.0 - low.mass - high.mass,
        };
        let of_sides = if low.below == high.below { low.mass.max(high.mass) } else { 1.0 };
        if mass > SMALLEST_MASS && mass > LEAST_SHARE * of_sides {
            return self.log_beta + libm::log(mass);
        }
        // Far out in a tail, or between two rates that are nearly one, the integrand is an
        // exponential from the end that is nearer to the mode.
        let end = if high.below { high.rate } else { low.rate };
        let slope = (self.f - (self.f + self.s) * end) / (end * (1.0 - end));
        let decay = slope.abs() * (high.rate - low.rate);
        let length = if decay > 0.0 { -libm::expm1(-decay) / decay } else { 1.0 };
        self.log_likelihood(end) + libm::log((high.rate - low.rate) * length)
    }

    /// `ln` of p^f (1-p)^s.
    pub(crate) fn log_likelihood(&self, rate: f64) -> f64 {
        let power = |n: f64, log: f64| if n > 0.0 { n * log } else { 0.0 };
        power(self.f, libm::log(rate)) + power(self.s, libm::log1p(-rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{MIXTURE, tally};

    const POPULATIONS: [ErrorFamily; 5] = [
        ErrorFamily::FLAT,
        ErrorFamily::Uniform { low: 0.02, high: 0.75 },
        ErrorFamily::Uniform { low: 0.6, high: 0.7 },
        ErrorFamily::Beta { alpha: 1.7, beta: 2.4 },
        MIXTURE,
    ];

    /// The average likelihood by brute force: over 20,000 equally likely rates.
    fn by_quantiles(population: &ErrorFamily, tally: Tally) -> f64 {
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
                    (population.log_marginal(tally), by_quantiles(&population, tally));
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

    #[test]
    fn the_deep_tail_joins_the_asymptote_without_a_step() {
        // Rates of at most 0.1, but every attempt failed: the integral of p^n is closed.
        let population = ErrorFamily::Uniform { low: 0.02, high: 0.1 };
        for n in [100_u32, 270, 290, 2_000, 100_000] {
            let n1 = f64::from(n) + 1.0;
            let exact = n1 * 0.1_f64.ln() - n1.ln() - 0.08_f64.ln();
            let got = population.log_marginal(tally(u64::from(n), 0));
            assert!((got - exact).abs() < 0.02, "{n}: {got} {exact}");
        }
        assert!(ErrorFamily::Uniform { low: 0.4, high: 0.5 }.log_marginal(tally(0, 90_000)) < -4e4);
    }

    #[test]
    fn two_rates_that_are_nearly_one_enclose_their_distance_times_the_likelihood() {
        for t in [tally(0, 0), tally(3, 7), tally(0, 40), tally(300_000, 700_000)] {
            let server = TruncatedBeta::new(t);
            for (rate, width) in [(0.3, 1e-14), (0.3, 1e-9), (0.299, 1e-12), (0.7, 1e-10)] {
                let got = server.log_integral(server.tail(rate), server.tail(rate + width));
                let expected = server.log_likelihood(rate) + ((rate + width) - rate).ln();
                assert!((got - expected).abs() < 3e-3, "{t:?} {rate} {width}: {got} {expected}");
            }
        }
    }
}
