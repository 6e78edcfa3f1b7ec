//! Integrals of p^f (1-p)^s between two rates: what a rate known to lie between them leaves of the
//! likelihood.
//!
//! By incomplete beta functions taken from the side away from the mode, so that no digits are
//! lost to 1 - tiny; where even those are below all floats, by the exponential that the
//! integrand falls like.
//!
//! When not to use it: for a relative error below 2 % in tails lighter than e^-640.

use super::population::Tally;
use crate::stats::special::{inc_beta, ln_beta};

/// Below this an incomplete beta function has lost its digits and the asymptote takes over.
const SMALLEST_MASS: f64 = 1e-280;
/// A difference of masses that is a smaller share of them has lost too many digits.
const LEAST_SHARE: f64 = 1e-9;

/// Integrals of p^f (1-p)^s between two rates, for one server and many pairs of rates.
pub(super) struct TruncatedBeta {
    f: f64,
    s: f64,
    log_beta: f64,
}

/// What a [`TruncatedBeta`] knows at one rate: the mass on the side away from the mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    rate: f64,
    /// Whether the rate is below the mode, and `mass` the mass below it; else it is that above.
    below: bool,
    mass: f64,
}

impl TruncatedBeta {
    pub(super) fn new(tally: Tally) -> Self {
        let (f, s) = tally.as_floats();
        Self { f, s, log_beta: ln_beta(f + 1.0, s + 1.0) }
    }

    pub(super) fn tail(&self, rate: f64) -> Tail {
        let (a, b) = (self.f + 1.0, self.s + 1.0);
        let below = rate * (self.f + self.s) <= self.f;
        let mass = if below { inc_beta(a, b, rate) } else { inc_beta(b, a, 1.0 - rate) };
        Tail { rate, below, mass }
    }

    /// `ln` of the integral from `low` to `high`.
    pub(super) fn log_integral(&self, low: Tail, high: Tail) -> f64 {
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
    pub(super) fn log_likelihood(&self, rate: f64) -> f64 {
        let power = |n: f64, log: f64| if n > 0.0 { n * log } else { 0.0 };
        power(self.f, libm::log(rate)) + power(self.s, libm::log1p(-rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::error_rates::Population;
    use crate::world::ErrorFamily;

    fn tally(failures: u64, successes: u64) -> Tally {
        Tally { failures, successes }
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
