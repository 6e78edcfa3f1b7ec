//! A family of limits: its evidence, its posterior, and what that says of its parameters.

use crate::limits::prior::to_digits;
use flakelab_core::stats::{Interval, log_sum_exp};
use flakelab_sim::world::{LimitKind, RateLimit};

/// A number that describes a limit of any family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitParameter {
    /// The limit of a window, the burst of a bucket.
    Capacity,
    /// The length of a window in seconds; infinite for buckets.
    WindowS,
    /// Attempts accepted per second in the long run.
    PerSecond,
}

impl LimitParameter {
    /// Its value for a limit.
    pub fn of(self, limit: &RateLimit) -> f64 {
        match self {
            Self::Capacity => limit.capacity(),
            Self::WindowS => limit.window_s(),
            Self::PerSecond => limit.per_second(),
        }
    }
}

/// A part of a family's posterior: one limit, or token buckets of one burst and a span of rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cell {
    /// The limit at the lower end of the rates.
    pub(crate) limit: RateLimit,
    /// `ln` of the upper over the lower end; 0 for a single limit.
    pub(crate) log_width: f64,
    /// `ln` of prior probability times likelihood, less the base of the lanes.
    pub(crate) log_mass: f64,
    /// `ln` likelihood less the base of the lanes.
    pub(crate) log_likelihood: f64,
}

impl Cell {
    pub(crate) fn single(limit: RateLimit, log_mass: f64, log_likelihood: f64) -> Self {
        Self { limit, log_width: 0.0, log_mass, log_likelihood }
    }

    /// The limit at a share of the way (in `ln`) through the rates.
    pub(crate) fn at(&self, share: f64) -> RateLimit {
        match self.limit {
            RateLimit::TokenBucket { per_second, burst } if self.log_width > 0.0 => {
                let per_second = per_second * libm::exp(share * self.log_width);
                RateLimit::TokenBucket { per_second, burst }
            }
            limit => limit,
        }
    }
}

/// What the attempts say of one family of limits.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitFamily {
    /// Which one.
    pub kind: LimitKind,
    /// `ln` of the likelihood averaged over the prior.
    pub log_evidence: f64,
    /// Its probability when all five families are equally likely before.
    pub probability: f64,
    /// `ln` of its evidence over that of no limit.
    pub log_bayes_factor_against_none: f64,
    /// The most probable limit or burst and window; the rate of a bucket given those is a round
    /// number near the median, within the middle half of its posterior.
    pub estimate: RateLimit,
    /// 95 % of the posterior: limit or burst.
    pub capacity: Interval,
    /// 95 % of the posterior: length of the window in seconds; infinite for buckets.
    pub window_s: Interval,
    /// 95 % of the posterior: attempts accepted per second in the long run.
    pub per_second: Interval,
    /// `ln` of the largest likelihood, less that of no limit.
    pub best_log_likelihood: f64,
    pub(crate) cells: Vec<Cell>,
}

const UNKNOWN: Interval = Interval { low: f64::INFINITY, high: f64::INFINITY };

impl LimitFamily {
    /// A family from its cells; `base` and `none` are `ln` likelihoods of the lanes.
    pub(crate) fn new(kind: LimitKind, mut cells: Vec<Cell>, base: f64, none: f64) -> Self {
        let masses: Vec<f64> = cells.iter().map(|cell| cell.log_mass).collect();
        let relative = if cells.is_empty() { f64::NEG_INFINITY } else { log_sum_exp(&masses) };
        cells.retain(|cell| cell.log_mass > relative - 20.0);
        let likelihoods = cells.iter().map(|cell| cell.log_likelihood);
        let best = likelihoods.fold(f64::NEG_INFINITY, f64::max);
        let mut family = Self {
            kind,
            log_evidence: base + relative,
            probability: 0.0,
            log_bayes_factor_against_none: relative - none,
            estimate: RateLimit::None,
            capacity: UNKNOWN,
            window_s: UNKNOWN,
            per_second: UNKNOWN,
            best_log_likelihood: best - none,
            cells,
        };
        // A bucket has many cells: their weights are taken once.
        let weights: Vec<f64> = family.weights().collect();
        family.estimate = family.most_probable(&weights);
        family.capacity = family.range(LimitParameter::Capacity, &weights);
        family.window_s = family.range(LimitParameter::WindowS, &weights);
        family.per_second = family.range(LimitParameter::PerSecond, &weights);
        family
    }

    /// Given that this is the family, the probability that a parameter is below a value, and that
    /// it is at most that.
    pub fn cdf(&self, parameter: LimitParameter, at: f64) -> [f64; 2] {
        let mut sums = [0.0; 3];
        for (cell, weight) in self.cells.iter().zip(self.weights()) {
            sums[2] += weight;
            let low = parameter.of(&cell.limit);
            let high = parameter.of(&cell.at(1.0));
            if high > low && low < at && at < high {
                let share = libm::log(at / low) / cell.log_width;
                sums[0] += weight * share;
                sums[1] += weight * share;
                continue;
            }
            sums[0] += if low < at { weight } else { 0.0 };
            sums[1] += if low <= at { weight } else { 0.0 };
        }
        [sums[0] / sums[2], sums[1] / sums[2]]
    }

    /// The posterior weights of its cells, in proportion.
    pub(crate) fn weights(&self) -> impl Iterator<Item = f64> + '_ {
        let top = self.cells.iter().map(|cell| cell.log_mass).fold(f64::NEG_INFINITY, f64::max);
        self.cells.iter().map(move |cell| libm::exp(cell.log_mass - top))
    }

    /// 95 % of the posterior of a parameter.
    fn range(&self, parameter: LimitParameter, weights: &[f64]) -> Interval {
        if self.cells.iter().all(|cell| parameter.of(&cell.limit) == f64::INFINITY) {
            return UNKNOWN;
        }
        let sorted = self.sorted(parameter, weights, |_| true);
        Interval { low: quantile_of(&sorted, 0.025), high: quantile_of(&sorted, 0.975) }
    }

    /// (lower end, upper end, weight) of a parameter in the cells that are meant, sorted.
    fn sorted(
        &self,
        parameter: LimitParameter,
        weights: &[f64],
        meant: impl Fn(&Cell) -> bool,
    ) -> Vec<(f64, f64, f64)> {
        // A cell spans rates only.
        let upper = |cell: &Cell| match parameter {
            LimitParameter::PerSecond => cell.at(1.0),
            _ => cell.limit,
        };
        let mut sorted: Vec<(f64, f64, f64)> = self
            .cells
            .iter()
            .zip(weights)
            .filter(|(cell, _)| meant(cell))
            .map(|(cell, w)| (parameter.of(&cell.limit), parameter.of(&upper(cell)), *w))
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        sorted
    }

    fn most_probable(&self, weights: &[f64]) -> RateLimit {
        // Cells of a plain bucket are spans of rates: the burst first, then the rate.
        let mut of_burst: Vec<(u32, f64)> = Vec::new();
        for (cell, weight) in self.cells.iter().zip(weights) {
            if let RateLimit::TokenBucket { burst, .. } = cell.limit {
                let burst = burst as u32;
                match of_burst.iter_mut().find(|(known, _)| *known == burst) {
                    Some((_, sum)) => *sum += weight,
                    None => of_burst.push((burst, *weight)),
                }
            }
        }
        if let Some((burst, _)) = of_burst.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            let burst = f64::from(*burst);
            let same = |cell: &Cell| LimitParameter::Capacity.of(&cell.limit) == burst;
            let rates = self.sorted(LimitParameter::PerSecond, weights, same);
            let [low, middle, high] = [0.25, 0.5, 0.75].map(|p| quantile_of(&rates, p));
            let per_second = roundest(low, middle, high);
            return RateLimit::TokenBucket { per_second, burst };
        }
        let top = self.cells.iter().max_by(|a, b| a.log_mass.total_cmp(&b.log_mass));
        top.map_or(RateLimit::None, |cell| cell.limit)
    }
}

/// The number near `middle` with the fewest digits that is still within `low` and `high`.
fn roundest(low: f64, middle: f64, high: f64) -> f64 {
    let rounded = (1..=12).map(|digits| to_digits(middle, digits));
    rounded.into_iter().find(|x| (low..=high).contains(x)).unwrap_or(middle)
}

/// The quantile of weighted spans, linear in a span; infinite without any.
fn quantile_of(sorted: &[(f64, f64, f64)], p: f64) -> f64 {
    let total: f64 = sorted.iter().map(|(_, _, weight)| weight).sum();
    let mut below = 0.0;
    for (low, high, weight) in sorted {
        if below + weight >= p * total {
            let share = ((p * total - below) / weight).clamp(0.0, 1.0);
            return if high > low { low + share * (high - low) } else { *low };
        }
        below += weight;
    }
    sorted.last().map_or(f64::INFINITY, |(_, high, _)| *high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_as_round_as_the_posterior_allows() {
        assert_eq!(roundest(17.2, 26.36, 52.0), 30.0);
        assert_eq!(roundest(19.93, 19.98, 20.01), 20.0);
        assert_eq!(roundest(7.010_67, 7.010_675, 7.010_68), 7.010_68);
        assert_eq!(to_digits(0.123_4, 2), 0.12);
    }
}
