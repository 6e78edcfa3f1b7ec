//! The normal distribution function and its quantile.
//!
//! The quantile is Wichura's PPND16: three rational approximations, by distance from the median,
//! with a relative error of about 1e-16. It needs one logarithm and one square root in the tails
//! and neither in the middle 85 %, which makes it a sampler of fixed cost as well.
//!
//! Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution",
//! Applied Statistics 37 (1988), 477-484.

use std::f64::consts::FRAC_1_SQRT_2;

/// The standard normal distribution function at `x`: `erfc(-x / sqrt 2) / 2`.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The p-quantile of the standard normal distribution, for p in \[0, 1\] (minus and plus infinity
/// at the ends); NaN elsewhere.
#[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    #[test]
    fn the_quantile_gives_the_published_check_values() {
        // Wichura (1988), table of test values of PPND16.
        assert_close(normal_quantile(0.25), -0.674_489_750_196_081_7, 1e-15, "1/4");
        assert_close(normal_quantile(0.001), -3.090_232_306_167_813, 1e-15, "1/1000");
        assert_close(normal_quantile(1e-20), -9.262_340_089_798_409, 1e-15, "1e-20");
        assert_close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-15, "97.5 %");
    }

    #[test]
    fn the_function_agrees_with_published_tails() {
        assert_eq!(normal_cdf(0.0), 0.5);
        assert_close(normal_cdf(-1.0), 0.158_655_253_931_457_05, 1e-15, "one sigma");
        assert_close(normal_cdf(-10.0), 7.619_853_024_160_527e-24, 1e-13, "ten sigma");
        assert_close(normal_cdf(3.0), 0.998_650_101_968_369_9, 1e-15, "three sigma");
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
        assert_eq!(normal_quantile(0.25), -normal_quantile(0.75));
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(-0.1).is_nan() && normal_quantile(f64::NAN).is_nan());
    }
}
