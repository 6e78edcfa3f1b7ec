//! Pure numerics: special functions, samplers, intervals, quantiles and comparisons.
//!
//! This layer knows nothing of servers or requests and imports nothing of the crate.
//!
//! | Module | Idea |
//! |---|---|
//! | [`special`] | incomplete beta and gamma functions, normal and Student distributions |
//! | [`sample`] | samplers on any generator, most of them with a fixed number of words |
//! | [`binomial`] | exact binomial draws of any size from a handful of Beta draws |
//! | [`kl`] | relative entropy of two coins, and the bound that it puts on a success rate |
//! | [`moments`] | mean and variance in one pass |
//! | [`interval`] | a closed interval |
//! | [`quantile`] | quantiles of floats, nearest ranks of counts |
//! | [`comparison`] | paired comparison of several strategies with the best |
//! | [`variance_components`] | spread between groups and within them |
//! | [`bootstrap`] | the chance that a strategy is the best, by resampling |
//! | [`ziggurat`] | fast normal draws, a variable number of words |
//! | [`calibration`] | do predicted chances hold? |
//! | [`goodness`] | does the data fit the model? |
//! | [`multiple`] | p-values of several tests made at once |
//!
//! Everything that could end in a result file takes its logarithms and exponentials from `libm`,
//! whose bits are the same on every platform; the standard library's are not. `f64::sqrt` and
//! the four operations are exact by IEEE 754 and used as they are.

pub mod binomial;
pub mod bootstrap;
pub mod calibration;
pub mod comparison;
pub mod goodness;
pub mod interval;
pub mod kl;
pub mod moments;
pub mod multiple;
pub mod quantile;
pub mod sample;
pub mod special;
pub mod variance_components;
pub mod ziggurat;

pub use comparison::PairedComparison;
pub use interval::Interval;
pub use moments::Moments;
