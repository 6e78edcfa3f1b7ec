//! Explore first: attempt 1 learns, later attempts use what was learned. Made for free attempts.
//!
//! To tell a colleague: "A request has three free attempts, and the third is made only when two
//! have failed. So a gamble in the first attempt is nearly free, while a gamble in the third loses
//! the request. This rule tries servers out in first attempts, and sends second and third attempts
//! to the best server it knows, the same one again if that is the best. When servers refuse
//! retries (429) it remembers how long each needs and goes to the next best meanwhile."
//!
//! **Derivation.** A request is lost for the score with L = D (1 - s_1) (1 - s_2) (1 - s_3), where
//! D is what a request costs whose free attempts have failed. L does not depend on the order, but
//! attempt k is made only after k - 1 failures: sending it to a server worse by d costs
//! d D (1 - s*)^(3 - k), so the prices of exploring stand as (1 - s*)^2 : (1 - s*) : 1. A server
//! found better by e saves about e D (1 - s*)^2 in each of the N requests to come. The ratio of
//! that gain to the price of attempt k is the horizon that its optimism may count on,
//! h_k = N (1 - s*)^(k - 1), from which D has dropped out; `belief` turns it into a number of
//! standard deviations (an optimistic Gittins index). N is not known: as many requests again as
//! have been seen, and `first_horizon` more. Hence with s* = 0.9 and N = 500 attempt 1 is worth
//! 2.2 standard deviations, attempt 2 1.5 and attempt 3 0.7; paid attempts count as a fourth.
//!
//! Means are shrunk towards the population of servers, which is estimated as the run goes
//! (`belief`). Failures of a server are independent over attempts, so tried servers are not
//! excluded; a failure moves the belief before the next attempt, which diversifies by itself.
//! `belief` tells outages from bad luck, too; `recovery` learns rate limits and what attempts in
//! flight do. With limits, attempt k minimises (1 - a_i x_i) V_(k+1)(i) over servers, where a_i is
//! the chance of acceptance, x_i the optimistic rate and V_(k+1)(i) the best that can be done in
//! the free attempts left when i has been used. A good server that refuses retries is thus not
//! spent in attempt 1 if the attempts after it need it: poor first, good last.
//!
//! The rule draws no random numbers. Above 200 servers the highest index is the leader of a tournament
//! of lines over z (`strategy/tournament.rs`), so that an attempt costs O(log n) while no server has
//! refused or is thought to be down and nothing is in flight; otherwise all servers are looked at.
//! Memory grows with the number of servers.
//!
//! Sources: Gutin and Farias (2016) for the index; the prices of attempts and the lookahead over
//! the attempts of a request are our own derivation, not proved optimal. Exact dynamic programming
//! on two and three servers with the prior given (Beta(3.8, 2.2), 8 to 24 requests, attempts capped
//! at 6) found its regret to the optimum 5 to 7 % of the optimum's own regret to the oracle, and
//! under a flat prior 13 to 19 %, of which most is not knowing that the run is that short.
//!
//! Limits: with many requests in service it spreads them until it has seen what servers can take:
//! where servers take everything, that costs some points of a thousand. Rates are taken as constant
//! while a server is up, so a server that merely becomes worse is noticed slowly. A token saved for
//! later requests has no price (only those of the same request count). Limiters with a burst are
//! tested by refusals. It waits only if told to.

mod belief;
mod recovery;

use crate::domain::{Attempt, Outcome, PendingRequest, ServerId, Span, Timestamp};
use crate::strategy::declared::{Range, declared};
use crate::strategy::explore_first::belief::{Beliefs, PAID, Population, of_horizon, power};
use crate::strategy::explore_first::recovery::{Crowding, Recovery};
use crate::strategy::{Decision, ServerEstimate, Strategy};

/// With limits, a chance of success below this share of the best server's rate is reason to wait.
const RELUCTANCE: f64 = 0.5;

declared! {
    name: "explore-first", group: Champion,
    idea: "explores in attempt 1, where it is nearly free; exploits in later ones",
    build: |spec, fleet, _| ExploreFirst::new(spec, fleet.servers()),
    pub struct ExploreFirstSpec {
        /// requests that exploring may count on from the start
        first_horizon: f64 = 80.0, Range::number(1.0, 1e9, (5.0, 500.0));
        /// odds of an outage that every attempt adds; 0: no watch for outages
        outage_hazard: f64 = 1e-6, Range::number(0.0, 0.999, (1e-9, 1e-3));
        /// attempts of a server that are remembered
        memory: f64 = 500.0, Range::number(10.0, 1e12, (50.0, 10_000.0));
        /// milliseconds after arrival until which to wait for a good server; 0: never
        ///
        /// It waits while all good servers are expected to refuse, rather than sending elsewhere.
        /// That costs latency, and 500s where requests queue.
        patience_ms: f64 = 0.0, Range::number(0.0, 3.6e6, (0.0, 80.0));
        /// successes of the population's Beta, if known; 0: estimated
        ///
        /// It takes both of its numbers for the prior to be given.
        prior_successes: f64 = 0.0, PRIOR;
        /// failures of the population's Beta, if known; 0: estimated
        prior_failures: f64 = 0.0, PRIOR;
    }
}

/// What is known of the servers is no matter for a search.
const PRIOR: Range = Range::Number { least: 0.0, most: 1e6, searched: None };

/// Explores in first attempts, exploits in later ones.
#[derive(Debug)]
pub struct ExploreFirst {
    spec: ExploreFirstSpec,
    beliefs: Beliefs,
    recovery: Recovery,
    crowding: Crowding,
    /// Requests that have come into service.
    requests: u64,
    /// The chance that an attempt now meets a server that is up, accepts and has room; scratch.
    chance: Vec<f64>,
}

impl ExploreFirst {
    pub fn new(spec: ExploreFirstSpec, servers: usize) -> Self {
        let (successes, failures) = (spec.prior_successes, spec.prior_failures);
        let population = if successes > 0.0 && failures > 0.0 {
            Population::given(successes, failures)
        } else {
            Population::unknown()
        };
        Self {
            beliefs: Beliefs::new(servers, population, spec.outage_hazard, spec.memory),
            spec,
            recovery: Recovery::new(servers),
            crowding: Crowding::unknown(),
            requests: 0,
            chance: vec![1.0; servers],
        }
    }

    /// Standard deviations of optimism in attempt `attempt` (from 0) when the best server succeeds
    /// with probability `best`.
    #[inline]
    fn optimism(&self, attempt: u32, best: f64) -> f64 {
        let requests = self.requests as f64 + self.spec.first_horizon;
        of_horizon(requests * power(1.0 - best, u64::from(attempt).min(PAID as u64)))
    }

    /// The server with the highest optimistic log odds: the rule where all servers accept.
    fn highest_index(&mut self, attempt: u32) -> usize {
        let best = self.beliefs.best_mean();
        let z = self.optimism(attempt, best);
        self.beliefs.highest(attempt, z)
    }

    /// The server that minimises the chance that the request fails in this and all free attempts
    /// that follow: the rule with limits, outages or attempts in flight.
    fn least_loss(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        let limited = self.recovery.limits_seen();
        let mut best = 0.0_f64;
        let mut ahead = Lookahead::EMPTY;
        for i in 0..self.beliefs.servers() {
            let others = self.recovery.in_flight_to(i);
            let up = self.beliefs.up(i, self.requests) * self.crowding.factor(others);
            let mean = self.beliefs.means()[i];
            best = best.max(mean * up);
            self.chance[i] = if limited { up * self.recovery.accepts(i, now) } else { up };
            ahead.offer(mean * self.chance[i], i);
        }
        if limited
            && ahead.best() < RELUCTANCE * best
            && let Some(at) = self.when_good(now, request, best)
        {
            return Decision::WaitUntil(at);
        }
        let z = self.optimism(request.attempts, best);
        let left = request.free_attempts.saturating_sub(request.attempts + 1).min(DEPTH);
        // Without limits every server leaves the same to the attempts that follow.
        let looks_ahead = limited && left > 0;
        let again = |i: usize| {
            let up = self.beliefs.up(i, self.requests);
            self.beliefs.means()[i] * up * self.recovery.accepts_retry(i)
        };
        if looks_ahead {
            ahead.second_uses(again);
        }
        let mut chosen = (f64::INFINITY, 0);
        for (i, log_odds) in self.beliefs.log_odds(request.attempts).iter().enumerate() {
            let rate = 1.0 / (1.0 + libm::exp(-log_odds.optimistic(z)));
            let rest = if looks_ahead { ahead.loss_after(i, again(i), left) } else { 1.0 };
            let loss = (1.0 - self.chance[i] * rate) * rest;
            if loss < chosen.0 {
                chosen = (loss, i);
            }
        }
        Decision::Send(ServerId(chosen.1 as u16))
    }

    /// When the first good server is expected to accept, if that is within patience.
    fn when_good(&self, now: Timestamp, request: &PendingRequest, best: f64) -> Option<Timestamp> {
        let deadline = request.arrived_at + Span::from_millis_f64(self.spec.patience_ms);
        if now >= deadline {
            return None;
        }
        let is_good = |i: &usize| {
            self.beliefs.means()[*i] * self.beliefs.up(*i, self.requests) >= RELUCTANCE * best
        };
        (0..self.beliefs.servers())
            .filter(is_good)
            .map(|i| self.recovery.ready_at(i, now))
            .min()
            .filter(|at| *at > now && *at <= deadline)
    }
}

impl Strategy for ExploreFirst {
    fn decide(&mut self, now: Timestamp, request: &PendingRequest) -> Decision {
        // Requests are numbered in order of arrival, from 0.
        self.requests = self.requests.max(request.id.0 + 1);
        let undisturbed = !self.recovery.limits_seen()
            && !self.beliefs.any_doubt()
            && self.recovery.in_flight() == 0;
        if undisturbed {
            return Decision::Send(ServerId(self.highest_index(request.attempts) as u16));
        }
        self.least_loss(now, request)
    }

    fn on_sent(&mut self, _now: Timestamp, attempt: &Attempt) {
        self.recovery.on_sent(attempt);
    }

    fn on_outcome(&mut self, now: Timestamp, attempt: &Attempt, outcome: Outcome) {
        if outcome == Outcome::RateLimited {
            self.recovery.on_refused(attempt);
            return;
        }
        let success = outcome.is_success();
        self.recovery.on_accepted(now, attempt, success);
        let i = attempt.server.index();
        let others = self.recovery.in_flight_to(i);
        let factor = self.crowding.factor(others);
        self.crowding.observe(others, self.beliefs.means()[i], success);
        self.beliefs.observe(i, self.requests, success, factor);
    }

    fn estimates(&self) -> Vec<ServerEstimate> {
        let estimate = |server: ServerId| {
            let (successes, failures) = self.beliefs.tally(server.index());
            ServerEstimate {
                server,
                attempts: (successes + failures) as u64,
                successes: successes as u64,
                success_rate: self.beliefs.means()[server.index()],
            }
        };
        ServerId::all(self.beliefs.servers()).map(estimate).collect()
    }
}

// ---- What the free attempts after this one can still do.
//
// With rate limits the value left depends on which server is used now: a good one that refuses a
// retry is missing later. The lookahead takes the best of what is left, attempt by attempt: the
// next best server not used yet, or again one that was used if it accepts retries. This is backward
// induction, V_k = min over i of (1 - s_i) V_(k+1), where the order within a request does not
// matter, so that greedy filling is the minimum.
//
// Limits: three servers are enough for three free attempts; with more free attempts the rest
// beyond two further ones is not looked at.

/// The most attempts that are planned ahead.
const DEPTH: u32 = 2;
const KEPT: usize = DEPTH as usize + 1;

/// No server.
const NONE: usize = usize::MAX;

/// The servers with the best chances of success now.
#[derive(Debug, Clone)]
struct Lookahead {
    /// Chance of success now, best first.
    value: [f64; KEPT],
    server: [usize; KEPT],
    /// Chance of success of a second use right after the first.
    again: [f64; KEPT],
}

impl Lookahead {
    /// No servers.
    const EMPTY: Self = Self { value: [0.0; KEPT], server: [NONE; KEPT], again: [0.0; KEPT] };

    /// The best chance of success now.
    fn best(&self) -> f64 {
        self.value[0]
    }

    /// Takes a server in if it is among the best.
    #[inline]
    fn offer(&mut self, value: f64, server: usize) {
        if value <= self.value[KEPT - 1] {
            return;
        }
        let mut rank = KEPT - 1;
        while rank > 0 && value > self.value[rank - 1] {
            self.value[rank] = self.value[rank - 1];
            self.server[rank] = self.server[rank - 1];
            rank -= 1;
        }
        self.value[rank] = value;
        self.server[rank] = server;
    }

    /// Notes what a second use of each kept server would be worth.
    fn second_uses(&mut self, again: impl Fn(usize) -> f64) {
        for (value, server) in self.again.iter_mut().zip(self.server) {
            *value = if server == NONE { 0.0 } else { again(server) };
        }
    }

    /// The chance that all of the `left` attempts after one at `used` fail; `again` is the chance
    /// of success of a second attempt at `used`.
    #[inline]
    fn loss_after(&self, used: usize, again: f64, left: u32) -> f64 {
        let mut repeat = again;
        let mut rank = 0;
        let mut loss = 1.0;
        for _ in 0..left.min(DEPTH) {
            if rank < KEPT && self.server[rank] == used {
                rank += 1;
            }
            let fresh = if rank < KEPT { self.value[rank] } else { 0.0 };
            if repeat >= fresh {
                loss *= 1.0 - repeat;
            } else {
                loss *= 1.0 - fresh;
                repeat = repeat.max(self.again[rank]);
                rank += 1;
            }
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purpose, Request, RequestId, Streams};
    use crate::stats::sample;
    use crate::strategy::testing::attempt;

    /// The least loss over all sequences of `left` attempts, by enumeration: a server's first use
    /// succeeds with `first`, later ones with `again`.
    fn enumerate(first: &[f64], again: &[f64], used: &mut Vec<bool>, left: u32) -> f64 {
        if left == 0 {
            return 1.0;
        }
        let mut least = f64::INFINITY;
        for i in 0..first.len() {
            let success = if used[i] { again[i] } else { first[i] };
            let before = std::mem::replace(&mut used[i], true);
            least = least.min((1.0 - success) * enumerate(first, again, used, left - 1));
            used[i] = before;
        }
        least
    }

    /// Retries are either as good as first uses or hopeless, for each server by itself.
    #[test]
    fn equals_the_least_loss_over_all_sequences() {
        let first = [0.6, 0.9, 0.3, 0.8, 0.85];
        for pattern in 0_u32..32 {
            let accepts = |i: usize| pattern >> i & 1 == 1;
            let again: Vec<f64> =
                (0..5).map(|i| if accepts(i) { first[i] } else { 0.05 * first[i] }).collect();
            let mut ahead = Lookahead::EMPTY;
            first.iter().enumerate().for_each(|(i, value)| ahead.offer(*value, i));
            ahead.second_uses(|i| again[i]);
            for now in 0..5 {
                for left in 0..=DEPTH {
                    let mut used = vec![false; 5];
                    used[now] = true;
                    let expected = enumerate(&first, &again, &mut used, left);
                    let loss = ahead.loss_after(now, again[now], left);
                    assert!((loss - expected).abs() < 1e-12, "{pattern} {now} {left}");
                }
            }
        }
    }

    #[test]
    fn keeps_the_best_in_order() {
        let mut ahead = Lookahead::EMPTY;
        assert_eq!(ahead.best(), 0.0);
        [0.2, 0.7, 0.1, 0.7, 0.9].iter().enumerate().for_each(|(i, v)| ahead.offer(*v, i));
        assert_eq!(ahead.value, [0.9, 0.7, 0.7]);
        assert_eq!(ahead.server, [4, 1, 3]);
    }

    const MS: u64 = 1_000_000;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    fn pending(request: u64, attempts: u32, arrived_ms: u64) -> PendingRequest {
        let request = Request { id: RequestId(request), arrived_at: at_ms(arrived_ms) };
        PendingRequest { attempts, ..PendingRequest::new(request, 3) }
    }

    fn ask(strategy: &mut ExploreFirst, ms: u64, request: &PendingRequest) -> usize {
        match strategy.decide(at_ms(ms), request) {
            Decision::Send(server) => server.index(),
            Decision::WaitUntil(at) => panic!("waits until {at:?}"),
        }
    }

    fn tell(strategy: &mut ExploreFirst, ms: u64, server: usize, outcome: Outcome) {
        let attempt = attempt(server as u16, at_ms(ms));
        strategy.on_sent(at_ms(ms), &attempt);
        strategy.on_outcome(at_ms(ms + 1), &attempt, outcome);
    }

    /// z = h (phi(z) - z (1 - Phi(z))), by small steps, Phi by the trapezoidal rule.
    fn slow_optimism(h: f64) -> f64 {
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let mut gain = 1.0 / std::f64::consts::TAU.sqrt();
        let (mut z, mut above, step) = (0.0, 0.5, 1e-4);
        while z < h * gain {
            gain -= step * above;
            above -= step * density(z + 0.5 * step);
            z += step;
        }
        z
    }

    /// The rule as the module's first paragraphs say it, for servers that never refuse and a known
    /// prior Beta(2, 1), with the watch for outages off.
    fn literally(tallies: &[(f64, f64)], requests: f64, attempt: i32) -> Vec<f64> {
        let mean = |(s, f): &(f64, f64)| (s + 2.0) / (s + f + 3.0);
        let best = tallies.iter().map(mean).fold(0.0, f64::max);
        let z = slow_optimism((requests + 80.0) * (1.0 - best).powi(attempt.min(3)));
        let index = |(s, f): &(f64, f64)| {
            let share = if attempt == 0 { 0.3 } else { 1.0 };
            let (a, b) = (s + share * 2.0, f + share);
            (a / b).ln() + z * (1.0 / a + 1.0 / b).sqrt()
        };
        tallies.iter().map(index).collect()
    }

    /// Along played games every choice has the transcription's highest index, up to the error of
    /// the table of optimism; and the test notices when the attempt's number is ignored.
    #[test]
    fn equals_a_literal_transcription_where_nothing_is_refused() {
        let spec = ExploreFirstSpec {
            outage_hazard: 0.0,
            memory: 1e9,
            prior_successes: 2.0,
            prior_failures: 1.0,
            ..ExploreFirstSpec::default()
        };
        let mut planted = 0;
        for game in 0..4 {
            let mut strategy = ExploreFirst::new(spec, 4);
            let mut rng = Streams::new(7).stream(Purpose::World, 0, game);
            let rates: Vec<f64> =
                (0..4).map(|_| 0.3 + 0.65 * sample::uniform01(&mut rng)).collect();
            let mut tallies = vec![(0.0, 0.0); 4];
            for request in 0..60 {
                for attempt in 0..6 {
                    let ms = 100 * request + 2 * u64::from(attempt);
                    let chosen = ask(&mut strategy, ms, &pending(request, attempt, 100 * request));
                    let n = request as f64 + 1.0;
                    let indices = literally(&tallies, n, attempt as i32);
                    let top = indices.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    assert!(indices[chosen] > top - 5e-3, "{indices:?} {chosen}");
                    let wrong = literally(&tallies, n, 0);
                    let top = wrong.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    planted += u32::from(wrong[chosen] < top - 5e-3);
                    let success = sample::uniform01(&mut rng) < rates[chosen];
                    let outcome = if success { Outcome::Success } else { Outcome::Failure };
                    tell(&mut strategy, ms, chosen, outcome);
                    if success {
                        tallies[chosen].0 += 1.0;
                        break;
                    }
                    tallies[chosen].1 += 1.0;
                }
            }
        }
        assert!(planted > 0, "a rule that ignores the attempt's number would choose otherwise");
    }

    #[test]
    fn explores_in_first_attempts_and_sticks_to_the_best_in_later_ones() {
        let mut strategy = ExploreFirst::new(ExploreFirstSpec::default(), 2);
        for k in 0..200 {
            tell(&mut strategy, k, 0, if k % 5 == 0 { Outcome::Failure } else { Outcome::Success });
        }
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Success] {
            tell(&mut strategy, 200, 1, outcome);
        }
        assert_eq!(ask(&mut strategy, 300, &pending(0, 0, 300)), 1);
        for attempt in 2..5 {
            assert_eq!(ask(&mut strategy, 300, &pending(0, attempt, 300)), 0, "attempt {attempt}");
        }
    }

    /// Every server refuses a retry within 50 ms and none after 100 ms.
    fn limited(spec: ExploreFirstSpec) -> ExploreFirst {
        let mut strategy = ExploreFirst::new(spec, 3);
        let rates = [9, 8, 4];
        for k in 0..40 {
            for (server, rate) in rates.iter().enumerate() {
                let ok = (k * 7) % 10 < *rate;
                let outcome = if ok { Outcome::Success } else { Outcome::Failure };
                tell(&mut strategy, 100 * k, server, outcome);
                let retry = if k % 2 == 0 { 2 } else { 48 };
                tell(&mut strategy, 100 * k + retry, server, Outcome::RateLimited);
            }
        }
        strategy
    }

    #[test]
    fn refusals_do_not_touch_the_belief() {
        let watchless = ExploreFirstSpec { outage_hazard: 0.0, ..ExploreFirstSpec::default() };
        let strategy = limited(watchless);
        let estimates = strategy.estimates();
        assert_eq!(estimates.iter().map(|e| e.attempts).collect::<Vec<_>>(), [40, 40, 40]);
        assert_eq!(estimates.iter().map(|e| e.successes).collect::<Vec<_>>(), [36, 32, 16]);
    }

    #[test]
    fn never_sends_to_a_server_that_would_refuse_while_another_accepts() {
        let mut strategy = limited(ExploreFirstSpec::default());
        let mut used = Vec::new();
        for attempt in 0..3 {
            let ms = 4000 + 2 * u64::from(attempt);
            let server = ask(&mut strategy, ms, &pending(40, attempt, 4000));
            assert!(!used.contains(&server), "{server} was just used: {used:?}");
            used.push(server);
            tell(&mut strategy, ms, server, Outcome::Failure);
        }
        assert_eq!(used.len(), 3);
    }

    /// After a request that used the good server it is skipped until it recovers, then taken again.
    #[test]
    fn returns_to_a_good_server_once_it_accepts() {
        let mut strategy = limited(ExploreFirstSpec::default());
        tell(&mut strategy, 4000, 0, Outcome::Success);
        assert_ne!(ask(&mut strategy, 4010, &pending(40, 2, 4000)), 0);
        assert_eq!(ask(&mut strategy, 4100, &pending(41, 2, 4100)), 0);
    }

    #[test]
    fn waits_only_when_told_to_and_never_beyond_its_patience() {
        let exhaust = |strategy: &mut ExploreFirst| {
            (0..3).for_each(|server| tell(strategy, 4000, server, Outcome::Failure));
        };
        let mut hasty = limited(ExploreFirstSpec::default());
        exhaust(&mut hasty);
        ask(&mut hasty, 4003, &pending(40, 3, 4000));
        let patient = ExploreFirstSpec { patience_ms: 90.0, ..ExploreFirstSpec::default() };
        let mut patient = limited(patient);
        exhaust(&mut patient);
        let Decision::WaitUntil(until) = patient.decide(at_ms(4003), &pending(40, 3, 4000)) else {
            panic!("all servers would refuse");
        };
        assert!(until > at_ms(4040) && until <= at_ms(4090), "{until:?}");
        let late = patient.decide(at_ms(4003), &pending(40, 3, 3913));
        assert!(matches!(late, Decision::Send(_)), "its patience is over");
    }

    #[test]
    fn leaves_a_server_that_goes_dark_and_asks_it_again_later() {
        let mut strategy = ExploreFirst::new(ExploreFirstSpec::default(), 2);
        for k in 0..200 {
            let bad = if k % 10 == 0 { Outcome::Failure } else { Outcome::Success };
            tell(&mut strategy, k, 0, bad);
            tell(&mut strategy, k, 1, if k % 4 == 0 { Outcome::Failure } else { Outcome::Success });
        }
        assert_eq!(ask(&mut strategy, 300, &pending(0, 2, 300)), 0);
        (0..8).for_each(|k| tell(&mut strategy, 301 + k, 0, Outcome::Failure));
        assert_eq!(ask(&mut strategy, 320, &pending(1, 2, 320)), 1);
        let first = |request: u64, s: &mut ExploreFirst| {
            let now = 320 + request;
            ask(s, now, &pending(request, 0, now))
        };
        assert_eq!(first(2, &mut strategy), 1);
        let back = (3..200).find(|request| first(*request, &mut strategy) == 0);
        assert!(back.is_some_and(|request| request < 120), "{back:?}");
    }

    #[test]
    fn a_prior_needs_both_of_its_numbers() {
        let default = ExploreFirstSpec::default();
        let chosen = |spec: ExploreFirstSpec| {
            let mut strategy = ExploreFirst::new(spec, 2);
            (0..30).for_each(|k| tell(&mut strategy, k, 0, Outcome::Failure));
            strategy.beliefs.means()[1]
        };
        let half = ExploreFirstSpec { prior_failures: 1.0, ..default };
        assert_eq!(chosen(half), chosen(default), "the population is estimated");
        assert_eq!(
            chosen(ExploreFirstSpec { prior_successes: 3.0, ..half }),
            0.75,
            "and here given"
        );
    }
}
