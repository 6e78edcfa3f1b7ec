//! Samplers on any generator, most of them with a fixed number of words.
//!
//! Paired comparison needs every attempt to consume the same number of random words whatever
//! happens, so most samplers take exactly one 64-bit word a draw, by inversion; [`beta`],
//! [`binomial`] and [`normal`] do not.
//! They give the same bits on every platform, which rand_distr does not promise.
//!
//! When not to use it: outside seeded paths, rand_distr has more distributions.

use std::sync::LazyLock;

use rand::Rng;

use crate::stats::special::normal_quantile;

/// Uniform on \[0, 1): a multiple of 2^-53. One word.
#[inline]
pub fn uniform01<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Uniform on (0, 1), the ends excluded: an odd multiple of 2^-53. One word.
///
/// 52 bits, not 53: the float next to 1 leaves no room for half a step more, and the sum would
/// round to 1 once in 2^53 draws.
#[inline]
pub fn uniform_open<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    ((rng.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
}

/// Normal with mean 0 and variance 1, by inversion (AS 241); within ±8.3. One word.
#[inline]
pub fn standard_normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    normal_quantile(uniform_open(rng))
}

/// Exponential with rate 1, by inversion; at most 36.8. One word.
#[inline]
pub fn exponential<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    -libm::log(uniform_open(rng))
}

/// Uniform on `0..n`; 0 for n = 0. One word.
///
/// Lemire's multiply-shift without his rejection step ("Fast Random Integer Generation in an
/// Interval", ACM TOMACS 29, 2019): an index is off its probability 1/n by less than 2^-64, all
/// together by less than n 2^-64, which no feasible number of draws can show.
#[inline]
pub fn index_below<R: Rng + ?Sized>(rng: &mut R, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Beta(a, b) on \[0, 1\], for finite a >= 1 and b >= 1; NaN for other parameters.
///
/// `X / (X + Y)` for gamma variables of shapes a and b, with a *variable* number of words (a little
/// over 2 on average): use it only on a stream that belongs to one consumer, as a strategy's does.
///
/// Source: G. Marsaglia and W. W. Tsang, "A Simple Method for Generating Gamma Variables", ACM
/// TOMS 26 (2000), 363-372. Chosen over Cheng's BB (1978), which needs one logarithm and one
/// exponential a trial and takes twice as long on `libm`; and over inversion where a or b is 1, as
/// a branch that nobody can foresee costs more than it saves.
#[inline]
pub fn beta<R: Rng + ?Sized>(rng: &mut R, a: f64, b: f64) -> f64 {
    if !(a >= 1.0 && b >= 1.0) {
        return f64::NAN;
    }
    let (x, y) = (gamma(rng, a), gamma(rng, b));
    x / (x + y)
}

/// Gamma with shape a >= 1 and rate 1: Marsaglia and Tsang's squeeze of a cubed normal.
///
/// One word 19 times in 20: its first bits make the normal, its last twelve are the first of the
/// uniform number of the squeeze, which are nearly always enough to know that it holds.
#[inline]
fn gamma<R: Rng + ?Sized>(rng: &mut R, a: f64) -> f64 {
    let d = a - 1.0 / 3.0;
    let c = (1.0 / 3.0) / d.sqrt();
    loop {
        let word = rng.next_u64();
        let coarse = (word & 0xfff) as f64;
        let x = normal_of(word >> 12, rng);
        let root = 1.0 + c * x;
        let v = root * root * root;
        let square = x * x;
        let squeeze = 1.0 - 0.0331 * square * square;
        if root > 0.0 {
            if (coarse + 1.0) * (1.0 / 4096.0) <= squeeze {
                return d * v;
            }
            let u = (coarse + uniform_open(rng)) * (1.0 / 4096.0);
            if u < squeeze || libm::log(u) < 0.5 * square + d * (1.0 - v + libm::log(v)) {
                return d * v;
            }
        }
    }
}

// ---- Exact binomial draws of any size from a handful of Beta draws.
//
// Of n uniform numbers the i-th smallest follows Beta(i, n+1-i). If it lies at or below p, i of
// them do, and the others are uniform above it; if not, only the i-1 below it can. Starting from
// the middle halves n each time, so a draw takes about log2(n/16) Beta draws and then at most 16
// uniform ones.
//
// Source: L. Devroye, "Non-Uniform Random Variate Generation" (1986), X.4.3, the recursive
// generator, after D. A. Relles (1972).
//
// When not to use it: where every draw must take the same number of random words.

/// Below this many trials, tossing each coin is as fast.
const FEW: u64 = 16;

/// Successes among `n` trials at chance `p` in \[0, 1\]; a *variable* number of words.
pub fn binomial<R: Rng + ?Sized>(rng: &mut R, n: u64, p: f64) -> u64 {
    let (mut n, mut p, mut successes) = (n, p, 0);
    while n > FEW {
        let middle = n / 2 + 1;
        let value = beta(rng, middle as f64, (n + 1 - middle) as f64);
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
    successes + (0..n).filter(|_| uniform01(rng) < p).count() as u64
}

// ---- Standard normal draws by the ziggurat: 255 stacked rectangles and a tail of equal area.
//
// G. Marsaglia and W. W. Tsang, "The Ziggurat Method for Generating Random Variables", Journal
// of Statistical Software 5(8), 2000, with the layer and the position taken from different bits
// of the word, as J. A. Doornik asks in "An Improved Ziggurat Method to Generate Normal Random
// Samples" (2005). About a third of the time of inverting the distribution function.
//
// When not to use it: where each draw must use a fixed number of words; see `standard_normal`.

/// Layers, the base (rectangle and tail) included.
const LAYERS: usize = 256;

/// Where the tail begins, and the area of each layer under exp(-x^2/2), for 256 layers: the
/// solution of "the top layer ends at 0" to all digits of a double.
const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_974_655;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(TAIL, AREA));

struct Table {
    /// Right edge of each layer, the base first, falling to 0.
    edge: [f64; LAYERS + 1],
    /// exp(-x^2/2) at each edge, rising to 1.
    height: [f64; LAYERS + 1],
}

impl Table {
    fn new(tail: f64, area: f64) -> Self {
        let mut edge = [0.0; LAYERS + 1];
        // The base is as wide as a rectangle of its height and the common area.
        edge[0] = area / density(tail);
        edge[1] = tail;
        for i in 2..LAYERS {
            let x: f64 = edge[i - 1];
            edge[i] = (-2.0 * libm::log(area / x + density(x))).sqrt();
        }
        Self { edge, height: edge.map(density) }
    }
}

/// Standard normal draw; uses one word 99 times in 100, else more.
#[inline]
pub fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    normal_of(rng.next_u64() >> 12, rng)
}

/// A standard normal draw of 52 random bits, and further words where they are not enough.
#[inline]
fn normal_of<R: Rng + ?Sized>(bits: u64, rng: &mut R) -> f64 {
    let table = &*TABLE;
    let layer = (bits & 0xff) as usize;
    // The upper 44 bits as the middle of one of 2^44 cells of (-1, 1).
    let u = ((bits >> 8) as f64 + 0.5) * (1.0 / (1_u64 << 43) as f64) - 1.0;
    let x = u * table.edge[layer];
    if x.abs() < table.edge[layer + 1] { x } else { at_the_edge(layer, u, rng) }
}

/// What becomes of a point of a layer that may lie outside the curve.
#[cold]
fn at_the_edge<R: Rng + ?Sized>(layer: usize, u: f64, rng: &mut R) -> f64 {
    if layer == 0 {
        return beyond(u < 0.0, rng);
    }
    let x = u * TABLE.edge[layer];
    let (low, high) = (TABLE.height[layer], TABLE.height[layer + 1]);
    if low + (high - low) * uniform_open(rng) < density(x) { x } else { normal(rng) }
}

/// A draw from beyond [`TAIL`]: Marsaglia (1964), exponential proposals.
#[cold]
fn beyond<R: Rng + ?Sized>(negative: bool, rng: &mut R) -> f64 {
    loop {
        let x = -libm::log(uniform_open(rng)) / TAIL;
        let y = -libm::log(uniform_open(rng));
        if 2.0 * y > x * x {
            return if negative { -TAIL - x } else { TAIL + x };
        }
    }
}

/// exp(-x^2/2).
fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::Distribution;
    use statrs::distribution::{Beta, ContinuousCDF};

    use super::*;
    use crate::stats::goodness::{ks_p_value, ks_statistic};
    use crate::stats::moments::Moments;
    use crate::stats::special::{chi_square_sf, ln_gamma, normal_cdf};

    /// Kolmogorov-Smirnov p-value of 20,000 draws. All tests below reject under 1e-4; the seeds
    /// are fixed, so the false-alarm rate was paid once, at 1e-4 for each of about 20 cases.
    fn ks(draw: impl Fn(&mut ChaCha8Rng) -> f64, cdf: impl Fn(f64) -> f64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut u: Vec<f64> = (0..20_000).map(|_| cdf(draw(&mut rng))).collect();
        u.sort_by(f64::total_cmp);
        ks_p_value(ks_statistic(&u), u.len())
    }

    fn moments(mut draw: impl FnMut() -> f64) -> Moments {
        let mut moments = Moments::default();
        (0..100_000).for_each(|_| moments.push(draw()));
        moments
    }

    /// A generator that repeats one word and counts how often it was asked.
    struct Words(u64, u32);

    impl rand::rand_core::TryRng for Words {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("the samplers use 64-bit words")
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.1 += 1;
            Ok(self.0)
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            unreachable!("the samplers use 64-bit words")
        }
    }

    #[test]
    fn uniforms_keep_to_their_ends() {
        assert_eq!(uniform01(&mut Words(0, 0)), 0.0);
        assert_eq!(uniform01(&mut Words(u64::MAX, 0)), 1.0 - f64::EPSILON / 2.0);
        assert_eq!(uniform_open(&mut Words(0, 0)), f64::EPSILON / 2.0);
        assert_eq!(uniform_open(&mut Words(u64::MAX, 0)), 1.0 - f64::EPSILON / 2.0);
    }

    #[test]
    fn samplers_by_inversion_use_one_word_and_stay_finite() {
        for word in [0, 1, 1 << 40, u64::MAX / 2, u64::MAX] {
            let mut words = Words(word, 0);
            for draw in [
                uniform01(&mut words),
                uniform_open(&mut words),
                standard_normal(&mut words),
                exponential(&mut words),
                index_below(&mut words, 10) as f64,
            ] {
                assert!(draw.is_finite());
            }
            assert_eq!(words.1, 5);
        }
    }

    #[test]
    fn draws_follow_their_distribution_functions() {
        assert!(ks(uniform01, |x| x) > 1e-4);
        assert!(ks(standard_normal, normal_cdf) > 1e-4);
        assert!(ks(exponential, |x| -(-x).exp_m1()) > 1e-4);
    }

    #[test]
    fn indices_are_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[index_below(&mut rng, 7)] += 1);
        let statistic: f64 =
            counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        // Chi-square with 6 degrees of freedom; false alarm 1e-4.
        assert!(crate::stats::special::chi_square_sf(statistic, 6.0) > 1e-4, "{counts:?}");
        assert_eq!(index_below(&mut Words(u64::MAX, 0), 7), 6);
        assert_eq!(index_below(&mut Words(u64::MAX, 0), 0), 0);
    }

    const SHAPES: [(f64, f64); 10] = [
        (1.0, 1.0),
        (1.0, 6.0),
        (4.5, 1.0),
        (1.000_001, 1.000_001),
        (1.2, 3.0),
        (2.0, 2.0),
        (5.0, 1.5),
        (30.0, 70.0),
        (900.0, 12.0),
        (40_000.0, 50_000.0),
    ];

    #[test]
    fn beta_follows_its_distribution_function() {
        for (a, b) in SHAPES {
            let reference = Beta::new(a, b).unwrap();
            let p = ks(|rng| beta(rng, a, b), |x| reference.cdf(x));
            assert!(p > 1e-4, "Beta({a}, {b}): p = {p}");
        }
    }

    #[test]
    fn the_test_catches_swapped_parameters_and_a_wrong_acceptance() {
        let reference = Beta::new(5.0, 1.5).unwrap();
        assert!(ks(|rng| beta(rng, 1.5, 5.0), |x| reference.cdf(x)) < 1e-12);
        // Accepting every trial: the proposal's odds are log-logistic, not Beta.
        let proposal = |rng: &mut ChaCha8Rng| {
            let u = uniform_open(rng);
            let _ = uniform_open(rng);
            let scale = (8.5_f64 / 4.5).sqrt();
            let w = 1.5 * (u / (1.0 - u)).powf(1.0 / scale);
            5.0 / (5.0 + w)
        };
        assert!(ks(proposal, |x| reference.cdf(x)) < 1e-12);
    }

    #[test]
    fn beta_has_the_moments_of_the_closed_form_and_of_rand_distr() {
        for (a, b) in SHAPES {
            let mut rng = ChaCha8Rng::seed_from_u64(21);
            let ours = moments(|| beta(&mut rng, a, b));
            let reference = rand_distr::Beta::new(a, b).unwrap();
            let theirs = moments(|| reference.sample(&mut rng));
            let sum = a + b;
            let sd = (a * b / (sum + 1.0)).sqrt() / sum;
            // 4.5 standard errors: false alarm below 1e-5 a comparison.
            assert!((ours.mean() - a / sum).abs() < 4.5 * ours.std_error(), "Beta({a}, {b})");
            let both = ours.std_error().hypot(theirs.std_error());
            assert!((ours.mean() - theirs.mean()).abs() < 4.5 * both, "Beta({a}, {b})");
            // A Beta's kurtosis is below 9 here, so the sd is known to 0.45 %; 4.5 of those.
            assert!((ours.std_dev() / sd - 1.0).abs() < 0.02, "Beta({a}, {b})");
        }
    }

    #[test]
    fn beta_stays_in_the_unit_interval_and_rejects_bad_parameters() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (a, b) in [(1.0, 1e9), (1e9, 1.0), (1.5, 1e12), (1e15, 2.0), (1e150, 1e150)] {
            for _ in 0..1000 {
                assert!((0.0..=1.0).contains(&beta(&mut rng, a, b)), "Beta({a}, {b})");
            }
        }
        for (a, b) in [(0.5, 2.0), (2.0, 0.5), (1.0, 0.5), (0.9, 100.0), (f64::NAN, 2.0)] {
            assert!(beta(&mut rng, a, b).is_nan());
        }
    }

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
            let value = super::beta(rng, 21.0, 20.0);
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

    #[test]
    fn the_top_layer_closes_at_zero() {
        let table = Table::new(TAIL, AREA);
        let x = table.edge[LAYERS - 1];
        let top = AREA / x + density(x);
        assert!((top - 1.0).abs() < 1e-12, "{top}");
    }

    /// Kolmogorov-Smirnov on 400,000 draws at level 1e-4, fixed seed.
    #[test]
    fn draws_are_normal() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut u: Vec<f64> = (0..400_000).map(|_| normal_cdf(normal(&mut rng))).collect();
        u.sort_by(f64::total_cmp);
        assert!(ks_p_value(ks_statistic(&u), u.len()) > 1e-4);
    }

    /// Variance of 4,000,000 draws within 4.4 standard errors (false alarm 1e-5), fixed seed.
    /// The same test must catch draws that are never rejected outside the density, which are
    /// so nearly normal that Kolmogorov-Smirnov does not.
    #[test]
    fn the_variance_is_one_and_a_missing_rejection_is_caught() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let n = 4_000_000;
        let mut z = |draw: &dyn Fn(&mut ChaCha8Rng) -> f64| {
            let variance = (0..n).map(|_| draw(&mut rng)).map(|x| x * x).sum::<f64>() / n as f64;
            (variance - 1.0) / (2.0 / n as f64).sqrt()
        };
        assert!(z(&|rng| normal(rng)).abs() < 4.4);
        let unrejected = |rng: &mut ChaCha8Rng| {
            let (layer, u) = ((rng.next_u64() & 0xff) as usize, uniform_open(rng));
            (2.0 * u - 1.0) * TABLE.edge[layer]
        };
        assert!(z(&unrejected).abs() > 4.4, "{}", z(&unrejected));
    }

    /// Beyond the tail's start lie 2.58e-4 of all draws: 4,000,000 draws within 4.4 standard
    /// errors, false alarm 1e-5 for each side, fixed seed.
    #[test]
    fn both_tails_have_their_weight() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let n = 4_000_000;
        let (mut left, mut right) = (0_u32, 0_u32);
        for _ in 0..n {
            let x = normal(&mut rng);
            left += u32::from(x < -TAIL);
            right += u32::from(x > TAIL);
        }
        let expected = f64::from(n) * normal_cdf(-TAIL);
        for side in [left, right] {
            assert!((f64::from(side) - expected).abs() < 4.4 * expected.sqrt(), "{left} {right}");
        }
    }
}
