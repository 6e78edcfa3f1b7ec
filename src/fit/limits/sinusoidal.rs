//! Sinusoidal buckets on a modest grid: mean, swing, period, burst, and 16 phases for each server.
//!
//! The tokens refilled between two attempts are mean (dt + swing (cos(w t0 + p) - cos(w t1 + p)) / w),
//! with the swing as a share of the mean and w = 2 pi / period.
//!
//! When not to use it: to measure a sinusoidal limiter closely. Between the grid's values the
//! likelihood is not looked at, so a sinusoid off the grid may end as "no law explains it".

use std::f64::consts::TAU;

use super::bucket::{pauses_s, replay};
use super::family::to_digits;
use super::lane::{Counts, Lane, log_slip_odds};
use super::prior::LimitPrior;
use crate::stats::special::log_sum_exp;
use crate::world::RateLimit;

/// Means of the refill in a factor of e.
const MEANS: f64 = 4.0;
/// Swings as a share of the mean.
const SWINGS: [f64; 3] = [0.3, 0.6, 0.9];
const PERIODS_S: [f64; 6] = [2.0, 5.0, 10.0, 20.0, 30.0, 60.0];
const BURSTS: [u32; 6] = [1, 2, 5, 10, 20, 50];
const PHASES: usize = 16;
/// Cells this far (`ln`) below the best law are not finished.
const HOPELESS: f64 = 30.0;

/// Grid cells that matter, as (limit, `ln` prior probability + `ln` likelihood less the base, `ln`
/// likelihood); `best` is the `ln` likelihood of the best other law.
pub(super) fn integrate(
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
                        let floor = best - HOPELESS;
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
    cells.retain(|(_, _, value)| *value > best - HOPELESS);
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
