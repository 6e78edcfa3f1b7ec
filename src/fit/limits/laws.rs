//! The refill rate of a token bucket, integrated over a log-uniform prior for every burst.
//!
//! The likelihood is a step function of the rate with a peak as narrow as a millionth, so a grid
//! would miss it. Where 429 is marked, the misfits at the two ends of an interval of rates bound
//! the likelihood inside (see `bucket`): intervals are halved while what their bounds leave open
//! matters for the sum. Where it is not marked there are no such bounds; misfits grow smoothly away
//! from the truth, so the highest peaks of a grid are climbed for every burst, and intervals are
//! halved where their ends differ near the best value.
//!
//! Source of the idea: branch and bound, A. H. Land and A. G. Doig, "An Automatic Method of Solving
//! Discrete Programming Problems", Econometrica 28 (1960), 497-520.

use std::f64::consts::TAU;

use crate::limits::lane::{
    Answer, Counts, Lane, Misfits, log_slip_odds, misfits, pauses_s, replay,
};
use flakelab_core::stats::{Interval, log_sum_exp};
use flakelab_sim::world::RateLimit;

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

/// Rates between two values and one burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) burst: u32,
    /// `ln` of the rate at the lower end.
    pub(crate) log_low: f64,
    /// `ln` of upper over lower end.
    pub(crate) log_width: f64,
    /// `ln` of prior probability times likelihood (less the base of the lanes).
    pub(crate) log_mass: f64,
    /// `ln` likelihood, averaged over the piece.
    pub(crate) log_likelihood: f64,
}

/// All pieces that matter.
pub(crate) fn integrate(lanes: &[Lane], prior: &LimitPrior) -> Vec<Piece> {
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
    type At: Clone;
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
        f64::from(self.accepted[i] + self.refused[i]) * log_slip_odds()
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
        [f64::from(worst) * log_slip_odds(), f64::from(best) * log_slip_odds()]
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
            let most_slips = ((value + gain + HOPELESS) / -log_slip_odds()) as i64;
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

struct Segment<A> {
    log_low: f64,
    log_high: f64,
    low: A,
    high: A,
}

fn integrate_with<L: Law>(lanes: &[Lane], prior: &LimitPrior, law: &L) -> Vec<Piece> {
    let most = prior.most();
    let log_prior = prior.log_capacities(1);
    let [from, to] = [prior.per_second.low, prior.per_second.high].map(libm::log);
    let at = |log_rate: f64| law.at(lanes, libm::exp(log_rate), most);
    let step = (to - from) / L::INTERVALS as f64;
    let mut ends: Vec<f64> = (0..=L::INTERVALS).map(|i| from + step * i as f64).collect();
    let mut values: Vec<L::At> = ends.iter().map(|end| at(*end)).collect();
    for peak in law.peaks(lanes, &ends, &values) {
        let place = ends.partition_point(|end| *end < peak);
        if place > 0 && ends.get(place).is_some_and(|end| *end > peak) {
            ends.insert(place, peak);
            values.insert(place, at(peak));
        }
    }
    let mut intervals: Vec<Segment<L::At>> = (1..ends.len())
        .map(|i| Segment {
            log_low: ends[i - 1],
            log_high: ends[i],
            low: values[i - 1].clone(),
            high: values[i].clone(),
        })
        .collect();
    let share = |interval: &Segment<L::At>| (interval.log_high - interval.log_low) / (to - from);
    for _ in 0..ROUNDS {
        let scale = best(&intervals, law, most);
        // For each interval the most that it can hold, and what is open of it.
        let held: Vec<[f64; 2]> = intervals
            .iter()
            .map(|interval| {
                let (mut held, mut open) = (0.0, 0.0);
                for (burst, log_prior) in log_prior.iter().enumerate() {
                    let [worst, best] = law.between(&interval.low, &interval.high, burst);
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
                [held * share(interval), open * share(interval)]
            })
            .collect();
        let total: f64 = held.iter().map(|[held, _]| held).sum();
        if intervals.len() >= MOST_INTERVALS || held.iter().all(|[_, open]| *open <= OPEN * total) {
            break;
        }
        let mut next = Vec::with_capacity(intervals.len() + 64);
        for (interval, [_, open]) in intervals.into_iter().zip(held) {
            if open <= OPEN * total {
                next.push(interval);
                continue;
            }
            let middle = 0.5 * (interval.log_low + interval.log_high);
            let value = at(middle);
            next.push(Segment {
                log_low: interval.log_low,
                log_high: middle,
                low: interval.low,
                high: value.clone(),
            });
            next.push(Segment {
                log_low: middle,
                log_high: interval.log_high,
                low: value,
                high: interval.high,
            });
        }
        intervals = next;
    }
    pieces(&intervals, law, &log_prior, to - from)
}

fn best<L: Law>(intervals: &[Segment<L::At>], law: &L, most: usize) -> f64 {
    let of = |interval: &Segment<L::At>| {
        (0..most)
            .map(|burst| law.between(&interval.low, &interval.high, burst)[1])
            .fold(f64::NEG_INFINITY, f64::max)
    };
    intervals.iter().map(of).fold(f64::NEG_INFINITY, f64::max)
}

fn pieces<L: Law>(
    intervals: &[Segment<L::At>],
    law: &L,
    log_prior: &[f64],
    log_range: f64,
) -> Vec<Piece> {
    let floor = best(intervals, law, log_prior.len()) - 30.0;
    let mut pieces = Vec::new();
    for interval in intervals {
        let log_width = interval.log_high - interval.log_low;
        for (i, log_prior) in log_prior.iter().enumerate() {
            let [worst, best] = law.between(&interval.low, &interval.high, i);
            if best < floor || *log_prior == f64::NEG_INFINITY {
                continue;
            }
            // Half of the interval at either bound.
            let log_likelihood = best + libm::log(0.5 + 0.5 * libm::exp(worst - best));
            pieces.push(Piece {
                burst: i as u32 + 1,
                log_low: interval.log_low,
                log_width,
                log_mass: log_prior + libm::log(log_width / log_range) + log_likelihood,
                log_likelihood,
            });
        }
    }
    pieces
}

// ---- What is believed of a rate limit before the attempts are seen.
//
// People configure limiters with round numbers, so lengths of windows come from a short series
// and limits and bursts are whole numbers with weights 1/x: a limit between 1 and 2 is as likely
// as one between 100 and 200. Refill rates are log-uniform, since a mean rate need not be round.
// Every distribution is proper, so that families can be compared by their evidence.
//
// When not to use it: for limiters with odd windows (0.7 s). No law then explains the attempts,
// which the conclusion says instead of naming one.

/// The prior of the parameters of every family.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitPrior {
    /// Lengths of windows in seconds, equally likely.
    pub windows_s: Vec<f64>,
    /// Limits of a window and bursts of a bucket: whole numbers from the first to the last, at
    /// least 1, with weights 1/x. A sliding window has at least 2: with 1 it is a bucket.
    pub capacity: [u32; 2],
    /// Refill rates of a bucket in tokens per second, log-uniform.
    pub per_second: Interval,
    /// Whether the refill may change over time; false where the limit is fixed by definition.
    pub may_swing: bool,
}

/// Lengths of windows in seconds that people configure.
const WINDOWS_S: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0];

impl Default for LimitPrior {
    fn default() -> Self {
        Self {
            windows_s: WINDOWS_S.to_vec(),
            capacity: [1, 200],
            per_second: Interval { low: 0.1, high: 1000.0 },
            may_swing: true,
        }
    }
}

impl LimitPrior {
    /// The largest limit or burst.
    pub(crate) fn most(&self) -> usize {
        self.capacity[1].max(1) as usize
    }

    /// `ln` of the probability of each capacity 1, 2, .., `most`, given that it is at least
    /// `least`; `-inf` where there is none.
    pub(crate) fn log_capacities(&self, least: u32) -> Vec<f64> {
        let from = self.capacity[0].max(least);
        let weight = |x: u32| if x >= from { 1.0 / f64::from(x) } else { 0.0 };
        let total: f64 = (1..=self.capacity[1]).map(weight).sum();
        (1..=self.capacity[1]).map(|x| libm::log(weight(x) / total)).collect()
    }
}

// ---- Sinusoidal buckets on a modest grid: mean, swing, period, burst, and 16 phases for each server.
//
// The tokens refilled between two attempts are mean (dt + swing (cos(w t0 + p) - cos(w t1 + p)) / w),
// with the swing as a share of the mean and w = 2 pi / period.
//
// When not to use it: to measure a sinusoidal limiter closely. Between the grid's values the
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

/// Grid cells that matter, as (limit, `ln` prior probability + `ln` likelihood less the base, `ln`
/// likelihood); `best` is the `ln` likelihood of the best other law.
pub(crate) fn integrate_sinusoidal(
    lanes: &[Lane],
    prior: &LimitPrior,
    best: f64,
) -> Vec<(RateLimit, f64, f64)> {
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
                    cells.push((limit(*burst), log_prior + value, value));
                }
            }
        }
    }
    cells.retain(|(_, _, value)| *value > best - SINUSOIDAL_HOPELESS);
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
        let most_slips = ((total + gain - floor) / -log_slip_odds()) as i64 + 1;
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

// ---- Windows: the `ln` likelihood of every limit of a fixed or sliding window of one length.
//
// A fixed window starts at a phase that nobody knows, uniform over its length. Between two
// neighbouring values of (time of an attempt) mod (length) all phases give the same replay, so the
// average over phases is a finite sum, computed exactly. Moving the phase past one attempt moves that attempt from the
// front of its window to the back of the one before, and takes one from the number counted before
// each later attempt of its window: only those limits change at which one of them was on the
// edge. All limits and all phases together thus cost about one visit for each attempt and each
// attempt that shares its window, up to the largest limit.
//
// What counts before an attempt does not depend on the limit: where 429 is marked, the accepted
// attempts of the window so far; where it is not, all of them, since the first `limit` of a window
// are accepted and after those nothing is.
//
// When not to use it: for windows that are not whole microseconds.

/// `ln` likelihood of limits 1, 2, .., `most` of a fixed window, averaged over the phase.
pub(crate) fn fixed(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let asked = &lane.asked;
    // counted_before[i]: attempts before i that use the limiter up. places: where they are.
    let mut counted_before = Vec::with_capacity(asked.len() + 1);
    let mut places = Vec::with_capacity(asked.len());
    for (i, attempt) in asked.iter().enumerate() {
        counted_before.push(places.len());
        if attempt.answer != Answer::Refused {
            places.push(i);
        }
    }
    counted_before.push(places.len());
    // Groups: attempts of one window at phase 0. `moved`: its first attempt not yet moved.
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = Vec::with_capacity(asked.len());
    for (i, attempt) in asked.iter().enumerate() {
        let window = attempt.at_us.div_euclid(window_us);
        match groups.last_mut().filter(|group| group.window == window) {
            Some(group) => group.end = i + 1,
            None => groups.push(Group { window, start: i, moved: i, end: i + 1 }),
        }
        group_of.push(groups.len() - 1);
    }
    let mut tracks = Tracks::new(lane, most);
    for (i, attempt) in asked.iter().enumerate() {
        let before = counted_before[i] - counted_before[groups[group_of[i]].start];
        tracks.refuse(1..=before, attempt.answer, 1, 0.0);
    }
    let mut order: Vec<(i64, usize)> = asked
        .iter()
        .enumerate()
        .map(|(i, attempt)| (attempt.at_us.rem_euclid(window_us), i))
        .collect();
    order.sort_unstable();
    for (residue, i) in order {
        let phase = residue as f64 / window_us as f64;
        let g = group_of[i];
        let Group { window, start, end, .. } = groups[g];
        // Later attempts of its window: the rest of its group and what was moved to it.
        let follower = groups.get(g + 1).filter(|next| next.window == window + 1);
        let window_end = follower.map_or(end, |next| next.moved);
        if asked[i].answer != Answer::Refused {
            let mut seen = i + 1;
            for before in 1..=most {
                let next = places.get(counted_before[i] + before).copied().unwrap_or(usize::MAX);
                let until = window_end.min(next.saturating_add(1));
                for later in &asked[seen.min(until)..until] {
                    tracks.refuse(before..=before, later.answer, -1, phase);
                }
                seen = until;
                if next >= window_end {
                    break;
                }
            }
        }
        // The attempt itself is now the last of the window before.
        let adjacent = g > 0 && groups[g - 1].window == window - 1;
        let from = if adjacent { groups[g - 1].moved } else { start };
        let before = counted_before[i] - counted_before[from];
        tracks.refuse(1..=before, asked[i].answer, 1, phase);
        groups[g].moved = i + 1;
    }
    tracks.finish()
}

/// Attempts that share a window at phase 0.
struct Group {
    window: i64,
    start: usize,
    moved: usize,
    end: usize,
}

/// For each limit the likelihood integrated over the phases so far.
struct Tracks<'a> {
    lane: &'a Lane,
    counts: Vec<Counts>,
    /// The phase up to which the integral goes, as a share of the window.
    until: Vec<f64>,
    /// The integral is `sum` times e to the power of `scale`.
    scale: Vec<f64>,
    sum: Vec<f64>,
}

impl<'a> Tracks<'a> {
    fn new(lane: &'a Lane, most: usize) -> Self {
        let counts = Counts { taken: 0, slips: lane.refused() as i64 };
        Self {
            lane,
            counts: vec![counts; most],
            until: vec![0.0; most],
            scale: vec![f64::NEG_INFINITY; most],
            sum: vec![0.0; most],
        }
    }

    /// From this phase on the limits given would refuse an attempt, or no longer would.
    #[inline]
    fn refuse(
        &mut self,
        limits: std::ops::RangeInclusive<usize>,
        answer: Answer,
        by: i64,
        phase: f64,
    ) {
        let last = (*limits.end()).min(self.counts.len());
        for limit in *limits.start()..=last {
            self.integrate(limit - 1, phase);
            self.counts[limit - 1].refuse(answer, by, self.lane.marked);
        }
    }

    #[inline]
    fn integrate(&mut self, i: usize, phase: f64) {
        let width = phase - self.until[i];
        if width <= 0.0 {
            return;
        }
        self.until[i] = phase;
        let value = self.lane.log_likelihood(self.counts[i]);
        if value > self.scale[i] {
            self.sum[i] *= libm::exp(self.scale[i] - value);
            self.scale[i] = value;
        }
        // What is below e^-50 of the rest would be lost in rounding anyway.
        if value > self.scale[i] - 50.0 {
            self.sum[i] += width * libm::exp(value - self.scale[i]);
        }
    }

    fn finish(mut self) -> Vec<f64> {
        (0..self.counts.len()).for_each(|i| self.integrate(i, 1.0));
        self.scale.iter().zip(&self.sum).map(|(scale, sum)| scale + libm::log(*sum)).collect()
    }
}

/// `ln` likelihood of limits 1, 2, .., `most` of a sliding window.
pub(crate) fn sliding(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    if lane.marked {
        sliding_marked(lane, window_us, most)
    } else {
        sliding_unmarked(lane, window_us, most)
    }
}

/// What the window held before an attempt is known, so one pass serves all limits.
fn sliding_marked(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let asked = &lane.asked;
    let mut counts = vec![Counts { taken: 0, slips: lane.refused() as i64 }; most];
    let (mut oldest, mut held) = (0, 0_usize);
    for attempt in asked {
        while attempt.at_us - asked[oldest].at_us >= window_us {
            held -= usize::from(asked[oldest].answer != Answer::Refused);
            oldest += 1;
        }
        for of_limit in counts.iter_mut().take(held) {
            of_limit.refuse(attempt.answer, 1, true);
        }
        held += usize::from(attempt.answer != Answer::Refused);
    }
    counts.into_iter().map(|counts| lane.log_likelihood(counts)).collect()
}

fn sliding_unmarked(lane: &Lane, window_us: i64, most: usize) -> Vec<f64> {
    let mut values = vec![lane.log_likelihood(Counts::default()); most];
    let mut accepted: Vec<i64> = Vec::with_capacity(lane.asked.len());
    for (limit, value) in (1..=most).zip(&mut values) {
        let mut counts = Counts::default();
        accepted.clear();
        for attempt in &lane.asked {
            let full = accepted.len() >= limit
                && attempt.at_us - accepted[accepted.len() - limit] < window_us;
            if full {
                counts.refuse(attempt.answer, 1, false);
            }
            if !full || attempt.answer == Answer::Success {
                accepted.push(attempt.at_us);
            }
        }
        *value = lane.log_likelihood(counts);
        if counts == Counts::default() {
            break;
        }
    }
    values
}

/// A number above 0 rounded to this many significant digits.
pub(crate) fn to_digits(x: f64, digits: i32) -> f64 {
    let places = digits - 1 - libm::floor(libm::log10(x)) as i32;
    // Powers of ten up to 22 are exact, and so is the nearest float of the quotient.
    let power = libm::pow(10.0, f64::from(places.abs()));
    if places >= 0 { libm::round(x * power) / power } else { libm::round(x / power) * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_capacities_sum_to_one() {
        let prior = LimitPrior::default();
        for least in [1, 2] {
            let logs = prior.log_capacities(least);
            let total: f64 = logs.iter().map(|l| libm::exp(*l)).sum();
            assert!((total - 1.0).abs() < 1e-12 && logs.len() == prior.most());
        }
        assert_eq!(prior.log_capacities(2)[0], f64::NEG_INFINITY);
    }
}
