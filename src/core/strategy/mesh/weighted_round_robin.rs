//! Smooth weighted round robin, with weights that follow health.
//!
//! Each server considered has a credit. A pick adds to each its effective weight e_i, takes the
//! server with the largest credit (the first on a tie), and takes the sum E of the effective
//! weights from it: the algorithm known from nginx's upstream module. With whole-number weights
//! any E / gcd picks in a row give each server exactly its weight, and the picks of a heavy server
//! are spread instead of coming in a burst (weights 5, 1, 1: a a b a c a a). The credit is how far
//! a server is behind its share, so the largest lag is served first; the lag stays below
//! 1 + H_n picks (H_n = 1 + 1/2 + ... + 1/n, the bound of the cup game), the lead below 1.
//!
//! Effective weights are declared weight x health, normalised so that the largest declared weight
//! is 2^30 to 2^31 (by a power of two, so that whole-number weights keep their exact ratios) and
//! rounded to whole numbers: arithmetic is exact. They are brought up to date once in
//! `adjust_after` picks per server, never in between; between two adjustments, while the same
//! servers are considered, the above holds to the letter. Credits are carried over an
//! adjustment as shares of E. That is the point: an implementation that starts afresh whenever a
//! weight changes begins each time at the heaviest server, and the more often health moves, the
//! more it is favoured. Servers that are left out (ill, at capacity, tried before) are neither
//! credited nor charged meanwhile.
//!
//! Limits: O(n) a pick; blind to load except for declared capacities.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Fleet, ServerId, ServerSet};
use crate::strategy::declared::Range;
use crate::strategy::mesh::view::View;
use crate::strategy::mesh::{Mesh, Pick, mesh_declared};

mesh_declared! {
    name: "weighted-round-robin",
    idea: "in turns, in proportion to weight and health, evenly spread",
    build: |spec, fleet, rng| {
        Mesh::new(spec.watch(), WeightedRoundRobin::new(spec.adjust_after, fleet), fleet, rng)
    },
    pub struct WeightedRoundRobinSpec {
        /// picks per server between two adjustments of the weights to health
        adjust_after: u32 = 1, Range::whole(1, 1_000_000, (1, 100));
    }
}

/// Credits and effective weights.
#[derive(Debug, Clone)]
pub struct WeightedRoundRobin {
    /// Effective weights are declared ones x 2^shift.
    shift: i32,
    /// Effective weight of each server, at least 1.
    weights: Vec<i64>,
    /// How far each server is behind its share, in units of a pick divided by E.
    credits: Vec<i64>,
    /// Sum of all effective weights: E when all servers are considered.
    total: i64,
    /// Picks between two adjustments.
    period: u64,
    /// Picks until the next one.
    left: u64,
}

impl WeightedRoundRobin {
    /// Nobody is behind. `adjust_after` is in picks per server.
    pub fn new(adjust_after: u32, fleet: &Fleet) -> Self {
        let n = fleet.servers();
        let heaviest = ServerId::all(n).map(|s| fleet.weight(s)).fold(0.0, f64::max);
        let (_, exponent) = libm::frexp(heaviest);
        let mut new = Self {
            shift: 31 - exponent,
            weights: vec![1; n],
            credits: vec![0; n],
            total: 0,
            period: u64::from(adjust_after.max(1)) * n as u64,
            left: 0,
        };
        for server in ServerId::all(n) {
            new.weights[server.index()] = new.effective(fleet.weight(server));
        }
        new.total = new.weights.iter().sum();
        new
    }

    fn effective(&self, weight: f64) -> i64 {
        (libm::round(libm::ldexp(weight, self.shift)) as i64).max(1)
    }

    /// Lets the weights follow health and carries the credits over.
    fn adjust(&mut self, view: &View) {
        self.left = self.period;
        for (i, server) in view.servers().iter().enumerate() {
            self.weights[i] = self.effective(server.weight * server.health.value());
        }
        let before = self.total;
        self.total = self.weights.iter().sum();
        if self.total != before {
            for credit in &mut self.credits {
                // Rounded by less than one in 2^30 of a pick.
                *credit = rescaled(*credit, self.total, before);
            }
        }
    }

    /// One pick among the servers for which `takes_part` holds; server 0 if there is none.
    #[inline]
    fn turn(&mut self, mut takes_part: impl FnMut(ServerId) -> bool) -> ServerId {
        let mut chosen = ServerId(0);
        let (mut most, mut total) = (i64::MIN, 0);
        for server in ServerId::all(self.credits.len()) {
            if !takes_part(server) {
                continue;
            }
            let i = server.index();
            self.credits[i] += self.weights[i];
            total += self.weights[i];
            if self.credits[i] > most {
                most = self.credits[i];
                chosen = server;
            }
        }
        self.credits[chosen.index()] -= total;
        chosen
    }
}

/// credit x now / before.
fn rescaled(credit: i64, now: i64, before: i64) -> i64 {
    (i128::from(credit) * i128::from(now) / i128::from(before.max(1))) as i64
}

impl Pick for WeightedRoundRobin {
    fn pick(&mut self, view: &View, tried: &ServerSet, _rng: &mut ChaCha8Rng) -> ServerId {
        if self.left == 0 {
            self.adjust(view);
        }
        self.left -= 1;
        let (tier, _) = view.best_tier(tried);
        self.turn(|server| view.is_considered(server) && view.tier(server, tried) == tier)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Endpoint, Outcome, Purpose, Streams};
    use crate::stats::uniform01;
    use crate::strategy::testing::{Bench, fleet};

    fn picks(wrr: &mut WeightedRoundRobin, n: usize) -> Vec<u16> {
        (0..n).map(|_| wrr.turn(|_| true).0).collect()
    }

    fn with_weights(weights: &[f64]) -> WeightedRoundRobin {
        WeightedRoundRobin::new(1, &fleet(weights))
    }

    #[test]
    fn a_heavy_server_is_spread_over_the_round() {
        assert_eq!(picks(&mut with_weights(&[5.0, 1.0, 1.0]), 7), [0, 0, 1, 0, 2, 0, 0]);
        let equal = [0, 1, 2, 0, 1, 2];
        assert_eq!(picks(&mut with_weights(&[0.3; 3]), 6), equal, "no weights is taking turns");
    }

    proptest! {
        /// Any sum-of-weights picks in a row, wherever they begin, hold each server exactly as
        /// often as its weight says; and at no moment is a server ahead of its share by 1 or
        /// behind by 1 + H_n: no bursts, no starving.
        #[test]
        fn any_round_is_exact_and_no_moment_is_far_off(
            weights in prop::collection::vec(1_u32..=12, 1..=9),
            offset in 0_usize..40,
        ) {
            let as_reals: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
            let mut wrr = with_weights(&as_reals);
            let sum: u32 = weights.iter().sum();
            let picked = picks(&mut wrr, offset + 2 * sum as usize);
            let window = &picked[offset..offset + sum as usize];
            for (server, weight) in (0..).zip(&weights) {
                let count = window.iter().filter(|s| **s == server).count();
                prop_assert_eq!(count, *weight as usize);
            }
            let slack = 1.0 + (1..=weights.len()).map(|k| 1.0 / k as f64).sum::<f64>();
            let mut counts = vec![0.0; weights.len()];
            for (k, server) in (1..).zip(&picked) {
                counts[usize::from(*server)] += 1.0;
                for (count, weight) in counts.iter().zip(&as_reals) {
                    let lead = count - f64::from(k) * weight / f64::from(sum);
                    prop_assert!(lead < 1.0 && lead > -slack, "{} after {}", lead, k);
                }
            }
        }
    }

    /// Health trembles around the same mean for all servers; the picks a server should get are
    /// the sum of its share at each moment. Returns the largest distance from that, in picks.
    fn off_share_after_many_adjustments(starts_afresh: bool) -> f64 {
        let weights = [5.0, 3.0, 1.0, 1.0];
        let mut wrr = with_weights(&weights);
        let mut rng = Streams::new(5).stream(Purpose::Strategy, 0, 0);
        let (mut counts, mut due) = ([0.0; 4], [0.0; 4]);
        for pick in 0..100_000 {
            if pick % 3 == 0 {
                let before = wrr.total;
                for (i, weight) in weights.iter().enumerate() {
                    wrr.weights[i] = wrr.effective(weight * (0.8 + 0.2 * uniform01(&mut rng)));
                }
                wrr.total = wrr.weights.iter().sum();
                for credit in &mut wrr.credits {
                    *credit = if starts_afresh { 0 } else { rescaled(*credit, wrr.total, before) };
                }
            }
            for (due, weight) in due.iter_mut().zip(&wrr.weights) {
                *due += *weight as f64 / wrr.total as f64;
            }
            counts[usize::from(wrr.turn(|_| true).0)] += 1.0;
        }
        counts.iter().zip(due).map(|(count, due)| (count - due).abs()).fold(0.0, f64::max)
    }

    /// The bias of the naive version: started afresh at each change of health, the heaviest server
    /// gets thousands of picks more than its share; carried over, none is off by 3.
    #[test]
    fn changing_health_does_not_favour_the_heavy() {
        let carried = off_share_after_many_adjustments(false);
        let afresh = off_share_after_many_adjustments(true);
        assert!(carried < 3.0, "{carried}");
        assert!(afresh > 10_000.0, "the planted bug is seen: {afresh}");
    }

    #[test]
    fn shares_follow_health_at_the_next_adjustment_and_not_before() {
        let spec = WeightedRoundRobinSpec {
            adjust_after: 3,
            health_threshold: 0.0,
            half_life: 1.0,
            recovery_s: 1e9,
            ..WeightedRoundRobinSpec::default()
        };
        let mut bench = Bench::new(spec, &Fleet::uniform(2));
        assert_eq!(bench.decide(&[]), 0);
        bench.observe(0, Outcome::Failure);
        let rest: Vec<u16> = (0..5).map(|_| bench.decide(&[])).collect();
        assert_eq!(rest, [1, 0, 1, 0, 1], "six picks as if nothing had happened");
        let halved: Vec<u16> = (0..6).map(|_| bench.decide(&[])).collect();
        assert_eq!(halved.iter().filter(|s| **s == 0).count(), 2, "health 1/2 of two servers");
    }

    #[test]
    fn a_server_at_capacity_is_passed_over_while_another_has_room() {
        let declared = |capacity| Endpoint { capacity: Some(capacity), ..Endpoint::default() };
        let fleet = Fleet::new(vec![declared(1), declared(2)]).unwrap();
        let mut bench = Bench::new(WeightedRoundRobinSpec::default(), &fleet);
        let sent: Vec<u16> = (0..4).map(|_| bench.send(&[])).collect();
        assert_eq!(sent[..3], [0, 1, 1]);
        assert_eq!(bench.send(&[]), if sent[3] == 0 { 1 } else { 0 }, "all full: in turns again");
    }

    #[test]
    fn tried_servers_are_avoided_until_none_is_left() {
        let mut bench = Bench::new(WeightedRoundRobinSpec::default(), &Fleet::uniform(3));
        assert_eq!(bench.decide(&[0, 2]), 1);
        assert!(bench.decide(&[0, 1, 2]) < 3);
    }
}
