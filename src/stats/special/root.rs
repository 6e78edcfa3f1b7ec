//! One bracketed solver for the inverses of distribution functions.
//!
//! Newton's method on `ln F` against `ln x`, where power-law tails are straight lines, so that
//! a quantile of 1e-200 costs no more than a median. When a step leaves the bracket or fails to
//! halve the one before it, the bracket is halved instead. It is halved in the *bits* of its
//! ends: positive floats are ordered like their bit patterns, so at most 63 halvings lead from
//! any bracket to neighbouring floats.
//!
//! Source: the safeguard is that of `rtsafe`, Numerical Recipes, 9.4.

/// Neither method needs more than about 130 steps; the cap keeps the promise to end visible.
const MOST_STEPS: usize = 300;

/// The x in `[low, high]`, `0 <= low <= high`, at which a positive monotone F reaches `target`.
///
/// `f(x)` gives `F(x)` and its elasticity `d ln F / d ln x`, whose sign says whether F rises.
/// An end of the bracket is returned when F reaches the target nowhere inside it.
pub(super) fn solve(
    target: f64,
    (low, high): (f64, f64),
    start: f64,
    rising: bool,
    f: impl Fn(f64) -> (f64, f64),
) -> f64 {
    let (mut low, mut high) = (low.to_bits(), high.to_bits());
    let mut x = start;
    let mut last_step = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        let (value, elasticity) = f(x);
        if value == target {
            return x;
        }
        if (value < target) == rising {
            low = x.to_bits();
        } else {
            high = x.to_bits();
        }
        if high - low <= 1 {
            break;
        }
        let step = libm::log(target / value) / elasticity;
        let newton = x * libm::exp(step);
        if step.abs() <= f64::EPSILON {
            return newton;
        }
        let inside = newton > f64::from_bits(low) && newton < f64::from_bits(high);
        if inside && step.abs() <= 0.5 * last_step {
            last_step = step.abs();
            x = newton;
        } else {
            let middle = f64::from_bits(low + (high - low) / 2);
            last_step = libm::log(middle / x).abs();
            x = middle;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    #[test]
    fn finds_roots_of_powers_near_and_far() {
        for target in [1e-250, 1e-9, 0.3, 0.999] {
            let cube = |x: f64| (x * x * x, 3.0);
            let root = solve(target, (0.0, 1.0), 0.5, true, cube);
            assert_close(root, target.cbrt(), 1e-14, "cube root");
        }
    }

    #[test]
    fn ends_even_when_the_slope_is_nonsense() {
        let misled = |x: f64| (x * x, f64::NAN);
        assert_close(solve(0.25, (0.0, 1.0), 0.9, true, misled), 0.5, 1e-15, "bisection");
        let unreachable = solve(2.0, (0.0, 1.0), 0.5, true, |x| (x, 1.0));
        assert_close(unreachable, 1.0, 1e-15, "end of the bracket");
    }
}
