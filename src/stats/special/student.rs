//! Student's t distribution, through the incomplete beta function (DLMF 8.17.2).
//!
//! With `x = df / (df + t^2)` the tail beyond |t| is `I_x(df / 2, 1 / 2) / 2`. Both x and 1 - x
//! are computed directly, so neither many degrees of freedom nor the deep tail costs digits.

use super::beta::lower;
use super::normal::{normal_cdf, normal_quantile};
use super::root::solve;
use super::saddle::beta_kernel;

/// From here on the normal distribution is used: the relative difference is of order
/// `t^4 / (4 df)`, below 1e-7 for |t| < 8.
const NORMAL_FROM_DF: f64 = 1e10;

/// The distribution function of Student's t with `df` degrees of freedom at `t`.
///
/// For df > 0 (infinity is the normal distribution); NaN elsewhere.
#[must_use]
pub fn student_t_cdf(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if df >= NORMAL_FROM_DF {
        return normal_cdf(t);
    }
    let tail = upper_tail(t.abs(), df).0;
    if t < 0.0 { tail } else { 1.0 - tail }
}

/// The p-quantile of Student's t with `df` degrees of freedom; minus or plus infinity for
/// p = 0 or 1.
///
/// For df > 0 and p in \[0, 1\]; NaN elsewhere. Quantiles beyond about 1e150 (of use to nobody,
/// but Cauchy's tail has them) are cut there.
#[must_use]
pub fn student_t_quantile(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if df >= NORMAL_FROM_DF || p == 0.0 || p == 1.0 {
        return normal_quantile(p);
    }
    if p == 0.5 {
        return 0.0;
    }
    let tail = p.min(1.0 - p);
    let start = -normal_quantile(tail);
    let size = solve(tail, (0.0, f64::MAX), start, false, |t| upper_tail(t, df));
    if p < 0.5 { -size } else { size }
}

/// The chance of more than t >= 0, and its elasticity `d ln tail / d ln t`.
fn upper_tail(t: f64, df: f64) -> (f64, f64) {
    let odds = (t / df.sqrt()) * (t / df.sqrt());
    let x = 1.0 / (1.0 + odds);
    // At infinite odds 1 / (1 + 1 / odds) is 1, where odds / (1 + odds) would be NaN.
    let y = 1.0 / (1.0 + 1.0 / odds);
    let (a, b) = (df / 2.0, 0.5);
    let tail = 0.5 * lower(a, b, x, y);
    let elasticity = if x > 0.0 && y > 0.0 { -beta_kernel(a, b, x, y) / tail } else { 0.0 };
    (tail, elasticity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;
    use statrs::distribution::{ContinuousCDF, StudentsT};
    use std::f64::consts::{FRAC_1_PI, PI};

    #[test]
    fn one_degree_of_freedom_is_the_cauchy_distribution() {
        for t in [-1e9_f64, -20.0, -1.0, -0.1, 0.0, 0.3, 4.0] {
            // 1/2 + atan(t) / pi, written without cancellation for negative t.
            let expected =
                if t < 0.0 { (-1.0 / t).atan() * FRAC_1_PI } else { 0.5 + t.atan() * FRAC_1_PI };
            assert_close(student_t_cdf(t, 1.0), expected, 1e-13, "Cauchy");
        }
        assert_close(student_t_quantile(0.9, 1.0), (0.4 * PI).tan(), 1e-13, "Cauchy quantile");
        assert_close(student_t_quantile(1e-100, 1.0), -1e100 * FRAC_1_PI, 1e-12, "far out");
    }

    #[test]
    fn two_degrees_of_freedom_have_a_closed_form() {
        for p in [1e-6_f64, 0.01, 0.3, 0.5, 0.8, 0.995] {
            let expected = (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt();
            assert_close(student_t_quantile(p, 2.0), expected, 1e-12, "df 2");
        }
    }

    #[test]
    fn the_function_agrees_with_statrs() {
        for df in [0.7, 3.0, 9.5, 99.0, 5000.0] {
            let reference = StudentsT::new(0.0, 1.0, df).unwrap();
            for t in [-6.0, -2.2, -0.4, 0.9, 3.1] {
                assert_close(student_t_cdf(t, df), reference.cdf(t), 1e-10, "statrs");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        for (df, expected) in [
            (4.0, 2.776_445_105_197_799),
            (9.0, 2.262_157_162_854_099_3),
            (29.0, 2.045_229_642_132_703),
            (99.0, 1.984_216_951_508_683_2),
        ] {
            assert_close(student_t_quantile(0.975, df), expected, 1e-10, "t at 97.5 %");
        }
    }

    #[test]
    fn the_quantile_undoes_the_function() {
        for df in [0.5, 1.0, 7.0, 300.0, 1e6, 9e9] {
            for p in [1e-30, 1e-4, 0.025, 0.4, 0.499_999] {
                let t = student_t_quantile(p, df);
                assert_close(student_t_cdf(t, df), p, 1e-11, "round trip");
                if p >= 1e-4 {
                    assert_close(student_t_quantile(1.0 - p, df), -t, 1e-9, "mirror");
                }
            }
        }
    }

    #[test]
    fn many_degrees_of_freedom_are_the_normal_distribution() {
        // Cornish-Fisher: t = z + (z^3 + z) / (4 df) + (5 z^5 + 16 z^3 + 3 z) / (96 df^2).
        let z = normal_quantile(0.975);
        let cube = z * z * z;
        let expected = z + (cube + z) / 4e6 + (5.0 * cube * z * z + 16.0 * cube + 3.0 * z) / 96e12;
        assert_close(student_t_quantile(0.975, 1e6), expected, 1e-13, "a million");
        assert_eq!(student_t_quantile(0.975, f64::INFINITY), z);
        assert_eq!(student_t_cdf(1.5, f64::INFINITY), normal_cdf(1.5));
    }

    #[test]
    fn arguments_outside_the_domain_give_nan() {
        assert!(student_t_cdf(f64::NAN, 3.0).is_nan());
        assert!(student_t_cdf(1.0, 0.0).is_nan());
        assert!(student_t_quantile(1.1, 3.0).is_nan());
        assert!(student_t_quantile(0.5, f64::NAN).is_nan());
        assert_eq!(student_t_quantile(1.0, 3.0), f64::INFINITY);
        assert_eq!(student_t_cdf(f64::NEG_INFINITY, 3.0), 0.0);
        assert_eq!(student_t_quantile(0.5, 3.0), 0.0);
    }
}
