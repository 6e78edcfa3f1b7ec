//! How many restarts to expect inside a file: so many that about one file in 200 raises a false
//! alarm.
//!
//! Bayes factors have a mean of 1 without a restart, but their typical size depends on how often
//! each server was tried: 0.5 in 100 requests, 0.01 in 3,000 requests to ten servers in turn. The
//! few that come out large are about the same multiple of the typical one. So the number of
//! restarts that is expected beforehand is 1 / ([`MARGIN`] x typical Bayes factor), but at most
//! one.
//!
//! The typical Bayes factor of one place is that of its mean logarithm. For a server whose rate
//! has prior variance v, whose attempts have variance w, with m before the place and n after,
//! twice the logarithm is in the normal limit
//!
//! ```text
//! -ln(1 + r) + z^2 r / (1 + r)   with r = 2 v / w x m n / (m + n), z standard normal
//! ```
//!
//! When not to use it: to judge evidence. The Bayes factor does that; this is the prior it meets.

use crate::fit::error_rates::{RatePrior, Tally};

use super::partition::Piece;

/// How far above the typical Bayes factor that of a restart has to be. False alarms so measured,
/// ten servers with rates from Beta(2, 2), tried in turn: 9, 61 and 65 of 20,000 files of 100, 200
/// and 300 requests, 5 of 1,000 of 1,000 requests, 22 of 4,000 of 3,000. With Thompson's rule fewer:
/// 5, 27 and 30 of 20,000, then 1 and 2 of 1,000. `tests/calibration/starts.rs` repeats the study.
const MARGIN: f64 = 100.0;
/// No more restarts are expected in a file.
const AT_MOST: f64 = 1.0;

/// What the prior says of two attempts at one server.
pub(super) struct Expectation {
    /// Twice the variance of rates over the mean variance of an attempt.
    ratio: f64,
}

impl Expectation {
    pub(super) fn new(prior: &RatePrior) -> Self {
        let once = libm::exp(prior.log_marginal(Tally { failures: 1, successes: 0 }));
        let twice = libm::exp(prior.log_marginal(Tally { failures: 2, successes: 0 }));
        let of_rates = (twice - once * once).max(0.0);
        Self { ratio: 2.0 * of_rates / (once - twice).max(f64::MIN_POSITIVE) }
    }

    /// How many restarts to expect at the places between the pieces of one file.
    pub(super) fn restarts(&self, file: &[Piece], servers: usize) -> f64 {
        (1.0 / (MARGIN * self.typical(file, servers))).min(AT_MOST)
    }

    /// The typical Bayes factor without a restart, averaged over the places.
    fn typical(&self, file: &[Piece], servers: usize) -> f64 {
        let mut all = vec![0.0; servers];
        for (server, tally) in file.iter().flatten() {
            all[usize::from(*server)] += tally.attempts() as f64;
        }
        let mut before = vec![0.0; servers];
        let mut logs = vec![0.0; servers];
        let mut sum = 0.0;
        for piece in &file[..file.len() - 1] {
            for (server, tally) in piece {
                let server = usize::from(*server);
                before[server] += tally.attempts() as f64;
                let r = self.ratio * before[server] * (1.0 - before[server] / all[server]);
                logs[server] = 0.5 * (r / (1.0 + r) - libm::log1p(r));
            }
            sum += libm::exp(logs.iter().sum::<f64>());
        }
        (sum / (file.len() - 1) as f64).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::ErrorFamily;

    #[test]
    fn more_attempts_make_a_chance_alarm_rarer_and_a_restart_easier_to_believe() {
        let prior = RatePrior::of(&ErrorFamily::Beta { alpha: 2.0, beta: 2.0 });
        let expectation = Expectation::new(&prior);
        // Beta(2, 2): rates vary by 1/20, attempts at one server by 1/5 on average.
        assert!((expectation.ratio - 0.5).abs() < 1e-3);
        let in_turn = |requests: u8| -> Vec<Piece> {
            (0..requests).map(|i| vec![(i % 10, Tally { failures: 10, successes: 0 })]).collect()
        };
        let expected = [10, 100, 200].map(|n| expectation.restarts(&in_turn(n), 10));
        assert!(expected.is_sorted() && expected[2] > 0.5, "{expected:?}");
        // Servers that stand on one side of each place say nothing: Bayes factors are 1.
        assert!((expected[0] - 1.0 / MARGIN).abs() < 1e-12);
        let nothing = [vec![(0, Tally { failures: 1, successes: 0 })], vec![]];
        assert!((expectation.restarts(&nothing, 1) - 1.0 / MARGIN).abs() < 1e-12);
    }
}
