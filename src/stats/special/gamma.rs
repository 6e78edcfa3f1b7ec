//! The gamma function's logarithm, the incomplete gamma function and the chi-square tail.
//!
//! Below `x = a + 1` the power series (DLMF 8.7.1), above it the continued fraction
//! (DLMF 8.9.2) by Lentz's method; the prefactor is Loader's.

use super::saddle::gamma_kernel;

/// Guards Lentz's method against division by zero.
const TINY: f64 = 1e-300;
/// Both expansions need about `5 sqrt(a)` terms; enough for a up to 1e10.
const MOST_TERMS: u32 = 1_000_000;

/// `ln Gamma(x)` for x > 0, from `libm`; NaN elsewhere.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    if x > 0.0 { libm::lgamma(x) } else { f64::NAN }
}

/// The regularised upper incomplete gamma function `Q(a, x)` (DLMF 8.2.4): the chance that a
/// gamma variable of shape `a` and rate 1 exceeds `x`.
///
/// For finite a > 0 (accurate up to about 1e10) and x >= 0; NaN elsewhere.
#[must_use]
pub fn inc_gamma_upper(a: f64, x: f64) -> f64 {
    if !(a > 0.0 && a.is_finite() && x >= 0.0) {
        return f64::NAN;
    }
    if x == 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    if x < a + 1.0 {
        1.0 - gamma_kernel(a, x) * lower_series(a, x)
    } else {
        gamma_kernel(a, x) * a * upper_fraction(a, x)
    }
}

/// `1 + x / (a + 1) + x^2 / ((a + 1)(a + 2)) + ...`
fn lower_series(a: f64, x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..MOST_TERMS {
        term *= x / (a + f64::from(n));
        sum += term;
        if term <= sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    sum
}

/// `1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...)))`
fn upper_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for n in 1..MOST_TERMS {
        let n = f64::from(n);
        let coefficient = -n * (n - a);
        b += 2.0;
        d = 1.0 / nonzero(coefficient * d + b);
        c = nonzero(b + coefficient / c);
        let factor = c * d;
        h *= factor;
        if (factor - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    h
}

/// Lentz's guard: a denominator that vanished is replaced by a tiny one.
pub(super) fn nonzero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// The chance that a chi-square variable with `df` degrees of freedom exceeds `x`:
/// `Q(df / 2, x / 2)`. For df > 0 and x >= 0; NaN elsewhere.
#[must_use]
pub fn chi_square_sf(x: f64, df: f64) -> f64 {
    inc_gamma_upper(df / 2.0, x / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    #[test]
    fn log_gamma_of_whole_numbers_is_the_log_of_a_factorial() {
        assert_close(ln_gamma(11.0), 3_628_800.0_f64.ln(), 1e-15, "ten factorial");
        assert_close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-15, "a half");
        assert!(ln_gamma(0.0).is_nan() && ln_gamma(-1.5).is_nan());
    }

    #[test]
    fn whole_shapes_agree_with_poisson_sums() {
        // Q(n, x) = sum over k < n of e^-x x^k / k!
        for n in [1, 2, 5, 20, 60] {
            for x in [0.01_f64, 0.7, 5.0, 21.0, 90.0] {
                let mut term = (-x).exp();
                let mut sum = 0.0;
                for k in 0..n {
                    sum += term;
                    term *= x / f64::from(k + 1);
                }
                assert_close(inc_gamma_upper(f64::from(n), x), sum, 1e-12, "Poisson sum");
            }
        }
    }

    #[test]
    fn agrees_with_statrs_at_fractional_shapes() {
        for a in [0.01, 0.5, 1.5, 7.3, 42.1, 500.5] {
            for factor in [0.2, 0.9, 1.0, 1.1, 2.0] {
                let x = a * factor;
                let expected = statrs::function::gamma::gamma_ur(a, x);
                assert_close(inc_gamma_upper(a, x), expected, 1e-10, "statrs");
            }
        }
    }

    #[test]
    fn chi_square_tails_are_those_of_the_printed_tables() {
        assert_close(chi_square_sf(3.841_458_820_694_124, 1.0), 0.05, 1e-13, "df 1");
        assert_close(chi_square_sf(18.307_038_053_275_146, 10.0), 0.05, 1e-13, "df 10");
        assert_close(chi_square_sf(700.0, 2.0), (-350.0_f64).exp(), 1e-13, "deep tail");
    }

    #[test]
    fn a_shape_of_a_million_is_nearly_normal() {
        // Q(a, a) = 1/2 - 1 / (3 sqrt(2 pi a)) + O(a^-3/2).
        let a = 1e6;
        let expected = 0.5 - 1.0 / (3.0 * (std::f64::consts::TAU * a).sqrt());
        assert_close(inc_gamma_upper(a, a), expected, 1e-10, "at the mean");
    }

    #[test]
    fn arguments_outside_the_domain_give_nan() {
        for (a, x) in [(0.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::NAN)] {
            assert!(inc_gamma_upper(a, x).is_nan());
        }
        assert_eq!(inc_gamma_upper(2.0, 0.0), 1.0);
        assert_eq!(inc_gamma_upper(2.0, f64::INFINITY), 0.0);
    }
}
