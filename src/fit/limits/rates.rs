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

use super::bucket::{Misfits, misfits, pauses_s, replay};
use super::lane::{Counts, Lane, log_slip_odds};
use super::prior::LimitPrior;

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
pub(super) struct Piece {
    pub(super) burst: u32,
    /// `ln` of the rate at the lower end.
    pub(super) log_low: f64,
    /// `ln` of upper over lower end.
    pub(super) log_width: f64,
    /// `ln` of prior probability times likelihood (less the base of the lanes).
    pub(super) log_mass: f64,
    /// `ln` likelihood, averaged over the piece.
    pub(super) log_likelihood: f64,
}

/// All pieces that matter.
pub(super) fn integrate(lanes: &[Lane], prior: &LimitPrior) -> Vec<Piece> {
    let marked = lanes.iter().all(|lane| lane.marked);
    if marked {
        integrate_with(lanes, prior, &Marked)
    } else {
        integrate_with(lanes, prior, &Unmarked::new(lanes))
    }
}

/// `ln` likelihood against that of no limit, of a bucket of one token, for these rates.
pub(super) fn curve(lanes: &[Lane], rates: &[f64]) -> Vec<f64> {
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

struct Interval<A> {
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
    let mut intervals: Vec<Interval<L::At>> = (1..ends.len())
        .map(|i| Interval {
            log_low: ends[i - 1],
            log_high: ends[i],
            low: values[i - 1].clone(),
            high: values[i].clone(),
        })
        .collect();
    let share = |interval: &Interval<L::At>| (interval.log_high - interval.log_low) / (to - from);
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
            next.push(Interval {
                log_low: interval.log_low,
                log_high: middle,
                low: interval.low,
                high: value.clone(),
            });
            next.push(Interval {
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

fn best<L: Law>(intervals: &[Interval<L::At>], law: &L, most: usize) -> f64 {
    let of = |interval: &Interval<L::At>| {
        (0..most)
            .map(|burst| law.between(&interval.low, &interval.high, burst)[1])
            .fold(f64::NEG_INFINITY, f64::max)
    };
    intervals.iter().map(of).fold(f64::NEG_INFINITY, f64::max)
}

fn pieces<L: Law>(
    intervals: &[Interval<L::At>],
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
