//! Least connections: the server with the fewest requests in flight for what it can do.
//!
//! The load of a server is requests in flight / (health x weight); the least wins, ties are broken
//! uniformly at random. (The weighted form is old; it is `leastconn` of HAProxy and LVS's WLC.)
//! With `counts_itself` the request to be sent counts too, as in Envoy's weighted least request:
//! an idle server is then judged by what it can do, where otherwise all idle servers are equal.
//!
//! Cost: a tournament of the servers considered (`strategy/tournament.rs`), so that a decision costs
//! O(log n) for each server whose health or load has changed since the last.
//!
//! Limits: every balancer that sees the same load sends to the same server
//! (herding), which several balancers with stale views would suffer from. With nothing in flight
//! it is a uniform choice among the servers considered.

use rand_chacha::ChaCha8Rng;

use crate::domain::{ServerId, ServerSet};
use crate::stats::index_below;
use crate::strategy::declared::Range;
use crate::strategy::mesh::view::View;
use crate::strategy::mesh::{Mesh, Pick, mesh_declared};
use crate::strategy::tallied::NOBODY;
use crate::strategy::tournament::{Group, Tournament};

mesh_declared! {
    name: "least-connections",
    idea: "the fewest requests in flight for its health and weight, ties at random",
    build: |spec, fleet, rng| {
        let picker = LeastConnections::new(spec.counts_itself, fleet.servers());
        Mesh::new(spec.watch(), picker, fleet, rng)
    },
    pub struct LeastConnectionsSpec {
        /// the request to be sent counts as load, so that idle servers differ by health
        counts_itself: bool = false, Range::Switch;
    }
}

/// The choice by least load.
#[derive(Debug, Clone)]
pub struct LeastConnections {
    /// Requests that count beyond those in flight: 0 or 1.
    more: u32,
    /// The servers considered, by place.
    race: Tournament<Least>,
    /// Places taken in it.
    taken: usize,
}

/// The least of a group of servers, and how many of it are like it.
#[derive(Debug, Clone, Copy)]
struct Least {
    tier: u8,
    load: f64,
    ties: usize,
}

impl Least {
    /// Tier, then load: what the least is sought of.
    fn cost(&self) -> (u8, f64) {
        (self.tier, self.load)
    }
}

impl Group for Least {
    const NOBODY: Self = Self { tier: u8::MAX, load: f64::INFINITY, ties: 0 };

    #[inline]
    fn play(left: &Self, right: &Self, _x: f64) -> Self {
        if left.cost() == right.cost() {
            Self { ties: left.ties + right.ties, ..*left }
        } else if right.cost() < left.cost() {
            *right
        } else {
            *left
        }
    }
}

impl LeastConnections {
    /// Of `servers` servers; with `counts_itself` the request to be sent counts.
    pub fn new(counts_itself: bool, servers: usize) -> Self {
        Self { more: u32::from(counts_itself), race: Tournament::new(servers), taken: 0 }
    }

    /// Notes what a server that is considered costs.
    #[inline]
    fn note(&mut self, view: &View, server: ServerId, tried: &ServerSet) {
        if let Some(place) = view.place(server) {
            let (tier, load) = (view.tier(server, tried), view.server(server).load(self.more));
            if self.race.at(place).cost() != (tier, load) {
                self.race.set(place, Least { tier, load, ties: 1 });
            }
        }
    }
}

impl Pick for LeastConnections {
    fn follow(&mut self, view: &View) {
        view.changed().iter().for_each(|server| self.note(view, *server, &NOBODY));
        for place in view.considered()..self.taken {
            self.race.set(place, Least::NOBODY);
        }
        self.taken = view.considered();
    }

    fn pick(&mut self, view: &View, tried: &ServerSet, rng: &mut ChaCha8Rng) -> ServerId {
        tried.iter().for_each(|server| self.note(view, server, tried));
        let least = self.race.result(0.0);
        // One word a decision, however many tie.
        let mut skip = index_below(rng, least.ties);
        let place = self.race.walk(|left| {
            let ties = if left.cost() == least.cost() { left.ties } else { 0 };
            let is_here = skip < ties;
            skip -= if is_here { 0 } else { ties };
            is_here
        });
        tried.iter().for_each(|server| self.note(view, server, &NOBODY));
        view.considered_at(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Endpoint, Fleet, Outcome, Timestamp};
    use crate::stats::uniform01;
    use crate::strategy::testing::{Bench, attempt, fleet, rng};

    #[test]
    fn an_ill_server_counts_as_busier() {
        let spec = LeastConnectionsSpec {
            half_life: 1.0,
            health_threshold: 0.1,
            ..LeastConnectionsSpec::default()
        };
        let mut bench = Bench::new(spec, &Fleet::uniform(2));
        bench.observe(0, Outcome::Failure);
        bench.sent(0);
        bench.sent(1);
        assert_eq!(bench.send(&[]), 1, "1/0.5 against 1/1");
        let picks: Vec<u16> = (0..40).map(|_| bench.decide(&[])).collect();
        assert!(picks.contains(&0) && picks.contains(&1), "1/0.5 against 2/1: a tie");
    }

    /// Four of five idle servers tie: each share of 20,000 draws within 4 standard errors, false
    /// alarm 3e-4 together, and the seed is fixed. The busy one is never drawn. A choice of the
    /// first (the planted bug) gives one of them everything.
    #[test]
    fn ties_are_broken_uniformly() {
        let mut bench = Bench::new(LeastConnectionsSpec::default(), &Fleet::uniform(5));
        bench.sent(3);
        let mut counts = [0.0; 5];
        for _ in 0..20_000 {
            counts[usize::from(bench.decide(&[]))] += 1.0;
        }
        let off = |counts: &[f64; 5]| {
            let tolerance = 4.0 * (20_000.0_f64 * 0.25 * 0.75).sqrt();
            [0, 1, 2, 4].iter().any(|i| (counts[*i] - 5_000.0).abs() > tolerance)
        };
        assert!(!off(&counts) && counts[3] == 0.0, "{counts:?}");
        assert!(off(&[20_000.0, 0.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn with_itself_counted_an_idle_server_is_judged_by_weight() {
        let spec = LeastConnectionsSpec { counts_itself: true, ..LeastConnectionsSpec::default() };
        let mut bench = Bench::new(spec, &fleet(&[1.0, 3.0]));
        let sent: Vec<u16> = (0..2).map(|_| bench.send(&[])).collect();
        assert_eq!(sent, [1, 1], "1/3, 2/3 against 1");
    }

    /// Against the rule written as a sentence, over every state of three servers with up to three
    /// requests in flight, capacity 2 at the first, and every set of tried servers.
    #[test]
    fn equals_the_rule_written_out_in_every_small_state() {
        let weights = [1.0, 2.0, 0.5];
        let capacity = [Some(2), None, None];
        let declared = (0..3).map(|i| Endpoint {
            weight: weights[i],
            capacity: capacity[i],
            ..Endpoint::default()
        });
        let fleet = Fleet::new(declared.collect()).unwrap();
        for state in 0..64_usize {
            let in_flight = [state % 4, state / 4 % 4, state / 16];
            for tried in 0..8_usize {
                let mut bench = Bench::new(LeastConnectionsSpec::default(), &fleet);
                for (server, requests) in (0..).zip(in_flight) {
                    (0..requests).for_each(|_| bench.sent(server));
                }
                let tried: Vec<u16> = (0..3).filter(|s| tried >> s & 1 == 1).collect();
                let all = [0, 1, 2];
                let room = |s: &usize| capacity[*s].is_none_or(|c| in_flight[*s] < c as usize);
                let new = |s: &usize| !tried.contains(&(*s as u16));
                let keep = |from: &[usize], test: &dyn Fn(&usize) -> bool| {
                    let kept: Vec<usize> = from.iter().copied().filter(test).collect();
                    if kept.is_empty() { from.to_vec() } else { kept }
                };
                let candidates = keep(&keep(&all, &room), &new);
                let load = |s: &usize| in_flight[*s] as f64 / weights[*s];
                let least = candidates.iter().map(load).fold(f64::INFINITY, f64::min);
                let chosen = usize::from(bench.decide(&tried));
                assert!(candidates.contains(&chosen), "{in_flight:?} {tried:?}: {chosen}");
                assert_eq!(load(&chosen), least, "{in_flight:?} {tried:?}: {chosen}");
            }
        }
    }

    /// Load and health that change, tried servers, times in which nobody passes: the servers that
    /// tie are those of a look at all servers, in the order of their places.
    #[test]
    fn the_tournament_finds_whom_a_look_at_all_finds() {
        for servers in [3, 40] {
            let spec = LeastConnectionsSpec { half_life: 1.0, ..LeastConnectionsSpec::default() };
            let mut view =
                View::new(spec.watch(), &fleet(&[1.0, 2.0, 4.0, 4.0].repeat(10)[..servers]));
            let mut picker = LeastConnections::new(servers == 3, servers);
            let mut luck = rng();
            let (mut flying, mut tried) = (Vec::new(), ServerSet::EMPTY);
            let mut none_passes = 0;
            for step in 0..6_000 {
                let now = Timestamp::from_nanos(step * 20_000_000);
                view.before_choice(now);
                picker.follow(&view);
                let mut word = luck.clone();
                let picked = picker.pick(&view, &tried, &mut luck);
                view.after_choice();
                let all = (0..view.considered()).map(|place| view.considered_at(place));
                let cost = |s: ServerId| (view.tier(s, &tried), view.server(s).load(picker.more));
                let least = all.clone().map(cost).reduce(|a, b| if b < a { b } else { a });
                let mut ties = all.filter(|server| Some(cost(*server)) == least);
                let place = index_below(&mut word, ties.clone().count());
                assert_eq!(Some(picked), ties.nth(place), "step {step} of {servers}");
                none_passes += u32::from(
                    view.considered() == servers && view.server(picked).health.value() < 0.5,
                );
                let attempt = attempt(picked.0, now);
                view.on_sent(now, &attempt);
                flying.push(attempt);
                tried.insert(picked);
                while flying.len() > servers {
                    let attempt = flying.swap_remove(index_below(&mut luck, flying.len()));
                    let failed = uniform01(&mut luck) < if step / 500 % 2 == 0 { 0.3 } else { 1.0 };
                    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
                    view.on_outcome(now, &attempt, outcome);
                }
                if uniform01(&mut luck) < 0.4 {
                    tried = ServerSet::EMPTY;
                }
            }
            assert!(none_passes > 100 && none_passes < 5_000, "{none_passes}");
        }
    }
}
