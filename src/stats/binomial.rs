//! Exact binomial draws of any size from a handful of Beta draws.
//!
//! Of n uniform numbers the i-th smallest follows Beta(i, n+1-i). If it lies at or below p, i of
//! them do, and the others are uniform above it; if not, only the i-1 below it can. Starting from
//! the middle halves n each time, so a draw takes about log2(n/16) Beta draws and then at most 16
//! uniform ones.
//!
//! Source: L. Devroye, "Non-Uniform Random Variate Generation" (1986), X.4.3, the recursive
//! generator, after D. A. Relles (1972).
//!
//! When not to use it: where every draw must take the same number of random words.

use rand::Rng;

use super::sample;

/// Below this many trials, tossing each coin is as fast.
const FEW: u64 = 16;

/// Successes among `n` trials at chance `p` in \[0, 1\]; a *variable* number of words.
pub fn binomial<R: Rng + ?Sized>(rng: &mut R, n: u64, p: f64) -> u64 {
    let (mut n, mut p, mut successes) = (n, p, 0);
    while n > FEW {
        let middle = n / 2 + 1;
        let value = sample::beta(rng, middle as f64, (n + 1 - middle) as f64);
        if value <= p {
            successes += middle;
            n -= middle;
            // value = 1 only if p = 1, and the rest are successes too.
            p = if value < 1.0 { (p - value) / (1.0 - value) } else { 1.0 };
        } else {
            n = middle - 1;
            p /= value;
        }
    }
    successes + (0..n).filter(|_| sample::uniform01(rng) < p).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::{chi_square_sf, ln_gamma};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Chi-square p-value of 40,000 draws against the probabilities, cells below 5 pooled.
    fn fit(n: u64, p: f64, draw: impl Fn(&mut ChaCha8Rng) -> u64) -> f64 {
        let draws = 40_000;
        let mut rng = ChaCha8Rng::seed_from_u64(17);
        let mut counts = vec![0.0; n as usize + 1];
        (0..draws).for_each(|_| counts[draw(&mut rng) as usize] += 1.0);
        let ln_factorial = |k: usize| ln_gamma(k as f64 + 1.0);
        let (mut statistic, mut cells) = (0.0, 0.0);
        let (mut rare, mut rarely) = (0.0_f64, 0.0);
        for (k, count) in counts.iter().enumerate() {
            let rest = n as usize - k;
            let choose = ln_factorial(n as usize) - ln_factorial(k) - ln_factorial(rest);
            let logarithm = choose + k as f64 * p.ln() + rest as f64 * (1.0 - p).ln();
            let expected = f64::from(draws) * logarithm.exp();
            if expected < 5.0 {
                (rare, rarely) = (rare + expected, rarely + count);
            } else {
                statistic += (count - expected).powi(2) / expected;
                cells += 1.0;
            }
        }
        statistic += (rarely - rare).powi(2) / rare.max(1.0);
        chi_square_sf(statistic, cells)
    }

    /// False alarm below 1e-4 a case; the seed is fixed.
    #[test]
    fn draws_follow_the_binomial_probabilities() {
        for (n, p) in [(1, 0.3), (16, 0.5), (17, 0.2), (40, 0.9), (999, 0.37), (1000, 0.004)] {
            let p_value = fit(n, p, |rng| binomial(rng, n, p));
            assert!(p_value > 1e-4, "{n} {p}: {p_value}");
        }
    }

    #[test]
    fn the_test_catches_a_forgotten_rescaling() {
        let wrong = |rng: &mut ChaCha8Rng| {
            let value = sample::beta(rng, 21.0, 20.0);
            let (sure, rest) = if value <= 0.5 { (21, 19) } else { (0, 20) };
            sure + binomial(rng, rest, 0.5)
        };
        assert!(fit(40, 0.5, wrong) < 1e-12);
    }

    #[test]
    fn certainties_and_nothing_to_draw() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in [0, 1, 16, 17, 1_000_000_000_000] {
            assert_eq!((binomial(&mut rng, n, 0.0), binomial(&mut rng, n, 1.0)), (0, n));
        }
    }
}
