//! Loader's saddle-point prefactors: `x^a (1-x)^b / B(a, b)` and `x^a e^-x / Gamma(a + 1)`.
//!
//! Written with log-gammas these lose as many digits as `ln Gamma(a + b)` has before the point
//! (seven at a million). Loader splits each into a square root, the errors of Stirling's formula
//! and the deviances of the point from the mean, all of them small where the result is not.
//!
//! Source: C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000), the
//! algorithm of R's `dbinom` and `dpois`.

use std::f64::consts::PI;

/// `ln(2 pi) / 2`.
const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// The error of Stirling's formula, `ln Gamma(z + 1) - (z + 1/2) ln z + z - ln(2 pi) / 2`,
/// for z > 0.
pub(super) fn stirling_error(z: f64) -> f64 {
    if z < 16.0 {
        return libm::lgamma(z + 1.0) - (z + 0.5) * libm::log(z) + z - HALF_LN_TWO_PI;
    }
    // DLMF 5.11.1; the first term left out is below 2e-16 from z = 16 on.
    let w = 1.0 / (z * z);
    let tail = 1.0 / 1260.0 - w * (1.0 / 1680.0 - w * (1.0 / 1188.0));
    (1.0 / 12.0 - w * (1.0 / 360.0 - w * tail)) / z
}

/// Loader's deviance `x ln(x / m) + m - x` for x, m > 0: zero at x = m, positive elsewhere.
fn deviance(x: f64, m: f64) -> f64 {
    let v = (x - m) / (x + m);
    if v.abs() >= 0.1 {
        let ratio = x / m;
        let ln_ratio =
            if ratio.is_finite() { libm::log(ratio) } else { libm::log(x) - libm::log(m) };
        return x * ln_ratio + m - x;
    }
    // ln(x / m) = 2 artanh(v), whose first term joins m - x without cancellation.
    let mut sum = (x - m) * v;
    let mut power = 2.0 * x * v;
    for j in 1..100 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// `x^a y^b / B(a, b)` for a, b > 0 and x, y > 0 with x + y = 1, both given so that neither
/// loses its digits to the other.
pub(super) fn beta_kernel(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let error = stirling_error(n) - stirling_error(a) - stirling_error(b);
    let exponent = error - deviance(a, n * x) - deviance(b, n * y);
    (a * (b / n) / (2.0 * PI)).sqrt() * libm::exp(exponent)
}

/// `x^a e^-x / Gamma(a + 1)` for a, x > 0.
pub(super) fn gamma_kernel(a: f64, x: f64) -> f64 {
    libm::exp(-stirling_error(a) - deviance(a, x)) / (2.0 * PI * a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    #[test]
    fn stirling_error_is_continuous_where_the_series_takes_over() {
        assert_close(stirling_error(16.0 - 1e-13), stirling_error(16.0), 1e-11, "at 16");
    }

    #[test]
    fn the_kernels_are_binomial_and_poisson_probabilities() {
        // C(10, 3) 0.3^3 0.7^7, times 3 * 7 / 10.
        let expected = 120.0 * 0.3_f64.powi(3) * 0.7_f64.powi(7) * 2.1;
        assert_close(beta_kernel(3.0, 7.0, 0.3, 0.7), expected, 1e-14, "beta kernel");
        let expected = 2.5_f64.powi(4) * (-2.5_f64).exp() / 24.0;
        assert_close(gamma_kernel(4.0, 2.5), expected, 1e-14, "gamma kernel");
    }

    #[test]
    fn the_kernel_keeps_its_digits_at_a_million() {
        // Central binomial C(2n, n) / 4^n = 1 / sqrt(pi n) (1 - 1/8n + 1/128n^2 + ...).
        let n = 1e6;
        let expected = (1.0 - 0.125 / n + 1.0 / (128.0 * n * n)) / (PI * n).sqrt() * n / 2.0;
        assert_close(beta_kernel(n, n, 0.5, 0.5), expected, 1e-14, "central binomial");
    }
}
