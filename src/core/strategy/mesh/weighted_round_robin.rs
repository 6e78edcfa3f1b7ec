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
//! It starts somewhere in its round, as after a number of picks drawn uniformly from those of a
//! round: many balancers that start together would all begin at the heaviest server (Envoy's and
//! gRPC's start at a random place, too). Of a round longer than [`LEAD`] picks per server, as odd
//! weights make it, the picks are drawn from its beginning; each server's share of the first pick is
//! then off by less than its lag over so many picks.
//!
//! Cost: what a server gains from pick to pick is its weight, so its credit is a line over the number
//! of picks, and the largest is the leader of a tournament of lines (`strategy/tournament.rs`). The
//! servers considered that have room take part in it; those that this request has tried step out
//! for one pick. O(log n) a pick for each server whose line changes or is overtaken. Where
//! nobody new has room, and up to 32 servers, all are looked at.
//!
//! Limits: blind to load except for declared capacities.

use rand_chacha::ChaCha8Rng;

use crate::domain::{Fleet, ServerId, ServerSet};
use crate::stats::index_below;
use crate::strategy::declared::Range;
use crate::strategy::mesh::view::View;
use crate::strategy::mesh::{Mesh, Pick, mesh_declared};
use crate::strategy::tournament::{Group, Leader, Tournament};

mesh_declared! {
    name: "weighted-round-robin",
    idea: "in turns, in proportion to weight and health, evenly spread",
    build: |spec, fleet, rng| {
        let mut rng = rng;
        let picker = WeightedRoundRobin::somewhere(spec.adjust_after, fleet, &mut rng);
        Mesh::new(spec.watch(), picker, fleet, rng)
    },
    pub struct WeightedRoundRobinSpec {
        /// picks per server between two adjustments of the weights to health
        adjust_after: u32 = 1, Range::whole(1, 1_000_000, (1, 100));
    }
}

/// Up to so many servers there is no tournament: a look at all is faster.
const FEW: usize = 32;

/// It starts after fewer picks than this, per server.
const LEAD: usize = 8;

/// Credits and effective weights.
#[derive(Debug, Clone)]
pub struct WeightedRoundRobin {
    /// Effective weights are declared ones x 2^shift.
    shift: i32,
    /// Effective weight of each server, at least 1.
    weights: Vec<i64>,
    /// How far each server is behind its share, in units of a pick divided by E; of one in the
    /// tournament, less `turns` times its weight.
    credits: Vec<i64>,
    /// Credits as lines over the turns; exact below 2^53, a lag of 256 picks among 16,384 servers.
    race: Tournament<Leader>,
    /// Whether each server is in the tournament.
    racing: Vec<bool>,
    /// Sum of the effective weights of those in the tournament.
    at_stake: i64,
    /// Picks in the tournament since it began.
    turns: i64,
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
            race: Tournament::new(n),
            racing: vec![false; n],
            at_stake: 0,
            turns: 0,
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

    /// The same at any place of its round.
    pub fn somewhere(adjust_after: u32, fleet: &Fleet, rng: &mut ChaCha8Rng) -> Self {
        let mut new = Self::new(adjust_after, fleet);
        let n = fleet.servers();
        let unit = new.weights.iter().fold(0, |unit, weight| common_divisor(unit, *weight));
        let round = (new.total / unit.max(1)) as usize;
        let picks = index_below(rng, round.min(LEAD * n));
        if n > FEW {
            ServerId::all(n).for_each(|server| new.race(server, true));
        }
        for _ in 0..picks {
            if new.winner().is_none() {
                new.turn(|_| true);
            }
        }
        new.end_race();
        new
    }

    fn effective(&self, weight: f64) -> i64 {
        (libm::round(libm::ldexp(weight, self.shift)) as i64).max(1)
    }

    /// Whether a server is for the tournament.
    #[inline]
    fn is_ready(&self, view: &View, server: ServerId) -> bool {
        self.credits.len() > FEW && view.is_considered(server) && !view.server(server).is_full()
    }

    /// Has a server take part in the tournament, or not.
    #[inline]
    fn race(&mut self, server: ServerId, takes_part: bool) {
        let i = server.index();
        if self.racing[i] == takes_part {
            return;
        }
        self.racing[i] = takes_part;
        let gained = self.weights[i] * self.turns;
        if takes_part {
            self.credits[i] -= gained;
            self.at_stake += self.weights[i];
            self.draw_line(i);
        } else {
            self.credits[i] += gained;
            self.at_stake -= self.weights[i];
            self.race.set(i, Leader::NOBODY);
        }
    }

    fn draw_line(&mut self, i: usize) {
        self.race.set(i, Leader::line(i, self.credits[i] as f64, self.weights[i] as f64));
    }

    /// Takes everybody out of the tournament, and begins a new one.
    fn end_race(&mut self) {
        ServerId::all(self.credits.len()).for_each(|server| self.race(server, false));
        self.turns = 0;
    }

    /// One pick among those in the tournament; none if there is nobody.
    #[inline]
    fn winner(&mut self) -> Option<ServerId> {
        let i = self.race.result((self.turns + 1) as f64).place()?;
        self.turns += 1;
        self.credits[i] -= self.at_stake;
        self.draw_line(i);
        Some(ServerId(i as u16))
    }

    /// Lets the weights follow health and carries the credits over. Nobody is in the tournament.
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

    /// One pick among the servers for which `takes_part` holds, none of which is in the tournament;
    /// server 0 if there is none.
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

/// The greatest common divisor (Euclid).
fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// credit x now / before.
fn rescaled(credit: i64, now: i64, before: i64) -> i64 {
    (i128::from(credit) * i128::from(now) / i128::from(before.max(1))) as i64
}

impl Pick for WeightedRoundRobin {
    fn follow(&mut self, view: &View) {
        view.changed().iter().for_each(|server| self.race(*server, self.is_ready(view, *server)));
    }

    fn pick(&mut self, view: &View, tried: &ServerSet, _rng: &mut ChaCha8Rng) -> ServerId {
        let is_over = self.turns >= self.credits.len() as i64;
        if self.left == 0 || is_over {
            self.end_race();
            if self.left == 0 {
                self.adjust(view);
            }
            let all = ServerId::all(self.credits.len());
            all.for_each(|server| self.race(server, self.is_ready(view, server)));
        }
        self.left -= 1;
        tried.iter().for_each(|server| self.race(server, false));
        let chosen = self.winner().unwrap_or_else(|| {
            let (tier, _) = view.best_tier(tried);
            self.turn(|server| view.is_considered(server) && view.tier(server, tried) == tier)
        });
        tried.iter().for_each(|server| self.race(server, self.is_ready(view, server)));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Endpoint, Outcome, Purpose, Streams, Timestamp};
    use crate::stats::uniform01;
    use crate::strategy::testing::{Bench, attempt, fleet};

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

    /// A start anywhere in the round of weights 5, 2, 1 gives each server its share of the first
    /// pick, and goes on as the round does. Counts of 8,000 starts within 4.5 standard deviations,
    /// fixed seed: false alarm below 3e-5 for the three together.
    #[test]
    fn it_starts_anywhere_in_its_round() {
        let mut rng = Streams::new(12).stream(Purpose::Strategy, 0, 0);
        for heavy in [1, 20] {
            // 8 picks a round, among few servers and in a tournament.
            let fleet = fleet(&[5.0, 2.0, 1.0].repeat(heavy));
            let round = picks(&mut WeightedRoundRobin::new(1, &fleet), 16 * heavy);
            let mut first = [0_u32; 3];
            for _ in 0..8_000 {
                let mut wrr = WeightedRoundRobin::somewhere(1, &fleet, &mut rng);
                let got = picks(&mut wrr, 8 * heavy);
                assert!(round.windows(8 * heavy).any(|window| window == got), "{got:?}");
                first[usize::from(got[0] % 3)] += 1;
            }
            for (count, share) in first.iter().zip([0.625, 0.25, 0.125]) {
                let tolerance = 4.5 * (8_000.0_f64 * share * (1.0 - share)).sqrt();
                assert!((f64::from(*count) - 8_000.0 * share).abs() < tolerance, "{first:?}");
            }
        }
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
        let (ill, well) = if bench.decide(&[]) == 0 { (0, 1) } else { (1, 0) };
        bench.observe(ill, Outcome::Failure);
        let rest: Vec<u16> = (0..5).map(|_| bench.decide(&[])).collect();
        assert_eq!(rest, [well, ill, well, ill, well], "six picks as if nothing had happened");
        let halved: Vec<u16> = (0..6).map(|_| bench.decide(&[])).collect();
        assert_eq!(halved.iter().filter(|s| **s == ill).count(), 2, "health 1/2 of two servers");
    }

    #[test]
    fn a_server_at_capacity_is_passed_over_while_another_has_room() {
        let declared = |capacity| Endpoint { capacity: Some(capacity), ..Endpoint::default() };
        let fleet = Fleet::new(vec![declared(1), declared(2)]).unwrap();
        let mut bench = Bench::new(WeightedRoundRobinSpec::default(), &fleet);
        let sent: Vec<u16> = (0..4).map(|_| bench.send(&[])).collect();
        assert_eq!(sent[..3].iter().filter(|s| **s == 0).count(), 1, "{sent:?}");
        assert_eq!(bench.send(&[]), if sent[3] == 0 { 1 } else { 0 }, "all full: in turns again");
    }

    #[test]
    fn tried_servers_are_avoided_until_none_is_left() {
        let mut bench = Bench::new(WeightedRoundRobinSpec::default(), &Fleet::uniform(3));
        assert_eq!(bench.decide(&[0, 2]), 1);
        assert!(bench.decide(&[0, 1, 2]) < 3);
    }

    /// Capacities, health that comes and goes, tried servers: each pick is that of a look at all
    /// servers, with a tournament that is begun anew within the period and without.
    #[test]
    fn the_tournament_picks_whom_a_look_at_all_picks() {
        for (servers, adjust_after) in [(40, 3), (70, 1)] {
            let declared = |i: usize| Endpoint {
                weight: 1.0 + (i % 5) as f64,
                capacity: Some(1 + (i % 2) as u32),
                ..Endpoint::default()
            };
            let fleet = Fleet::new((0..servers).map(declared).collect()).unwrap();
            let watch = WeightedRoundRobinSpec { half_life: 2.0, ..Default::default() }.watch();
            let mut view = View::new(watch, &fleet);
            let (mut fast, mut slow) =
                (WeightedRoundRobin::new(adjust_after, &fleet), WeightedRoundRobin::new(1, &fleet));
            slow.period = fast.period;
            let mut rng = Streams::new(9).stream(Purpose::Strategy, 0, 0);
            let (mut flying, mut tried) = (Vec::new(), ServerSet::EMPTY);
            let mut tiers = [0; 4];
            for step in 0..6_000 {
                let now = Timestamp::from_nanos(step * 20_000_000);
                view.before_choice(now);
                fast.follow(&view);
                let picked = fast.pick(&view, &tried, &mut rng);
                view.after_choice();
                if slow.left == 0 {
                    slow.adjust(&view);
                }
                slow.left -= 1;
                let (tier, _) = view.best_tier(&tried);
                tiers[usize::from(tier)] += 1;
                let expected = slow.turn(|s| view.is_considered(s) && view.tier(s, &tried) == tier);
                assert_eq!(picked, expected, "step {step} of {servers}, tier {tier}");
                let attempt = attempt(picked.0, now);
                view.on_sent(now, &attempt);
                flying.push(attempt);
                tried.insert(picked);
                let most = if step / 500 % 2 == 0 { 3 } else { 2 * servers };
                while flying.len() > most {
                    let attempt = flying.swap_remove(index_below(&mut rng, flying.len()));
                    let failed = uniform01(&mut rng) < 0.4;
                    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
                    view.on_outcome(now, &attempt, outcome);
                }
                if uniform01(&mut rng) < 0.4 {
                    tried = ServerSet::EMPTY;
                }
            }
            assert!(tiers[0] > 1_000 && tiers[2] > 100, "{tiers:?}");
        }
    }
}
