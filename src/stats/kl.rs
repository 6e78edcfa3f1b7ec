//! Relative entropy of two coins, and the largest success rate that it leaves plausible.
//!
//! d(p, q) = p ln(p/q) + (1-p) ln((1-p)/(1-q)), with 0 ln 0 = 0. The upper bound at a level is the
//! largest q with d(p, q) <= level, the index of KL-UCB: O. Garivier and O. Cappé (2011), "The
//! KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond", arXiv 1102.2490, algorithm 1.
//!
//! d is convex in q, so Newton's method from any point above the bound comes down to it without
//! ever passing it, at about six logarithms a bound.

/// Newton's steps shrink at least by half until they are quadratic; 60 cover every double.
const MOST_STEPS: u32 = 60;

/// d(p, q) in nats, for p and q in \[0, 1\]; infinite where q rules out what p allows.
#[must_use]
#[inline]
pub fn bernoulli_kl(p: f64, q: f64) -> f64 {
    term(p, q) + term(1.0 - p, 1.0 - q)
}

/// p ln(p/q), 0 for p = 0.
#[inline]
fn term(p: f64, q: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * libm::log(p / q) }
}

/// The largest q in \[p, 1\] with d(p, q) <= `level`, to about 1e-14, for p in \[0, 1\].
///
/// p itself for a level of 0 or less.
#[must_use]
pub fn kl_upper_bound(p: f64, level: f64) -> f64 {
    if level <= 0.0 || p >= 1.0 {
        return p;
    }
    if p <= 0.0 {
        return -libm::expm1(-level);
    }
    // Two bounds from above: Pinsker's inequality, good for small levels, and leaving out
    // p ln(1/q) >= 0, good for large ones.
    let pinsker = p + (0.5 * level).sqrt();
    let tail = 1.0 - (1.0 - p) * libm::exp((p * libm::log(p) - level) / (1.0 - p));
    let mut q = pinsker.min(tail);
    for _ in 0..MOST_STEPS {
        let excess = bernoulli_kl(p, q) - level;
        let next = q - excess * q * (1.0 - q) / (q - p);
        // Rounding ends the descent; the negation also ends it on the NaN of q = p or q = 1.
        if !(next < q && next > p) {
            break;
        }
        q = next;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest q with d(p, q) <= level, by nothing but the definition.
    fn by_bisection(p: f64, level: f64) -> f64 {
        let d = |q: f64| {
            let left = if p > 0.0 { p * (p / q).ln() } else { 0.0 };
            let right = if p < 1.0 { (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln() } else { 0.0 };
            left + right
        };
        let (mut low, mut high) = (p, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if d(middle) <= level { low = middle } else { high = middle }
        }
        low
    }

    #[test]
    fn the_bound_is_the_one_that_bisection_finds() {
        for p in [0.0, 1e-9, 0.01, 0.2, 0.5, 0.75, 0.9, 0.999, 1.0 - 1e-9, 1.0] {
            for level in [1e-12, 1e-6, 1e-3, 0.05, 0.3, 1.0, 3.0, 10.0, 30.0] {
                let (got, expected) = (kl_upper_bound(p, level), by_bisection(p, level));
                // Where d is flat, at tiny levels, its own rounding moves the root.
                let tolerance = 1e-14 + 4e-16 / level.sqrt().max(1e-6);
                assert!((got - expected).abs() < tolerance, "{p} {level}: {got} {expected}");
            }
        }
    }

    /// d(1/2, q) = -ln(4 q (1-q)) / 2 can be solved for q, and d(0, q) = -ln(1-q).
    #[test]
    fn the_bound_agrees_with_closed_forms() {
        for level in [0.01_f64, 0.1, 0.7, 2.0] {
            let half = 0.5 + 0.5 * (1.0 - (-2.0 * level).exp()).sqrt();
            assert!((kl_upper_bound(0.5, level) - half).abs() < 1e-14, "{level}");
            assert!((kl_upper_bound(0.0, level) - (1.0 - (-level).exp())).abs() < 1e-15);
        }
        assert_eq!((kl_upper_bound(1.0, 2.0), kl_upper_bound(0.3, 0.0)), (1.0, 0.3));
    }

    #[test]
    fn entropy_knows_its_ends() {
        assert_eq!(bernoulli_kl(0.3, 0.3), 0.0);
        assert_eq!((bernoulli_kl(0.0, 0.0), bernoulli_kl(1.0, 1.0)), (0.0, 0.0));
        assert_eq!(
            (bernoulli_kl(0.5, 1.0), bernoulli_kl(0.5, 0.0)),
            (f64::INFINITY, f64::INFINITY)
        );
        let ln2 = std::f64::consts::LN_2;
        assert!((bernoulli_kl(1.0, 0.5) - ln2).abs() < 1e-16);
    }
}
