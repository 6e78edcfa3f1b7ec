//! V5, Thompson sampling that is bold in the first attempt and settles down in later ones.
//!
//! As `thompson`, but attempt i of a request scales the belief by k = initial_scale x decay^i:
//! with a = s+1, b = f+1 and total = a+b, if k != 1 and total > 2, both are multiplied by
//! max(2, total/k)/total and then raised to at least 1. k > 1 flattens the belief (explore),
//! k < 1 sharpens it (exploit).
//!
//! Limits: those of `thompson`; raising to at least 1 moves the mean of strong beliefs.

use rand_chacha::ChaCha8Rng;

use crate::domain::{PendingRequest, ServerId};
use crate::stats::Lines;
use crate::strategy::declared::{Range, declared};
use crate::strategy::tallied::{Rule, Tallied, Tallies, candidates};

declared! {
    name: "thompson-scaled", alias: "v5", group: Five,
    idea: "Thompson, bold in the first attempt and careful in later ones",
    build: |spec, fleet, rng| Tallied::new(spec, fleet.servers(), rng),
    pub struct ThompsonScaledSpec {
        /// scale of the belief in the first attempt; above 1 explores more
        initial_scale: f64 = BOLD_SCALE, Range::number(1e-6, 1e6, (0.1, 16.0));
        /// factor of the scale from each attempt to the next
        decay: f64 = 0.5, Range::number(1e-6, 1e6, (0.05, 2.0));
        /// leave out servers that the request has tried, in free attempts
        exclude_tried: bool = true, Range::Switch;
    }
}

impl Rule for ThompsonScaledSpec {
    #[inline]
    fn choose(
        &self,
        tallies: &Tallies,
        request: &PendingRequest,
        rng: &mut ChaCha8Rng,
    ) -> ServerId {
        if !request.is_free() {
            return tallies.best();
        }
        let scale = self.initial_scale * libm::pow(self.decay, f64::from(request.attempts));
        let excluded = candidates(tallies.servers(), self.exclude_tried, request);
        if scale == BOLD_SCALE {
            return tallies.largest_draw(excluded, rng, &BOLD);
        }
        tallies.largest_beta(excluded, rng, |class| {
            let (s, f) = tallies.counts(class);
            scaled(s + 1.0, f + 1.0, scale)
        })
    }
}

/// Lines for first attempts with the default setting. Other scales draw: most attempts are first
/// ones, and lines of every scale that a search tries would fill the memory.
static BOLD: Lines = Lines::new(|s, f| scaled(s + 1.0, f + 1.0, BOLD_SCALE));
const BOLD_SCALE: f64 = 4.0;

/// The belief Beta(a, b) at scale k.
#[inline]
fn scaled(a: f64, b: f64, k: f64) -> (f64, f64) {
    let total = a + b;
    if k == 1.0 || total <= 2.0 {
        return (a, b);
    }
    let factor = if total > 2.0 * k { 1.0 / k } else { 2.0 / total };
    ((a * factor).max(1.0), (b * factor).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_one_and_an_empty_memory_change_nothing() {
        assert_eq!(scaled(7.0, 3.0, 1.0), (7.0, 3.0));
        assert_eq!(scaled(1.0, 1.0, 4.0), (1.0, 1.0));
    }

    #[test]
    fn a_large_scale_flattens_but_never_below_one() {
        assert_eq!(scaled(30.0, 10.0, 4.0), (7.5, 2.5));
        let (a, b) = scaled(5.0, 1.0, 4.0);
        assert!((a - 10.0 / 6.0).abs() < 1e-12 && b == 1.0, "total 6 shrinks to 2: {a} {b}");
    }

    #[test]
    fn a_small_scale_sharpens() {
        assert_eq!(scaled(6.0, 2.0, 0.5), (12.0, 4.0));
    }
}
