//! Special functions, accurate to about 1e-13 relative unless a function says otherwise.
//!
//! Two ideas carry the family. The prefactors of the incomplete beta and gamma functions are in
//! Loader's saddle-point form, which keeps its digits when the parameters run into the millions,
//! where differences of log-gammas lose them. The inverses share one bracketed solver that always
//! ends, in the deep tails too.
//!
//! Arguments outside a function's domain give NaN, never a panic.
//!
//! When not to use it: in a loop over attempts. These functions take 0.1 to 50 microseconds;
//! samplers stand in [`sample`](super::sample).

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

/// `ln(sum of exp(x))` without overflow; minus infinity for no values, NaN if a value is NaN.
///
/// The greatest value is taken out of the sum, whose terms are added in the order given.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest.is_infinite() && !values.iter().any(|x| x.is_nan()) {
        return greatest;
    }
    greatest + libm::log(values.iter().map(|x| libm::exp(x - greatest)).sum::<f64>())
}

// ---- The normal distribution function and its quantile.
//
// The quantile is Wichura's PPND16: three rational approximations, by distance from the median,
// with a relative error of about 1e-16. It needs one logarithm and one square root in the tails
// and neither in the middle 85 %, which makes it a sampler of fixed cost as well.
//
// Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution",
// Applied Statistics 37 (1988), 477-484.

/// The standard normal distribution function at `x`: `erfc(-x / sqrt 2) / 2`.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The p-quantile of the standard normal distribution, for p in \[0, 1\] (minus and plus infinity
/// at the ends); NaN elsewhere.
#[inline]
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * CENTRAL.ratio(0.180_625 - q * q);
    }
    tail_quantile(p)
}

fn tail_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let tail = p.min(1.0 - p);
    if tail == 0.0 {
        return if p < 0.5 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let r = (-libm::log(tail)).sqrt();
    let size = if r <= 5.0 { TAIL.ratio(r - 1.6) } else { FAR_TAIL.ratio(r - 5.0) };
    if p < 0.5 { -size } else { size }
}

/// A rational function of degree 7 over 7, coefficients from the constant term up.
struct Rational {
    numerator: [f64; 8],
    denominator: [f64; 8],
}

impl Rational {
    #[inline]
    fn ratio(&self, x: f64) -> f64 {
        let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, &a| sum * x + a);
        horner(&self.numerator) / horner(&self.denominator)
    }
}

/// |p - 1/2| <= 0.425, in 0.425^2 - (p - 1/2)^2.
const CENTRAL: Rational = Rational {
    numerator: [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    denominator: [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
};

/// Tails from 0.075 down to about 1.4e-11, in sqrt(-ln tail) - 1.6.
const TAIL: Rational = Rational {
    numerator: [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    denominator: [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
};

/// Tails below that, in sqrt(-ln tail) - 5.
const FAR_TAIL: Rational = Rational {
    numerator: [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    denominator: [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ],
};

// ---- Loader's saddle-point prefactors: `x^a (1-x)^b / B(a, b)` and `x^a e^-x / Gamma(a + 1)`.
//
// Written with log-gammas these lose as many digits as `ln Gamma(a + b)` has before the point
// (seven at a million). Loader splits each into a square root, the errors of Stirling's formula
// and the deviances of the point from the mean, all of them small where the result is not.
//
// Source: C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000), the
// algorithm of R's `dbinom` and `dpois`.

/// `ln(2 pi) / 2`.
const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// The error of Stirling's formula, `ln Gamma(z + 1) - (z + 1/2) ln z + z - ln(2 pi) / 2`,
/// for z > 0.
fn stirling_error(z: f64) -> f64 {
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

/// `x^a y^b / B(a, b)` for one pair of a, b > 0: what does not depend on x stands ready.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BetaKernel {
    a: f64,
    b: f64,
    /// The errors of Stirling's formula, of B(a, b).
    error: f64,
    root: f64,
}

impl BetaKernel {
    fn new(a: f64, b: f64) -> Self {
        let n = a + b;
        let error = stirling_error(n) - stirling_error(a) - stirling_error(b);
        Self { a, b, error, root: (a * (b / n) / (2.0 * PI)).sqrt() }
    }

    /// For x, y > 0 with x + y = 1, both given so that neither loses its digits to the other.
    fn at(&self, x: f64, y: f64) -> f64 {
        let n = self.a + self.b;
        let exponent = self.error - deviance(self.a, n * x) - deviance(self.b, n * y);
        self.root * libm::exp(exponent)
    }

    /// `I_x(a, b)` for x below the mean.
    fn tail(&self, x: f64, y: f64) -> f64 {
        self.at(x, y) * fraction(self.a, self.b, x, y)
    }
}

/// `x^a e^-x / Gamma(a + 1)` for a, x > 0.
fn gamma_kernel(a: f64, x: f64) -> f64 {
    libm::exp(-stirling_error(a) - deviance(a, x)) / (2.0 * PI * a).sqrt()
}

// ---- One bracketed solver for the inverses of distribution functions.
//
// Newton's method on `ln F` against `ln x`, where power-law tails are straight lines, so that
// a quantile of 1e-200 costs no more than a median. When a step leaves the bracket or fails to
// halve the one before it, the bracket is halved instead. It is halved in the *bits* of its
// ends: positive floats are ordered like their bit patterns, so at most 63 halvings lead from
// any bracket to neighbouring floats.
//
// Source: the safeguard is that of `rtsafe`, Numerical Recipes, 9.4.

/// Neither method needs more than about 130 steps; the cap keeps the promise to end visible.
const MOST_STEPS: usize = 300;

/// The x in `[low, high]`, `0 <= low <= high`, at which a positive monotone F reaches `target`.
///
/// `f(x)` gives `F(x)` and its elasticity `d ln F / d ln x`, whose sign says whether F rises.
/// An end of the bracket is returned when F reaches the target nowhere inside it.
fn solve(
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

// ---- The incomplete beta function and its inverse.
//
// The continued fraction DLMF 8.17.22 by the modified Lentz method (Thompson & Barnett 1986), on
// the side of the mean where it converges fast (`I_x(a, b) = 1 - I_{1-x}(b, a)` leads there).
// The number of terms grows like the square root of the greater parameter.

/// Enough terms for parameters up to about 1e10.
const MOST_TERMS: u32 = 1_000_000;

/// Guards Lentz's method against division by zero.
const TINY: f64 = 1e-300;

/// Lentz's guard: a denominator that vanished is replaced by a tiny one.
fn nonzero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// `ln B(a, b) = ln Gamma(a) + ln Gamma(b) - ln Gamma(a + b)` for finite a, b > 0; NaN elsewhere.
///
/// By Stirling's formula and its error, which does not cancel when a and b are large.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    if !valid(a, b) {
        return f64::NAN;
    }
    let errors = stirling_error(a) + stirling_error(b) - stirling_error(a + b);
    let entropy = a * libm::log1p(b / a) + b * libm::log1p(a / b);
    0.5 * libm::log(TAU * (1.0 / a + 1.0 / b)) + errors - entropy
}

/// The regularised incomplete beta function `I_x(a, b)` (DLMF 8.17.2): the distribution function
/// of a Beta(a, b) variable at `x`.
///
/// For finite a, b > 0 (accurate up to about 1e10) and x in \[0, 1\]; NaN elsewhere.
pub fn inc_beta(a: f64, b: f64, x: f64) -> f64 {
    if valid(a, b) && (0.0..=1.0).contains(&x) { lower(a, b, x, 1.0 - x) } else { f64::NAN }
}

/// [`inc_beta`] for one pair of parameters and many x: what does not depend on x is computed once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IncBeta {
    below: BetaKernel,
    above: BetaKernel,
}

impl IncBeta {
    /// For these parameters, where [`inc_beta`] is a number.
    pub fn new(a: f64, b: f64) -> Self {
        Self { below: BetaKernel::new(a, b), above: BetaKernel::new(b, a) }
    }

    /// `I_x(a, b)`, to the last bit that of [`inc_beta`].
    pub fn at(&self, x: f64) -> f64 {
        let BetaKernel { a, b, .. } = self.below;
        if !(valid(a, b) && (0.0..=1.0).contains(&x)) {
            return f64::NAN;
        }
        by_sides(a, b, x, 1.0 - x, || self.below, || self.above)
    }

    /// The chance that the variable exceeds x in (0, 1), and its density there.
    ///
    /// For whole a the tail is the chance of fewer than a successes among a + b - 1 at chance x
    /// (DLMF 8.17.5), summed from the likeliest number down, which for small a is faster than the
    /// fraction.
    pub(crate) fn upper_tail_and_density(&self, x: f64) -> (f64, f64) {
        let (BetaKernel { a, b, .. }, y) = (self.below, 1.0 - x);
        let weight = self.below.at(x, y);
        let tail = if a.fract() == 0.0 && a <= 256.0 {
            weight / (x * b) * falling_sum(a, b, y / x)
        } else if x <= (a + 1.0) / (a + b + 2.0) {
            1.0 - weight * fraction(a, b, x, y)
        } else {
            weight * fraction(b, a, y, x)
        };
        (tail, weight / (x * y))
    }
}

/// `1 + (a-1)/(b+1) r + (a-1)(a-2)/((b+1)(b+2)) r^2 + ...`, which ends, for whole a.
fn falling_sum(a: f64, b: f64, r: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    let (mut below, mut above) = (a - 1.0, b + 1.0);
    while below > 0.0 && term > f64::EPSILON * sum {
        term *= below / above * r;
        sum += term;
        below -= 1.0;
        above += 1.0;
    }
    sum
}

/// The chance that a Beta(a, b) variable exceeds `x`, for finite a, b > 0 and x in \[0, 1\].
pub(crate) fn beta_upper_tail(a: f64, b: f64, x: f64) -> f64 {
    lower(b, a, 1.0 - x, x)
}

/// The x at which `I_x(a, b) = p`: the p-quantile of a Beta(a, b) variable.
///
/// For finite a, b > 0 and p in \[0, 1\]; NaN elsewhere. Accurate to about 1e-13 of the quantile
/// or of its distance from 1, whichever is smaller. Always ends, also for p = 1e-300; a quantile
/// below the smallest float comes out as 0 or as that float.
pub fn inv_inc_beta(a: f64, b: f64, p: f64) -> f64 {
    if !(valid(a, b) && (0.0..=1.0).contains(&p)) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return p;
    }
    if p <= lower(a, b, 0.5, 0.5) {
        quantile_below_half(a, b, p, 1.0 - p)
    } else {
        1.0 - quantile_below_half(b, a, 1.0 - p, p)
    }
}

/// The x <= 1/2 with `I_x(a, b) = p`, by the lower tail p or the upper tail q = 1 - p, whichever
/// is smaller and so has the digits.
fn quantile_below_half(a: f64, b: f64, p: f64, q: f64) -> f64 {
    let start = (a / (a + b)).min(0.5);
    let (below, above) = (BetaKernel::new(a, b), BetaKernel::new(b, a));
    let lower_tail = |x: f64| {
        let value = by_sides(a, b, x, 1.0 - x, || below, || above);
        (value, below.at(x, 1.0 - x) / ((1.0 - x) * value))
    };
    let upper_tail = |x: f64| {
        let value = by_sides(b, a, 1.0 - x, x, || above, || below);
        (value, -below.at(x, 1.0 - x) / ((1.0 - x) * value))
    };
    if p <= q {
        solve(p, (0.0, 0.5), start, true, lower_tail)
    } else {
        solve(q, (0.0, 0.5), start, false, upper_tail)
    }
}

fn valid(a: f64, b: f64) -> bool {
    a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()
}

/// `I_x(a, b)` for valid a, b, with x and y = 1 - x both given: near an end of \[0, 1\] the caller
/// may know the smaller one to more digits than a subtraction would leave.
fn lower(a: f64, b: f64, x: f64, y: f64) -> f64 {
    by_sides(a, b, x, y, || BetaKernel::new(a, b), || BetaKernel::new(b, a))
}

/// The same, given the kernels of (a, b) and of (b, a), of which one is needed.
fn by_sides(
    a: f64,
    b: f64,
    x: f64,
    y: f64,
    below: impl Fn() -> BetaKernel,
    above: impl Fn() -> BetaKernel,
) -> f64 {
    if x == 0.0 || y == 0.0 {
        return x;
    }
    if x <= (a + 1.0) / (a + b + 2.0) { below().tail(x, y) } else { 1.0 - above().tail(y, x) }
}

/// The even part of the continued fraction `1 / (1 + d1 / (1 + d2 / (1 + ...)))` of
/// DLMF 8.17.22, times a: the same approximants in half the steps.
///
/// In this form x near 1 costs no digits, because `a y - b x` is never computed as
/// `a - (a + b) x` (Didonato & Morris, ACM TOMS 18 (1992), 360-373; Boost's `ibeta_fraction2`).
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let offset = a * y - b * x + 1.0;
    let mut sum = nonzero(a * offset / (a + 1.0));
    let mut c = sum;
    let mut d = 0.0;
    for m in 1..MOST_TERMS {
        let m = f64::from(m);
        let a2m = a + 2.0 * m;
        let even = m * (b - m) * x / (a2m - 1.0);
        let numerator = even * x * (a + m - 1.0) * ((a + b + m - 1.0) / (a2m - 1.0));
        let denominator = m + even + (a + m) * (offset + m * (1.0 + y)) / (a2m + 1.0);
        d = 1.0 / nonzero(denominator + numerator * d);
        c = nonzero(denominator + numerator / c);
        sum *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    1.0 / sum
}

// ---- The gamma function's logarithm, the incomplete gamma function and the chi-square tail.
//
// Below `x = a + 1` the power series (DLMF 8.7.1), above it the continued fraction
// (DLMF 8.9.2) by Lentz's method.

/// `ln Gamma(x)` for x > 0, from `libm`; NaN elsewhere.
pub fn ln_gamma(x: f64) -> f64 {
    if x > 0.0 { libm::lgamma(x) } else { f64::NAN }
}

/// The regularised upper incomplete gamma function `Q(a, x)` (DLMF 8.2.4): the chance that a
/// gamma variable of shape `a` and rate 1 exceeds `x`.
///
/// For finite a > 0 (accurate up to about 1e10) and x >= 0; NaN elsewhere.
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

/// The chance that a chi-square variable with `df` degrees of freedom exceeds `x`:
/// `Q(df / 2, x / 2)`. For df > 0 and x >= 0; NaN elsewhere.
pub fn chi_square_sf(x: f64, df: f64) -> f64 {
    inc_gamma_upper(df / 2.0, x / 2.0)
}

// ---- Student's t distribution, through the incomplete beta function (DLMF 8.17.2).
//
// With `x = df / (df + t^2)` the tail beyond |t| is `I_x(df / 2, 1 / 2) / 2`. Both x and 1 - x
// are computed directly, so neither many degrees of freedom nor the deep tail costs digits.

/// From here on the normal distribution is used: the relative difference is of order
/// `t^4 / (4 df)`, below 1e-7 for |t| < 8.
const NORMAL_FROM_DF: f64 = 1e10;

/// The distribution function of Student's t with `df` degrees of freedom at `t`.
///
/// For df > 0 (infinity is the normal distribution); NaN elsewhere.
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
    let elasticity = if x > 0.0 && y > 0.0 { -BetaKernel::new(a, b).at(x, y) / tail } else { 0.0 };
    (tail, elasticity)
}

#[cfg(test)]
pub(crate) fn assert_close(got: f64, expected: f64, relative: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(
        error <= relative * expected.abs() || got == expected,
        "{what}: got {got:e}, expected {expected:e}, relative error {:e}",
        error / expected.abs()
    );
}

#[cfg(test)]
mod tests {
    //! Beside `tests/calibration/special.rs`, which holds every function against 50-digit
    //! arithmetic at 2,250 points: ends and what lies beyond them, far tails, huge parameters,
    //! inverses.

    use std::f64::consts::{FRAC_1_PI, PI};

    use super::*;

    #[test]
    fn large_parameters_approach_the_normal_distribution() {
        let a = 1e8_f64;
        assert_close(inc_beta(a, a, 0.5), 0.5, 1e-12, "the median of a symmetric one");
        // The variance of Beta(a, a) is 1 / (4 (2a + 1)); the correction is of order 1 / a.
        for z in [-5.0, -2.0, -0.5, 1.0, 3.0] {
            let x = 0.5 + z / (2.0 * (2.0 * a + 1.0).sqrt());
            assert_close(inc_beta(a, a, x), normal_cdf(z), 1e-6, "normal limit");
        }
    }

    #[test]
    fn the_inverse_undoes_the_function() {
        for a in [0.4, 1.0, 3.5, 80.0, 1e5] {
            for b in [0.6, 1.0, 9.0, 2e4] {
                for p in [1e-12, 0.001, 0.2, 0.5] {
                    let x = inv_inc_beta(a, b, p);
                    // Next to 1 a float is too coarse for x to give p back.
                    if x < 0.99 {
                        assert_close(inc_beta(a, b, x), p, 1e-9, "round trip");
                    }
                }
                let x = inv_inc_beta(a, b, 0.9);
                let mirrored = inv_inc_beta(b, a, 1.0 - 0.9);
                assert!((x - (1.0 - mirrored)).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn the_inverse_reaches_into_the_deep_tail() {
        // I_x(a, 1) = x^a and I_x(1, b) = 1 - (1 - x)^b.
        assert_close(inv_inc_beta(2.0, 1.0, 1e-300), 1e-150, 1e-13, "x squared");
        assert_close(inv_inc_beta(0.1, 1.0, 1e-25), 1e-250, 1e-12, "a tenth root");
        assert_close(inv_inc_beta(1.0, 1e6, 1e-300), 1e-306, 1e-13, "first of a million");
        assert!(inv_inc_beta(0.01, 1.0, 1e-4) < 1e-320, "below the smallest normal float");
        assert_close(inv_inc_beta(1.0, 1e9, 0.9), -(0.1_f64.ln()) * 1e-9, 2e-9, "small, upper");
        assert_close(inv_inc_beta(1e6, 1.0, 1e-20), 1e-20_f64.powf(1e-6), 1e-15, "large, lower");
        assert_close(inv_inc_beta(1.0, 4.0, 0.999), 1.0 - 0.001_f64.powf(0.25), 1e-14, "upper");
    }

    #[test]
    fn arguments_outside_the_domain_give_nan() {
        for (a, b) in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(inc_beta(a, b, 0.5).is_nan());
            assert!(inv_inc_beta(a, b, 0.5).is_nan());
            assert!(ln_beta(a, b).is_nan());
        }
        for x in [-0.1, 1.1, f64::NAN] {
            assert!(inc_beta(1.0, 2.0, x).is_nan());
            assert!(inv_inc_beta(1.0, 2.0, x).is_nan());
        }
        assert_eq!((inc_beta(2.0, 3.0, 0.0), inc_beta(2.0, 3.0, 1.0)), (0.0, 1.0));
        assert_eq!((inv_inc_beta(2.0, 3.0, 0.0), inv_inc_beta(2.0, 3.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn tiny_shapes_and_far_tails_have_their_closed_forms() {
        assert_close(ln_beta(1e-8, 3.0), 1e8_f64.ln(), 1e-8, "B(a, b) ~ 1 / a");
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
    fn gamma_arguments_outside_the_domain_give_nan() {
        assert!(ln_gamma(0.0).is_nan() && ln_gamma(-1.5).is_nan());
        for (a, x) in [(0.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::NAN)] {
            assert!(inc_gamma_upper(a, x).is_nan());
        }
        assert_eq!(inc_gamma_upper(2.0, 0.0), 1.0);
        assert_eq!(inc_gamma_upper(2.0, f64::INFINITY), 0.0);
    }

    #[test]
    fn log_sum_exp_survives_values_whose_exponentials_do_not() {
        assert_close(log_sum_exp(&[3.0; 8]), 3.0 + 8.0_f64.ln(), 1e-15, "eight threes");
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

    #[test]
    fn the_quantile_undoes_the_function_across_all_three_pieces() {
        for i in 0..=740 {
            let x = -37.0 + f64::from(i) * 0.05;
            // A float near x moves the tail by x^2 units in its last place.
            assert_close(normal_cdf(normal_quantile(normal_cdf(x))), normal_cdf(x), 2e-12, "tail");
            if x < 1.0 && x != 0.0 {
                assert!((normal_quantile(normal_cdf(x)) - x).abs() < 4e-15 * x.abs().max(1.0));
            }
        }
    }

    #[test]
    fn the_quantile_is_odd_and_infinite_at_the_ends() {
        assert_eq!(normal_cdf(0.0), 0.5);
        assert_eq!(normal_quantile(0.25), -normal_quantile(0.75));
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(-0.1).is_nan() && normal_quantile(f64::NAN).is_nan());
    }

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

    #[test]
    fn stirling_error_is_continuous_where_the_series_takes_over() {
        assert_close(stirling_error(16.0 - 1e-13), stirling_error(16.0), 1e-11, "at 16");
    }

    #[test]
    fn the_kernel_keeps_its_digits_at_a_million() {
        // Central binomial C(2n, n) / 4^n = 1 / sqrt(pi n) (1 - 1/8n + 1/128n^2 + ...).
        let n = 1e6;
        let expected = (1.0 - 0.125 / n + 1.0 / (128.0 * n * n)) / (PI * n).sqrt() * n / 2.0;
        assert_close(BetaKernel::new(n, n).at(0.5, 0.5), expected, 1e-14, "central binomial");
    }

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
    fn student_arguments_outside_the_domain_give_nan() {
        assert!(student_t_cdf(f64::NAN, 3.0).is_nan());
        assert!(student_t_cdf(1.0, 0.0).is_nan());
        assert!(student_t_quantile(1.1, 3.0).is_nan());
        assert!(student_t_quantile(0.5, f64::NAN).is_nan());
        assert_eq!(student_t_quantile(1.0, 3.0), f64::INFINITY);
        assert_eq!(student_t_cdf(f64::NEG_INFINITY, 3.0), 0.0);
        assert_eq!(student_t_quantile(0.5, 3.0), 0.0);
    }
}
