//! Failures against predictions: sums that are fair games whoever chose the servers.
//!
//! Each attempt is a coin whose chance p of failure was predicted before it was thrown. Whatever
//! rule chose the server, `failed - p` has mean 0 given everything before it, as long as the rule
//! saw only what was recorded. So have sums of it with weights known before each throw: they are
//! martingales, and divided by the root of the summed variances `w^2 p (1 - p)` they are nearly
//! normal (A. P. Dawid, "Statistical theory: the prequential approach", JRSS A 147 (1984),
//! 278-292; F. Seillier-Moiseiwitsch and Dawid, "On testing the validity of sequential
//! probability forecasts", JASA 88 (1993), 355-359).
//!
//! Few coins are no normal variable. Up to [`FEW`] their failures are compared with the exact
//! distribution of the sum of independent coins with these chances (Poisson binomial, by
//! convolution). That treats the chances as given, though later ones depend on earlier outcomes;
//! `tests/calibration/checks.rs` measures what this costs.
//!
//! When not to use it: with weights that depend on the outcome they weigh.

use flakelab_core::stats::{Interval, chi_square_sf, normal_cdf, normal_quantile};

/// Up to so many coins are judged by their exact distribution.
const FEW: usize = 60;

/// Classes with less variance of the number of failures are left out of a chi-square.
pub(crate) const LEAST_VARIANCE: f64 = 5.0;

/// Twice this tail is outside a 95 % interval.
const TAIL: f64 = 0.025;

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finding {
    /// Standard normal if the model holds, or a chi-square.
    pub(crate) statistic: f64,
    /// Two-sided.
    pub(crate) p_value: f64,
    /// Difference in the probability of failure.
    pub(crate) effect: f64,
    /// Its 95 % interval.
    pub(crate) interval: Interval,
    /// Coins that the test rests on.
    pub(crate) attempts: u64,
}

impl Finding {
    /// Nothing to test on.
    pub(crate) const NONE: Self = Self {
        statistic: 0.0,
        p_value: 1.0,
        effect: 0.0,
        interval: Interval { low: -1.0, high: 1.0 },
        attempts: 0,
    };
}

/// The chance that a standard normal variable is at least as far from 0.
fn two_sided(z: f64) -> f64 {
    2.0 * normal_cdf(-z.abs())
}

/// The coins of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Coins {
    pub(crate) count: u64,
    pub(crate) failures: u64,
    /// Sum of the predicted chances.
    pub(crate) expected: f64,
    /// Sum of p (1 - p).
    pub(crate) variance: f64,
    /// The chances of the first ones.
    chances: Vec<f64>,
}

impl Coins {
    pub(crate) fn record(&mut self, predicted: f64, failed: bool) {
        self.count += 1;
        self.failures += u64::from(failed);
        self.expected += predicted;
        self.variance += predicted * (1.0 - predicted);
        if self.chances.len() <= FEW {
            self.chances.push(predicted);
        }
    }

    /// Failures beyond those predicted.
    pub(crate) fn excess(&self) -> f64 {
        self.failures as f64 - self.expected
    }

    fn is_few(&self) -> bool {
        self.chances.len() <= FEW
    }

    fn per_coin(&self) -> (f64, f64) {
        let n = self.count as f64;
        (self.excess() / n, self.variance / (n * n))
    }

    /// Do they fail as often as predicted?
    pub(crate) fn against_prediction(&self) -> Finding {
        if self.count == 0 || self.variance == 0.0 {
            return Finding::NONE;
        }
        let statistic = self.excess() / self.variance.sqrt();
        let (effect, variance) = self.per_coin();
        let (p_value, interval) = if self.is_few() {
            (poisson_binomial_p(&self.chances, self.failures as usize), self.exact_interval())
        } else {
            (two_sided(statistic), Interval::around(effect, Z * variance.sqrt()))
        };
        Finding { statistic, p_value, effect, interval, attempts: self.count }
    }

    /// Do they fail as often as the others, each compared with its prediction? With few of them,
    /// or no others, the same as [`Coins::against_prediction`].
    pub(crate) fn against(&self, others: &Self) -> Finding {
        if self.is_few() || others.count == 0 || others.variance == 0.0 {
            return self.against_prediction();
        }
        let ((these, v), (those, u)) = (self.per_coin(), others.per_coin());
        let (effect, se) = (these - those, (v + u).sqrt());
        let statistic = effect / se;
        let interval = Interval::around(effect, Z * se);
        Finding { statistic, p_value: two_sided(statistic), effect, interval, attempts: self.count }
    }

    /// The shifts of all chances, equal in log odds, under which neither tail of the number of
    /// failures has less than 2.5 %.
    fn exact_interval(&self) -> Interval {
        let (n, seen) = (self.count as f64, self.failures as usize);
        let shifted = |theta: f64| -> Vec<f64> {
            let odds = libm::exp(theta);
            self.chances.iter().map(|p| p * odds / (1.0 - p + p * odds)).collect()
        };
        let effect = |theta: f64| (shifted(theta).iter().sum::<f64>() - self.expected) / n;
        // The tail of at least (at most) as many failures grows (falls) with theta.
        let bisect = |beyond: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (-20.0, 20.0);
            for _ in 0..40 {
                let middle = 0.5 * (low + high);
                if beyond(middle) { high = middle } else { low = middle }
            }
            effect(0.5 * (low + high))
        };
        let tails = |theta: f64| tails(&shifted(theta), seen);
        Interval {
            low: if seen == 0 { -self.expected / n } else { bisect(&|t| tails(t).1 > TAIL) },
            high: if self.failures == self.count {
                1.0 - self.expected / n
            } else {
                bisect(&|t| tails(t).0 < TAIL)
            },
        }
    }
}

/// The chances that independent coins with these chances fail at most, and at least, `seen` times.
fn tails(chances: &[f64], seen: usize) -> (f64, f64) {
    let mut pmf = vec![0.0; chances.len() + 1];
    pmf[0] = 1.0;
    for (done, p) in chances.iter().enumerate() {
        for k in (0..=done).rev() {
            pmf[k + 1] += pmf[k] * p;
            pmf[k] *= 1.0 - p;
        }
    }
    (pmf.iter().take(seen + 1).sum(), pmf.iter().skip(seen).sum())
}

/// Twice the smaller tail, at most 1.
fn poisson_binomial_p(chances: &[f64], seen: usize) -> f64 {
    let (at_most, at_least) = tails(chances, seen);
    (2.0 * at_most.min(at_least)).min(1.0)
}

/// Coins with weights of any size: does the chance of failure move with the weight?
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Weighted {
    count: u64,
    /// Sum of w (failed - p).
    excess: f64,
    /// Sum of w^2 p (1 - p).
    variance: f64,
    /// Sum of w^2.
    squares: f64,
}

impl Weighted {
    pub(crate) fn record(&mut self, weight: f64, predicted: f64, failed: bool) {
        if weight != 0.0 {
            self.count += 1;
            self.excess += weight * (f64::from(u8::from(failed)) - predicted);
            self.variance += weight * weight * predicted * (1.0 - predicted);
            self.squares += weight * weight;
        }
    }

    /// Root mean square of the weights.
    pub(crate) fn typical(&self) -> f64 {
        (self.squares / self.count as f64).sqrt()
    }

    /// The test, and the effect of a weight that is higher by `step`.
    pub(crate) fn finding(&self, step: f64) -> Finding {
        if self.count as usize <= FEW || self.variance == 0.0 {
            return Finding::NONE;
        }
        let statistic = self.excess / self.variance.sqrt();
        let per_step = step / self.squares;
        let effect = self.excess * per_step;
        let interval = Interval::around(effect, Z * self.variance.sqrt() * per_step);
        Finding { statistic, p_value: two_sided(statistic), effect, interval, attempts: self.count }
    }
}

/// Do all classes fail alike, each compared with its predictions? The class that differs most from
/// the rest is returned beside the finding, and gives its effect; the interval is simultaneous
/// over the classes (Bonferroni).
///
/// Chi-square of (excess - variance x common shift)^2 / variance, one degree of freedom less than
/// classes; those below [`LEAST_VARIANCE`] are left out.
pub(crate) fn classes(classes: &[Coins]) -> (Option<usize>, Finding) {
    let used: Vec<(usize, &Coins)> =
        classes.iter().enumerate().filter(|(_, c)| c.variance >= LEAST_VARIANCE).collect();
    if used.len() < 2 {
        return (None, Finding::NONE);
    }
    let total = |of: fn(&Coins) -> f64| used.iter().map(|(_, c)| of(c)).sum::<f64>();
    let (excess, variance) = (total(Coins::excess), total(|c| c.variance));
    let (count, df) = (total(|c| c.count as f64), used.len() as f64 - 1.0);
    let shift = excess / variance;
    let deviation = |c: &Coins| (c.excess() - c.variance * shift) / c.variance.sqrt();
    let statistic: f64 = used.iter().map(|(_, c)| deviation(c) * deviation(c)).sum();
    let (mut most, mut farthest) = (used[0], 0.0);
    for class in &used {
        let from_rest = deviation(class.1).abs() / (1.0 - class.1.variance / variance).sqrt();
        if from_rest > farthest {
            (most, farthest) = (*class, from_rest);
        }
    }
    let (n, rest) = (most.1.count as f64, count - most.1.count as f64);
    let effect = most.1.excess() / n - (excess - most.1.excess()) / rest;
    let se = (most.1.variance / (n * n) + (variance - most.1.variance) / (rest * rest)).sqrt();
    let z = -normal_quantile(TAIL / used.len() as f64);
    let finding = Finding {
        statistic,
        p_value: chi_square_sf(statistic, df),
        effect,
        interval: Interval::around(effect, z * se),
        attempts: count as u64,
    };
    (Some(most.0), finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: f64, expected: f64, relative: f64, what: &str) {
        let off = (got - expected).abs();
        assert!(off <= relative * expected.abs().max(1e-12), "{what}: {got} for {expected}");
    }

    fn coins(n: usize, failures: usize, p: f64) -> Coins {
        let mut coins = Coins::default();
        (0..n).for_each(|i| coins.record(p, i < failures));
        coins
    }

    #[test]
    fn equal_chances_give_the_binomial_distribution() {
        // R: pbinom(2, 10, 0.3), 1 - pbinom(1, 10, 0.3)
        let (at_most, at_least) = tails(&[0.3; 10], 2);
        assert_close(at_most, 0.382_782_786_4, 1e-9, "at most");
        assert_close(at_least, 0.850_691_654_1, 1e-9, "at least");
        // 16 of 16 failed: twice p^16.
        assert_close(poisson_binomial_p(&[0.4; 16], 16), 2.0 * libm::pow(0.4, 16.0), 1e-9, "all");
        assert_eq!(poisson_binomial_p(&[], 0), 1.0);
    }

    #[test]
    fn the_exact_interval_is_that_of_clopper_and_pearson() {
        // R: binom.test(7, 20)$conf.int, and the ends of binom.test(16, 16).
        let interval = coins(20, 7, 0.5).against_prediction().interval;
        assert_close(interval.low + 0.5, 0.153_909_2, 1e-6, "low");
        assert_close(interval.high + 0.5, 0.592_188_5, 1e-6, "high");
        let all = coins(16, 16, 0.4).against_prediction();
        assert_close(all.interval.low + 0.4, 0.794_093_0, 1e-6, "low");
        assert_close(all.interval.high, 0.6, 1e-12, "high");
        assert_close(coins(16, 0, 0.4).against_prediction().interval.low, -0.4, 1e-12, "none");
    }

    #[test]
    fn many_coins_are_compared_with_the_others() {
        let found = coins(400, 240, 0.5).against(&coins(400, 200, 0.5));
        assert_close(found.effect, 0.1, 1e-12, "effect");
        assert_close(found.statistic, 0.1 / (0.5_f64 / 400.0).sqrt(), 1e-12, "z");
        let same = coins(400, 240, 0.5).against(&coins(400, 240, 0.5));
        assert_eq!((same.statistic, same.p_value), (0.0, 1.0), "a common miss is no difference");
    }

    #[test]
    fn weights_find_a_slope_and_classes_find_the_odd_one() {
        let mut weighted = Weighted::default();
        for i in 0..400 {
            // Fails at weight 1, else at every other.
            let weight = if i % 2 == 0 { 1.0 } else { -1.0 };
            weighted.record(weight, 0.5, i % 2 == 0 || i % 4 == 1);
        }
        let found = weighted.finding(2.0);
        assert_close(found.effect, 0.5, 1e-12, "from -1 to 1");
        assert_close(weighted.typical(), 1.0, 1e-12, "rms");
        let (odd, found) = classes(&[coins(100, 50, 0.5), coins(100, 80, 0.5), coins(3, 0, 0.5)]);
        assert_eq!(odd.map(|i| i > 1), Some(false), "small classes are left out");
        assert_close(found.statistic, 18.0, 1e-12, "chi-square");
        assert_close(found.effect.abs(), 0.3, 1e-12, "effect");
    }

    #[test]
    fn nothing_is_no_evidence() {
        assert_eq!(Coins::default().against(&Coins::default()), Finding::NONE);
        assert_eq!(Weighted::default().finding(1.0), Finding::NONE);
        assert_eq!(classes(&[]).1, Finding::NONE);
    }
}
