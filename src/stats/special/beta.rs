//! The incomplete beta function and its inverse.
//!
//! The continued fraction DLMF 8.17.22 by the modified Lentz method (Thompson & Barnett 1986), on
//! the side of the mean where it converges fast (`I_x(a, b) = 1 - I_{1-x}(b, a)` leads there),
//! with Loader's prefactor.
//! The number of terms grows like the square root of the greater parameter.

use std::f64::consts::TAU;

use super::gamma::nonzero;
use super::root::solve;
use super::saddle::{beta_kernel, stirling_error};

/// Enough terms for parameters up to about 1e10.
const MOST_TERMS: u32 = 1_000_000;

/// `ln B(a, b) = ln Gamma(a) + ln Gamma(b) - ln Gamma(a + b)` for finite a, b > 0; NaN elsewhere.
///
/// By Stirling's formula and its error, which does not cancel when a and b are large.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    if !valid(a, b) {
        return f64::NAN;
    }
    let errors = stirling_error(a) + stirling_error(b) - stirling_error(a + b);
    let entropy = a * libm::log1p(b / a) + b * libm::log1p(a / b);
    0.5 * libm::log(TAU * (1.0 / a + 1.0 / b)) + errors - entropy
}

/// The regularised incomplete beta function `I_x(a, b)` (DLMF 8.17.2): the distribution function
/// of a Beta(a, b) variable at `x`.
///
/// For finite a, b > 0 (accurate up to about 1e10) and x in \[0, 1\]; NaN elsewhere.
#[must_use]
pub fn inc_beta(a: f64, b: f64, x: f64) -> f64 {
    if valid(a, b) && (0.0..=1.0).contains(&x) { lower(a, b, x, 1.0 - x) } else { f64::NAN }
}

/// The x at which `I_x(a, b) = p`: the p-quantile of a Beta(a, b) variable.
///
/// For finite a, b > 0 and p in \[0, 1\]; NaN elsewhere. Accurate to about 1e-13 of the quantile
/// or of its distance from 1, whichever is smaller. Always ends, also for p = 1e-300; a quantile
/// below the smallest float comes out as 0 or as that float.
#[must_use]
pub fn inv_inc_beta(a: f64, b: f64, p: f64) -> f64 {
    if !(valid(a, b) && (0.0..=1.0).contains(&p)) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return p;
    }
    if p <= lower(a, b, 0.5, 0.5) {
        quantile_below_half(a, b, p, 1.0 - p)
    } else {
        1.0 - quantile_below_half(b, a, 1.0 - p, p)
    }
}

/// The x <= 1/2 with `I_x(a, b) = p`, by the lower tail p or the upper tail q = 1 - p, whichever
/// is smaller and so has the digits.
fn quantile_below_half(a: f64, b: f64, p: f64, q: f64) -> f64 {
    let start = (a / (a + b)).min(0.5);
    let lower_tail = |x: f64| {
        let value = lower(a, b, x, 1.0 - x);
        (value, beta_kernel(a, b, x, 1.0 - x) / ((1.0 - x) * value))
    };
    let upper_tail = |x: f64| {
        let value = lower(b, a, 1.0 - x, x);
        (value, -beta_kernel(a, b, x, 1.0 - x) / ((1.0 - x) * value))
    };
    if p <= q {
        solve(p, (0.0, 0.5), start, true, lower_tail)
    } else {
        solve(q, (0.0, 0.5), start, false, upper_tail)
    }
}

fn valid(a: f64, b: f64) -> bool {
    a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()
}

/// `I_x(a, b)` for valid a, b, with x and y = 1 - x both given: near an end of \[0, 1\] the caller
/// may know the smaller one to more digits than a subtraction would leave.
pub(super) fn lower(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x == 0.0 || y == 0.0 {
        return x;
    }
    let tail = |a, b, x, y| beta_kernel(a, b, x, y) * fraction(a, b, x, y);
    if x <= (a + 1.0) / (a + b + 2.0) { tail(a, b, x, y) } else { 1.0 - tail(b, a, y, x) }
}

/// The even part of the continued fraction `1 / (1 + d1 / (1 + d2 / (1 + ...)))` of
/// DLMF 8.17.22, times a: the same approximants in half the steps.
///
/// In this form x near 1 costs no digits, because `a y - b x` is never computed as
/// `a - (a + b) x` (Didonato & Morris, ACM TOMS 18 (1992), 360-373; Boost's `ibeta_fraction2`).
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let offset = a * y - b * x + 1.0;
    let mut sum = nonzero(a * offset / (a + 1.0));
    let mut c = sum;
    let mut d = 0.0;
    for m in 1..MOST_TERMS {
        let m = f64::from(m);
        let a2m = a + 2.0 * m;
        let even = m * (b - m) * x / (a2m - 1.0);
        let numerator = even * x * (a + m - 1.0) * ((a + b + m - 1.0) / (a2m - 1.0));
        let denominator = m + even + (a + m) * (offset + m * (1.0 + y)) / (a2m + 1.0);
        d = 1.0 / nonzero(denominator + numerator * d);
        c = nonzero(denominator + numerator / c);
        sum *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    1.0 / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::{assert_close, normal_cdf};

    /// `I_x(a, b)` for whole a, b: the chance of at least a successes in a + b - 1 trials.
    fn binomial_sum(a: u32, b: u32, x: f64) -> f64 {
        let n = a + b - 1;
        let mut choose = 1.0;
        let mut sum = 0.0;
        for k in 0..=n {
            if k >= a {
                sum += choose * x.powi(k as i32) * (1.0 - x).powi((n - k) as i32);
            }
            choose *= f64::from(n - k) / f64::from(k + 1);
        }
        sum
    }

    #[test]
    fn whole_parameters_agree_with_binomial_sums() {
        for a in [1, 2, 7, 30] {
            for b in [1, 3, 11, 50] {
                for x in [0.001, 0.2, 0.5, 0.83, 0.999] {
                    let got = inc_beta(f64::from(a), f64::from(b), x);
                    assert_close(got, binomial_sum(a, b, x), 1e-12, "binomial sum");
                }
            }
        }
    }

    #[test]
    fn agrees_with_statrs_at_fractional_parameters() {
        for a in [0.3, 0.5, 1.7, 12.5, 133.3] {
            for b in [0.2, 0.5, 2.5, 40.1] {
                for x in [0.02, 0.31, 0.5, 0.77, 0.98] {
                    let expected = statrs::function::beta::beta_reg(a, b, x);
                    assert_close(inc_beta(a, b, x), expected, 1e-10, "statrs");
                }
            }
        }
    }

    #[test]
    fn the_log_of_beta_agrees_with_closed_forms_and_large_asymptotics() {
        assert_close(ln_beta(0.5, 0.5), std::f64::consts::PI.ln(), 1e-14, "B(1/2, 1/2)");
        assert_close(ln_beta(1.0, 50.0), -(50.0_f64.ln()), 1e-14, "B(1, b) = 1 / b");
        assert_close(ln_beta(1e-8, 3.0), 1e8_f64.ln(), 1e-8, "B(a, b) ~ 1 / a");
        let statrs = statrs::function::beta::ln_beta(31.4, 27.2);
        assert_close(ln_beta(31.4, 27.2), statrs, 1e-12, "statrs");
        // B(a, a) ~ sqrt(pi) 2^(1 - 2a) a^(-1/2) (1 + 1/(8a)).
        let a = 1e7_f64;
        let expected = 0.5 * (std::f64::consts::PI / a).ln()
            + (1.0 - 2.0 * a) * std::f64::consts::LN_2
            + 0.125 / a;
        assert_close(ln_beta(a, a), expected, 1e-15, "large");
    }

    #[test]
    fn large_parameters_approach_the_normal_distribution() {
        let a = 1e8_f64;
        assert_close(inc_beta(a, a, 0.5), 0.5, 1e-12, "the median of a symmetric one");
        // The variance of Beta(a, a) is 1 / (4 (2a + 1)); the correction is of order 1 / a.
        for z in [-5.0, -2.0, -0.5, 1.0, 3.0] {
            let x = 0.5 + z / (2.0 * (2.0 * a + 1.0).sqrt());
            assert_close(inc_beta(a, a, x), normal_cdf(z), 1e-6, "normal limit");
        }
    }

    #[test]
    fn the_inverse_undoes_the_function() {
        for a in [0.4, 1.0, 3.5, 80.0, 1e5] {
            for b in [0.6, 1.0, 9.0, 2e4] {
                for p in [1e-12, 0.001, 0.2, 0.5] {
                    let x = inv_inc_beta(a, b, p);
                    // Next to 1 a float is too coarse for x to give p back.
                    if x < 0.99 {
                        assert_close(inc_beta(a, b, x), p, 1e-9, "round trip");
                    }
                }
                let x = inv_inc_beta(a, b, 0.9);
                let mirrored = inv_inc_beta(b, a, 1.0 - 0.9);
                assert!((x - (1.0 - mirrored)).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn the_inverse_reaches_into_the_deep_tail() {
        // I_x(a, 1) = x^a and I_x(1, b) = 1 - (1 - x)^b.
        assert_close(inv_inc_beta(2.0, 1.0, 1e-300), 1e-150, 1e-13, "x squared");
        assert_close(inv_inc_beta(0.1, 1.0, 1e-25), 1e-250, 1e-12, "a tenth root");
        assert_close(inv_inc_beta(1.0, 1e6, 1e-300), 1e-306, 1e-13, "first of a million");
        assert!(inv_inc_beta(0.01, 1.0, 1e-4) < 1e-320, "below the smallest normal float");
        assert_close(inv_inc_beta(1.0, 1e9, 0.9), -(0.1_f64.ln()) * 1e-9, 2e-9, "small, upper");
        assert_close(inv_inc_beta(1e6, 1.0, 1e-20), 1e-20_f64.powf(1e-6), 1e-15, "large, lower");
        assert_close(inv_inc_beta(1.0, 4.0, 0.999), 1.0 - 0.001_f64.powf(0.25), 1e-14, "upper");
    }

    #[test]
    fn arguments_outside_the_domain_give_nan() {
        for (a, b) in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(inc_beta(a, b, 0.5).is_nan());
            assert!(inv_inc_beta(a, b, 0.5).is_nan());
            assert!(ln_beta(a, b).is_nan());
        }
        for x in [-0.1, 1.1, f64::NAN] {
            assert!(inc_beta(1.0, 2.0, x).is_nan());
            assert!(inv_inc_beta(1.0, 2.0, x).is_nan());
        }
        assert_eq!((inc_beta(2.0, 3.0, 0.0), inc_beta(2.0, 3.0, 1.0)), (0.0, 1.0));
        assert_eq!((inv_inc_beta(2.0, 3.0, 0.0), inv_inc_beta(2.0, 3.0, 1.0)), (0.0, 1.0));
    }
}
