//! Does the data fit the model?
//!
//! Chi-square for equal rates in several groups, Kolmogorov-Smirnov for values that should be
//! uniform once sent through their distribution function (the probability integral transform,
//! PIT), and the randomised PIT that makes this true of counts as well.
//!
//! When not to use it: the chi-square approximation wants about five expected successes and
//! failures a group; the KS p-value assumes that no parameter was fitted to the same data.

use std::f64::consts::{PI, TAU};

use crate::stats::special::chi_square_sf;

/// The outcome of a chi-square test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The sum of squared deviations over expectations; 0 is a perfect fit.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: u64,
    /// The chance of a statistic at least as great if the model holds.
    pub p_value: f64,
}

/// Pearson's test that all groups of (successes, trials) have one success rate: a 2 x m table
/// with m - 1 degrees of freedom (K. Pearson 1900; R. A. Fisher 1922).
///
/// Groups without trials are dropped; successes must not exceed trials. With fewer than two
/// groups, or with all trials alike, nothing can differ: the statistic is 0 and p is 1.
pub fn chi_square_homogeneity(groups: &[(u64, u64)]) -> ChiSquare {
    let groups: Vec<(f64, f64)> =
        groups.iter().filter(|g| g.1 > 0).map(|&(s, n)| (s as f64, n as f64)).collect();
    let df = (groups.len() as u64).saturating_sub(1);
    let successes: f64 = groups.iter().map(|g| g.0).sum();
    let trials: f64 = groups.iter().map(|g| g.1).sum();
    let rate = successes / trials;
    if df == 0 || successes == 0.0 || successes == trials {
        return ChiSquare { statistic: 0.0, df, p_value: 1.0 };
    }
    // (s - n p)^2 / (n p) + (s - n p)^2 / (n q) = (s - n p)^2 / (n p q).
    let deviation = |(s, n): &(f64, f64)| (s - n * rate) * (s - n * rate) / n;
    let statistic = groups.iter().map(deviation).sum::<f64>() / (rate * (1.0 - rate));
    ChiSquare { statistic, df, p_value: chi_square_sf(statistic, df as f64) }
}

/// Kolmogorov's distance D between the empirical distribution of ascending values in \[0, 1\] and
/// the uniform one; 0 for no values.
pub fn ks_statistic(sorted_u: &[f64]) -> f64 {
    let n = sorted_u.len() as f64;
    let gap = |(i, &u): (usize, &f64)| (u - i as f64 / n).max((i + 1) as f64 / n - u);
    sorted_u.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// The chance of a Kolmogorov distance of at least `d` among `n` uniform values.
///
/// Kolmogorov's limit (1933) at Stephens' `(sqrt n + 0.12 + 0.11 / sqrt n) d` (JRSS B 32 (1970),
/// 115-122), good to two digits from n = 5 on. 1 for n = 0; NaN for a NaN distance.
pub fn ks_p_value(d: f64, n: usize) -> f64 {
    let root = (n as f64).sqrt();
    if n == 0 { 1.0 } else { kolmogorov_sf((root + 0.12 + 0.11 / root) * d) }
}

/// The tail of Kolmogorov's distribution, by whichever of its two theta series converges fast:
/// four terms suffice on either side of 1.18.
fn kolmogorov_sf(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.18 {
        let term =
            |j: i32| libm::exp(-f64::from((2 * j - 1) * (2 * j - 1)) * PI * PI / 8.0 / (x * x));
        return 1.0 - TAU.sqrt() / x * (1..=4).map(term).sum::<f64>();
    }
    let term = |j: i32| f64::from(1 - j % 2 * 2) * libm::exp(-2.0 * f64::from(j * j) * x * x);
    -2.0 * (1..=4).map(term).sum::<f64>()
}

/// The randomised probability integral transform of a discrete observation: uniform on (0, 1) if
/// `u` is and the model holds.
///
/// `cdf_below` is the model's chance of less than the observation, `cdf_at` its chance of at most
/// the observation (A. E. Brockwell, Statistics and Probability Letters 77 (2007), 1473-1478).
pub fn randomised_pit(cdf_below: f64, cdf_at: f64, u: f64) -> f64 {
    cdf_below + u * (cdf_at - cdf_below)
}

/// Holm's adjusted p-values of several tests made at once, in the order of the input: reject those
/// at or below the level.
///
/// His step-down procedure keeps the chance of any false alarm at the level, whatever the
/// dependence between the tests, and never rejects less than Bonferroni's (S. Holm, "A Simple
/// Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979),
/// 65-70).
///
/// The i-th smallest of m p-values becomes the greatest of `(m - j + 1) p_j` for j <= i, at most
/// 1. Values should lie in \[0, 1\]; a NaN is adjusted to 1, as a test that was not made.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let known = |i: usize| if p[i].is_nan() { 1.0 } else { p[i] };
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| known(i).total_cmp(&known(j)));
    let mut adjusted = vec![1.0; p.len()];
    let mut greatest = 0.0_f64;
    for (done, &i) in order.iter().enumerate() {
        greatest = greatest.max((p.len() - done) as f64 * known(i)).min(1.0);
        adjusted[i] = greatest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stats::sample::{uniform_open, uniform01};
    use crate::stats::special::{assert_close, inc_beta};

    #[test]
    fn the_chi_square_of_a_two_by_two_table_has_its_closed_form() {
        // n (ad - bc)^2 over the product of the margins.
        let (a, b, c, d) = (30.0, 70.0, 45.0, 55.0);
        let expected = 200.0 * (a * d - b * c) * (a * d - b * c) / (100.0 * 100.0 * 75.0 * 125.0);
        let test = chi_square_homogeneity(&[(30, 100), (0, 0), (45, 100)]);
        assert_close(test.statistic, expected, 1e-14, "statistic");
        assert_eq!(test.df, 1);
        let z = expected.sqrt();
        assert_close(test.p_value, 2.0 * crate::stats::special::normal_cdf(-z), 1e-12, "p");
    }

    #[test]
    fn groups_that_cannot_differ_fit_perfectly() {
        for groups in [&[][..], &[(3, 10)], &[(0, 10), (0, 20)], &[(10, 10), (20, 20), (0, 0)]] {
            let test = chi_square_homogeneity(groups);
            assert_eq!((test.statistic, test.p_value), (0.0, 1.0));
        }
    }

    #[test]
    fn the_distance_from_uniform_is_the_greatest_gap() {
        assert_eq!(ks_statistic(&[]), 0.0);
        assert_eq!(ks_statistic(&[0.5]), 0.5);
        assert_eq!(ks_statistic(&[0.25, 0.5, 0.75, 1.0]), 0.25);
        assert_close(ks_statistic(&[0.1, 0.2, 0.3]), 0.7, 1e-15, "all too low");
    }

    #[test]
    fn kolmogorovs_tail_has_its_published_quantiles_and_no_seam() {
        assert_close(kolmogorov_sf(1.358_098_6), 0.05, 1e-6, "5 %");
        assert_close(kolmogorov_sf(1.627_623_6), 0.01, 1e-6, "1 %");
        assert_close(kolmogorov_sf(0.827_573_6), 0.5, 1e-6, "the median");
        assert_close(kolmogorov_sf(1.18 - 1e-13), kolmogorov_sf(1.18), 1e-11, "seam");
        assert_eq!((kolmogorov_sf(0.0), kolmogorov_sf(0.01), kolmogorov_sf(40.0)), (1.0, 1.0, 0.0));
        assert!(ks_p_value(f64::NAN, 10).is_nan());
        assert_eq!(ks_p_value(0.0, 0), 1.0);
    }

    #[test]
    fn stephens_correction_meets_the_exact_small_sample_table() {
        // Exact 5 % critical values of D (Miller 1956, table 1): n = 10 and n = 20.
        assert!((ks_p_value(0.409_25, 10) - 0.05).abs() < 0.002);
        assert!((ks_p_value(0.294_08, 20) - 0.05).abs() < 0.002);
    }

    /// PIT of counts of 20 trials at rate 0.9, with one uniform `u` for each.
    fn pit_of_counts(u: impl Fn(&mut ChaCha8Rng) -> f64, modelled_rate: f64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        // The chance of at most k successes among 20.
        let cdf = |k: i32| match k {
            ..0 => 0.0,
            20.. => 1.0,
            _ => inc_beta(20.0 - f64::from(k), f64::from(k) + 1.0, 1.0 - modelled_rate),
        };
        let mut pit: Vec<f64> = (0..5000)
            .map(|_| {
                let count = (0..20).filter(|_| uniform01(&mut rng) < 0.9).count() as i32;
                randomised_pit(cdf(count - 1), cdf(count), u(&mut rng))
            })
            .collect();
        pit.sort_by(f64::total_cmp);
        ks_p_value(ks_statistic(&pit), pit.len())
    }

    #[test]
    fn randomised_pit_of_near_constant_counts_is_uniform_and_catches_a_wrong_rate() {
        // False alarm 1e-4, paid once: the seed is fixed.
        assert!(pit_of_counts(uniform_open, 0.9) > 1e-4);
        assert!(pit_of_counts(uniform_open, 0.89) < 1e-6);
        // Planted bug: the plain transform of a count is far from uniform.
        assert!(pit_of_counts(|_| 1.0, 0.9) < 1e-12);
    }

    #[test]
    fn p_values_under_the_model_are_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (mut ks_alarms, mut chi_alarms) = (0_u32, 0_u32);
        for _ in 0..4000 {
            let mut u: Vec<f64> = (0..50).map(|_| uniform01(&mut rng)).collect();
            u.sort_by(f64::total_cmp);
            ks_alarms += u32::from(ks_p_value(ks_statistic(&u), 50) < 0.1);
            let mut group =
                |n: u64| ((0..n).filter(|_| uniform01(&mut rng) < 0.4).count() as u64, n);
            let test = chi_square_homogeneity(&[group(80), group(120), group(100)]);
            chi_alarms += u32::from(test.p_value < 0.1);
        }
        // 400 expected, standard deviation 19; 4.5 of them: false alarm 7e-6 each.
        assert!((314..=486).contains(&ks_alarms), "{ks_alarms}");
        assert!((314..=486).contains(&chi_alarms), "{chi_alarms}");
    }

    #[test]
    fn adjusted_values_are_those_of_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (got, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).iter().zip(expected) {
            assert_close(*got, expected, 1e-14, "Holm");
        }
    }

    #[test]
    fn order_is_kept_and_one_is_the_limit() {
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }
}
