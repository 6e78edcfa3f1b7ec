//! Power of two choices: two different servers at random, the less loaded of them.
//!
//! The load is (requests in flight + 1) / (health x weight); the 1 is the request to be sent, by
//! which idle servers differ by what they can do. On a tie the one drawn first is taken, which is
//! either with the same probability. Two choices lower the largest queue from about
//! log n / log log n to log log n (Azar, Broder, Karlin and Upfal 1994; Mitzenmacher 2001, "The
//! Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12), and do not herd.
//!
//! Cost: O(1). Up to 32 servers considered, the pair is drawn uniformly from those of the least
//! tier (with room, not tried). Above that, servers are drawn until one has room and is new, at
//! most 16 times for each of the two; then the best met so far has to do. So a server with room is
//! found with certainty only while most have room: where 9 in 10 are full, one draw in five ends
//! at a full one (0.9^16 = 0.19).
//!
//! Limits: with two servers it is least connections. A bad server that is idle wins against a good
//! one that is busy, unless health keeps it out.

use rand_chacha::ChaCha8Rng;

use crate::domain::{ServerId, ServerSet};
use crate::stats::index_below;
use crate::strategy::declared::Range;
use crate::strategy::mesh::view::View;
use crate::strategy::mesh::{Mesh, Pick, mesh_declared};

/// Up to so many servers considered, all of them are looked at.
const FEW: usize = 32;

/// Draws for one of the two servers, above that.
const DRAWS: u32 = 16;

mesh_declared! {
    name: "power-of-two",
    idea: "two servers at random, the less loaded for its health and weight",
    build: |spec, fleet, rng| {
        Mesh::new(spec.watch(), PowerOfTwo::new(spec.counts_itself), fleet, rng)
    },
    pub struct PowerOfTwoSpec {
        /// the request to be sent counts as load, so that idle servers differ by health
        counts_itself: bool = true, Range::Switch;
    }
}

/// The choice of two.
#[derive(Debug, Clone, Copy)]
pub struct PowerOfTwo {
    /// Requests that count beyond those in flight: 0 or 1.
    more: u32,
}

impl PowerOfTwo {
    /// With `counts_itself` the request to be sent counts.
    pub fn new(counts_itself: bool) -> Self {
        Self { more: u32::from(counts_itself) }
    }

    /// Two different servers; the same one twice where only one can be had.
    fn pair(view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> (ServerId, ServerId) {
        if view.considered() <= FEW {
            return Self::pair_of_few(view, tried, rng);
        }
        let first = Self::draw(view, tried, None, rng);
        (first, Self::draw(view, tried, Some(first), rng))
    }

    fn pair_of_few(view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> (ServerId, ServerId) {
        let (tier, count) = view.best_tier(tried);
        let first = index_below(rng, count);
        let second = index_below(rng, count.saturating_sub(1));
        // The second is drawn among the others.
        let second = if second >= first { second + 1 } else { second };
        let (mut pair, mut seen) = ((None, None), 0);
        for place in 0..view.considered() {
            let server = view.considered_at(place);
            if view.tier(server, tried) != tier {
                continue;
            }
            if seen == first {
                pair.0 = Some(server);
            } else if seen == second {
                pair.1 = Some(server);
            }
            seen += 1;
        }
        let first = pair.0.unwrap_or(ServerId(0));
        (first, pair.1.unwrap_or(first))
    }

    /// A server other than `other`, of the least tier that a few draws find. There are more than
    /// [`FEW`] to draw from.
    fn draw(
        view: &View,
        tried: &ServerSet,
        other: Option<ServerId>,
        rng: &mut ChaCha8Rng,
    ) -> ServerId {
        let mut best = None;
        let mut least = u8::MAX;
        for _ in 0..DRAWS {
            let server = view.considered_at(index_below(rng, view.considered()));
            if other == Some(server) {
                continue;
            }
            let tier = view.tier(server, tried);
            if tier == 0 {
                return server;
            }
            if tier < least {
                (best, least) = (Some(server), tier);
            }
        }
        // Drawing the other one 16 times in a row: less than once in 10^24.
        best.or(other).unwrap_or(ServerId(0))
    }
}

impl Pick for PowerOfTwo {
    fn pick(&mut self, view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> ServerId {
        let (first, second) = Self::pair(view, tried, rng);
        let cost =
            |server: ServerId| (view.tier(server, tried), view.server(server).load(self.more));
        if cost(second) < cost(first) { second } else { first }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::domain::{Endpoint, Fleet, Outcome};
    use crate::strategy::testing::{Bench, fleet};

    /// All ordered pairs, and how often each of 30,000 draws gave them.
    fn pairs(servers: usize, tried: &[u16]) -> Vec<Vec<f64>> {
        let view = View::new(PowerOfTwoSpec::default().watch(), &Fleet::uniform(servers));
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut set = ServerSet::EMPTY;
        tried.iter().for_each(|s| set.insert(ServerId(*s)));
        let mut counts = vec![vec![0.0; servers]; servers];
        for _ in 0..30_000 {
            let (first, second) = PowerOfTwo::pair(&view, &set, &mut rng);
            counts[first.index()][second.index()] += 1.0;
        }
        counts
    }

    /// Every ordered pair of different servers with probability 1/12; 4.5 standard errors, false
    /// alarm 8e-5 for the twelve together, and the seed is fixed. Drawing both independently (the
    /// planted bug) would put a quarter on the diagonal.
    #[test]
    fn all_pairs_of_different_servers_are_equally_likely() {
        let counts = pairs(5, &[4]);
        let tolerance = 4.5 * (30_000.0_f64 / 12.0 * 11.0 / 12.0).sqrt();
        for first in 0..5 {
            for second in 0..5 {
                let expected =
                    if first == second || first.max(second) == 4 { 0.0 } else { 2_500.0 };
                let off = counts[first][second] - expected;
                assert!(off.abs() <= if expected > 0.0 { tolerance } else { 0.0 }, "{counts:?}");
            }
        }
    }

    #[test]
    fn among_many_the_two_differ_as_well_and_tried_ones_are_left_out() {
        let tried: Vec<u16> = (0..20).collect();
        let counts = pairs(100, &tried);
        assert!((0..100).all(|s| counts[s][s] == 0.0));
        // 16 draws all at one of 20 in 100: 0.2^16.
        assert!((0..20).all(|s| counts[s].iter().sum::<f64>() == 0.0));
        let drawn = (0..100).filter(|s| counts[*s].iter().sum::<f64>() > 0.0).count();
        assert_eq!(drawn, 80, "all others are drawn");
    }

    /// One busy server among four idle ones is chosen only when it is not compared: never, as
    /// every pair with it holds an idle one. With weights, 2 in flight of weight 4 (load 3/4)
    /// beat an idle one of weight 1 (load 1).
    #[test]
    fn the_less_loaded_of_the_two_is_taken() {
        let mut bench = Bench::new(PowerOfTwoSpec::default(), &Fleet::uniform(5));
        bench.sent(2);
        assert!((0..200).all(|_| bench.decide(&[]) != 2));
        let mut bench = Bench::new(PowerOfTwoSpec::default(), &fleet(&[4.0, 1.0]));
        bench.sent(0);
        bench.sent(0);
        assert!((0..50).all(|_| bench.decide(&[]) == 0));
    }

    /// Three servers of loads 1, 2, 3: the lightest is in 2 of 3 pairs, the middle one wins 1 of
    /// 3, the heaviest none. 20,000 draws, 4 standard errors: false alarm 6e-5.
    #[test]
    fn shares_are_those_of_the_pairs_they_win() {
        let mut bench = Bench::new(PowerOfTwoSpec::default(), &Fleet::uniform(3));
        for server in [1, 2, 2] {
            bench.sent(server);
        }
        let mut counts = [0.0_f64; 3];
        for _ in 0..20_000 {
            counts[usize::from(bench.decide(&[]))] += 1.0;
        }
        let tolerance = 4.0 * (20_000.0_f64 * 2.0 / 9.0).sqrt();
        assert!((counts[0] - 40_000.0 / 3.0).abs() < tolerance, "{counts:?}");
        assert_eq!(counts[2], 0.0);
    }

    #[test]
    fn one_server_is_a_pair_too() {
        let mut bench = Bench::new(PowerOfTwoSpec::default(), &Fleet::uniform(1));
        assert_eq!(bench.decide(&[]), 0);
        assert_eq!(bench.decide(&[0, 0]), 0);
        let mut two = Bench::new(PowerOfTwoSpec::default(), &Fleet::uniform(2));
        assert_eq!(two.decide(&[1]), 0, "the only new one");
    }

    #[test]
    fn among_ten_thousand_only_the_healthy_with_room_are_drawn() {
        let declared = Endpoint { capacity: Some(1), ..Endpoint::default() };
        let fleet = Fleet::new(vec![declared; 10_000]).unwrap();
        let spec = PowerOfTwoSpec { half_life: 0.5, ..PowerOfTwoSpec::default() };
        let mut bench = Bench::new(spec, &fleet);
        for server in 0..10_000 {
            if server % 2 == 0 {
                bench.observe(server, Outcome::Failure);
            } else if server % 4 == 1 {
                bench.sent(server);
            }
        }
        for _ in 0..2_000 {
            // Half of those considered are full: 16 draws miss the others once in 65,536.
            assert_eq!(bench.decide(&[]) % 4, 3);
        }
    }
}
