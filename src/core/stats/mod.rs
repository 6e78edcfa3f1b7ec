//! Pure numerics: special functions, samplers, intervals, quantiles and comparisons.
//!
//! It knows nothing of servers or requests and imports nothing of the crate.
//!
//! | Module | Idea |
//! |---|---|
//! | [`special`] | incomplete beta and gamma functions, normal and Student distributions |
//! | [`sample`] | samplers on any generator: most with a fixed number of words, some faster |
//! | [`mod@largest_draw`] | which of several Beta draws is the largest, seldom by drawing them |
//! | [`moments`] | mean and variance in one pass, intervals, quantiles |
//! | [`blocks`] | means of many quantities with intervals by resampling, whatever their skew |
//! | [`comparison`] | paired comparison of several strategies with the best, and who is the best |
//! | [`variance_components`] | how much of a spread lies between groups, how much within them |
//! | [`goodness`] | does the data fit the model? p-values of several tests made at once |
//! | [`calibration`] | do predicted chances hold? |
//!
//! Everything that could end in a result file takes its logarithms and exponentials from `libm`,
//! whose bits are the same on every platform; the standard library's are not. `f64::sqrt` and
//! the four operations are exact by IEEE 754 and used as they are.

pub mod blocks;
pub mod calibration;
pub mod comparison;
pub mod goodness;
pub mod largest_draw;
pub mod moments;
pub mod sample;
pub mod special;
pub mod variance_components;

pub use self::blocks::{Blocks, Contrast, Resampled, resampled};
pub use self::calibration::{Bin, Calibration};
pub use self::comparison::{AgainstBest, PairedComparison, Separation};
pub use self::goodness::{
    ChiSquare, chi_square_homogeneity, holm, ks_p_value, ks_statistic, randomised_pit,
};
pub use self::largest_draw::{Belief, Lines, UNIFORM_PRIOR, largest_draw, largest_of};
pub use self::moments::{Interval, Moments, nearest_rank, quantile};
pub use self::sample::{
    beta, binomial, exponential, index_below, standard_normal, uniform_open, uniform01,
};
pub use self::special::{
    IncBeta, chi_square_sf, inc_beta, inc_gamma_upper, inv_inc_beta, ln_beta, ln_gamma,
    log_sum_exp, normal_cdf, normal_quantile, student_t_cdf, student_t_quantile,
};
pub use self::variance_components::VarianceComponents;
