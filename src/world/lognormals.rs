//! A mixture of up to five lognormals, for latencies with more than one body.
//!
//! Draws use one word by inversion: it picks the part and then, rescaled, the quantile within it.
//!
//! When not to use it: as evidence of so many mechanisms. It is a flexible density of known
//! quantiles, nothing more.

use super::family::{Field, Key, Values, need};
use super::{LogNormal, Violation};

/// The most parts that a mixture may have.
const MOST: usize = 5;
/// Weights are written with few digits: their sum may be off by so much.
const ROUNDING: f64 = 1e-3;
/// Halvings of the bracket of a quantile: enough for neighbouring floats.
const HALVINGS: usize = 100;

/// Lognormals with weights, heaviest first; the last takes what the others leave of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormals {
    count: usize,
    weights: [f64; MOST],
    parts: [LogNormal; MOST],
}

impl LogNormals {
    /// The most parts that a mixture may have.
    pub const MOST: usize = MOST;

    /// The mixture of these weights and parts, sorted by weight; what exceeds [`Self::MOST`] is
    /// left out, which [`Self::validate`] notices by the weights.
    #[must_use]
    pub fn of(parts: &[(f64, LogNormal)]) -> Self {
        let mut sorted = parts.to_vec();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let none = LogNormal { median_ms: 1.0, sigma: 0.0 };
        let mut all = Self { count: 0, weights: [0.0; MOST], parts: [none; MOST] };
        for (weight, part) in sorted.into_iter().take(MOST) {
            (all.weights[all.count], all.parts[all.count]) = (weight, part);
            all.count += 1;
        }
        all
    }

    /// Weights and parts, heaviest first.
    pub fn iter(&self) -> impl Iterator<Item = (f64, LogNormal)> + '_ {
        self.weights.iter().copied().zip(self.parts.iter().copied()).take(self.count)
    }

    /// The part that most attempts come from.
    pub(super) fn heaviest(&self) -> LogNormal {
        self.parts[0]
    }

    /// The latency that the word `u` stands for.
    #[inline]
    pub(super) fn draw_ms(&self, u: f64) -> f64 {
        let mut left = u;
        let mut rest = 1.0;
        let last = self.count.max(1) - 1;
        for (weight, part) in self.weights[..last].iter().zip(&self.parts) {
            if left < *weight {
                return part.quantile_ms(left / weight);
            }
            left -= weight;
            rest -= weight;
        }
        self.parts[last].quantile_ms(left / rest)
    }

    pub(super) fn cdf(&self, ms: f64) -> f64 {
        let last = self.count.max(1) - 1;
        let mut rest = 1.0;
        let mut sum = 0.0;
        for (weight, part) in self.weights[..last].iter().zip(&self.parts) {
            sum += weight * part.cdf(ms);
            rest -= weight;
        }
        sum + rest * self.parts[last].cdf(ms)
    }

    /// By halving: a quantile of the mixture lies between those of its parts.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        let of_parts = self.iter().map(|(_, part)| part.quantile_ms(p));
        let (mut low, mut high) = of_parts
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), q| (low.min(q), high.max(q)));
        for _ in 0..HALVINGS {
            let middle = (low * high).sqrt();
            if middle <= low || middle >= high {
                break;
            }
            if self.cdf(middle) < p { low = middle } else { high = middle }
        }
        high
    }

    pub(super) fn weights_sum_to_one(&self) -> Result<(), Violation> {
        let sum: f64 = self.iter().map(|(weight, _)| weight).sum();
        let positive = self.iter().all(|(weight, _)| weight > 0.0);
        if (sum - 1.0).abs() <= ROUNDING && positive {
            return Ok(());
        }
        let problem = format!("these weights sum to {sum}");
        Err(Violation::new("weights", problem, "up to five numbers above 0 that sum to 1"))
    }
}

/// Three lists of one length, at most [`LogNormals::MOST`]: weights, medians, sigmas.
impl Field for LogNormals {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        let weights = need(&keys[0], values)?;
        if weights.is_empty() || weights.len() > MOST {
            let problem = format!("{} parts", weights.len());
            return Err(Violation::new(keys[0].name, problem, "one to five weights"));
        }
        let list = |key: &Key| {
            let list = need(key, values)?;
            if list.len() == weights.len() {
                return Ok(list);
            }
            let problem = format!("{} values for {} weights", list.len(), weights.len());
            let expected = format!("as many numbers as weights, one to five: {}", key.name);
            Err(Violation::new(key.name, problem, &expected))
        };
        let (medians_ms, sigmas) = (list(&keys[1])?, list(&keys[2])?);
        let parts = medians_ms.into_iter().zip(sigmas);
        let parts = parts.map(|(median_ms, sigma)| LogNormal { median_ms, sigma });
        Ok(Self::of(&weights.into_iter().zip(parts).collect::<Vec<_>>()))
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        values.push((keys[0].name, self.iter().map(|(weight, _)| weight).collect()));
        values.push((keys[1].name, self.iter().map(|(_, part)| part.median_ms).collect()));
        values.push((keys[2].name, self.iter().map(|(_, part)| part.sigma).collect()));
    }

    /// Without positions in the lists: they were sorted since they were read.
    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        self.iter().try_for_each(|(_, part)| part.check(&keys[1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(median_ms: f64, sigma: f64) -> LogNormal {
        LogNormal { median_ms, sigma }
    }

    #[test]
    fn the_heaviest_part_comes_first_and_the_last_takes_the_rest() {
        let of = LogNormals::of(&[
            (0.125, part(9.0, 0.0)),
            (0.25, part(2.0, 0.0)),
            (0.625, part(1.0, 0.0)),
        ]);
        assert_eq!(of.heaviest(), part(1.0, 0.0));
        assert_eq!([0.1, 0.7, 0.95].map(|u| of.draw_ms(u)), [1.0, 2.0, 9.0]);
        assert_eq!([0.5, 1.0, 2.0, 9.0].map(|ms| of.cdf(ms)), [0.0, 0.625, 0.875, 1.0]);
    }

    #[test]
    fn weights_that_do_not_sum_to_one_are_refused() {
        let equal = |n: usize, weight: f64| LogNormals::of(&vec![(weight, part(1.0, 0.1)); n]);
        let check = |of: LogNormals| of.weights_sum_to_one();
        assert!(check(equal(4, 0.25)).is_ok() && check(equal(5, 0.2)).is_ok());
        // Six parts: the sixth is left out and its weight missing.
        for wrong in [equal(0, 1.0), equal(2, 0.4), equal(6, 1.0 / 6.0), equal(2, f64::NAN)] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
