//! A normal and a mixture of two normals, by maximum likelihood.
//!
//! EM: responsibilities of the tail, then weighted moments, until nothing moves. The likelihood
//! of a mixture has no maximum (a component on a single value has infinite density), so no
//! component may be narrower than a hundredth of the whole or lighter than two values.
//!
//! When not to use it: for more than two components, or values that repeat (ties look like an
//! infinitely narrow component; the floor then decides).

use super::fits::moments;
use crate::stats::quantile::quantile;
use crate::stats::special::normal_cdf;

/// `ln sqrt(2 pi)`.
const LN_ROOT_TAU: f64 = 0.918_938_533_204_672_7;
/// A component's standard deviation is at least this share of the whole sample's.
const LEAST_SD_SHARE: f64 = 0.01;
/// Rounds of EM for a fit, and for a fit that starts next to its end.
const MOST_ROUNDS: usize = 400;
const ROUNDS_WHEN_NEAR: usize = 30;
/// EM has ended when the weight moves by less than this.
const TOLERANCE: f64 = 1e-6;

/// A normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normal {
    pub(super) mean: f64,
    /// Above 0.
    pub(super) sd: f64,
}

/// Two normals; the body is the heavier one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mixture {
    pub(super) body: Normal,
    pub(super) tail: Normal,
    /// Probability of the tail, at most 1/2.
    pub(super) weight: f64,
}

impl Normal {
    /// The maximum of the likelihood (variance divided by n); values must not all be alike.
    pub(super) fn fit(values: &[f64]) -> Self {
        let of = moments(values);
        let n = values.len() as f64;
        Self { mean: of.mean(), sd: (of.variance() * (n - 1.0) / n).sqrt() }
    }

    fn log_density(&self, x: f64) -> f64 {
        let z = (x - self.mean) / self.sd;
        -0.5 * z * z - libm::log(self.sd) - LN_ROOT_TAU
    }

    pub(super) fn log_likelihood(&self, values: &[f64]) -> f64 {
        values.iter().map(|x| self.log_density(*x)).sum()
    }

    pub(super) fn cdf(&self, x: f64) -> f64 {
        normal_cdf((x - self.mean) / self.sd)
    }
}

impl Mixture {
    /// The best of several fixed starting points; `None` if no mixture holds two components.
    pub(super) fn fit(sorted: &[f64]) -> Option<Self> {
        let whole = Normal::fit(sorted);
        let cut = |share: f64| {
            let at = (sorted.len() as f64 * share) as usize;
            let (body, tail) = sorted.split_at(at);
            let part = |values| {
                let fit = Normal::fit(values);
                Normal { sd: fit.sd.max(0.1 * whole.sd), ..fit }
            };
            Self { body: part(body), tail: part(tail), weight: 1.0 - share }
        };
        // A tail around the same middle, on both sides.
        let spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.349;
        let middle = Normal { mean: quantile(sorted, 0.5), sd: spread.max(0.1 * whole.sd) };
        let around =
            Self { body: middle, tail: Normal { sd: 2.0 * whole.sd, ..whole }, weight: 0.1 };
        let starts = [cut(0.5), cut(0.8), cut(0.95), around];
        let mut best: Option<(f64, Self)> = None;
        for start in starts {
            let Some(end) = start.climb(sorted, whole.sd, MOST_ROUNDS) else { continue };
            let log_likelihood = end.log_likelihood(sorted);
            if best.is_none_or(|(highest, _)| log_likelihood > highest) {
                best = Some((log_likelihood, end));
            }
        }
        best.map(|(_, mixture)| mixture)
    }

    /// A few rounds of EM from here, for values that came from here.
    pub(super) fn refined(&self, values: &[f64]) -> Option<Self> {
        self.climb(values, Normal::fit(values).sd, ROUNDS_WHEN_NEAR)
    }

    fn climb(mut self, values: &[f64], whole_sd: f64, rounds: usize) -> Option<Self> {
        let n = values.len() as f64;
        let least_sd = LEAST_SD_SHARE * whole_sd;
        for _ in 0..rounds {
            // Sums of responsibility r of the tail: r, r x, r x^2, around the body's mean, which
            // keeps the squares from cancelling.
            let center = self.body.mean;
            let (mut r0, mut r1, mut r2, mut s1, mut s2) = (0.0, 0.0, 0.0, 0.0, 0.0);
            let odds = libm::log(self.weight / (1.0 - self.weight) * self.body.sd / self.tail.sd);
            for value in values {
                let (zt, zb) = (
                    (value - self.tail.mean) / self.tail.sd,
                    (value - self.body.mean) / self.body.sd,
                );
                let r = 1.0 / (1.0 + libm::exp(0.5 * (zt * zt - zb * zb) - odds));
                let x = value - center;
                r0 += r;
                r1 += r * x;
                r2 += r * x * x;
                s1 += (1.0 - r) * x;
                s2 += (1.0 - r) * x * x;
            }
            let s0 = n - r0;
            if !(r0 >= 2.0 && s0 >= 2.0) {
                return None;
            }
            let part = |m0: f64, m1: f64, m2: f64| {
                let variance = (m2 / m0 - (m1 / m0) * (m1 / m0)).max(0.0);
                Normal { mean: center + m1 / m0, sd: variance.sqrt().max(least_sd) }
            };
            let weight = r0 / n;
            let moved = (weight - self.weight).abs();
            self = Self { body: part(s0, s1, s2), tail: part(r0, r1, r2), weight };
            if moved < TOLERANCE {
                break;
            }
        }
        Some(if self.weight <= 0.5 { self } else { self.swapped() })
    }

    fn swapped(self) -> Self {
        Self { body: self.tail, tail: self.body, weight: 1.0 - self.weight }
    }

    pub(super) fn log_likelihood(&self, values: &[f64]) -> f64 {
        let (log_tail, log_body) = (libm::log(self.weight), libm::log1p(-self.weight));
        values
            .iter()
            .map(|x| {
                let (tail, body) =
                    (log_tail + self.tail.log_density(*x), log_body + self.body.log_density(*x));
                let (more, less) = if tail > body { (tail, body) } else { (body, tail) };
                more + libm::log1p(libm::exp(less - more))
            })
            .sum()
    }

    pub(super) fn cdf(&self, x: f64) -> f64 {
        (1.0 - self.weight) * self.body.cdf(x) + self.weight * self.tail.cdf(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Streams};
    use crate::stats::sample::standard_normal;

    /// 900 values around 0 and 100 around 3, ascending.
    fn two_groups() -> Vec<f64> {
        let mut rng = Streams::new(8).stream(Purpose::World, 0, 0);
        let mut values: Vec<f64> = (0..1000)
            .map(|i| standard_normal(&mut rng) * 0.5 + if i < 900 { 0.0 } else { 3.0 })
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn every_round_of_em_climbs() {
        let values = two_groups();
        let whole = Normal::fit(&values);
        let mut mixture = Mixture {
            body: Normal { mean: -1.0, sd: 2.0 },
            tail: Normal { mean: 1.0, sd: 2.0 },
            weight: 0.4,
        };
        let mut last = mixture.log_likelihood(&values);
        for _ in 0..60 {
            mixture = mixture.climb(&values, whole.sd, 1).unwrap();
            let now = mixture.log_likelihood(&values);
            assert!(now >= last - 1e-9, "{now} after {last}");
            last = now;
        }
        assert!((Mixture::fit(&values).unwrap().log_likelihood(&values) - last).abs() < 0.1);
    }

    #[test]
    fn the_tail_is_the_lighter_part_on_whichever_side() {
        let mirrored: Vec<f64> = two_groups().iter().rev().map(|x| -x).collect();
        let found = Mixture::fit(&mirrored).unwrap();
        assert!(
            (found.weight - 0.1).abs() < 0.02 && (found.tail.mean + 3.0).abs() < 0.2,
            "{found:?}"
        );
    }
}
