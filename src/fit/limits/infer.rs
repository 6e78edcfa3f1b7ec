//! Inference of a rate limit: the evidence of every family of limits, compared.
//!
//! Exact sequential likelihoods given the times of the attempts (`windows`, `rates`,
//! `sinusoidal`), averaged over proper priors (`prior`), give the evidence of each family; with equal
//! prior probabilities their ratios are Bayes factors. R. E. Kass and A. E. Raftery, "Bayes
//! Factors", JASA 90 (1995), 773-795.
//!
//! When not to use it: where a limiter is shared by several clients, of whom only one was recorded.

use super::conclusion::{Conclusion, conclude};
use super::family::{Cell, LimitFamily};
use super::lane::Lane;
use super::pressure::Pressure;
use super::prior::LimitPrior;
use super::{rates, sinusoidal, windows};
use crate::fit::error_rates::RatePrior;
use crate::fit::runs::Start;
use crate::trace::Recording;
use crate::world::{LimitKind, RateLimit};

/// Draws from the posterior.
pub const LIMIT_DRAWS: usize = 256;

/// What the attempts say of the servers' rate limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitInference {
    /// Every family, none first.
    pub families: Vec<LimitFamily>,
    /// `ln` of the Bayes factor of a limit, of whatever family, against none: the evidence
    /// averaged over the four families, over that of none.
    pub log_bayes_factor: f64,
    /// What may be claimed.
    pub conclusion: Conclusion,
    /// Draws from the posterior over all families, evenly through it, in order of family.
    pub draws: Vec<RateLimit>,
    /// (tokens per second, `ln` likelihood less that of no limit) of buckets of one token.
    pub curve: Vec<(f64, f64)>,
    /// How hard the load pressed.
    pub pressed: Pressure,
    /// The load that would decide what is open.
    pub advice: String,
}

impl LimitInference {
    /// The limit to use: the one found, or the best one of an open family; none when abstaining.
    #[must_use]
    pub fn estimate(&self) -> RateLimit {
        match &self.conclusion {
            Conclusion::Found { limit, .. }
            | Conclusion::FoundFamilyOpen { best: limit, .. }
            | Conclusion::Unexplained { best: limit, .. } => *limit,
            Conclusion::Abstained { .. } => RateLimit::None,
        }
    }

    /// One family.
    #[must_use]
    pub fn family(&self, kind: LimitKind) -> Option<&LimitFamily> {
        self.families.iter().find(|family| family.kind == kind)
    }
}

/// The rate limit of servers, from recordings: each inner list met one start of the servers, and
/// all of them the same group.
///
/// `rates` is what is known of the servers' error rates before; it matters only where 429 is not
/// marked. Recordings are cut where their clock jumped.
#[must_use]
pub fn infer_limit_of(
    starts: &[Vec<Recording>],
    rates: &RatePrior,
    limits: &LimitPrior,
) -> LimitInference {
    let recordings = || starts.iter().flatten();
    let servers = recordings().map(|r| r.group.servers.len()).max().unwrap_or(0);
    let tells = recordings().all(|r| r.tells_refusals);
    let starts: Vec<Start<'_>> = starts.iter().map(|recordings| start_of(recordings)).collect();
    infer_limit(&starts, servers, tells, rates, limits)
}

fn start_of(recordings: &[Recording]) -> Start<'_> {
    let mut stretches = Vec::new();
    for recording in recordings {
        let mut rest = recording.attempts.as_slice();
        let mut cut_off = 0;
        for jump in &recording.clock_jumps {
            let (stretch, after) = rest.split_at(jump.saturating_sub(cut_off).min(rest.len()));
            stretches.push(stretch);
            cut_off += stretch.len();
            rest = after;
        }
        stretches.push(rest);
    }
    stretches.retain(|stretch| !stretch.is_empty());
    Start { stretches }
}

/// The rate limit that the servers of these starts have in common.
///
/// `tells_refusals`: whether 429 is marked in every recording.
pub(in crate::fit) fn infer_limit(
    starts: &[Start<'_>],
    servers: usize,
    tells_refusals: bool,
    rates: &RatePrior,
    prior: &LimitPrior,
) -> LimitInference {
    let lanes = Lane::of_starts(starts, servers, tells_refusals, rates);
    let families = families(&lanes, prior);
    let pressed = Pressure::of(&lanes, tells_refusals);
    let curve_rates: Vec<f64> = (0..=60).map(|i| libm::pow(10.0, f64::from(i) * 0.05)).collect();
    let values = rates::curve(&lanes, &curve_rates);
    let curve: Vec<(f64, f64)> = curve_rates.into_iter().zip(values).collect();
    let log_bayes_factor = against_none(&families);
    let draws = draws(&families);
    let (conclusion, advice) = conclude(&families, log_bayes_factor, &curve, &pressed, &lanes);
    LimitInference { families, log_bayes_factor, conclusion, draws, curve, pressed, advice }
}

/// `ln` of the mean evidence of the families that have a limit, over that of none.
fn against_none(families: &[LimitFamily]) -> f64 {
    let factors: Vec<f64> = families
        .iter()
        .filter(|family| family.kind != LimitKind::None)
        .map(|family| family.log_bayes_factor_against_none)
        .collect();
    crate::stats::special::log_sum_exp(&factors) - libm::log(factors.len() as f64)
}

fn families(lanes: &[Lane], prior: &LimitPrior) -> Vec<LimitFamily> {
    let base: f64 = lanes.iter().map(|lane| lane.log_base).sum();
    let none: f64 = lanes.iter().map(Lane::log_likelihood_of_none).sum();
    let fixed = window_cells(lanes, prior, 1, windows::fixed, |limit, window_s| {
        RateLimit::FixedWindow { limit, window_s, phase_s: None }
    });
    let sliding = window_cells(lanes, prior, 2, windows::sliding, |limit, window_s| {
        RateLimit::SlidingWindow { limit, window_s }
    });
    let bucket: Vec<Cell> = rates::integrate(lanes, prior).iter().map(Cell::of_piece).collect();
    let best = [&fixed, &sliding, &bucket]
        .into_iter()
        .flatten()
        .map(|cell| cell.log_likelihood)
        .fold(none, f64::max);
    let sinusoidal = if prior.may_swing {
        sinusoidal::integrate(lanes, prior, best)
            .into_iter()
            .map(|(limit, mass, likelihood)| Cell::single(limit, mass, likelihood))
            .collect()
    } else {
        Vec::new()
    };
    let nothing = vec![Cell::single(RateLimit::None, none, none)];
    let mut families: Vec<LimitFamily> = [
        (LimitKind::None, nothing),
        (LimitKind::FixedWindow, fixed),
        (LimitKind::SlidingWindow, sliding),
        (LimitKind::TokenBucket, bucket),
        (LimitKind::Sinusoidal, sinusoidal),
    ]
    .into_iter()
    .filter(|(_, cells): &(_, Vec<Cell>)| !cells.is_empty())
    .map(|(kind, cells)| LimitFamily::new(kind, cells, base, none))
    .collect();
    let top = families.iter().map(|f| f.log_evidence).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = families.iter().map(|f| libm::exp(f.log_evidence - top)).sum();
    for family in &mut families {
        family.probability = libm::exp(family.log_evidence - top) / total;
    }
    families
}

/// The cells of a family of windows; `of_lane` gives the likelihoods of all limits of a length.
fn window_cells(
    lanes: &[Lane],
    prior: &LimitPrior,
    least: u32,
    of_lane: fn(&Lane, i64, usize) -> Vec<f64>,
    limit_of: fn(u32, f64) -> RateLimit,
) -> Vec<Cell> {
    let log_capacities = prior.log_capacities(least);
    let log_windows = libm::log(prior.windows_s.len() as f64);
    let mut cells = Vec::with_capacity(log_capacities.len() * prior.windows_s.len());
    for window_s in &prior.windows_s {
        let window_us = (libm::round(window_s * 1e6) as i64).max(1);
        let mut sums = vec![0.0; prior.most()];
        for lane in lanes {
            for (sum, value) in sums.iter_mut().zip(of_lane(lane, window_us, prior.most())) {
                *sum += value;
            }
        }
        for ((limit, log_prior), value) in (1..).zip(&log_capacities).zip(sums) {
            if *log_prior > f64::NEG_INFINITY {
                let mass = log_prior - log_windows + value;
                cells.push(Cell::single(limit_of(limit, *window_s), mass, value));
            }
        }
    }
    cells
}

/// Systematic draws: at (i + 1/2) / [`LIMIT_DRAWS`] through the posterior of all families.
fn draws(families: &[LimitFamily]) -> Vec<RateLimit> {
    let weighted: Vec<(&Cell, f64)> = families
        .iter()
        .flat_map(|family| {
            let total: f64 = family.weights().sum();
            let scale = family.probability / total.max(f64::MIN_POSITIVE);
            family.cells.iter().zip(family.weights()).map(move |(cell, w)| (cell, w * scale))
        })
        .collect();
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut draws = Vec::with_capacity(LIMIT_DRAWS);
    let mut below = 0.0;
    for (cell, weight) in weighted {
        while draws.len() < LIMIT_DRAWS {
            let at = (draws.len() as f64 + 0.5) / LIMIT_DRAWS as f64 * total;
            if at > below + weight {
                break;
            }
            draws.push(cell.at((at - below) / weight));
        }
        below += weight;
    }
    draws
}
