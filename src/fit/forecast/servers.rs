//! Server by server: does each fail, or stay silent, as it was predicted to?
//!
//! The numbers of a run are sums over servers, and a strategy soon leaves a server that fails: whether
//! it hangs or talks nonsense hardly shows in the score. So the servers are looked at one by one. A
//! server's failures among the attempts that it accepted have two tails under what was believed of its
//! rate, a beta-binomial with the mean and variance of that belief; the smaller tail says how odd the
//! server is. The number that is judged is that of the oddest server, and it is judged like all
//! others: by its rank among simulated runs of the same strategy, whose servers are drawn as they are
//! believed to be. So it holds for all servers at once, for strategies that stop at the first failure,
//! and where servers draw their rates anew at each start. Tails need only be comparable. The same
//! is done with the largest number of timeouts at one server.
//!
//! When not to use it: for servers that were started anew during the run.

use serde::Serialize;

use crate::rates::Tally;
use flakelab_core::balancer::ServerCounts;

/// What is judged of the server that stands out most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMetric {
    /// Failures among the attempts that it accepted, timeouts among them.
    Failures,
    /// Attempts that it did not answer in time.
    TimedOut,
}

impl ServerMetric {
    /// Both, in the order of their pools.
    pub const ALL: [Self; 2] = [Self::Failures, Self::TimedOut];
}

/// What is believed of a server's error rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: f64,
    /// The sum of the shapes of the beta distribution with the mean and the variance of the belief.
    pub(crate) concentration: f64,
}

impl Belief {
    /// Of a rate that is known: as good as no variance.
    pub(crate) const fn known(mean: f64) -> Self {
        Self { mean, concentration: 1e12 }
    }

    pub(crate) fn of_moments(mean: f64, second: f64) -> Self {
        let variance = second - mean * mean;
        let concentration = mean * (1.0 - mean) / variance - 1.0;
        if variance > 0.0 && concentration < 1e12 {
            // Of a rate that is 0 or 1, either.
            Self { mean, concentration: concentration.max(1e-9) }
        } else {
            Self::known(mean)
        }
    }

    /// The smaller of the chances of so many failures or more, and so many or fewer, among these
    /// attempts. Terms of the beta-binomial relative to the one that was met.
    fn tail(self, tally: Tally) -> f64 {
        let (f, n) = (tally.failures, tally.attempts());
        let (a, b) = (self.mean * self.concentration, (1.0 - self.mean) * self.concentration);
        // From k failures to k + 1.
        let ratio = |k: u64| {
            let (k, n) = (k as f64, n as f64);
            (n - k) / (k + 1.0) * ((a + k) / (b + n - k - 1.0))
        };
        let (mut more, mut fewer) = (0.0, 0.0);
        let mut term = 1.0;
        for k in f..n {
            term *= ratio(k);
            more += term;
        }
        term = 1.0;
        for k in (0..f).rev() {
            term /= ratio(k);
            fewer += term;
        }
        let all = more + 1.0 + fewer;
        // Terms too large for a float leave a chance of 0 on the one side, and none on the other.
        ((more + 1.0) / all).min((fewer + 1.0) / all)
    }
}

/// What a server did with the attempts that it accepted: successes against failures, attempts without
/// an answer in time among the latter. Refusals (429) are no coins.
pub(crate) fn tally(counts: &ServerCounts) -> Tally {
    Tally { failures: counts.failures + counts.timed_out, successes: counts.successes }
}

/// How much the server that stands out most does, and which it is: one entry for each of
/// [`ServerMetric::ALL`]. The lower the number of failures, the odder.
pub(crate) fn oddest(servers: &[ServerCounts], beliefs: &[Belief]) -> [(f64, usize); 2] {
    let mut found = [(1.0, 0), (0.0, 0)];
    for (i, (counts, belief)) in servers.iter().zip(beliefs).enumerate() {
        let tally = tally(counts);
        if tally.attempts() > 0 {
            let tail = belief.tail(tally);
            if tail < found[0].0 {
                found[0] = (tail, i);
            }
        }
        if counts.timed_out as f64 > found[1].0 {
            found[1] = (counts.timed_out as f64, i);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::Population;
    use flakelab_core::stats::ln_beta;
    use flakelab_sim::world::ErrorFamily;

    /// Both tails by the marginal likelihood of the population of rates.
    #[test]
    fn tails_are_those_of_the_population() {
        let family = ErrorFamily::Beta { alpha: 1.5, beta: 4.0 };
        let (mean, second) = (1.5 / 5.5, 1.5 * 2.5 / (5.5 * 6.5));
        let belief = Belief::of_moments(mean, second);
        for (failures, successes) in [(0, 1), (3, 0), (5, 20), (40, 2), (0, 60)] {
            let n = failures + successes;
            let chance = |f: u64| {
                let choose = -ln_beta((f + 1) as f64, (n - f + 1) as f64) - ((n + 1) as f64).ln();
                (choose + family.log_marginal(Tally { failures: f, successes: n - f })).exp()
            };
            let (more, fewer): (f64, f64) =
                ((failures..=n).map(chance).sum(), (0..=failures).map(chance).sum());
            let tail = belief.tail(Tally { failures, successes });
            assert!((tail / more.min(fewer) - 1.0).abs() < 1e-9, "{failures} of {n}: {tail}");
        }
    }

    #[test]
    fn a_known_rate_has_binomial_tails_and_a_certain_one_no_doubt() {
        let tail =
            |mean, failures, successes| Belief::known(mean).tail(Tally { failures, successes });
        assert!((tail(0.1, 3, 0) - 1e-3).abs() < 1e-9);
        assert!((tail(0.5, 1, 3) - 5.0 / 16.0).abs() < 1e-9);
        assert_eq!((tail(0.0, 0, 9), tail(0.0, 1, 9)), (1.0, 0.0));
        assert_eq!((tail(1.0, 9, 0), tail(1.0, 9, 1)), (1.0, 0.0));
        assert_eq!(tail(0.5, 0, 100_000), 0.0, "too odd for a float is as odd as can be");
    }

    #[test]
    fn the_oddest_server_is_found_and_one_that_was_left_alone_is_not_odd() {
        let counts = |successes, failures, timed_out| ServerCounts {
            attempts: successes + failures + timed_out,
            successes,
            failures,
            rate_limited: 0,
            timed_out,
        };
        let servers = [counts(0, 0, 0), counts(9, 1, 0), counts(1, 5, 1), counts(0, 0, 2)];
        let beliefs = [0.9, 0.1, 0.2, 0.5].map(Belief::known);
        let [failures, timed_out] = oddest(&servers, &beliefs);
        assert_eq!((failures.1, timed_out), (2, (2.0, 3)));
        assert_eq!(oddest(&servers[..1], &beliefs), [(1.0, 0), (0.0, 0)]);
    }
}
