//! How long attempts take: a body, a tail, and separately for failures where data say so.
//!
//! Each draw uses exactly one word of randomness, by inversion, so that attempt k at a server
//! meets the same luck whatever happened before.

use std::fmt;

use rand::Rng;

use crate::world::document::Violation;
use crate::world::family::{Families, Field, Key, Range, Values, families, need};
use flakelab_core::domain::Span;
use flakelab_core::stats::{sample, special};

/// Latencies are at least a microsecond, or attempts could take no time and never end, and at
/// most a day. Draws beyond are moved to these ends.
const SHORTEST_MS: f64 = 0.001;
const LONGEST_MS: f64 = 86_400_000.0;

/// Latency of attempts, by outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// Attempts that succeed.
    pub success: LatencyFamily,
    /// Attempts that fail; as `success` when absent.
    pub failure: Option<LatencyFamily>,
    /// Attempts that the rate limiter refuses, in milliseconds, without spread: refusals must
    /// not use up luck. The median of `success` when absent.
    pub rate_limited_ms: Option<f64>,
}

/// A distribution of latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LatencyFamily {
    /// Always the same.
    Constant {
        /// Milliseconds.
        ms: f64,
    },
    /// One lognormal.
    LogNormal(LogNormal),
    /// With probability `tail_weight` the tail, else the body.
    LogNormalMixture {
        /// Most attempts.
        body: LogNormal,
        /// Probability of the tail, at least 0 and below 1.
        tail_weight: f64,
        /// The others.
        tail: LogNormal,
    },
    /// Several lognormals.
    LogNormals(LogNormals),
    /// ln latency is logistic: tails like powers of the latency on both sides.
    LogLogistic {
        /// Median in milliseconds.
        median_ms: f64,
        /// The chance of more than t falls like t^-shape; above 0.
        shape: f64,
    },
    /// A lognormal below the threshold, a Pareto distribution above it.
    LogNormalPareto {
        /// Cut off at the threshold.
        body: LogNormal,
        /// Where the tail begins, in milliseconds.
        threshold_ms: f64,
        /// Probability of the tail, at least 0 and below 1.
        tail_weight: f64,
        /// The chance of more than t falls like t^-`tail_index`; above 0.
        tail_index: f64,
    },
}

/// ln latency is normal with mean ln median and standard deviation sigma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    /// Median in milliseconds.
    pub median_ms: f64,
    /// Standard deviation of ln latency.
    pub sigma: f64,
}

/// What a latency can be.
pub(crate) const MILLISECONDS: Range =
    Range::of(SHORTEST_MS, LONGEST_MS, "milliseconds from 0.001 to 86,400,000");
const SPREAD: Range = Range::of(0.0, 10.0, "a number in 0..=10");
const EXPONENT: Range = Range::of(0.01, 10_000.0, "a number in 0.01..=10000");
const TAIL_SHARE: Range =
    Range::of(0.0, 1_f64.next_down(), "a number in 0..1").or_else("is no share of a tail");

const MS: Key = Key::number("ms", MILLISECONDS);
const MEDIAN_MS: Key = Key::number("median_ms", MILLISECONDS);
const SIGMA: Key = Key::number("sigma", SPREAD);
const TAIL_WEIGHT: Key = Key::number("tail_weight", TAIL_SHARE);
const TAIL_MEDIAN_MS: Key = Key::number("tail_median_ms", MILLISECONDS);
const TAIL_SIGMA: Key = Key::number("tail_sigma", SPREAD);
const WEIGHTS: Key = Key::numbers("weights", Range::PROBABILITY);
const MEDIANS_MS: Key = Key::numbers("medians_ms", MILLISECONDS);
const SIGMAS: Key = Key::numbers("sigmas", SPREAD);
const SHAPE: Key = Key::number("shape", EXPONENT);
const THRESHOLD_MS: Key = Key::number("threshold_ms", MILLISECONDS);
const TAIL_INDEX: Key = Key::number("tail_index", EXPONENT);
const BODY: [Key; 2] = [MEDIAN_MS, SIGMA];
const TAIL: [Key; 2] = [TAIL_MEDIAN_MS, TAIL_SIGMA];
const PARTS: [Key; 3] = [WEIGHTS, MEDIANS_MS, SIGMAS];

families! {
    LatencyFamily by "family", ["rate_limited_ms", "failure"];
    /// Families of latencies.
    LatencyKind:
    "constant": Constant { ms }, ms: [MS];
    "lognormal": LogNormal(one), one: BODY;
    "lognormal_mixture":
        LogNormalMixture { body, tail_weight, tail },
        body: BODY, tail_weight: [TAIL_WEIGHT], tail: TAIL;
    "lognormals": LogNormals(parts), parts: PARTS;
    "log_logistic": LogLogistic { median_ms, shape }, median_ms: [MEDIAN_MS], shape: [SHAPE];
    "lognormal_pareto":
        LogNormalPareto { body, threshold_ms, tail_weight, tail_index },
        body: BODY, threshold_ms: [THRESHOLD_MS], tail_weight: [TAIL_WEIGHT],
        tail_index: [TAIL_INDEX];
}

impl From<LatencyFamily> for Latency {
    /// The same for failures, and no other time for refusals.
    fn from(success: LatencyFamily) -> Self {
        Self { success, failure: None, rate_limited_ms: None }
    }
}

impl Latency {
    /// Draws the latency of an accepted attempt; uses one word.
    #[inline]
    pub fn draw(&self, fails: bool, rng: &mut impl Rng) -> Span {
        let family = if fails { self.failure.as_ref() } else { None };
        family.unwrap_or(&self.success).draw(rng)
    }

    /// The latency of a refused attempt.
    pub fn rate_limited(&self) -> Span {
        Span::from_millis_f64(self.rate_limited_ms.unwrap_or_else(|| self.success.median_ms()))
    }

    /// Checks every range; keys are relative to the `[latency]` table.
    pub fn validate(&self) -> Result<(), Violation> {
        self.success.validate()?;
        if let Some(failure) = &self.failure {
            failure.validate().map_err(|v| v.within("failure"))?;
        }
        match self.rate_limited_ms {
            Some(ms) => MILLISECONDS.check("rate_limited_ms", ms),
            None => Ok(()),
        }
    }
}

impl LatencyFamily {
    /// Draws a latency; uses one word.
    #[inline]
    pub fn draw(&self, rng: &mut impl Rng) -> Span {
        let ms = self.quantile_ms(sample::uniform_open(rng));
        Span::from_millis_f64(ms.clamp(SHORTEST_MS, LONGEST_MS))
    }

    /// The latency that the word `u` in (0, 1) stands for, in milliseconds. For mixtures
    /// this is not the quantile function: `u` first picks the component, then, rescaled, the
    /// quantile within it.
    #[inline]
    fn quantile_ms(&self, u: f64) -> f64 {
        match self {
            Self::Constant { ms } => *ms,
            Self::LogNormal(one) => one.quantile_ms(u),
            Self::LogNormalMixture { body, tail_weight, tail } => {
                if u < *tail_weight {
                    tail.quantile_ms(u / tail_weight)
                } else {
                    body.quantile_ms((u - tail_weight) / (1.0 - tail_weight))
                }
            }
            Self::LogNormals(parts) => parts.draw_ms(u),
            Self::LogLogistic { median_ms, shape } => {
                let u = inside(u);
                median_ms * libm::exp((libm::log(u) - libm::log1p(-u)) / shape)
            }
            Self::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => {
                let bulk = 1.0 - tail_weight;
                if u < bulk {
                    body.quantile_ms(u / bulk * body.cdf(*threshold_ms)).min(*threshold_ms)
                } else {
                    threshold_ms
                        * libm::exp(libm::log(inside((1.0 - u) / tail_weight)) / -tail_index)
                }
            }
        }
    }

    /// The latency that a share `p` in (0, 1) of attempts stays below, in milliseconds.
    pub fn quantile(&self, p: f64) -> f64 {
        match self {
            Self::LogNormalMixture { body, tail_weight, tail } => {
                let parts = [(1.0 - tail_weight, *body), (*tail_weight, *tail)];
                LogNormals::of(&parts).quantile(p)
            }
            Self::LogNormals(parts) => parts.quantile(p),
            // The word is the probability.
            _ => self.quantile_ms(p),
        }
    }

    /// Probability that a latency is at most `ms` milliseconds.
    pub fn cdf(&self, ms: f64) -> f64 {
        match self {
            Self::Constant { ms: value } => f64::from(u8::from(ms >= *value)),
            Self::LogNormal(one) => one.cdf(ms),
            Self::LogNormalMixture { body, tail_weight, tail } => {
                (1.0 - tail_weight) * body.cdf(ms) + tail_weight * tail.cdf(ms)
            }
            Self::LogNormals(parts) => parts.cdf(ms),
            Self::LogLogistic { median_ms, shape } => {
                if ms <= 0.0 {
                    return 0.0;
                }
                1.0 / (1.0 + libm::exp(-shape * libm::log(ms / median_ms)))
            }
            Self::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => {
                if ms < *threshold_ms {
                    (1.0 - tail_weight) * body.cdf(ms) / body.cdf(*threshold_ms)
                } else {
                    1.0 - tail_weight * libm::exp(-tail_index * libm::log(ms / threshold_ms))
                }
            }
        }
    }

    /// A typical latency: the median, of the body where there is one.
    pub fn median_ms(&self) -> f64 {
        match self {
            Self::Constant { ms } => *ms,
            Self::LogNormal(body)
            | Self::LogNormalMixture { body, .. }
            | Self::LogNormalPareto { body, .. } => body.median_ms,
            Self::LogNormals(parts) => parts.heaviest().median_ms,
            Self::LogLogistic { median_ms, .. } => *median_ms,
        }
    }

    /// The same with every parameter rounded; the last weight of a mixture takes what the others
    /// leave of 1.
    #[must_use]
    pub fn rounded(&self, round: impl Fn(f64) -> f64) -> Self {
        let rounded = self.mapped(&round);
        let Self::LogNormals(of) = rounded else { return rounded };
        let mut parts: Vec<_> = of.iter().collect();
        if let Some(((last, _), others)) = parts.split_last_mut() {
            *last = round(1.0 - others.iter().map(|(weight, _)| weight).sum::<f64>());
        }
        Self::LogNormals(LogNormals::of(&parts))
    }

    /// A tail begins where something of the body is left.
    fn relations(&self) -> Result<(), Violation> {
        match self {
            Self::LogNormalPareto { body, threshold_ms, .. } if body.cdf(*threshold_ms) < 1e-6 => {
                let problem = format!("{threshold_ms} leaves nothing of the body");
                Err(Violation::new("threshold_ms", problem, "more than the body's median"))
            }
            Self::LogNormals(parts) => parts.weights_sum_to_one(),
            _ => Ok(()),
        }
    }
}

impl LogNormal {
    #[inline]
    fn quantile_ms(&self, u: f64) -> f64 {
        self.median_ms * libm::exp(self.sigma * special::normal_quantile(inside(u)))
    }

    pub(crate) fn cdf(&self, ms: f64) -> f64 {
        if ms <= 0.0 {
            return 0.0;
        }
        if self.sigma == 0.0 {
            return f64::from(u8::from(ms >= self.median_ms));
        }
        special::normal_cdf(libm::log(ms / self.median_ms) / self.sigma)
    }
}

impl Field for LogNormal {
    fn read(keys: &[Key], values: &Values) -> Result<Self, Violation> {
        let [median_ms, sigma] = [f64::read(&keys[..1], values)?, f64::read(&keys[1..], values)?];
        Ok(Self { median_ms, sigma })
    }

    fn write(&self, keys: &[Key], values: &mut Values) {
        self.median_ms.write(&keys[..1], values);
        self.sigma.write(&keys[1..], values);
    }

    fn check(&self, keys: &[Key]) -> Result<(), Violation> {
        self.median_ms.check(&keys[..1])?;
        self.sigma.check(&keys[1..])
    }
}

impl fmt::Display for LatencyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { ms } => write!(f, "always {ms:.2} ms"),
            Self::LogNormal(one) => write!(f, "lognormal, {one}"),
            Self::LogNormalMixture { body, tail_weight, tail } => write!(
                f,
                "lognormal body, {body}, and a tail of {:.1} % with {tail}",
                100.0 * tail_weight
            ),
            Self::LogNormals(parts) => {
                write!(f, "mixture of {} lognormals: ", parts.iter().count())?;
                for (i, (weight, part)) in parts.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "; " };
                    write!(f, "{comma}{:.1} % with {part}", 100.0 * weight)?;
                }
                Ok(())
            }
            Self::LogLogistic { median_ms, shape } => {
                write!(f, "log-logistic, median {median_ms:.2} ms, shape {shape:.2}")
            }
            Self::LogNormalPareto { body, threshold_ms, tail_weight, tail_index } => write!(
                f,
                "lognormal body, {body}, below {threshold_ms:.2} ms and above it a Pareto tail of \
                 {:.1} % with index {tail_index:.2}",
                100.0 * tail_weight
            ),
        }
    }
}

impl fmt::Display for LogNormal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:.2} ms, sigma {:.2}", self.median_ms, self.sigma)
    }
}

/// Rescaling inside a mixture may round u to 0 or 1, where quantiles are infinite.
#[inline]
fn inside(u: f64) -> f64 {
    u.clamp(1e-17, 1.0 - 1e-16)
}

/// Weights are written with few digits: their sum may be off by so much.
const ROUNDING: f64 = 1e-3;

/// Halvings of the bracket of a quantile: enough for neighbouring floats.
const HALVINGS: usize = 100;

/// Up to five lognormals with weights, heaviest first; the last takes what the others leave of 1.
///
/// When not to use it: as evidence of so many mechanisms. It is a flexible density of known
/// quantiles, nothing more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormals {
    count: usize,
    weights: [f64; Self::MOST],
    parts: [LogNormal; Self::MOST],
}

impl LogNormals {
    /// The most parts that a mixture may have.
    pub const MOST: usize = 5;

    /// The mixture of these weights and parts, sorted by weight; what exceeds [`Self::MOST`] is
    /// left out, which the check notices by the weights.
    pub fn of(parts: &[(f64, LogNormal)]) -> Self {
        let mut sorted = parts.to_vec();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let none = LogNormal { median_ms: 1.0, sigma: 0.0 };
        let mut all = Self { count: 0, weights: [0.0; Self::MOST], parts: [none; Self::MOST] };
        for (weight, part) in sorted.into_iter().take(Self::MOST) {
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
    fn heaviest(&self) -> LogNormal {
        self.parts[0]
    }

    /// The latency that the word `u` stands for.
    #[inline]
    fn draw_ms(&self, u: f64) -> f64 {
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

    pub(crate) fn cdf(&self, ms: f64) -> f64 {
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
    fn quantile(&self, p: f64) -> f64 {
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

    fn weights_sum_to_one(&self) -> Result<(), Violation> {
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
        if weights.is_empty() || weights.len() > Self::MOST {
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
    use flakelab_core::domain::{Purpose, Streams};
    use flakelab_core::stats::goodness;

    const fn mixture(tail_weight: f64) -> LatencyFamily {
        LatencyFamily::LogNormalMixture {
            body: LogNormal { median_ms: 1.1, sigma: 0.3 },
            tail_weight,
            tail: LogNormal { median_ms: 10.0, sigma: 1.0 },
        }
    }

    /// Families, and each with one parameter slightly wrong.
    fn families_and_errors() -> [(LatencyFamily, LatencyFamily); 4] {
        let parts = |sigma| {
            let part = |weight, median_ms, sigma| (weight, LogNormal { median_ms, sigma });
            let parts = [part(0.5, 1.1, sigma), part(0.3, 1.4, 0.3), part(0.2, 6.0, 1.0)];
            LatencyFamily::LogNormals(LogNormals::of(&parts))
        };
        let logistic = |shape| LatencyFamily::LogLogistic { median_ms: 1.1, shape };
        let pareto = |tail_index| LatencyFamily::LogNormalPareto {
            body: LogNormal { median_ms: 1.1, sigma: 0.2 },
            threshold_ms: 1.4,
            tail_weight: 0.2,
            tail_index,
        };
        [
            (parts(0.1), parts(0.12)),
            (logistic(7.0), logistic(6.0)),
            (pareto(1.5), pareto(2.0)),
            (mixture(0.05), mixture(0.08)),
        ]
    }

    /// Kolmogorov-Smirnov at level 1e-4 each on 20,000 draws, fixed seeds.
    #[test]
    fn draws_of_every_family_follow_its_cdf_and_planted_errors_are_caught() {
        for (seed, (family, wrong)) in [6, 6, 6, 5].into_iter().zip(families_and_errors()) {
            let mut rng = Streams::new(seed).stream(Purpose::World, 0, 0);
            let draws: Vec<f64> =
                (0..20_000).map(|_| family.draw(&mut rng).as_millis_f64()).collect();
            let p_value = |family: LatencyFamily| {
                let mut u: Vec<f64> = draws.iter().map(|ms| family.cdf(*ms)).collect();
                u.sort_by(f64::total_cmp);
                goodness::ks_p_value(goodness::ks_statistic(&u), u.len())
            };
            assert!(p_value(family) > 1e-4, "{family:?}");
            assert!(p_value(wrong) < 1e-4, "{wrong:?}");
        }
    }

    #[test]
    fn quantiles_undo_the_cdf_and_meet_closed_forms() {
        let families = families_and_errors().map(|(family, _)| family);
        for family in families {
            assert!(family.validate().is_ok());
            for p in [1e-6, 0.01, 0.3, 0.5, 0.8, 0.999, 1.0 - 1e-9] {
                let back = family.cdf(family.quantile(p));
                assert!((back - p).abs() < 1e-12, "{family:?} at {p}: {back}");
            }
        }
        // Odds of 3 lie at median x 3^(1/shape); the tail's half is at threshold x 2^(1/index).
        assert!((families[1].quantile(0.75) - 1.1 * 3_f64.powf(1.0 / 7.0)).abs() < 1e-12);
        assert!((families[2].quantile(0.9) - 1.4 * 2_f64.powf(1.0 / 1.5)).abs() < 1e-12);
    }

    #[test]
    fn failures_have_their_own_latency_when_given() {
        let latency = Latency {
            success: LatencyFamily::Constant { ms: 1.0 },
            failure: Some(LatencyFamily::Constant { ms: 7.0 }),
            rate_limited_ms: None,
        };
        let mut rng = Streams::new(5).stream(Purpose::World, 0, 0);
        assert_eq!(latency.draw(true, &mut rng), Span::from_millis_f64(7.0));
        assert_eq!(latency.draw(false, &mut rng), Span::from_millis_f64(1.0));
        assert_eq!(latency.rate_limited(), Span::from_millis_f64(1.0));
    }

    #[test]
    fn rounded_weights_still_sum_to_one() {
        let part = |weight| (weight, LogNormal { median_ms: 1.234, sigma: 0.111 });
        let third = LatencyFamily::LogNormals(LogNormals::of(&[part(1.0 / 3.0); 3]));
        let rounded = third.rounded(|x| (x * 100.0).round() / 100.0);
        assert!(rounded.validate().is_ok());
        assert_eq!(
            rounded.to_string(),
            "mixture of 3 lognormals: 34.0 % with median 1.23 ms, sigma 0.11; 33.0 % with median \
             1.23 ms, sigma 0.11; 33.0 % with median 1.23 ms, sigma 0.11"
        );
    }

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
