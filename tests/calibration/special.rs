//! Special functions against 25 digits of mpmath, at 2,250 points, deep tails included.
//!
//! The table is `special.csv`, written by `special.py`.

use flakelab_core::stats::{
    chi_square_sf, inc_beta, inc_gamma_upper, inv_inc_beta, ln_beta, ln_gamma, normal_cdf,
    normal_quantile, student_t_cdf, student_t_quantile,
};

use crate::study::{Finding, Study};

/// Largest relative error allowed.
const BOUND: f64 = 1e-10;

/// A name, the relative error that was measured, rounded up, and what it computes from a, b, x.
type Function = (&'static str, f64, fn(f64, f64, f64) -> f64);

const FUNCTIONS: [Function; 10] = [
    ("inc_beta", 1e-12, inc_beta),
    ("inv_inc_beta", 2.5e-13, inv_inc_beta),
    ("ln_beta", 1e-14, |a, b, _| ln_beta(a, b)),
    ("ln_gamma", 5e-16, |a, _, _| ln_gamma(a)),
    ("inc_gamma_upper", 5e-13, |a, _, x| inc_gamma_upper(a, x)),
    ("chi_square_sf", 5e-14, |df, _, x| chi_square_sf(x, df)),
    ("normal_cdf", 2e-13, |_, _, x| normal_cdf(x)),
    ("normal_quantile", 1e-15, |_, _, p| normal_quantile(p)),
    ("student_t_cdf", 5e-14, |df, _, t| student_t_cdf(t, df)),
    ("student_t_quantile", 2e-15, |df, _, p| student_t_quantile(p, df)),
];

/// Points and largest relative error of a function, times `bias` to plant an error.
fn worst(name: &str, function: fn(f64, f64, f64) -> f64, bias: f64) -> (usize, f64, String) {
    let (mut points, mut worst, mut at) = (0, 0.0_f64, String::new());
    for line in include_str!("special.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0] != name {
            continue;
        }
        let [a, b, x, expected] = [1, 2, 3, 4].map(|i| cells[i].parse::<f64>().unwrap());
        let error = (function(a, b, x) * bias / expected - 1.0).abs();
        points += 1;
        if error.is_nan() || error > worst {
            (worst, at) = (if error.is_nan() { f64::INFINITY } else { error }, line.to_owned());
        }
    }
    (points, worst, at)
}

/// Every function at every point.
pub fn study() -> Study {
    let finding = |(name, _, function): &Function| {
        let (points, error, _) = worst(name, *function, 1.0);
        Finding {
            what: format!("`{name}`"),
            measured: format!("largest relative error {error:.1e}, {points} points"),
            bound: "below 1e-10".to_owned(),
            held: Some(error < BOUND && points > 0),
        }
    };
    Study {
        title: "Special functions",
        method: "Against values of mpmath with 50 digits, at arguments that are doubles, over the \
                 ranges that fits use and far beyond."
            .to_owned(),
        findings: FUNCTIONS.iter().map(finding).collect(),
    }
}

#[test]
fn every_function_agrees_with_fifty_digit_arithmetic() {
    for (name, bound, function) in FUNCTIONS {
        let (points, error, at) = worst(name, function, 1.0);
        println!("{name}: {error:.1e} over {points} points, worst at {at}");
        assert!(points >= 100 && error < bound, "{name}: {error:e} at {at}");
        let planted = worst(name, function, 1.0 + 10.0 * bound).1;
        assert!(planted > bound, "{name}: a planted error is missed");
    }
}

/// The inverse of the incomplete beta function of another library panics or never returns here.
#[test]
fn the_deep_tail_of_the_inverse_beta_returns() {
    for (a, b) in [(0.01, 0.01), (1.0, 1e6), (1e6, 1e6), (2.0, 3.0), (1e-2, 1e4), (1e5, 1e-2)] {
        for p in [f64::MIN_POSITIVE, 1e-300, 1e-100, 1e-17, 0.5, 1.0 - 1e-16] {
            let x = inv_inc_beta(a, b, p);
            assert!((0.0..=1.0).contains(&x), "{a} {b} {p}: {x}");
        }
    }
}
