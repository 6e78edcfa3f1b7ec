//! p-values of several tests made at once.
//!
//! Holm's step-down procedure keeps the chance of any false alarm at the level, whatever the
//! dependence between the tests, and never rejects less than Bonferroni's.
//!
//! Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
//! Journal of Statistics 6 (1979), 65-70.

/// Holm's adjusted p-values, in the order of the input: reject those at or below the level.
///
/// The i-th smallest of m p-values becomes the greatest of `(m - j + 1) p_j` for j <= i, at most
/// 1. Values should lie in \[0, 1\]; a NaN is adjusted to 1, as a test that was not made.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let known = |i: usize| if p[i].is_nan() { 1.0 } else { p[i] };
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| known(i).total_cmp(&known(j)));
    let mut adjusted = vec![1.0; p.len()];
    let mut greatest = 0.0_f64;
    for (done, &i) in order.iter().enumerate() {
        greatest = greatest.max((p.len() - done) as f64 * known(i)).min(1.0);
        adjusted[i] = greatest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::special::assert_close;

    #[test]
    fn adjusted_values_are_those_of_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (got, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).iter().zip(expected) {
            assert_close(*got, expected, 1e-14, "Holm");
        }
    }

    #[test]
    fn order_is_kept_and_one_is_the_limit() {
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }
}
