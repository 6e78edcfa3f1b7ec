//! Power of two choices by peak latency: of two random servers, the one that would answer sooner.
//!
//! Two distinct servers are drawn uniformly; the one with the lower cost, latency x (attempts in
//! flight + 1), gets the attempt. Latency is a moving average that jumps up to a peak at once and
//! comes down slowly: with w = exp(-(time since the last outcome) / decay) and L the estimate, an
//! observed latency x makes it max(x, w L + (1-w) x). While nothing is observed the estimate decays
//! to w L, so that a server is not shunned for ever.
//!
//! A failure, a refusal (429) or a timeout counts as an attempt that took `failure_latency_ms` or,
//! if it was longer, its own time: a server that fails fast must not look fast. A server never
//! observed costs nothing while idle, so it is tried, and `failure_latency_ms` for each attempt in
//! flight, so it is not flooded before its first answer.
//!
//! Sources: M. Mitzenmacher (2001), "The Power of Two Choices in Randomized Load Balancing", IEEE
//! TPDS 12, for the two; the documentation of Finagle ("P2C + Peak EWMA") for the cost; 5 s for
//! failures and a decay of 10 s are Linkerd's values.
//!
//! Limits: it watches latency and load, success rates only through the penalty. Where servers
//! differ in their error rates alone, it mostly takes the one of the two that failed less recently.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Timestamp};
use crate::stats::sample;
use crate::strategy::declared::{Range, declared};
use crate::strategy::{Decision, Strategy};

declared! {
    name: "p2c-peak-ewma", group: Literature,
    idea: "of two random servers the one with less latency x load, failures counting as slow",
    build: |spec, fleet, rng| P2cPeakEwma::new(spec, fleet.servers(), rng),
    pub struct P2cPeakEwmaSpec {
        /// time in which a latency estimate decays to 1/e, in seconds
        decay_s: f64 = 10.0, Range::number(1e-3, 1e6, (0.5, 100.0));
        /// least latency that anything but a success counts for, in milliseconds
        failure_latency_ms: f64 = 5000.0, Range::number(0.0, 1e9, (1.0, 30_000.0));
    }
}

/// The better of two by latency and load.
#[derive(Debug)]
pub struct P2cPeakEwma {
    spec: P2cPeakEwmaSpec,
    peaks: Vec<Peak>,
    rng: ChaCha8Rng,
}

/// What is known of one server.
#[derive(Debug, Clone, Copy, Default)]
struct Peak {
    /// The estimate at `observed_at`, in milliseconds.
    latency_ms: f64,
    /// When the last outcome came; none before the first.
    observed_at: Option<Timestamp>,
    in_flight: u32,
}

impl Peak {
    /// The weight that an estimate of `observed_at` still has.
    fn weight(observed_at: Timestamp, now: Timestamp, decay_s: f64) -> f64 {
        libm::exp(-now.since(observed_at).as_secs_f64() / decay_s)
    }

    fn observe(&mut self, now: Timestamp, latency_ms: f64, decay_s: f64) {
        self.latency_ms = match self.observed_at {
            None => latency_ms,
            Some(at) => {
                let weight = Self::weight(at, now, decay_s);
                latency_ms.max(self.latency_ms * weight + latency_ms * (1.0 - weight))
            }
        };
        self.observed_at = Some(now);
    }

    fn cost(&self, now: Timestamp, spec: &P2cPeakEwmaSpec) -> f64 {
        let in_flight = f64::from(self.in_flight);
        match self.observed_at {
            None => in_flight * spec.failure_latency_ms,
            Some(at) => self.latency_ms * Self::weight(at, now, spec.decay_s) * (in_flight + 1.0),
        }
    }
}

impl P2cPeakEwma {
    pub fn new(spec: P2cPeakEwmaSpec, servers: usize, rng: ChaCha8Rng) -> Self {
        Self { spec, peaks: vec![Peak::default(); servers], rng }
    }
}

impl Strategy for P2cPeakEwma {
    fn decide(&mut self, now: Timestamp, _request: &PendingRequest) -> Decision {
        let servers = self.peaks.len();
        if servers < 2 {
            return Decision::Send(ServerId(0));
        }
        let first = sample::index_below(&mut self.rng, servers);
        let other = sample::index_below(&mut self.rng, servers - 1);
        // Skips the first, so that all pairs of different servers are equally likely.
        let second = other + usize::from(other >= first);
        let cost = |i: usize| self.peaks[i].cost(now, &self.spec);
        let chosen = if cost(second) < cost(first) { second } else { first };
        Decision::Send(ServerId(chosen as u16))
    }

    fn on_sent(&mut self, _now: Timestamp, attempt: &Attempt) {
        self.peaks[attempt.server.index()].in_flight += 1;
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let taken_ms = now.since(attempt.sent_at).as_millis_f64();
        let least_ms = if outcome.is_success() { 0.0 } else { self.spec.failure_latency_ms };
        let peak = &mut self.peaks[attempt.server.index()];
        peak.in_flight = peak.in_flight.saturating_sub(1);
        peak.observe(now, taken_ms.max(least_ms), self.spec.decay_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::testing;
    use crate::strategy::testing::{decide_at, rng};

    fn p2c(servers: usize) -> P2cPeakEwma {
        P2cPeakEwma::new(P2cPeakEwmaSpec::default(), servers, rng())
    }

    fn attempt(server: u16, sent_at_s: f64) -> Attempt {
        testing::attempt(server, Timestamp::from_secs_f64(sent_at_s))
    }

    /// An attempt that takes `ms` and ends at `ends_at_s`.
    fn ended(strategy: &mut P2cPeakEwma, server: u16, ends_at_s: f64, ms: f64, outcome: Outcome) {
        let attempt = attempt(server, ends_at_s - ms * 1e-3);
        strategy.on_sent(attempt.sent_at, &attempt);
        strategy.on_outcome(Timestamp::from_secs_f64(ends_at_s), &attempt, outcome);
    }

    fn costs(strategy: &P2cPeakEwma, at_s: f64) -> Vec<f64> {
        let now = Timestamp::from_secs_f64(at_s);
        strategy.peaks.iter().map(|peak| peak.cost(now, &strategy.spec)).collect()
    }

    /// Of four servers with costs in order, the better of a random pair is the best with chance
    /// 3/6, then 2/6, 1/6, and never the worst.
    #[test]
    fn the_better_of_two_different_servers_is_taken() {
        let mut strategy = p2c(4);
        for (server, ms) in [(0, 40.0), (1, 10.0), (2, 30.0), (3, 20.0)] {
            ended(&mut strategy, server, 1.0, ms, Outcome::Success);
        }
        let mut counts = [0_u32; 4];
        (0..30_000).for_each(|_| counts[usize::from(decide_at(&mut strategy, 1.0, &[]))] += 1);
        assert_eq!(counts[0], 0);
        for (server, expected) in [(1, 15_000.0), (3, 10_000.0), (2, 5_000.0_f64)] {
            // 4.5 standard errors are at most 4.5 sqrt(7500): false alarm 2e-5, fixed seed.
            assert!((f64::from(counts[server]) - expected).abs() < 390.0, "{counts:?}");
        }
    }

    #[test]
    fn a_peak_counts_at_once_and_decays_slowly() {
        let mut strategy = p2c(1);
        ended(&mut strategy, 0, 1.0, 10.0, Outcome::Success);
        ended(&mut strategy, 0, 1.0, 80.0, Outcome::Success);
        assert_eq!(costs(&strategy, 1.0), [80.0]);
        // A decay later the peak has weight 1/e.
        let weight = (-1.0_f64).exp();
        assert!((costs(&strategy, 11.0)[0] - 80.0 * weight).abs() < 1e-9);
        ended(&mut strategy, 0, 11.0, 10.0, Outcome::Success);
        let expected = 80.0 * weight + 10.0 * (1.0 - weight);
        assert!((costs(&strategy, 11.0)[0] - expected).abs() < 1e-9);
    }

    #[test]
    fn a_fast_failure_does_not_look_fast() {
        let mut strategy = p2c(4);
        let outcomes =
            [Outcome::Success, Outcome::Failure, Outcome::RateLimited, Outcome::TimedOut];
        for (server, outcome) in (0..).zip(outcomes) {
            ended(&mut strategy, server, 1.0, 0.5, outcome);
        }
        assert_eq!(costs(&strategy, 1.0), [0.5, 5000.0, 5000.0, 5000.0]);
        ended(&mut strategy, 1, 9.0, 8000.0, Outcome::TimedOut);
        assert_eq!(costs(&strategy, 9.0)[1], 8000.0, "a slow one is as slow as it was");
    }

    #[test]
    fn load_multiplies_the_cost_and_outcomes_may_come_in_any_order() {
        let mut strategy = p2c(2);
        ended(&mut strategy, 0, 1.0, 10.0, Outcome::Success);
        let [early, late] = [1.0, 1.1].map(|at_s| attempt(0, at_s));
        strategy.on_sent(early.sent_at, &early);
        strategy.on_sent(late.sent_at, &late);
        strategy.on_sent(late.sent_at, &attempt(1, 1.1));
        assert_eq!(costs(&strategy, 1.0), [30.0, 5000.0], "(2 + 1) x 10; unknown but busy");
        strategy.on_outcome(Timestamp::from_secs_f64(1.105), &late, Outcome::Success);
        strategy.on_outcome(Timestamp::from_secs_f64(1.11), &early, Outcome::Success);
        assert!((costs(&strategy, 1.11)[0] - 110.0).abs() < 1e-9, "the peak of the early one");
    }
}
