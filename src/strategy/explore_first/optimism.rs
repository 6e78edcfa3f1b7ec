//! How many standard deviations of optimism a horizon is worth.
//!
//! The optimistic Gittins index with one step of lookahead (Gutin and Farias 2016, "Optimistic
//! Gittins Indices", NeurIPS 29, equation 4) is the retirement value L that makes one pull of a
//! server with belief X worth its price: L - E X = h E(X - L)+, with h the pulls that a discovery
//! will serve. For a normal belief, L = mean + z sd with z = h (phi(z) - z (1 - Phi(z))), which
//! depends on h alone; it is tabulated.
//!
//! Limits: beliefs are not normal. The index is taken on the log odds, where they nearly are.

use std::sync::LazyLock;

/// Steps of the table, eight to an octave, from 2^-10 to 2^20 attempts.
const STEPS: usize = 240;
const STEPS_PER_OCTAVE: f64 = 8.0;
const FIRST_OCTAVE: f64 = -10.0;

static TABLE: LazyLock<[f64; STEPS + 1]> = LazyLock::new(|| {
    std::array::from_fn(|step| solve(libm::exp2(step as f64 / STEPS_PER_OCTAVE + FIRST_OCTAVE)))
});

/// Solves z = h (phi(z) - z (1 - Phi(z))) by bisection: the left side rises, the right one falls.
fn solve(horizon: f64) -> f64 {
    let (mut low, mut high) = (0.0, 9.0);
    for _ in 0..60 {
        let z = 0.5 * (low + high);
        if z < horizon * expected_gain(z) {
            low = z;
        } else {
            high = z;
        }
    }
    0.5 * (low + high)
}

/// E(Z - z)+ of a standard normal Z.
fn expected_gain(z: f64) -> f64 {
    const ONE_OVER_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    let density = ONE_OVER_SQRT_TAU * libm::exp(-0.5 * z * z);
    density - z * 0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Standard deviations of optimism for a horizon of `attempts`.
pub(super) fn of_horizon(attempts: f64) -> f64 {
    let place = (libm::log2(attempts) - FIRST_OCTAVE) * STEPS_PER_OCTAVE;
    let place = place.clamp(0.0, STEPS as f64 - 1e-6);
    let step = place as usize;
    let share = place - step as f64;
    TABLE[step] + share * (TABLE[step + 1] - TABLE[step])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_its_equation_within_the_error_of_the_table() {
        for horizon in [0.01, 0.3, 1.0, 17.0, 1000.0, 5e5] {
            let z = of_horizon(horizon);
            let right = horizon * expected_gain(z);
            assert!((z - right).abs() < 2e-3 * (1.0 + z * z), "{horizon}: {z} {right}");
        }
    }

    /// E(Z - 1)+ = 0.0833155 (tables of the unit normal loss integral).
    #[test]
    fn the_expected_gain_is_the_unit_normal_loss() {
        assert!((expected_gain(1.0) - 0.083_315_5).abs() < 1e-7);
        assert!((expected_gain(0.0) - 0.398_942_3).abs() < 1e-7);
    }

    #[test]
    fn no_horizon_is_no_optimism_and_more_is_more() {
        assert!(of_horizon(0.0) < 1e-3 && of_horizon(1e-9) < 1e-3);
        let horizons = [0.1, 1.0, 10.0, 100.0, 1e4, 1e9, f64::INFINITY];
        assert!(horizons.windows(2).all(|w| of_horizon(w[0]) <= of_horizon(w[1])));
        assert!(of_horizon(f64::INFINITY).is_finite());
    }
}
