//! Buckets: the likelihood of a token bucket, plain or sinusoidal, integrated over its refill.
//!
//! Where 429 is marked, what the bucket lacks of being full follows the observed acceptances: it
//! falls with the refill, not below 0, and grows by 1 with each accepted attempt. That does not
//! depend on the burst b; the law refuses exactly when b - 1 is less than what lacks. And it never
//! grows with the refill rate: [`Misfits`] of both kinds are monotone in the rate, which bounds the
//! likelihood between any two rates from both sides. An attempt that was accepted without a token
//! leaves a debt. Where answers take time, a misfit is an answer that contradicts the law whenever
//! the attempts arrived, which bounds the likelihood of `limits::delay`.
//!
//! The likelihood is a step function of the rate with a peak as narrow as a millionth, so a grid
//! would miss it. Where 429 is marked, intervals of rates are halved while what their bounds leave
//! open matters for the sum. Where it is not marked there are no such bounds; misfits grow smoothly
//! away from the truth, so the highest peaks of a grid are climbed for every burst, and intervals
//! are halved where their ends differ near the best value. Rates are log-uniform beforehand.
//!
//! Source of the idea: branch and bound, A. H. Land and A. G. Doig, "An Automatic Method of Solving
//! Discrete Programming Problems", Econometrica 28 (1960), 497-520.
//!
//! When not to use it: for buckets that wait for tokens instead of refusing.

use std::f64::consts::TAU;

use crate::limits::delay;
use crate::limits::family::Cell;
use crate::limits::lane::{Answer, Asked, Counts, LOG_SLIP_ODDS, Lane, SLIP, averaged};
use crate::limits::prior::{LimitPrior, to_digits};
use flakelab_core::stats::log_sum_exp;
use flakelab_sim::world::RateLimit;
use rayon::prelude::*;

/// Rounding must not refuse a token that is there, as in `world::Limiter`.
const SLACK: f64 = 1e-9;

/// Attempts answered against buckets of one rate and of bursts 1, 2, .., whenever they arrived;
/// each counts by its weight.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Misfits {
    /// Accepted without a token; falls with the rate.
    pub(crate) accepted: Vec<f64>,
    /// Refused with a token; grows with the rate.
    pub(crate) refused: Vec<f64>,
    /// From this burst on every accepted attempt met a token, whenever it arrived.
    idle_from: f64,
}

/// What a bucket lacks of being full, in tokens, at a time in halves of a microsecond.
#[derive(Clone, Copy, Default)]
struct Lack {
    tokens: f64,
    at: i64,
}

impl Lack {
    fn tokens(self, at: i64, per_half_us: f64) -> f64 {
        (self.tokens - per_half_us * (at - self.at) as f64).max(0.0)
    }
}

/// The misfits of all lanes where 429 is marked, for bursts 1, 2, .., `most`.
pub(crate) fn misfits(lanes: &[Lane], per_second: f64, most: usize) -> Misfits {
    // By the whole part, rounded up, of what lacked when the attempt came.
    let mut accepted = vec![0.0; most + 1];
    let mut refused = vec![0.0; most + 1];
    let per_half_us = per_second * 0.5e-6;
    let mut idle_from = 1.0_f64;
    let whole = |lacks: f64| (libm::ceil(lacks - SLACK) as usize).min(most);
    for lane in lanes {
        // At least, if all arrived as early as they can; at most, if as late.
        let [mut least, mut largest] = [Lack::default(); 2];
        for (attempt, weight) in lane.asked.iter().zip(&lane.weights) {
            let [from, to] = [-1, 1].map(|side| 2 * attempt.at_us + side * attempt.span_us);
            if attempt.answer == Answer::Refused {
                refused[whole(largest.tokens(from, per_half_us))] += weight;
            } else {
                accepted[whole(least.tokens(to, per_half_us))] += weight;
                idle_from = idle_from.max(largest.tokens(from, per_half_us) + 1.0);
                let early = Lack { tokens: least.tokens(from, per_half_us) + 1.0, at: from };
                let late = Lack { tokens: largest.tokens(to, per_half_us) + 1.0, at: to };
                (least, largest) = (early, late);
            }
        }
    }
    // A burst b refuses when what lacks is above b - 1, that is when `whole` is at least b.
    for i in (1..most).rev() {
        accepted[i] += accepted[i + 1];
    }
    for i in 1..most {
        refused[i] += refused[i - 1];
    }
    accepted.remove(0);
    refused.pop();
    Misfits { accepted, refused, idle_from }
}

/// Time since the attempt before, in seconds, for each attempt of a lane.
pub(crate) fn pauses_s(lane: &Lane) -> Vec<f64> {
    let before = std::iter::once(0).chain(lane.asked.iter().map(|a| a.at_us));
    lane.asked.iter().zip(before).map(|(a, before)| (a.at_us - before) as f64 * 1e-6).collect()
}

/// Buckets that are replayed abreast where nothing else says how many.
const ABREAST: usize = 8;

/// What replaying buckets comes to. `refill` gives the tokens that the k-th gets before an attempt,
/// from what stands in `refills` for it. A bucket gives up, with what it has, above its
/// `most_slips`.
///
/// A replay is one chain of additions, each waiting for the one before. Abreast the chains fill
/// each other's waits, and what an answer means is looked up once for all of them.
#[inline]
pub(crate) fn replay<const N: usize, R>(
    lane: &Lane,
    refills: &[R],
    refill: impl Fn(&R, usize) -> f64,
    bursts: &[f64; N],
    most_slips: &[i64; N],
) -> [Counts; N] {
    // Counts are floats, as all else here, so that the processor handles several at once. Loops
    // over k, since `array::map` is not always inlined.
    let (mut most, mut taken, mut slips) = ([0.0; N], [0.0; N], [0.0; N]);
    for k in 0..N {
        most[k] = most_slips[k] as f64;
    }
    // What a bucket counts: 1, or 0 once it has given up.
    let mut one = [1.0; N];
    let mut tokens = *bursts;
    for (attempt, refills) in lane.asked.iter().zip(refills) {
        // `f64::min` and `max` cost more, to look for NaN.
        for k in 0..N {
            let filled = tokens[k] + refill(refills, k);
            tokens[k] = if filled < bursts[k] { filled } else { bursts[k] };
        }
        let free = |tokens: f64| tokens >= 1.0 - SLACK;
        let less_one = |tokens: f64| if tokens > 1.0 { tokens - 1.0 } else { 0.0 };
        match attempt.answer {
            Answer::Refused => {
                for k in 0..N {
                    slips[k] += if free(tokens[k]) { one[k] } else { 0.0 };
                }
            }
            Answer::Failure if !lane.marked => {
                for k in 0..N {
                    taken[k] += if free(tokens[k]) { 0.0 } else { one[k] };
                    tokens[k] = if free(tokens[k]) { less_one(tokens[k]) } else { tokens[k] };
                }
            }
            Answer::Success | Answer::Failure => {
                for k in 0..N {
                    slips[k] += if free(tokens[k]) { 0.0 } else { one[k] };
                    tokens[k] = less_one(tokens[k]);
                }
            }
        }
        let mut open = 0.0;
        for k in 0..N {
            one[k] = if slips[k] > most[k] { 0.0 } else { one[k] };
            open += one[k];
        }
        if open == 0.0 {
            break;
        }
    }
    let mut counts = [Counts::default(); N];
    for k in 0..N {
        counts[k] = Counts { taken: taken[k] as i64, slips: slips[k] as i64 };
    }
    counts
}

/// Peaks of each burst that are climbed where 429 is not marked, and how: this often, to the best
/// of some points around the last best, each time four times as near.
const PEAKS: usize = 2;
const CLIMBS: usize = 6;

/// Where 429 is not marked, buckets this far (`ln`) below none are not looked at.
const HOPELESS: f64 = 40.0;

/// Where answers take time, so many buckets of the grid are looked at before the others.
const FIRST: usize = 8;

/// Where answers take time, bursts this far (`ln`) below the best bucket are not looked at.
const DELAYED_HOPELESS: f64 = 25.0;

/// Rounds of halving; a rate is then known to a part in 10^9 where that matters.
const ROUNDS: usize = 28;

/// Intervals stop being halved at this many: then the likelihood is broad and they are narrow.
const MOST_INTERVALS: usize = 3_000;

/// All cells of the posterior that matter: spans of rates for each burst.
pub(crate) fn integrate(views: &[Vec<Lane>], prior: &LimitPrior) -> Vec<Cell> {
    let lanes = &views[0];
    let marked = lanes.iter().all(|lane| lane.marked);
    if marked {
        integrate_with(lanes, prior, |rates| Marked::new(views, rates, prior.most()))
    } else {
        integrate_with(lanes, prior, |rates| Unmarked::new(lanes, rates, prior.most()))
    }
}

/// `ln` likelihood against that of no limit, of a bucket of one token, for these rates.
pub(crate) fn curve(lanes: &[Lane], rates: &[f64]) -> Vec<f64> {
    let none: f64 = lanes.iter().map(Lane::log_likelihood_of_none).sum();
    if lanes.iter().all(|lane| lane.marked) {
        let kept = Marked::kept(lanes);
        let value = |rate: &f64| kept + misfits(lanes, *rate, 1).of_burst(0) - none;
        return rates.iter().map(value).collect();
    }
    let law = Unmarked::new(lanes, rates, 1);
    rates.iter().map(|rate| law.of(lanes, [*rate], [1.0])[0].0 - none).collect()
}

/// How many answers contradict a bucket whenever the attempts arrived, in the view that suits it
/// best.
pub(crate) fn contradictions(views: &[Vec<Lane>], per_second: f64, burst: f64) -> f64 {
    let of_view = |lanes: &Vec<Lane>| {
        let of_lane = |lane| delay::log_likelihood(lane, per_second, burst, f64::NEG_INFINITY).1;
        lanes.iter().map(of_lane).sum::<f64>()
    };
    views.iter().map(of_view).fold(f64::INFINITY, f64::min)
}

/// How likelihoods of all bursts are computed at a rate, and what two of them say of between.
trait Law {
    type At;
    /// Intervals of rates to begin with.
    const INTERVALS: usize;
    /// An interval is halved while it may hold this share of the sum.
    const COARSE: f64;
    /// An interval is halved when this share of the sum is open in it.
    const OPEN: f64;
    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> Self::At;
    /// `ln` rates to look at besides a grid with these values.
    fn peaks(&self, lanes: &[Lane], log_rates: &[f64], values: &[Self::At]) -> Vec<f64>;
    /// `ln` likelihood between two rates: at least, at most, for the burst with this index.
    fn between(&self, low: &Self::At, high: &Self::At, burst: usize) -> [f64; 2];
}

/// The likelihood is that of [`delay`], averaged over the views; that of the misfits, which bounds
/// it, where there is no delay.
struct Marked<'a> {
    views: &'a [Vec<Lane>],
    delayed: bool,
    /// `ln` likelihood of the answers if none contradicts.
    kept: f64,
    /// The best `ln` likelihood met so far: what is far below that is not looked at.
    best: std::cell::Cell<f64>,
}

struct MarkedAt {
    misfits: Misfits,
    /// Of each burst the `ln` likelihood, or a bound if that is hopeless already.
    values: Vec<f64>,
}

impl<'a> Marked<'a> {
    /// `rates` are those of the grid. The buckets of the best bounds are looked at first, so that
    /// there is a best one to compare the others with.
    fn new(views: &'a [Vec<Lane>], rates: &[f64], most: usize) -> Self {
        let lanes = &views[0];
        let delayed = lanes.iter().any(|lane| lane.longest_s() > 0.0);
        let best = std::cell::Cell::new(f64::NEG_INFINITY);
        let law = Self { views, delayed, kept: Self::kept(lanes), best };
        if delayed {
            let of_rate = |rate: &f64| {
                let misfits = misfits(lanes, *rate, most);
                let bounds = (0..most).map(|i| misfits.of_burst(i)).enumerate();
                let best = bounds.max_by(|a, b| a.1.total_cmp(&b.1));
                best.map(|(i, bound)| (bound, *rate, (i + 1) as f64))
            };
            let mut promising: Vec<(f64, f64, f64)> = rates.iter().filter_map(of_rate).collect();
            promising.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (_, rate, burst) in promising.into_iter().take(FIRST) {
                law.delayed(rate, burst);
            }
        }
        law
    }

    fn kept(lanes: &[Lane]) -> f64 {
        let attempts: usize = lanes.iter().map(|lane| lane.asked.len()).sum();
        attempts as f64 * libm::log1p(-SLIP)
    }

    fn delayed(&self, per_second: f64, burst: f64) -> f64 {
        let floor = self.best.get() - DELAYED_HOPELESS - self.kept;
        let of_lane = |lane: &Lane| delay::log_likelihood(lane, per_second, burst, floor).0;
        let of_view = |lanes: &Vec<Lane>| lanes.par_iter().map(of_lane).collect::<Vec<f64>>();
        let of_views: Vec<Vec<f64>> = self.views.par_iter().map(of_view).collect();
        let of_views: Vec<f64> = of_views.iter().map(|of_lanes| of_lanes.iter().sum()).collect();
        let value = self.kept + averaged(&of_views);
        self.best.set(self.best.get().max(value));
        value
    }
}

impl Misfits {
    fn of_burst(&self, i: usize) -> f64 {
        (self.accepted[i] + self.refused[i]) * LOG_SLIP_ODDS
    }
}

impl Law for Marked<'_> {
    type At = MarkedAt;
    const INTERVALS: usize = 96;
    const COARSE: f64 = 0.02;
    const OPEN: f64 = 2e-3;

    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> MarkedAt {
        let misfits = misfits(lanes, per_second, most);
        let mut values: Vec<f64> = (0..most).map(|i| self.kept + misfits.of_burst(i)).collect();
        if self.delayed {
            let mut order: Vec<usize> = (0..most).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            // Where nothing was refused, a bucket that refuses nothing is as likely as its bound.
            let never_refused = misfits.refused.iter().all(|weight| *weight == 0.0);
            for i in order {
                let burst = (i + 1) as f64;
                let idle = never_refused && burst >= misfits.idle_from;
                if !idle && values[i] > self.best.get() - DELAYED_HOPELESS {
                    values[i] = values[i].min(self.delayed(per_second, burst));
                }
            }
        }
        MarkedAt { misfits, values }
    }

    fn peaks(&self, _: &[Lane], _: &[f64], _: &[MarkedAt]) -> Vec<f64> {
        // Bounds leave out nothing.
        Vec::new()
    }

    /// Between two rates the likelihood is taken to exceed both ends by no more than its bound
    /// does; without delay it is the bound.
    fn between(&self, low: &MarkedAt, high: &MarkedAt, i: usize) -> [f64; 2] {
        let worst = low.misfits.accepted[i] + high.misfits.refused[i];
        let best = high.misfits.accepted[i] + low.misfits.refused[i];
        let [worst, best] = [worst, best].map(|misfits| misfits * LOG_SLIP_ODDS);
        let [at_low, at_high] = [low, high].map(|end| end.misfits.of_burst(i));
        let [low, high] = [low.values[i], high.values[i]];
        [low.min(high) + worst - at_low.min(at_high), low.max(high) + best - at_low.max(at_high)]
    }
}

struct Unmarked {
    pauses_s: Vec<Vec<f64>>,
    /// For each lane, for bursts 1, 2, ..: a rate from which on the bucket refuses nothing.
    idle_from: Vec<Vec<f64>>,
}

impl Unmarked {
    /// `rates` (rising) are those among which it is looked for where a lane refuses nothing. Most
    /// buckets that matter refuse nothing in most lanes, and these need no replay: while a bucket
    /// has refused nothing, one with a higher rate or a larger burst holds at least as many tokens,
    /// also after rounding, which keeps order.
    fn new(lanes: &[Lane], rates: &[f64], most: usize) -> Self {
        let pauses_s: Vec<Vec<f64>> = lanes.iter().map(pauses_s).collect();
        let of_lane = |(lane, pauses_s): (&Lane, &Vec<f64>)| {
            let touches = |rate: &f64, burst: usize| {
                let refill = |pause_s: &f64, _| pause_s * rate;
                replay(lane, pauses_s, refill, &[burst as f64], &[0]) != [Counts::default()]
            };
            let mut idle_from = Vec::new();
            for burst in 1..=most {
                let place = rates.partition_point(|rate| touches(rate, burst));
                idle_from.push(rates.get(place).copied().unwrap_or(f64::INFINITY));
                if place == 0 {
                    break;
                }
            }
            idle_from
        };
        let idle_from = lanes.iter().zip(&pauses_s).map(of_lane).collect();
        Self { pauses_s, idle_from }
    }

    /// Whether a bucket is known to refuse nothing in a lane.
    fn is_idle(&self, lane: usize, per_second: f64, burst: f64) -> bool {
        let of_lane = &self.idle_from[lane];
        let place = (burst as usize).min(of_lane.len());
        place > 0 && per_second >= of_lane[place - 1]
    }

    /// `ln` likelihoods of buckets, `-inf` if hopeless, and whether they refuse anything.
    fn of<const N: usize>(
        &self,
        lanes: &[Lane],
        per_second: [f64; N],
        bursts: [f64; N],
    ) -> [(f64, bool); N] {
        let mut found = [(0.0, false); N];
        let mut gain: f64 = lanes.iter().map(|lane| lane.most_gain).sum();
        for (number, (lane, pauses_s)) in lanes.iter().zip(&self.pauses_s).enumerate() {
            // What the lanes so far came to and the others could come to pays for slips.
            let mut most_slips = [0; N];
            for (most, (value, _)) in most_slips.iter_mut().zip(&found) {
                *most = ((value + gain + HOPELESS) / -LOG_SLIP_ODDS) as i64;
            }
            let refill = |pause_s: &f64, k: usize| pause_s * per_second[k];
            let counts = if (0..N).all(|k| self.is_idle(number, per_second[k], bursts[k])) {
                [Counts::default(); N]
            } else {
                replay(lane, pauses_s, refill, &bursts, &most_slips)
            };
            for ((found, counts), most) in found.iter_mut().zip(counts).zip(most_slips) {
                if counts.slips > most {
                    *found = (f64::NEG_INFINITY, true);
                } else {
                    found.0 += lane.log_likelihood(counts);
                    found.1 |= counts != Counts::default();
                }
            }
            if found.iter().all(|(value, _)| *value == f64::NEG_INFINITY) {
                break;
            }
            gain -= lane.most_gain;
        }
        found
    }

    /// The `ln` rate of a peak near one whose value is given.
    fn climb(&self, lanes: &[Lane], burst: usize, from: [f64; 2], step: f64) -> f64 {
        let [mut top, mut best] = from;
        let mut reach = step;
        for _ in 0..CLIMBS {
            let around = [-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0];
            let log_rates = around.map(|i| top + reach * i / 4.0);
            let found = self.of(lanes, log_rates.map(libm::exp), [burst as f64; 8]);
            for (log_rate, (value, _)) in log_rates.into_iter().zip(found) {
                if value > best {
                    (top, best) = (log_rate, value);
                }
            }
            reach /= 4.0;
        }
        top
    }
}

impl Law for Unmarked {
    /// Up to the first burst that refuses nothing: a larger one refuses nothing either.
    type At = Vec<f64>;
    /// Steps of 2 %. A replay whose rate is off by a share e meets a misfit after about sqrt(2 / e)
    /// tokens and is then in step again, so a peak is about that wide however long the trace is.
    const INTERVALS: usize = 480;
    const COARSE: f64 = f64::INFINITY;
    const OPEN: f64 = 2e-4;

    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> Vec<f64> {
        let mut values = Vec::new();
        while values.len() < most {
            let bursts = std::array::from_fn(|k| (values.len() + k + 1) as f64);
            for (value, touched) in self.of(lanes, [per_second; ABREAST], bursts) {
                values.push(value);
                if !touched || values.len() == most {
                    return values;
                }
            }
        }
        values
    }

    fn peaks(&self, lanes: &[Lane], log_rates: &[f64], values: &[Vec<f64>]) -> Vec<f64> {
        let mut peaks = Vec::new();
        let most = values.iter().map(Vec::len).max().unwrap_or(0);
        for burst in 1..=most {
            let at = |i: usize| of_burst(&values[i], burst - 1);
            let last = log_rates.len() - 1;
            // Exactly 0 is a bucket that never refuses: no peak.
            let mut tops: Vec<usize> = (0..=last)
                .filter(|i| at(*i) != 0.0 && at(*i) > f64::NEG_INFINITY)
                .filter(|i| at(*i) >= at(i.saturating_sub(1)) && at(*i) >= at((i + 1).min(last)))
                .collect();
            tops.sort_by(|a, b| at(*b).total_cmp(&at(*a)));
            for top in tops.into_iter().take(PEAKS) {
                let step = log_rates[1] - log_rates[0];
                peaks.push(self.climb(lanes, burst, [log_rates[top], at(top)], step));
            }
        }
        peaks
    }

    fn between(&self, low: &Vec<f64>, high: &Vec<f64>, i: usize) -> [f64; 2] {
        let [low, high] = [low, high].map(|end| of_burst(end, i));
        [low.min(high), low.max(high)]
    }
}

/// What refuses nothing is as likely as no limit.
fn of_burst(values: &[f64], i: usize) -> f64 {
    values.get(i).copied().unwrap_or(0.0)
}

/// The lower end of an interval of rates: `ln` of the rate, and what the law says there. What is
/// known of the interval is kept while it stands: few are halved in a round.
struct End<A> {
    log_rate: f64,
    at: A,
    /// The most of the `ln` likelihood within.
    best: Option<f64>,
    /// The most that the interval can hold of the sum, on the scale of the round, and how much of
    /// that is open.
    held: Option<[f64; 2]>,
}

impl<A> End<A> {
    fn new(log_rate: f64, at: A) -> Self {
        Self { log_rate, at, best: None, held: None }
    }
}

/// `law` is made for the rates of the grid.
fn integrate_with<L: Law>(
    lanes: &[Lane],
    prior: &LimitPrior,
    law: impl Fn(&[f64]) -> L,
) -> Vec<Cell> {
    let most = prior.most();
    let log_prior = prior.log_capacities(1);
    let [from, to] = [prior.per_second.low, prior.per_second.high].map(libm::log);
    let step = (to - from) / L::INTERVALS as f64;
    let log_rates: Vec<f64> = (0..=L::INTERVALS).map(|i| from + step * i as f64).collect();
    let law = law(&log_rates.iter().map(|log_rate| libm::exp(*log_rate)).collect::<Vec<f64>>());
    let at = |log_rate: f64| law.at(lanes, libm::exp(log_rate), most);
    let values: Vec<L::At> = log_rates.iter().map(|end| at(*end)).collect();
    let peaks = law.peaks(lanes, &log_rates, &values);
    let ends = log_rates.into_iter().zip(values);
    let mut ends: Vec<End<L::At>> = ends.map(|(log_rate, at)| End::new(log_rate, at)).collect();
    for peak in peaks {
        let place = ends.partition_point(|end| end.log_rate < peak);
        if place > 0 && ends.get(place).is_some_and(|end| end.log_rate > peak) {
            ends.insert(place, End::new(peak, at(peak)));
        }
    }
    // By burst the last exponent and e to its power: neighbours mostly have the same.
    let mut powers = vec![(0.0, 1.0); most];
    let mut last_scale = f64::NAN;
    for _ in 0..ROUNDS {
        let scale = best(&mut ends, &law, most);
        for i in 0..ends.len() - 1 {
            if ends[i].held.is_some() && scale == last_scale {
                continue;
            }
            let (mut held, mut open) = (0.0, 0.0);
            for (burst, (log_prior, power)) in log_prior.iter().zip(&mut powers).enumerate() {
                let [worst, best] = law.between(&ends[i].at, &ends[i + 1].at, burst);
                if best > scale - 40.0 {
                    let exponent = log_prior + best - scale;
                    if power.0 != exponent {
                        *power = (exponent, libm::exp(exponent));
                    }
                    let most = power.1;
                    held += most;
                    open += if worst < best {
                        most - libm::exp(log_prior + worst - scale)
                    } else {
                        0.0
                    };
                }
            }
            let share = (ends[i + 1].log_rate - ends[i].log_rate) / (to - from);
            ends[i].held = Some([held * share, open * share]);
        }
        last_scale = scale;
        let held = || ends.iter().filter_map(|end| end.held);
        let total: f64 = held().map(|[held, _]| held).sum();
        let is_open = |[held, open]: [f64; 2]| open > L::OPEN * total || held > L::COARSE * total;
        if ends.len() > MOST_INTERVALS || !held().any(is_open) {
            break;
        }
        let mut middles = Vec::new();
        for i in 0..ends.len() - 1 {
            if ends[i].held.is_some_and(is_open) {
                let middle = 0.5 * (ends[i].log_rate + ends[i + 1].log_rate);
                middles.push(End::new(middle, at(middle)));
                (ends[i].best, ends[i].held) = (None, None);
            }
        }
        ends.extend(middles);
        ends.sort_by(|a, b| a.log_rate.total_cmp(&b.log_rate));
    }
    cells(&mut ends, &law, &log_prior, to - from)
}

/// The most of the `ln` likelihood within any interval.
fn best<L: Law>(ends: &mut [End<L::At>], law: &L, most: usize) -> f64 {
    let mut best = f64::NEG_INFINITY;
    for i in 0..ends.len() - 1 {
        let of_interval = ends[i].best.unwrap_or_else(|| {
            let of_burst = |burst| law.between(&ends[i].at, &ends[i + 1].at, burst)[1];
            (0..most).map(of_burst).fold(f64::NEG_INFINITY, f64::max)
        });
        ends[i].best = Some(of_interval);
        best = best.max(of_interval);
    }
    best
}

fn cells<L: Law>(ends: &mut [End<L::At>], law: &L, log_prior: &[f64], log_range: f64) -> Vec<Cell> {
    let floor = best(ends, law, log_prior.len()) - 30.0;
    let mut cells = Vec::new();
    for [low, high] in ends.array_windows() {
        let log_width = high.log_rate - low.log_rate;
        let per_second = libm::exp(low.log_rate);
        let log_share = libm::log(log_width / log_range);
        for (i, log_prior) in log_prior.iter().enumerate() {
            let [worst, best] = law.between(&low.at, &high.at, i);
            if best < floor || *log_prior == f64::NEG_INFINITY {
                continue;
            }
            // Half of the interval at either bound.
            let halved =
                if worst < best { libm::log(0.5 + 0.5 * libm::exp(worst - best)) } else { 0.0 };
            let log_likelihood = best + halved;
            let burst = (i + 1) as f64;
            cells.push(Cell {
                limit: RateLimit::TokenBucket { per_second, burst },
                log_width,
                log_mass: log_prior + log_share + log_likelihood,
                log_likelihood,
            });
        }
    }
    cells
}

// ---- Sinusoidal buckets on a modest grid: mean, swing, period, burst, and 16 phases for each server.
//
// The tokens refilled between two attempts are mean (dt + swing (cos(w t0 + p) - cos(w t1 + p)) / w),
// with the swing as a share of the mean and w = 2 pi / period. Between the grid's values the
// likelihood is not looked at, so a sinusoid off the grid may end as "no law explains it".

/// Means of the refill in a factor of e.
const MEANS: f64 = 4.0;

/// Swings as a share of the mean.
const SWINGS: [f64; 3] = [0.3, 0.6, 0.9];

const PERIODS_S: [f64; 6] = [2.0, 5.0, 10.0, 20.0, 30.0, 60.0];
const BURSTS: [u32; 6] = [1, 2, 5, 10, 20, 50];
const PHASES: usize = 16;

/// Cells this far (`ln`) below the best law are not finished.
const SINUSOIDAL_HOPELESS: f64 = 30.0;

/// Grid cells that matter; `best` is the `ln` likelihood of the best other law.
pub(crate) fn integrate_sinusoidal(lanes: &[Lane], prior: &LimitPrior, best: f64) -> Vec<Cell> {
    let [low, high] = [prior.per_second.low, prior.per_second.high].map(libm::log);
    let means = ((high - low) * MEANS).max(1.0) as usize + 1;
    let bursts: Vec<u32> = BURSTS
        .into_iter()
        .filter(|b| (prior.capacity[0]..=prior.capacity[1]).contains(b))
        .collect();
    let log_bursts = masses(&bursts, prior);
    let log_grid = libm::log((means * SWINGS.len() * PERIODS_S.len()) as f64);
    let mut best = best;
    let mut cells = Vec::new();
    for period_s in PERIODS_S {
        for swing in SWINGS {
            let refills: Vec<Vec<[f64; PHASES]>> =
                lanes.iter().map(|lane| refills(lane, swing, period_s)).collect();
            // Means rise, so what a burst refuses nothing of it refuses nothing of later either.
            let mut idle_from = vec![f64::INFINITY; lanes.len()];
            for i in 0..means {
                let log_mean = low + (high - low) * i as f64 / (means.max(2) - 1) as f64;
                let mean = to_digits(libm::exp(log_mean), 2);
                let limit = |burst: u32| RateLimit::Sinusoidal {
                    mean_per_second: mean,
                    amplitude_per_second: swing * mean,
                    period_s,
                    burst: f64::from(burst),
                    phase: None,
                };
                let mut idle = None;
                for (burst, log_burst) in bursts.iter().zip(&log_bursts) {
                    // What refuses nothing refuses nothing with a larger burst either.
                    let value = idle.unwrap_or_else(|| {
                        let floor = best - SINUSOIDAL_HOPELESS;
                        let law = [mean, f64::from(*burst)];
                        let (value, touched) =
                            log_likelihood(lanes, &refills, &mut idle_from, law, floor);
                        idle = (!touched).then_some(value);
                        value
                    });
                    best = best.max(value);
                    let log_prior = log_burst - log_grid;
                    cells.push(Cell::single(limit(*burst), log_prior + value, value));
                }
            }
        }
    }
    cells.retain(|cell| cell.log_likelihood > best - SINUSOIDAL_HOPELESS);
    cells
}

/// `ln` of the prior probability of the bursts that each burst of the grid stands for: from it to
/// the next. The first also stands for smaller ones, if there are any; so a burst of 1 is as
/// probable here as it is for a bucket that does not swing.
fn masses(bursts: &[u32], prior: &LimitPrior) -> Vec<f64> {
    let log_capacities = prior.log_capacities(1);
    let mass = |i: usize| {
        let from = if i == 0 { 1 } else { bursts[i] };
        let to = bursts.get(i + 1).copied().unwrap_or(u32::MAX);
        let meant = (1..).zip(&log_capacities).filter(|(x, _)| (from..to).contains(x));
        libm::log(meant.map(|(_, log)| libm::exp(*log)).sum())
    };
    (0..bursts.len()).map(mass).collect()
}

/// For each attempt the tokens refilled before it, by phase, for a mean of 1.
fn refills(lane: &Lane, swing: f64, period_s: f64) -> Vec<[f64; PHASES]> {
    let omega = TAU / period_s;
    let phases: [(f64, f64); PHASES] = std::array::from_fn(|phase| {
        let phase = TAU * phase as f64 / PHASES as f64;
        (libm::cos(phase), libm::sin(phase))
    });
    let wave = |attempt: &Asked| {
        let angle = omega * (attempt.at_us as f64 * 1e-6);
        let (c, s) = (libm::cos(angle), libm::sin(angle));
        phases.map(|(cos, sin)| c * cos - s * sin)
    };
    let mut before = lane.asked.first().map_or([0.0; PHASES], wave);
    let of_attempt = |(attempt, pause): (&Asked, f64)| {
        let now = wave(attempt);
        let refill = |k: usize| (pause + swing * (before[k] - now[k]) / omega).max(0.0);
        let refills = std::array::from_fn(refill);
        before = now;
        refills
    };
    lane.asked.iter().zip(pauses_s(lane)).map(of_attempt).collect()
}

/// `ln` likelihood averaged over each server's phase, and whether anything was refused or odd.
///
/// `idle_from` holds for each lane the burst from which on nothing is, at smaller means; see
/// [`Unmarked::new`].
fn log_likelihood(
    lanes: &[Lane],
    refills: &[Vec<[f64; PHASES]>],
    idle_from: &mut [f64],
    [mean, burst]: [f64; 2],
    floor: f64,
) -> (f64, bool) {
    let log_phases = libm::log(PHASES as f64);
    let mut total = 0.0;
    let mut touched = false;
    let mut gain: f64 = lanes.iter().map(|lane| lane.most_gain).sum();
    for ((lane, refills), idle_from) in lanes.iter().zip(refills).zip(idle_from) {
        if burst < *idle_from {
            // What the lanes so far came to and the others could come to pays for slips.
            let most_slips = ((total + gain - floor) / -LOG_SLIP_ODDS) as i64 + 1;
            let refill = |of_phase: &[f64; PHASES], k: usize| of_phase[k] * mean;
            let counts = replay(lane, refills, refill, &[burst; PHASES], &[most_slips; PHASES]);
            if counts != [Counts::default(); PHASES] {
                touched = true;
            } else if lane.refused() == 0 && most_slips >= 0 {
                *idle_from = burst;
            }
            let values = counts.map(|counts| lane.log_likelihood(counts));
            let alike = counts == [counts[0]; PHASES];
            let sum = if alike { values[0] + log_phases } else { log_sum_exp(&values) };
            total += sum - log_phases;
        } else {
            total += lane.log_likelihood(Counts::default());
        }
        gain -= lane.most_gain;
        if total + gain < floor {
            return (f64::NEG_INFINITY, true);
        }
    }
    (total, touched)
}
