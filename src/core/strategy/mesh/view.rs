//! What a mesh knows of all its servers, and which of them it considers.
//!
//! Cost: O(1) a decision and O(1) an outcome, at any number of servers. Health fades with time,
//! so membership of the servers considered would have to be looked at all the time; instead a hand
//! goes round as in a clock, and each decision looks at the next eight servers: their health is
//! brought up to date and compared with the threshold. Up to eight servers everything is therefore
//! exact at every decision; with n servers a threshold is noticed n/8 decisions late at worst when
//! it is crossed by time (at once when it is crossed by an outcome).
//!
//! What changed since the last choice is noted, server by server ([`changed`](View::changed)), so that
//! pickers need not look at all servers either.
//!
//! The same hand keeps the maximum for relative thresholds: the best health met in its last whole
//! round, raised at once by outcomes. Where health fell everywhere within a round, the old maximum
//! may leave nobody; then all are considered, as always.

use crate::domain::{Attempt, Fleet, Outcome, PendingRequest, ServerId, ServerSet, Timestamp};
use crate::strategy::mesh::health::{Health, HealthRule, Watch};
use crate::strategy::tallied::NOBODY;
use crate::strategy::{Notes, ServerEstimate};

/// Servers that a decision looks at in passing.
const HAND: usize = 8;

/// Health is brought up to date when this share of the recovery time has passed: what is held
/// against a server is then off by 1 % at most, and most looks cost no exponential.
const TICKS_PER_RECOVERY: f64 = 64.0;

/// The common eyes of the family.
#[derive(Debug, Clone)]
pub struct View {
    servers: Vec<Server>,
    watch: Watch,
    rule: HealthRule,
    /// Nanoseconds between two updates of a server's health for the time passed.
    tick_ns: u64,
    passing: Passing,
    /// The server that the hand comes to next.
    hand: usize,
    /// The best health met in this round of the hand.
    best_of_round: f64,
    /// The best health met in the last one.
    best: f64,
    load: Load,
    /// Server-decisions that health kept out.
    filtered: u64,
    changed: Vec<ServerId>,
}

impl View {
    /// Servers as declared, all of them healthy and idle.
    pub fn new(watch: Watch, fleet: &Fleet) -> Self {
        let n = fleet.servers();
        Self {
            servers: ServerId::all(n).map(|server| Server::new(fleet, server)).collect(),
            watch,
            rule: watch.rule(),
            tick_ns: (watch.recovery_s * 1e9 / TICKS_PER_RECOVERY) as u64,
            passing: Passing::all(n),
            hand: 0,
            best_of_round: 0.0,
            best: 1.0,
            load: Load::new(n),
            filtered: 0,
            changed: ServerId::all(n).collect(),
        }
    }

    /// To be called before each choice.
    #[inline]
    pub fn before_choice(&mut self, now: Timestamp) {
        self.turn_hand(now);
        if self.passing.len() > 0 {
            self.filtered += (self.servers.len() - self.passing.len()) as u64;
        }
    }

    /// To be called when an attempt was sent.
    #[inline]
    pub fn on_sent(&mut self, now: Timestamp, attempt: &Attempt) {
        let server = &mut self.servers[attempt.server.index()];
        let before = server.in_flight;
        server.take_up();
        self.load.change(now, before, server.in_flight);
        self.changed.push(attempt.server);
    }

    /// To be called once for each outcome.
    pub fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        let i = attempt.server.index();
        let latency = now.since(attempt.sent_at);
        let server = &mut self.servers[i];
        let before = server.in_flight;
        server.put_down();
        self.load.change(now, before, server.in_flight);
        self.changed.push(attempt.server);
        server.attempts += 1;
        server.successes += u64::from(outcome.is_success());
        let Some(worth) = self.rule.worth(outcome, latency) else { return };
        if outcome.is_success() {
            self.rule.learn_latency(latency);
        }
        let faded = self.rule.faded(server.health, now.since(server.settled_at));
        server.health = self.rule.after(faded, worth);
        server.settled_at = server.settled_at.max(now);
        let health = server.health.value();
        self.best = self.best.max(health);
        self.best_of_round = self.best_of_round.max(health);
        self.judge(i);
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    #[inline]
    pub fn server(&self, server: ServerId) -> &Server {
        &self.servers[server.index()]
    }

    /// How many servers are considered: those that pass, or all.
    #[inline]
    pub fn considered(&self) -> usize {
        if self.passing.len() == 0 { self.servers.len() } else { self.passing.len() }
    }

    /// A server considered, by a place below [`considered`](Self::considered).
    #[inline]
    pub fn considered_at(&self, place: usize) -> ServerId {
        if self.passing.len() == 0 { ServerId(place as u16) } else { self.passing.at(place) }
    }

    /// Whether a server is considered.
    #[inline]
    pub fn is_considered(&self, server: ServerId) -> bool {
        self.place(server).is_some()
    }

    /// The place of a server among those considered.
    #[inline]
    pub fn place(&self, server: ServerId) -> Option<usize> {
        if self.passing.len() == 0 { Some(server.index()) } else { self.passing.place(server) }
    }

    /// The servers of which health, load or place may have changed since the last choice, in any
    /// order, some more than once; before the first choice all.
    #[inline]
    pub fn changed(&self) -> &[ServerId] {
        &self.changed
    }

    /// To be called after each choice.
    #[inline]
    pub fn after_choice(&mut self) {
        self.changed.clear();
    }

    /// The servers to avoid for this attempt.
    #[inline]
    pub fn tried<'r>(&self, request: &'r PendingRequest) -> &'r ServerSet {
        if self.watch.exclude_tried { &request.tried } else { &NOBODY }
    }

    /// How unwelcome a server is, whatever its load: 0 has room and is not tried, 1 has room,
    /// 2 is not tried, 3 is neither.
    #[inline]
    pub fn tier(&self, server: ServerId, tried: &ServerSet) -> u8 {
        2 * u8::from(self.server(server).is_full()) + u8::from(tried.contains(server))
    }

    /// The least tier among the servers considered, and how many have it.
    pub fn best_tier(&self, tried: &ServerSet) -> (u8, usize) {
        let mut best = (u8::MAX, 0);
        for place in 0..self.considered() {
            let tier = self.tier(self.considered_at(place), tried);
            if tier < best.0 {
                best = (tier, 0);
            }
            best.1 += usize::from(tier == best.0);
        }
        best
    }

    pub fn load_variance(&self) -> f64 {
        self.load.variance()
    }

    /// Switches are those of whoever has them.
    pub fn notes(&self) -> Notes {
        Notes {
            filtered_by_health: self.filtered,
            load_variance: self.load.average(),
            ..Notes::default()
        }
    }

    /// Health as belief, for reports.
    pub fn estimates(&self) -> Vec<ServerEstimate> {
        let estimate = |(server, known): (ServerId, &Server)| ServerEstimate {
            server,
            attempts: known.attempts,
            successes: known.successes,
            success_rate: known.health.value(),
        };
        ServerId::all(self.servers.len()).zip(&self.servers).map(estimate).collect()
    }

    /// Looks at the next servers.
    fn turn_hand(&mut self, now: Timestamp) {
        let n = self.servers.len();
        let (from, steps) = (self.hand, HAND.min(n));
        for _ in 0..steps {
            let i = self.hand;
            if i == 0 {
                // Not at the end of the round before: an outcome since may have been undone.
                self.best_of_round = 0.0;
            }
            self.settle(i, now);
            self.best_of_round = self.best_of_round.max(self.servers[i].health.value());
            self.hand += 1;
            if self.hand == n {
                self.hand = 0;
                self.best = self.best_of_round;
            }
        }
        // Judged when the round is complete, so that few servers meet the newest maximum.
        let mut i = from;
        for _ in 0..steps {
            self.judge(i);
            i = if i + 1 == n { 0 } else { i + 1 };
        }
    }

    /// Lets the time passed count for a server's health.
    #[inline]
    fn settle(&mut self, i: usize, now: Timestamp) {
        let server = &mut self.servers[i];
        if server.health == Health::FULL {
            return;
        }
        let elapsed = now.since(server.settled_at);
        if elapsed.as_nanos() > self.tick_ns {
            server.health = self.rule.faded(server.health, elapsed);
            server.settled_at = now;
            self.changed.push(ServerId(i as u16));
        }
    }

    /// Whether the server passes, by what is known of it now.
    #[inline]
    fn judge(&mut self, i: usize) {
        let server = &self.servers[i];
        let common = self.watch.health_threshold;
        let threshold = match server.threshold {
            Some(own) => own.value(),
            None if self.watch.relative_threshold => common * self.best,
            None => common,
        };
        let passes = server.health.value() >= threshold;
        let server = ServerId(i as u16);
        if passes == self.passing.contains(server) {
            return;
        }
        let nobody = self.passing.len() == 0;
        let moved = self.passing.set(server, passes);
        if nobody || self.passing.len() == 0 {
            // All are considered, or no longer are.
            self.changed.extend(ServerId::all(self.servers.len()));
        } else {
            self.changed.push(server);
            self.changed.extend(moved);
        }
    }
}

/// Marks a server that is not a member.
const NOWHERE: u16 = u16::MAX;

/// Servers that pass, of a fixed number of servers; at first all of them. Drawing one and changing
/// one take constant time, which keeps `power-of-two` at O(1) with thousands of servers: members
/// stand in one array, and taking one out moves the last into its place.
#[derive(Debug, Clone)]
struct Passing {
    members: Vec<ServerId>,
    /// Place of each server in `members`.
    places: Vec<u16>,
}

impl Passing {
    fn all(servers: usize) -> Self {
        Self {
            members: ServerId::all(servers).collect(),
            places: ServerId::all(servers).map(|s| s.0).collect(),
        }
    }

    fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    fn contains(&self, server: ServerId) -> bool {
        self.places[server.index()] != NOWHERE
    }

    #[inline]
    fn place(&self, server: ServerId) -> Option<usize> {
        self.contains(server).then(|| usize::from(self.places[server.index()]))
    }

    /// The member at a place below [`len`](Self::len); places change with the set.
    #[inline]
    fn at(&self, place: usize) -> ServerId {
        self.members[place]
    }

    /// Puts the server in or takes it out; the server that this moves to another place.
    fn set(&mut self, server: ServerId, passes: bool) -> Option<ServerId> {
        if passes == self.contains(server) {
            return None;
        }
        if passes {
            self.places[server.index()] = self.members.len() as u16;
            self.members.push(server);
            return None;
        }
        let place = self.places[server.index()];
        self.members.swap_remove(usize::from(place));
        self.places[server.index()] = NOWHERE;
        let moved = self.members.get(usize::from(place)).copied()?;
        self.places[moved.index()] = place;
        Some(moved)
    }
}

/// How unevenly load lies: the variance over servers of requests in flight.
///
/// At a moment it is (1/n) sum x_i^2 - ((1/n) sum x_i)^2, x_i being the requests in flight at
/// server i; both sums are kept as whole numbers, so that a change costs O(1) and nothing is
/// rounded. Over a run it is the average over time, from the first attempt to the last event.
#[derive(Debug, Clone, Default)]
struct Load {
    servers: u128,
    /// Requests in flight.
    sum: u128,
    /// Their squares, server by server.
    squares: u128,
    /// When the first attempt was sent.
    since: Option<Timestamp>,
    /// When the load last changed.
    changed_at: Timestamp,
    /// Integral of the variance over time up to then, in seconds.
    area_s: f64,
}

impl Load {
    fn new(servers: usize) -> Self {
        Self { servers: servers as u128, ..Self::default() }
    }

    /// The requests in flight at one server went from `before` to `after`.
    #[inline]
    fn change(&mut self, now: Timestamp, before: u32, after: u32) {
        match self.since {
            None => self.since = Some(now),
            Some(_) => self.area_s += self.variance() * now.since(self.changed_at).as_secs_f64(),
        }
        self.changed_at = self.changed_at.max(now);
        let (before, after) = (u128::from(before), u128::from(after));
        self.sum = self.sum + after - before;
        self.squares = self.squares + after * after - before * before;
    }

    /// The variance now.
    #[inline]
    fn variance(&self) -> f64 {
        let n = self.servers;
        (n * self.squares - self.sum * self.sum) as f64 / (n * n) as f64
    }

    /// The average over time, 0 before any time has passed.
    fn average(&self) -> f64 {
        let elapsed = self.changed_at.since(self.since.unwrap_or_default()).as_secs_f64();
        if elapsed > 0.0 { self.area_s / elapsed } else { 0.0 }
    }
}

/// A server as a mesh sees it: what is declared of it, and what has been learned of it.
///
/// Address and metadata are for people and stay in the [`Fleet`]; what decisions need is here, in
/// one cache line a server, because the strategies run over thousands of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Server {
    /// Declared share of the load relative to the others; above 0 and finite.
    pub weight: f64,
    /// Requests that it can work on at a time, at least 1; `u32::MAX` where that is not declared.
    pub capacity: u32,
    /// Attempts sent whose outcome is not known.
    pub in_flight: u32,
    /// Health below which it is left out, where that is declared for it.
    pub threshold: Option<Health>,
    /// Health as of `settled_at`.
    pub health: Health,
    /// When the health was last computed.
    pub settled_at: Timestamp,
    /// Attempts whose outcome is known.
    pub attempts: u64,
    /// Successes among them.
    pub successes: u64,
}

impl Server {
    /// A server of which nothing is known but what is declared. A [`Fleet`] holds valid
    /// declarations only.
    pub fn new(fleet: &Fleet, server: ServerId) -> Self {
        Self {
            weight: fleet.weight(server),
            capacity: fleet.capacity(server).unwrap_or(u32::MAX),
            in_flight: 0,
            threshold: fleet.health_threshold(server).and_then(Health::new),
            health: Health::FULL,
            settled_at: Timestamp::ZERO,
            attempts: 0,
            successes: 0,
        }
    }

    /// Whether it works on as many requests as it can, as far as this balancer knows.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.in_flight >= self.capacity
    }

    /// (requests in flight + `more`) / (health x weight): how busy it is for what it can do.
    #[inline]
    pub fn load(&self, more: u32) -> f64 {
        let can_do = self.health.value().max(LEAST_HEALTH) * self.weight;
        f64::from(self.in_flight.saturating_add(more)) / can_do
    }

    /// An attempt was sent to it.
    #[inline]
    pub fn take_up(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// The outcome of an attempt is known. One that was never sent changes nothing.
    #[inline]
    pub fn put_down(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// Health that loads are divided by at least: a server at 0 would have no finite load.
const LEAST_HEALTH: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::domain::{Endpoint, Purpose, Streams};
    use crate::stats::{index_below, uniform01};
    use crate::strategy::mesh::least_connections::LeastConnectionsSpec;
    use crate::strategy::testing::{Bench, attempt};

    #[test]
    fn holds_what_a_plain_set_would_hold() {
        let mut rng = Streams::new(3).stream(Purpose::Strategy, 0, 0);
        let (mut set, mut plain) = (Passing::all(9), (0..9).collect::<BTreeSet<u16>>());
        for _ in 0..2_000 {
            let server = index_below(&mut rng, 9) as u16;
            let passes = index_below(&mut rng, 2) == 0;
            set.set(ServerId(server), passes);
            if passes {
                plain.insert(server)
            } else {
                plain.remove(&server)
            };
            let members: BTreeSet<u16> = (0..set.len()).map(|i| set.at(i).0).collect();
            assert_eq!(members, plain);
            assert!((0..9).all(|s| set.contains(ServerId(s)) == plain.contains(&s)));
        }
    }

    fn at(s: f64) -> Timestamp {
        Timestamp::from_secs_f64(s)
    }

    /// Two servers: (1, 0) for 1 s, (2, 0) for 3 s, (2, 2) for 1 s: variances 1/4, 1, 0.
    #[test]
    fn averages_the_variance_over_time() {
        let mut load = Load::new(2);
        load.change(at(10.0), 0, 1);
        assert_eq!(load.variance(), 0.25);
        load.change(at(11.0), 1, 2);
        assert_eq!(load.variance(), 1.0);
        load.change(at(14.0), 0, 1);
        load.change(at(14.0), 1, 2);
        assert_eq!(load.variance(), 0.0);
        load.change(at(15.0), 2, 1);
        assert!((load.average() - (0.25 + 3.0) / 5.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_sent_is_no_variance() {
        assert_eq!(Load::new(3).average(), 0.0);
    }

    #[test]
    fn starts_healthy_and_idle_with_what_is_declared() {
        let declared = Endpoint { weight: 2.0, capacity: Some(3), ..Endpoint::default() };
        let fleet = Fleet::new(vec![declared]).unwrap();
        let mut server = Server::new(&fleet, ServerId(0));
        assert_eq!((server.health, server.in_flight), (Health::FULL, 0));
        server.take_up();
        server.take_up();
        assert_eq!((server.load(0), server.load(1)), (1.0, 1.5));
        assert!(!server.is_full());
        server.take_up();
        assert!(server.is_full());
    }

    #[test]
    fn an_outcome_of_nothing_sent_changes_nothing() {
        let mut server = Server::new(&Fleet::uniform(1), ServerId(0));
        server.put_down();
        assert_eq!(server.in_flight, 0);
    }

    #[test]
    fn the_load_of_a_dead_server_is_large_but_a_number() {
        let mut server = Server::new(&Fleet::uniform(1), ServerId(0));
        server.health = Health::new(0.0).unwrap();
        assert_eq!((server.load(0), server.load(1)), (0.0, 1000.0));
    }

    fn quick(spec: LeastConnectionsSpec) -> LeastConnectionsSpec {
        LeastConnectionsSpec { half_life: 1.0, ..spec }
    }

    fn chosen(bench: &mut Bench, servers: usize) -> Vec<bool> {
        let mut seen = vec![false; servers];
        (0..200).for_each(|_| seen[usize::from(bench.decide(&[]))] = true);
        seen
    }

    #[test]
    fn a_server_below_the_threshold_is_left_out_until_time_has_passed() {
        let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(3));
        bench.observe(1, Outcome::Failure);
        assert_eq!(chosen(&mut bench, 3), [true; 3], "at the threshold is not below it");
        bench.observe(1, Outcome::Failure);
        assert_eq!(chosen(&mut bench, 3), [true, false, true]);
        assert_eq!(bench.strategy.notes().unwrap().filtered_by_health, 200);
        // 3/4 is held against it; 1/2 after recovery_s x log2(3/2) = 5.85 s.
        bench.wait(5_700.0);
        assert_eq!(chosen(&mut bench, 3), [true, false, true]);
        bench.wait(400.0);
        assert_eq!(chosen(&mut bench, 3), [true; 3]);
    }

    #[test]
    fn when_none_passes_all_are_considered_and_none_counts_as_filtered() {
        let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(2));
        for server in [0, 0, 1, 1, 1] {
            bench.observe(server, Outcome::Failure);
        }
        assert_eq!(chosen(&mut bench, 2), [true; 2]);
        assert_eq!(bench.strategy.notes().unwrap().filtered_by_health, 0);
    }

    #[test]
    fn a_declared_threshold_stands_above_the_common_one() {
        let strict = Endpoint { health_threshold: Some(0.9), ..Endpoint::default() };
        let lenient = Endpoint { health_threshold: Some(0.0), ..Endpoint::default() };
        let fleet = Fleet::new(vec![strict, lenient, Endpoint::default()]).unwrap();
        let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &fleet);
        bench.observe(0, Outcome::Failure);
        (0..9).for_each(|_| bench.observe(1, Outcome::Failure));
        bench.observe(2, Outcome::Failure);
        assert_eq!(chosen(&mut bench, 3), [false, true, true]);
    }

    #[test]
    fn a_refusal_leaves_health_alone_and_a_fast_failure_earns_nothing() {
        let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(2));
        for _ in 0..50 {
            bench.observe(0, Outcome::RateLimited);
        }
        assert_eq!(bench.health(0), 1.0);
        bench.wait(100.0);
        for _ in 0..20 {
            bench.sent(1);
            bench.finish(1, 50.0, Outcome::Success);
            bench.sent(0);
            bench.finish(0, 0.01, Outcome::Failure);
        }
        assert!(bench.health(0) < 0.001 && bench.health(1) == 1.0);
        assert_eq!(chosen(&mut bench, 2), [false, true], "5,000 times faster, and still worse");
    }

    /// The rule with vectors and loops: health at `now` of each server, then who is considered.
    struct Slow {
        health: Vec<f64>,
        at: Vec<f64>,
        relative: bool,
    }

    impl Slow {
        fn considered(&mut self, now: f64) -> Vec<bool> {
            for i in 0..self.health.len() {
                let elapsed = now - self.at[i];
                if elapsed > 10.0 / 64.0 {
                    self.health[i] = 1.0 - (1.0 - self.health[i]) * 0.5_f64.powf(elapsed / 10.0);
                    self.at[i] = now;
                }
            }
            let best = self.health.iter().copied().fold(0.0, f64::max);
            let threshold = if self.relative { 0.5 * best } else { 0.5 };
            let passes: Vec<bool> = self.health.iter().map(|h| *h >= threshold).collect();
            if passes.contains(&true) { passes } else { vec![true; passes.len()] }
        }

        fn outcome(&mut self, server: usize, now: f64, success: bool) {
            let elapsed = now - self.at[server];
            let faded = 1.0 - (1.0 - self.health[server]) * 0.5_f64.powf(elapsed / 10.0);
            let kept = 0.5_f64.powf(1.0 / 3.0);
            self.health[server] = kept * faded + (1.0 - kept) * f64::from(u8::from(success));
            self.at[server] = now;
        }
    }

    #[test]
    fn up_to_eight_servers_it_equals_the_rule_written_out() {
        let common = LeastConnectionsSpec::default().watch();
        for relative in [false, true] {
            let watch = Watch { half_life: 3.0, relative_threshold: relative, ..common };
            let mut view = View::new(watch, &Fleet::uniform(6));
            let mut slow = Slow { health: vec![1.0; 6], at: vec![0.0; 6], relative };
            let mut rng = ChaCha8Rng::seed_from_u64(8);
            let (mut ms, mut left_out) = (0, 0);
            for _ in 0..3_000 {
                // Whole milliseconds, so that both clocks agree on what is due.
                ms += index_below(&mut rng, 400) as u64;
                let now = Timestamp::from_nanos(ms * 1_000_000);
                view.before_choice(now);
                let expected = slow.considered(ms as f64 * 1e-3);
                let found: Vec<bool> = ServerId::all(6).map(|s| view.is_considered(s)).collect();
                assert_eq!(found, expected, "at {ms} ms, relative: {relative}");
                left_out += found.iter().filter(|f| !**f).count();
                let server = ServerId(index_below(&mut rng, 6) as u16);
                let success = uniform01(&mut rng) < [0.9, 0.6, 0.5, 0.3, 0.1, 0.05][server.index()];
                let attempt = attempt(server.0, now);
                view.on_sent(now, &attempt);
                let outcome = if success { Outcome::Success } else { Outcome::Failure };
                view.on_outcome(now, &attempt, outcome);
                slow.outcome(server.index(), ms as f64 * 1e-3, success);
            }
            assert!(left_out > 1_000, "the test has met ill servers: {left_out}");
        }
    }

    #[test]
    fn among_many_servers_recovery_is_noticed_within_a_round_of_the_hand() {
        let mut bench = Bench::new(quick(LeastConnectionsSpec::default()), &Fleet::uniform(800));
        (0..3).for_each(|_| bench.observe(700, Outcome::Failure));
        (0..50).for_each(|_| assert_ne!(bench.decide(&[]), 700));
        bench.wait(60_000.0);
        let before = bench.strategy.notes().unwrap().filtered_by_health;
        (0..300).for_each(|_| assert!(bench.decide(&[]) < 800));
        let noticed_late = bench.strategy.notes().unwrap().filtered_by_health - before;
        assert!(noticed_late < 100, "100 decisions are a round: {noticed_late}");
    }
}
