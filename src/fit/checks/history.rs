//! What was known of each attempt just before it was sent.
//!
//! One walk over the attempts of each start, in order of time, that hands every coin (an attempt
//! that was not refused) to a test together with its predicted chance of failure and its past.
//! Nothing here looks at the outcome before the coin was handed over, so whatever a test makes of
//! a [`Coin`] is known before the throw.
//!
//! Attempts that count as refused are no coins: they are skipped, and kept as load. That is fair
//! when what counts as refused is recorded, or follows from times and places alone (a limiter's
//! rule). Of recordings that do not mark 429 it is the failures that the rate limit found
//! explains: a rule that looks at outcomes. Successes against that rule stay coins, so a failure
//! that was the server's own may be dropped where a success is kept, and rates come out a little
//! too low where the limit is wrong or errors fall on refused places.
//!
//! When not to use it: with attempts that are not in order of time.

use std::collections::{BTreeMap, VecDeque};

use crate::rates::{RatePrior, Tally};
use crate::runs::Start;
use flakelab_sim::trace::Observed;

/// Coins of the recent record at a server, against which the whole record is held.
pub(crate) const RECENT: usize = 20;

/// Seconds that count as just now.
pub(crate) const JUST_NOW_S: f64 = 1.0;

/// Requests in service that are remembered; older ones are taken for done.
const MOST_REQUESTS: usize = 4_096;

/// An attempt that was not refused, and what was known before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Coin {
    pub(crate) start: usize,
    pub(crate) server: usize,
    /// The predicted chance of failure, from the server's coins in this start.
    pub(crate) predicted: f64,
    /// The same from its latest [`RECENT`] coins only.
    pub(crate) recent: f64,
    pub(crate) failed: bool,
    /// The server's coins so far.
    pub(crate) tally: Tally,
    /// Whether the coin before at this server failed, and how many seconds ago that was, unless
    /// there is a gap in the record between.
    pub(crate) previous: Option<(bool, Option<f64>)>,
    /// Seconds since the last attempt at this server, refused ones included.
    pub(crate) gap_s: Option<f64>,
    /// Attempts at this server within the last second, refused ones included.
    pub(crate) load: usize,
    /// Whether its request was at this server before, refused or not.
    pub(crate) repeated: bool,
    /// Time on record within the start, from -1 to 1.
    pub(crate) when: f64,
}

/// Which servers the requests in service have tried.
struct Tried {
    /// The stretch of the record: requests are numbered anew in each.
    stretch: u64,
    /// Stretch, request and its servers, one bit each; at request modulo [`MOST_REQUESTS`].
    requests: Vec<(u64, u32, [u64; 4])>,
}

impl Tried {
    fn new() -> Self {
        Self { stretch: 0, requests: vec![(0, 0, [0; 4]); MOST_REQUESTS] }
    }

    /// Notes an attempt; whether its request was at this server before.
    fn again(&mut self, request: u32, server: usize) -> bool {
        let entry = &mut self.requests[request as usize % MOST_REQUESTS];
        if entry.0 != self.stretch || entry.1 < request {
            *entry = (self.stretch, request, [0; 4]);
        }
        let (word, bit) = (server / 64, 1_u64 << (server % 64));
        let before = entry.1 == request && entry.2[word] & bit != 0;
        if entry.1 == request {
            entry.2[word] |= bit;
        }
        before
    }
}

/// What is remembered of a server within a start.
#[derive(Debug, Clone, Default)]
struct Memory {
    tally: Tally,
    followed: Followed,
    latest: VecDeque<bool>,
    /// Of the last coin: whether it failed, and when unless a gap came between.
    last_coin: Option<(bool, Option<f64>)>,
    /// When its attempts within the last second were sent.
    just_now: VecDeque<f64>,
    last_at_s: Option<f64>,
}

impl Memory {
    fn forget_times(&mut self) {
        self.just_now.clear();
        self.last_at_s = None;
        if let Some((_, at)) = &mut self.last_coin {
            *at = None;
        }
    }

    fn forget_older_than(&mut self, at_s: f64) {
        while self.just_now.front().is_some_and(|sent| *sent < at_s) {
            self.just_now.pop_front();
        }
    }

    fn recent(&self) -> Tally {
        let failures = self.latest.iter().filter(|failed| **failed).count() as u64;
        Tally { failures, successes: self.latest.len() as u64 - failures }
    }

    fn throw(&mut self, at_s: f64, failed: bool) {
        self.tally.record(failed);
        self.followed.record(failed);
        if self.latest.len() == RECENT {
            self.latest.pop_front();
        }
        self.latest.push_back(failed);
        self.last_coin = Some((failed, Some(at_s)));
    }
}

/// Whether attempt `i` of a start counts as refused.
fn is_refused(refused: &[bool], i: usize, attempt: &Observed) -> bool {
    attempt.refused() || refused.get(i).copied().unwrap_or(false)
}

/// Hands every coin to `visit`, start by start, in order of time. `refused` is parallel to the
/// starts' attempts; what is missing there was not refused.
pub(crate) fn walk(
    starts: &[Start<'_>],
    refused: &[Vec<bool>],
    prior: &RatePrior,
    mut visit: impl FnMut(&Coin, &Observed),
) {
    let mut predictor = Predictor::new(prior);
    let mut tried = Tried::new();
    for (number, start) in starts.iter().enumerate() {
        let refused = refused.get(number).map_or(&[][..], Vec::as_slice);
        let seconds: f64 = start.stretches.iter().map(|stretch| length_s(stretch)).sum();
        let mut servers: Vec<Memory> = Vec::new();
        let (mut attempts_before, mut seconds_before) = (0, 0.0);
        for stretch in &start.stretches {
            servers.iter_mut().for_each(Memory::forget_times);
            tried.stretch += 1;
            let from_s = stretch.first().map_or(0.0, |first| first.at_s);
            for attempt in *stretch {
                let (at_s, server) = (attempt.at_s, usize::from(attempt.server));
                if servers.len() <= server {
                    servers.resize(server + 1, Memory::default());
                }
                let memory = &mut servers[server];
                memory.forget_older_than(at_s - JUST_NOW_S);
                let repeated = tried.again(attempt.request, server);
                let coin = !is_refused(refused, attempts_before, attempt);
                attempts_before += 1;
                if coin {
                    let on_record = seconds_before + (at_s - from_s);
                    visit(
                        &Coin {
                            start: number,
                            server,
                            predicted: predictor.next_failure(memory.tally, &mut memory.followed),
                            recent: predictor.failure(memory.recent()),
                            failed: attempt.failed(),
                            tally: memory.tally,
                            previous: memory
                                .last_coin
                                .map(|(failed, at)| (failed, at.map(|at| at_s - at))),
                            gap_s: memory.last_at_s.map(|last| at_s - last),
                            load: memory.just_now.len(),
                            repeated,
                            when: if seconds > 0.0 { 2.0 * on_record / seconds - 1.0 } else { 0.0 },
                        },
                        attempt,
                    );
                    memory.throw(at_s, attempt.failed());
                }
                memory.just_now.push_back(at_s);
                memory.last_at_s = Some(at_s);
            }
            seconds_before += length_s(stretch);
        }
    }
}

fn length_s(stretch: &[Observed]) -> f64 {
    match stretch {
        [first, .., last] => (last.at_s - first.at_s).max(0.0),
        _ => 0.0,
    }
}

// ---- The predicted chance of failure of a server whose tally grows coin by coin.
//
// Up to [`FOLLOWED`] coins each prediction is that of the prior. Beyond, it would sum over the
// cells of the prior for every coin; it is followed instead. A coin x (1 if it failed) moves the
// mean m of the posterior of n coins by gain (x - m) / (n + 1). The gain is that of m with the
// raw rate: near 1, and less where the prior ends. Each time the tally has grown by 1 /
// [`AGAIN`], mean and gain are taken from the prior anew, so that errors do not add up: they stay
// below a twentieth of the posterior's standard deviation, which the test holds them to.

/// The prior has the likelihoods of fewer coins at hand.
const FEW: u64 = 64;

/// Predictions that are remembered.
const MOST_PREDICTIONS: usize = 100_000;

/// Tallies of more coins are followed.
const FOLLOWED: u64 = 2_000;

/// A followed mean is taken anew when its tally has grown by one part of so many.
const AGAIN: u64 = 32;

/// Predictions that are looked up once made.
pub(crate) struct Predictor<'a> {
    prior: &'a RatePrior,
    known: BTreeMap<(u64, u64), f64>,
}

/// The posterior of one server's error rate, as far as predictions need it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Followed {
    mean: f64,
    gain: f64,
    coins: u64,
    /// Coins at which mean and gain are taken anew; neither is known yet at 0.
    until: u64,
}

impl Followed {
    pub(crate) fn record(&mut self, failed: bool) {
        if self.until > 0 {
            self.coins += 1;
            let off = f64::from(u8::from(failed)) - self.mean;
            self.mean += self.gain * off / self.coins as f64;
        }
    }
}

impl<'a> Predictor<'a> {
    pub(crate) fn new(prior: &'a RatePrior) -> Self {
        Self { prior, known: BTreeMap::new() }
    }

    /// The chance that the next coin fails.
    pub(crate) fn failure(&mut self, tally: Tally) -> f64 {
        if tally.attempts() < FEW {
            return self.prior.predictive_failure(tally);
        }
        if self.known.len() >= MOST_PREDICTIONS {
            self.known.clear();
        }
        let prior = self.prior;
        let key = (tally.failures, tally.successes);
        *self.known.entry(key).or_insert_with(|| prior.predictive_failure(tally))
    }

    /// The same of a server whose every coin `followed` has learned of.
    fn next_failure(&mut self, tally: Tally, followed: &mut Followed) -> f64 {
        let coins = tally.attempts();
        if coins <= FOLLOWED {
            return self.failure(tally);
        }
        if coins >= followed.until {
            *followed = self.anew(tally);
        }
        followed.mean
    }

    fn anew(&self, tally: Tally) -> Followed {
        let mean = self.prior.predictive_failure(tally);
        let n = tally.attempts() as f64;
        // Over a step of the raw rate's standard deviation, as the prior is a grid.
        let spread = (tally.failures as f64 * tally.successes as f64 / n).sqrt();
        let step = (spread as u64).max(1);
        let (more, fewer) = (
            Tally {
                failures: tally.failures + step.min(tally.successes),
                successes: tally.successes - step.min(tally.successes),
            },
            Tally {
                failures: tally.failures - step.min(tally.failures),
                successes: tally.successes + step.min(tally.failures),
            },
        );
        let between = self.prior.predictive_failure(more) - self.prior.predictive_failure(fewer);
        let gain = between * n / (more.failures - fewer.failures).max(1) as f64;
        let coins = tally.attempts();
        // The grid's steps shall not make it follow more than the coins.
        Followed { mean, gain: gain.clamp(0.0, 1.5), coins, until: coins + coins / AGAIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::ATTEMPT;
    use flakelab_core::domain::{Outcome, Purpose, Streams};
    use flakelab_core::stats::uniform01;
    use flakelab_sim::world::ErrorFamily;

    #[test]
    fn followed_predictions_are_those_of_the_prior() {
        let populations = [
            ErrorFamily::FLAT,
            ErrorFamily::Uniform { low: 0.02, high: 0.75 },
            // The truth at its end, and beyond it.
            ErrorFamily::Uniform { low: 0.1, high: 0.3 },
            ErrorFamily::Uniform { low: 0.1, high: 0.29 },
            ErrorFamily::Beta { alpha: 0.6, beta: 0.9 },
            ErrorFamily::Beta { alpha: 300.0, beta: 900.0 },
        ];
        for (number, population) in (0..).zip(populations) {
            let prior = RatePrior::of(&population);
            for (k, rate) in [0.3, 0.001, 0.9].into_iter().enumerate() {
                if population.cdf(rate + 0.02) - population.cdf(rate - 0.02) < 1e-3 {
                    continue;
                }
                let mut rng = Streams::new(11).stream(Purpose::Analysis, number, k as u64);
                let mut predictor = Predictor::new(&prior);
                let (mut tally, mut followed) = (Tally::default(), Followed::default());
                for i in 1..60_000_u64 {
                    let got = predictor.next_failure(tally, &mut followed);
                    if i % 977 == 0 {
                        let exact = prior.predictive_failure(tally);
                        let sd = (exact * (1.0 - exact) / i as f64).sqrt();
                        let bound = if i <= FOLLOWED { 1e-12 } else { 0.05 * sd };
                        assert!(
                            (got - exact).abs() <= bound,
                            "{population:?} {tally:?}: {got} {exact}, {} sd",
                            (got - exact) / sd
                        );
                    }
                    let failed = uniform01(&mut rng) < rate;
                    followed.record(failed);
                    tally.record(failed);
                }
            }
        }
    }

    #[test]
    fn servers_that_always_or_never_fail_stay_inside() {
        for failed in [true, false] {
            let prior = RatePrior::of(&ErrorFamily::Uniform { low: 0.4, high: 0.5 });
            let mut predictor = Predictor::new(&prior);
            let (mut tally, mut followed) = (Tally::default(), Followed::default());
            for _ in 0..30_000 {
                let got = predictor.next_failure(tally, &mut followed);
                assert!(got > 0.39 && got < 0.51, "{tally:?}: {got}");
                followed.record(failed);
                tally.record(failed);
            }
        }
    }

    fn attempt(at_s: f64, server: u8, request: u32, outcome: Outcome) -> Observed {
        Observed { at_s, request, server, outcome, ..ATTEMPT }
    }

    #[test]
    fn a_coin_knows_its_past_and_refusals_are_load_only() {
        let (fail, ok) = (Outcome::Failure, Outcome::Success);
        let first = [
            attempt(0.0, 0, 0, fail),
            attempt(0.1, 0, 0, fail),
            attempt(0.2, 0, 1, Outcome::RateLimited),
            attempt(0.3, 0, 1, fail),
            attempt(0.4, 1, 1, ok),
            attempt(5.0, 0, 2, ok),
        ];
        let second = [attempt(1000.0, 0, 0, ok), attempt(1001.0, 0, 1, ok)];
        let starts = [Start { stretches: vec![&first, &second] }];
        let taken = vec![vec![false, false, false, true]];
        let mut coins = Vec::new();
        walk(&starts, &taken, &RatePrior::flat(), |coin, _| coins.push(*coin));
        assert_eq!(coins.len(), 6, "two refusals are no coins");
        let [a, b, c, d, e, f] = coins.try_into().unwrap();
        assert_eq!((a.previous, a.gap_s, a.load, a.repeated), (None, None, 0, false));
        assert_eq!((b.load, b.repeated), (1, true));
        assert!((b.predicted - 2.0 / 3.0).abs() < 1e-5 && b.previous.unwrap().0);
        assert_eq!((c.server, c.repeated, c.tally.attempts()), (1, false, 0));
        assert_eq!((d.load, d.tally.attempts()), (0, 2));
        assert_eq!(d.gap_s, Some(4.7), "the refused attempt was the last one");
        assert_eq!((e.previous, e.gap_s), (Some((false, None)), None), "a gap in the record");
        assert!(!e.repeated, "requests are numbered anew");
        assert_eq!((a.when, f.when), (-1.0, 1.0));
    }
}
