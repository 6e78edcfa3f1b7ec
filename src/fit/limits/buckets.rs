//! Buckets: the likelihood of a token bucket, plain or sinusoidal, integrated over its refill.
//!
//! Where 429 is marked, what the bucket lacks of being full follows the observed acceptances: it
//! falls with the refill, not below 0, and grows by 1 with each accepted attempt. That does not
//! depend on the burst b; the law refuses exactly when b - 1 is less than what lacks. And it never
//! grows with the refill rate: [`Misfits`] of both kinds are monotone in the rate, which bounds the
//! likelihood between any two rates from both sides. An attempt that was accepted without a token
//! leaves a debt.
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

use crate::limits::family::Cell;
use crate::limits::lane::{Answer, Counts, LOG_SLIP_ODDS, Lane};
use crate::limits::prior::{LimitPrior, to_digits};
use flakelab_core::stats::log_sum_exp;
use flakelab_sim::world::RateLimit;

/// Rounding must not refuse a token that is there, as in `world::Limiter`.
const SLACK: f64 = 1e-9;

/// Attempts answered against buckets of one rate and of bursts 1, 2, ..
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Misfits {
    /// Accepted without a token; falls with the rate.
    pub(crate) accepted: Vec<u32>,
    /// Refused with a token; grows with the rate.
    pub(crate) refused: Vec<u32>,
}

/// The misfits of all lanes where 429 is marked, for bursts 1, 2, .., `most`.
pub(crate) fn misfits(lanes: &[Lane], per_second: f64, most: usize) -> Misfits {
    // By the whole part, rounded up, of what lacked when the attempt came.
    let mut accepted = vec![0_u32; most + 1];
    let mut refused = vec![0_u32; most + 1];
    let per_us = per_second * 1e-6;
    for lane in lanes {
        let mut lacks = 0.0_f64;
        let mut last = 0;
        for attempt in &lane.asked {
            lacks = (lacks - per_us * (attempt.at_us - last) as f64).max(0.0);
            last = attempt.at_us;
            let whole = (libm::ceil(lacks - SLACK) as usize).min(most);
            if attempt.answer == Answer::Refused {
                refused[whole] += 1;
            } else {
                accepted[whole] += 1;
                lacks += 1.0;
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
    Misfits { accepted, refused }
}

/// Time since the attempt before, in seconds, for each attempt of a lane.
pub(crate) fn pauses_s(lane: &Lane) -> Vec<f64> {
    let before = std::iter::once(0).chain(lane.asked.iter().map(|a| a.at_us));
    lane.asked.iter().zip(before).map(|(a, before)| (a.at_us - before) as f64 * 1e-6).collect()
}

/// What replaying one bucket comes to: the tokens refilled before each attempt are `refills` times
/// `scale`. Gives up, with what it has, above `most_slips`.
#[inline]
pub(crate) fn replay(
    lane: &Lane,
    refills: &[f64],
    scale: f64,
    burst: f64,
    most_slips: i64,
) -> Counts {
    let mut counts = Counts::default();
    let mut tokens = burst;
    for (attempt, refill) in lane.asked.iter().zip(refills) {
        tokens = (tokens + refill * scale).min(burst);
        let free = tokens >= 1.0 - SLACK;
        match attempt.answer {
            Answer::Refused => counts.slips += i64::from(free),
            Answer::Success => {
                counts.slips += i64::from(!free);
                tokens = (tokens - 1.0).max(0.0);
            }
            Answer::Failure if free || lane.marked => {
                counts.slips += i64::from(!free);
                tokens = (tokens - 1.0).max(0.0);
            }
            Answer::Failure => counts.taken += 1,
        }
        if counts.slips > most_slips {
            break;
        }
    }
    counts
}

/// Peaks of each burst that are climbed where 429 is not marked, and how: this often, to the best
/// of some points around the last best, each time four times as near.
const PEAKS: usize = 2;
const CLIMBS: usize = 6;

/// Where 429 is not marked, buckets this far (`ln`) below none are not looked at.
const HOPELESS: f64 = 40.0;

/// Rounds of halving; a rate is then known to a part in 10^9 where that matters.
const ROUNDS: usize = 28;

/// An interval is halved when this share of the sum is open in it.
const OPEN: f64 = 2e-4;

/// Intervals stop being halved at this many: then the likelihood is broad and they are narrow.
const MOST_INTERVALS: usize = 3_000;

/// All cells of the posterior that matter: spans of rates for each burst.
pub(crate) fn integrate(lanes: &[Lane], prior: &LimitPrior) -> Vec<Cell> {
    let marked = lanes.iter().all(|lane| lane.marked);
    if marked {
        integrate_with(lanes, prior, &Marked)
    } else {
        integrate_with(lanes, prior, &Unmarked::new(lanes))
    }
}

/// `ln` likelihood against that of no limit, of a bucket of one token, for these rates.
pub(crate) fn curve(lanes: &[Lane], rates: &[f64]) -> Vec<f64> {
    let none: f64 = lanes.iter().map(Lane::log_likelihood_of_none).sum();
    let at = |rate: &f64| -> f64 {
        if lanes.iter().all(|lane| lane.marked) {
            return Marked.at(lanes, *rate, 1).of_burst(0) - none;
        }
        Unmarked::new(lanes).at(lanes, *rate, 1)[0] - none
    };
    rates.iter().map(at).collect()
}

/// How likelihoods of all bursts are computed at a rate, and what two of them say of between.
trait Law {
    type At;
    /// Intervals of rates to begin with.
    const INTERVALS: usize;
    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> Self::At;
    /// `ln` rates to look at besides a grid with these values.
    fn peaks(&self, lanes: &[Lane], log_rates: &[f64], values: &[Self::At]) -> Vec<f64>;
    /// `ln` likelihood between two rates: at least, at most, for the burst with this index.
    fn between(&self, low: &Self::At, high: &Self::At, burst: usize) -> [f64; 2];
}

struct Marked;

impl Misfits {
    fn of_burst(&self, i: usize) -> f64 {
        f64::from(self.accepted[i] + self.refused[i]) * LOG_SLIP_ODDS
    }
}

impl Law for Marked {
    type At = Misfits;
    const INTERVALS: usize = 96;

    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> Misfits {
        misfits(lanes, per_second, most)
    }

    fn peaks(&self, _: &[Lane], _: &[f64], _: &[Misfits]) -> Vec<f64> {
        // Bounds leave out nothing.
        Vec::new()
    }

    fn between(&self, low: &Misfits, high: &Misfits, i: usize) -> [f64; 2] {
        let worst = low.accepted[i] + high.refused[i];
        let best = high.accepted[i] + low.refused[i];
        [f64::from(worst) * LOG_SLIP_ODDS, f64::from(best) * LOG_SLIP_ODDS]
    }
}

struct Unmarked {
    pauses_s: Vec<Vec<f64>>,
}

impl Unmarked {
    fn new(lanes: &[Lane]) -> Self {
        Self { pauses_s: lanes.iter().map(pauses_s).collect() }
    }

    /// `ln` likelihood of one bucket, `-inf` if hopeless, and whether it refuses anything.
    fn of(&self, lanes: &[Lane], per_second: f64, burst: usize) -> (f64, bool) {
        let (mut value, mut touched) = (0.0, false);
        let mut gain: f64 = lanes.iter().map(|lane| lane.most_gain).sum();
        for (lane, pauses_s) in lanes.iter().zip(&self.pauses_s) {
            // What the lanes so far came to and the others could come to pays for slips.
            let most_slips = ((value + gain + HOPELESS) / -LOG_SLIP_ODDS) as i64;
            let counts = replay(lane, pauses_s, per_second, burst as f64, most_slips);
            if counts.slips > most_slips {
                return (f64::NEG_INFINITY, true);
            }
            touched |= counts != Counts::default();
            value += lane.log_likelihood(counts);
            gain -= lane.most_gain;
        }
        (value, touched)
    }

    /// The `ln` rate of a peak near one whose value is given.
    fn climb(&self, lanes: &[Lane], burst: usize, from: [f64; 2], step: f64) -> f64 {
        let [mut top, mut best] = from;
        let mut reach = step;
        for _ in 0..CLIMBS {
            let middle = top;
            for i in [-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0] {
                let log_rate = middle + reach * i / 4.0;
                let (value, _) = self.of(lanes, libm::exp(log_rate), burst);
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
    type At = Vec<f64>;
    /// Steps of 2 %. A replay whose rate is off by a share e meets a misfit after about sqrt(2 / e)
    /// tokens and is then in step again, so a peak is about that wide however long the trace is.
    const INTERVALS: usize = 480;

    fn at(&self, lanes: &[Lane], per_second: f64, most: usize) -> Vec<f64> {
        let mut values = vec![0.0; most];
        for (burst, value) in (1..=most).zip(&mut values) {
            let touched;
            (*value, touched) = self.of(lanes, per_second, burst);
            if !touched {
                // A larger burst refuses nothing either.
                break;
            }
        }
        values
    }

    fn peaks(&self, lanes: &[Lane], log_rates: &[f64], values: &[Vec<f64>]) -> Vec<f64> {
        let mut peaks = Vec::new();
        let most = values.first().map_or(0, Vec::len);
        for burst in 1..=most {
            let at = |i: usize| values[i][burst - 1];
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
        [low[i].min(high[i]), low[i].max(high[i])]
    }
}

/// Ends of intervals in rising order: `ln` of a rate, and what the law says there.
type Ends<L> = [(f64, <L as Law>::At)];

fn integrate_with<L: Law>(lanes: &[Lane], prior: &LimitPrior, law: &L) -> Vec<Cell> {
    let most = prior.most();
    let log_prior = prior.log_capacities(1);
    let [from, to] = [prior.per_second.low, prior.per_second.high].map(libm::log);
    let at = |log_rate: f64| law.at(lanes, libm::exp(log_rate), most);
    let step = (to - from) / L::INTERVALS as f64;
    let log_rates: Vec<f64> = (0..=L::INTERVALS).map(|i| from + step * i as f64).collect();
    let values: Vec<L::At> = log_rates.iter().map(|end| at(*end)).collect();
    let peaks = law.peaks(lanes, &log_rates, &values);
    let mut ends: Vec<(f64, L::At)> = log_rates.into_iter().zip(values).collect();
    for peak in peaks {
        let place = ends.partition_point(|(end, _)| *end < peak);
        if place > 0 && ends.get(place).is_some_and(|(end, _)| *end > peak) {
            ends.insert(place, (peak, at(peak)));
        }
    }
    for _ in 0..ROUNDS {
        let scale = best(&ends, law, most);
        // For each interval the most that it can hold, and what is open of it.
        let held: Vec<[f64; 2]> = ends
            .array_windows()
            .map(|[(log_low, low), (log_high, high)]| {
                let (mut held, mut open) = (0.0, 0.0);
                for (burst, log_prior) in log_prior.iter().enumerate() {
                    let [worst, best] = law.between(low, high, burst);
                    if best > scale - 40.0 {
                        let most = libm::exp(log_prior + best - scale);
                        held += most;
                        open += if worst < best {
                            most - libm::exp(log_prior + worst - scale)
                        } else {
                            0.0
                        };
                    }
                }
                let share = (log_high - log_low) / (to - from);
                [held * share, open * share]
            })
            .collect();
        let total: f64 = held.iter().map(|[held, _]| held).sum();
        if held.len() >= MOST_INTERVALS || held.iter().all(|[_, open]| *open <= OPEN * total) {
            break;
        }
        let middles: Vec<f64> = ends
            .array_windows()
            .zip(held)
            .filter(|(_, [_, open])| *open > OPEN * total)
            .map(|([(log_low, _), (log_high, _)], _)| 0.5 * (log_low + log_high))
            .collect();
        ends.extend(middles.into_iter().map(|middle| (middle, at(middle))));
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    cells(&ends, law, &log_prior, to - from)
}

fn best<L: Law>(ends: &Ends<L>, law: &L, most: usize) -> f64 {
    let of = |[(_, low), (_, high)]: &[(f64, L::At); 2]| {
        let of_bursts = (0..most).map(|burst| law.between(low, high, burst)[1]);
        of_bursts.fold(f64::NEG_INFINITY, f64::max)
    };
    ends.array_windows().map(of).fold(f64::NEG_INFINITY, f64::max)
}

fn cells<L: Law>(ends: &Ends<L>, law: &L, log_prior: &[f64], log_range: f64) -> Vec<Cell> {
    let floor = best(ends, law, log_prior.len()) - 30.0;
    let mut cells = Vec::new();
    for [(log_low, low), (log_high, high)] in ends.array_windows() {
        let log_width = log_high - log_low;
        let per_second = libm::exp(*log_low);
        for (i, log_prior) in log_prior.iter().enumerate() {
            let [worst, best] = law.between(low, high, i);
            if best < floor || *log_prior == f64::NEG_INFINITY {
                continue;
            }
            // Half of the interval at either bound.
            let log_likelihood = best + libm::log(0.5 + 0.5 * libm::exp(worst - best));
            let burst = (i + 1) as f64;
            cells.push(Cell {
                limit: RateLimit::TokenBucket { per_second, burst },
                log_width,
                log_mass: log_prior + libm::log(log_width / log_range) + log_likelihood,
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
            let refills: Vec<Vec<Vec<f64>>> =
                lanes.iter().map(|lane| refills(lane, swing, period_s)).collect();
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
                        let (value, touched) =
                            log_likelihood(lanes, &refills, mean, f64::from(*burst), floor);
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

/// For each phase the tokens refilled before each attempt, for a mean of 1.
fn refills(lane: &Lane, swing: f64, period_s: f64) -> Vec<Vec<f64>> {
    let omega = TAU / period_s;
    let pauses = pauses_s(lane);
    let waves: Vec<(f64, f64)> = lane
        .asked
        .iter()
        .map(|a| omega * (a.at_us as f64 * 1e-6))
        .map(|angle| (libm::cos(angle), libm::sin(angle)))
        .collect();
    let of_phase = |phase: usize| {
        let phase = TAU * phase as f64 / PHASES as f64;
        let (cos, sin) = (libm::cos(phase), libm::sin(phase));
        let mut before = waves.first().map_or(0.0, |(c, s)| c * cos - s * sin);
        pauses
            .iter()
            .zip(&waves)
            .map(|(pause, (c, s))| {
                let now = c * cos - s * sin;
                let refill = pause + swing * (before - now) / omega;
                before = now;
                refill.max(0.0)
            })
            .collect()
    };
    (0..PHASES).map(of_phase).collect()
}

/// `ln` likelihood averaged over each server's phase, and whether anything was refused or odd.
fn log_likelihood(
    lanes: &[Lane],
    refills: &[Vec<Vec<f64>>],
    mean: f64,
    burst: f64,
    floor: f64,
) -> (f64, bool) {
    let mut total = 0.0;
    let mut touched = false;
    let mut gain: f64 = lanes.iter().map(|lane| lane.most_gain).sum();
    for (lane, of_phase) in lanes.iter().zip(refills) {
        // What the lanes so far came to and the others could come to pays for slips.
        let most_slips = ((total + gain - floor) / -LOG_SLIP_ODDS) as i64 + 1;
        let mut values = [0.0; PHASES];
        for (value, refills) in values.iter_mut().zip(of_phase) {
            let counts = replay(lane, refills, mean, burst, most_slips);
            touched |= counts != Counts::default();
            *value = lane.log_likelihood(counts);
        }
        total += log_sum_exp(&values) - libm::log(PHASES as f64);
        gain -= lane.most_gain;
        if total + gain < floor {
            return (f64::NEG_INFINITY, true);
        }
    }
    (total, touched)
}
