//! Special functions, accurate to about 1e-13 relative unless a function says otherwise.
//!
//! Two ideas carry the family. The prefactors of the incomplete beta and gamma functions come
//! from Loader's saddle-point form (`saddle.rs`), which keeps its digits when the parameters run
//! into the millions, where differences of log-gammas lose them. The inverses share one bracketed
//! solver (`root.rs`) that always ends, in the deep tails too.
//!
//! Arguments outside a function's domain give NaN, never a panic.
//!
//! When not to use it: in a loop over attempts. These functions take 0.1 to 50 microseconds;
//! samplers stand in [`super::sample`].

mod beta;
mod gamma;
mod normal;
mod root;
mod saddle;
mod student;

pub use beta::{inc_beta, inv_inc_beta, ln_beta};
pub use gamma::{chi_square_sf, inc_gamma_upper, ln_gamma};
pub use normal::{normal_cdf, normal_quantile};
pub use student::{student_t_cdf, student_t_quantile};

/// `ln(sum of exp(x))` without overflow; minus infinity for no values, NaN if a value is NaN.
///
/// The greatest value is taken out of the sum, whose terms are added in the order given.
#[must_use]
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest.is_infinite() && !values.iter().any(|x| x.is_nan()) {
        return greatest;
    }
    greatest + libm::log(values.iter().map(|x| libm::exp(x - greatest)).sum::<f64>())
}

#[cfg(test)]
pub(in crate::stats) fn assert_close(got: f64, expected: f64, relative: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(
        error <= relative * expected.abs() || got == expected,
        "{what}: got {got:e}, expected {expected:e}, relative error {:e}",
        error / expected.abs()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sum_exp_of_equal_values_adds_the_log_of_their_number() {
        assert_close(log_sum_exp(&[3.0; 8]), 3.0 + 8.0_f64.ln(), 1e-15, "eight threes");
    }

    #[test]
    fn log_sum_exp_survives_values_whose_exponentials_do_not() {
        assert_close(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + 2.0_f64.ln(), 1e-15, "large");
        assert_close(log_sum_exp(&[-1000.0, -1000.0]), -1000.0 + 2.0_f64.ln(), 1e-15, "small");
    }

    #[test]
    fn log_sum_exp_of_nothing_is_the_log_of_zero() {
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(log_sum_exp(&[f64::NAN, 1.0]).is_nan());
        assert!(log_sum_exp(&[f64::NAN]).is_nan());
    }
}
